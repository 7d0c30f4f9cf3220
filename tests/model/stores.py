"""A store that state machines can use without waiting: SQLite in memory, one transaction, nothing ever committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Executable, create_engine
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from hub.store import Store
from hub.store.migrations import upgrade

T = TypeVar("T")
_EPOCH_DAYS = 2440587.5
_DAY_S = 86400.0


class _Direct:
    """As much of an AsyncConnection as the store's functions use, without a thread and a hop to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)


class OneTransaction:
    """A migrated store, in the place of `Store` and of its connections.

    With a `clock` (seconds since the epoch), that is the database's own clock.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._runner = asyncio.Runner()
        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        with self._engine.begin() as connection:
            upgrade(connection)
        self._open = self._engine.connect()
        self.connection = cast("AsyncConnection", _Direct(self._open))
        if clock is not None:
            # SQLite's clock is the function that the hub calls for it.
            raw: Any = self._open.connection.driver_connection
            raw.create_function("julianday", 1, lambda _: clock() / _DAY_S + _EPOCH_DAYS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._engine.dispose()
        self._runner.close()

    @property
    def store(self) -> Store:
        return cast("Store", self)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def forget(self) -> None:
        """Everything since the last time is gone."""
        self._open.rollback()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        yield self.connection

    read = write
