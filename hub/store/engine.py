"""The connection to the store: one PostgreSQL database, or one SQLite file that several processes share."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiosqlite
from sqlalchemy import Connection, event, exc, make_url, select
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.store.errors import StoreNotSupported, StoreUnavailable, passes
from hub.store.sql import store_now

_WAL_ATTEMPTS = 100
_FROZEN_S = 10.0


class Store:
    """Reads and transactions on the hub's state.

    Invariants:
        A write's body runs in one transaction: all of it is committed on a normal exit, nothing otherwise.
        A read can't write: the database refuses it.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 10, timeout_s: float = 30.0) -> Self:
        """Connect, and check that the database answers.

        `url` is `postgresql+asyncpg://…` or `sqlite+aiosqlite:///<file>` (the driver may be left out).
        `pool_size` bounds the writing and the reading connections, each; SQLite has a single writing one.
        `timeout_s` ends a statement, on SQLite the wait for another process's transaction. PostgreSQL ends a
        transaction in which nothing is asked for so long, or for ten seconds.
        Raises StoreNotSupported, StoreUnavailable.
        """
        parsed = _supported(url)
        if parsed.get_backend_name() == "sqlite":
            _check_directory(parsed)
            writer, reader = _sqlite_engines(parsed, pool_size, timeout_s)
        else:
            writer, reader = _postgresql_engines(parsed, pool_size, timeout_s)
        store = cls(writer, reader)
        try:
            # The first connection makes an SQLite file, which a reading one could not.
            async with store._connection(writer):
                pass
        except BaseException:
            await store.close()
            raise
        return store

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; each statement sees what was committed before it. Raises StoreUnavailable."""
        async with self._connection(self._reader) as conn:
            yield conn

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: commits on exit, rolls back on any error. Not to be nested. Raises StoreUnavailable."""
        async with self._connection(self._writer) as conn, conn.begin():
            yield conn

    async def now(self) -> float:
        """The store's clock, in seconds since the epoch."""
        async with self.read() as conn:
            return (await conn.execute(select(store_now()))).scalar_one()

    async def migrate(self) -> str:
        """Bring the schema to the newest revision, and tell which it is at; safe for several processes at once."""
        from hub.store.migrations import upgrade

        async with self.write() as conn:
            return await conn.run_sync(upgrade)

    async def close(self) -> None:
        """Close all connections. The store can't be used afterwards."""
        await self._reader.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            try:
                conn = await stack.enter_async_context(engine.connect())
            except exc.TimeoutError as error:
                raise StoreUnavailable("no connection to the store became free in time") from error
            except (OSError, TimeoutError) as error:
                raise StoreUnavailable(f"the store can't be reached: {error}") from error
            yield conn


def _supported(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # Their texts quote the URL, or what they took for its port: with the password in it, they are not kept.
        raise StoreNotSupported(
            "HUB_STORE_URL is no URL of a store; write postgresql+asyncpg://USER:PASSWORD@HOST:5432/DATABASE, "
            "or sqlite+aiosqlite:////PATH/hub.db"
        ) from None
    drivers = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    backend = parsed.get_backend_name()
    if backend not in drivers:
        raise StoreNotSupported(f"the store can't be a {backend} database: use PostgreSQL or an SQLite file")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreNotSupported("the store can't be in memory: name an SQLite file")
    return parsed.set(drivername=drivers[backend])


def missing_file(url: str) -> Path | None:
    """The SQLite file of the store where it isn't there yet: opening would make it. Raises StoreNotSupported."""
    parsed = _supported(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    file = Path(str(parsed.database)).absolute()
    return file if file.parent.is_dir() and not file.exists() else None


def _check_directory(url: URL) -> None:
    """A connection that fails leaves the driver's thread with nobody to answer: this one is foreseen."""
    directory = Path(str(url.database)).parent
    if not directory.is_dir():
        raise StoreUnavailable(f"the store can't be reached: there is no directory {directory}")


def _postgresql_engines(url: URL, pool_size: int, timeout_s: float) -> tuple[AsyncEngine, AsyncEngine]:
    settings = {
        "application_name": "halo-hub",
        "statement_timeout": str(int(timeout_s * 1000)),
        # A process that is frozen, or whose machine is gone, must not keep its locks from those that take over.
        "idle_in_transaction_session_timeout": str(int(min(_FROZEN_S, timeout_s) * 1000)),
        # Elsewhere off may be a bargain; here a crash of the server would be a restore from a moment ago.
        "synchronous_commit": "on",
        # A plan kept from when a table was empty reads all of it, until the next ANALYZE; planning takes 0.1 ms.
        "plan_cache_mode": "force_custom_plan",
    }
    # The server's own timeout can't end a wait for a server that went silent.
    waits = {"timeout": min(10.0, timeout_s), "command_timeout": timeout_s * 1.5}
    options = {"pool_size": pool_size, "max_overflow": 0, "pool_pre_ping": True}
    writer = _engine(url, {**waits, "server_settings": settings}, isolation_level="READ COMMITTED", **options)
    read_only = {**settings, "default_transaction_read_only": "on"}
    reader = _engine(url, {**waits, "server_settings": read_only}, isolation_level="AUTOCOMMIT", **options)
    return writer, reader


def _sqlite_engines(url: URL, pool_size: int, busy_timeout_s: float) -> tuple[AsyncEngine, AsyncEngine]:
    waits = {"timeout": busy_timeout_s}
    # One writing connection: this process's writers queue here in order, instead of racing for the file's lock.
    writer = _engine(url, waits, pool_size=1, max_overflow=0, pool_timeout=2 * busy_timeout_s)
    reader = _engine(url, waits, pool_size=pool_size, max_overflow=0)
    event.listen(writer.sync_engine, "connect", _prepare_sqlite)
    event.listen(reader.sync_engine, "connect", _prepare_sqlite_reader)
    # The driver would begin lazily and without the lock; a lock taken first can't fail half-way through.
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    return writer, reader


def _engine(url: URL, connect_args: dict[str, Any], **options: Any) -> AsyncEngine:
    engine = create_async_engine(url, connect_args=connect_args, hide_parameters=True, **options)
    event.listen(engine.sync_engine, "handle_error", _translate)
    return engine


def _translate(context: ExceptionContext) -> StoreUnavailable | None:
    original = context.original_exception
    if isinstance(original, OSError | TimeoutError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
    elif not isinstance(original, Exception) or not passes(original, context.is_disconnect):
        return None
    return StoreUnavailable(f"the store is not available: {str(original) or type(original).__name__}")


def _prepare_sqlite(dbapi: AdaptedConnection, _record: object) -> None:
    dbapi.run_async(_prepare)


def _prepare_sqlite_reader(dbapi: AdaptedConnection, _record: object) -> None:
    dbapi.run_async(_prepare)
    dbapi.run_async(lambda raw: raw.execute_fetchall("PRAGMA query_only = ON"))


async def _prepare(raw: aiosqlite.Connection) -> None:
    raw.isolation_level = None
    await raw.execute_fetchall("PRAGMA synchronous = FULL")
    for _ in range(_WAL_ATTEMPTS - 1):
        try:
            await raw.execute_fetchall("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait here: processes that make the same new file meet, and one has to step back.
            if "locked" not in str(error):
                raise
            await asyncio.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - no secret
        else:
            return
    await raw.execute_fetchall("PRAGMA journal_mode = WAL")


def _begin_immediate(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE")
