"""The connection to the store: one PostgreSQL database, or one SQLite file that several processes share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from sqlalchemy import Connection, event, exc, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.store.errors import StoreNotSupported, StoreUnavailable, unavailable
from hub.store.sql import store_now

BUSY_TIMEOUT_S = 30.0


class Store:
    """Reads and transactions on the hub's state.

    Invariants:
        A write's body runs in one transaction: all of it is committed on a normal exit, nothing otherwise.
        A read can't write: the database refuses it.
    """

    def __init__(self, url: URL, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self.url = url
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 10, statement_timeout_s: float = 60.0) -> Self:
        """Connect, and check that the database answers.

        `url` is `postgresql+asyncpg://…` or `sqlite+aiosqlite:///<file>` (the driver may be left out).
        `pool_size` bounds the writing and the reading connections, each; SQLite has a single writing one.
        Raises StoreNotSupported, StoreUnavailable.
        """
        parsed = _supported(url)
        if parsed.get_backend_name() == "sqlite":
            writer, reader = _sqlite_engines(parsed, pool_size)
        else:
            writer, reader = _postgresql_engines(parsed, pool_size, statement_timeout_s)
        store = cls(parsed, writer, reader)
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
            try:
                yield conn
            except exc.SQLAlchemyError as error:
                raise unavailable(error) or error from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: commits on exit, rolls back on any error. Not to be nested. Raises StoreUnavailable."""
        async with self._connection(self._writer) as conn:
            try:
                async with conn.begin():
                    yield conn
            except exc.SQLAlchemyError as error:
                raise unavailable(error) or error from error

    async def now(self) -> float:
        """The store's clock, in seconds since the epoch."""
        async with self.read() as conn:
            return (await conn.execute(select(store_now()))).scalar_one()

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; safe when several processes do so at once."""
        from hub.store.migrations import upgrade

        async with self.write() as conn:
            await conn.run_sync(upgrade)

    async def close(self) -> None:
        """Close all connections. The store can't be used afterwards."""
        await self._reader.dispose()
        await self._writer.dispose()

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            conn = await engine.connect()
        except exc.SQLAlchemyError as error:
            raise unavailable(error) or error from error
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"the store can't be reached: {error}") from error
        try:
            yield conn
        finally:
            await conn.close()


def _supported(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise StoreNotSupported("the store's URL can't be read; see docs on HUB_STORE_URL") from error
    drivers = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    backend = parsed.get_backend_name()
    if backend not in drivers:
        raise StoreNotSupported(f"the store can't be a {backend} database: use PostgreSQL or an SQLite file")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreNotSupported("the store can't be in memory: name an SQLite file")
    return parsed.set(drivername=drivers[backend])


def _postgresql_engines(url: URL, pool_size: int, timeout_s: float) -> tuple[AsyncEngine, AsyncEngine]:
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_pre_ping": True}
    settings = {"application_name": "halo-hub", "statement_timeout": str(int(timeout_s * 1000))}
    writer = create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        connect_args={"server_settings": settings, "timeout": 10},
        **options,
    )
    reader = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "server_settings": {**settings, "default_transaction_read_only": "on"},
            "timeout": 10,
        },
        **options,
    )
    return writer, reader


def _sqlite_engines(url: URL, pool_size: int) -> tuple[AsyncEngine, AsyncEngine]:
    # One writing connection: this process's writers queue here in order, instead of racing for the file's lock.
    writer = create_async_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_timeout=2 * BUSY_TIMEOUT_S,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    reader = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(writer.sync_engine, "connect", _prepare_sqlite)
    event.listen(reader.sync_engine, "connect", _prepare_sqlite_reader)
    # The driver would begin lazily and without the lock; a lock taken first can't fail half-way through.
    event.listen(writer.sync_engine, "begin", _begin_immediate)
    return writer, reader


def _prepare_sqlite(dbapi: DBAPIConnection, _record: object) -> None:
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    cursor.execute("PRAGMA journal_mode")
    if cursor.fetchone() != ("wal",):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _prepare_sqlite_reader(dbapi: DBAPIConnection, record: object) -> None:
    _prepare_sqlite(dbapi, record)
    cursor = dbapi.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _begin_immediate(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE")
