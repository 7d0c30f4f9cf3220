"""Transactions, refusals and what callers see when the database is away, busy or silent."""

import asyncio
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, exc, insert, select, text

from hub.store import Store, StoreNotSupported, StoreUnavailable, leases, outbox
from hub.store.sql import store_now
from hub.store.tables import store_generation
from tests.support.eventually import eventually
from tests.support.postgres import PostgresServer

ROW = ("topic", b"key", (), b"value")


async def migrated(url: str) -> None:
    """Make the tables, with all the time that a slow machine needs for it."""
    store = await Store.open(url)
    await store.migrate()
    await store.close()


async def answers(store: Store) -> bool:
    try:
        return await store.now() > 0
    except StoreUnavailable:
        return False


async def test_a_write_commits_on_exit_and_nothing_on_error(store: Store, other: Store) -> None:
    async with store.write() as conn:
        await outbox.add(conn, "acme", [ROW])

    async def failing() -> None:
        async with store.write() as conn:
            await outbox.add(conn, "acme", [ROW])
            raise KeyError

    with pytest.raises(KeyError):
        await failing()
    async with other.read() as conn:
        assert await outbox.depth(conn) == 1


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(exc.DBAPIError, match=r"read-?only"):
        async with store.read() as conn:
            await outbox.add(conn, "acme", [ROW])


async def test_a_read_sees_what_was_committed_while_it_was_open(store: Store, other: Store) -> None:
    async with store.read() as conn:
        assert await outbox.depth(conn) == 0
        async with other.write() as writing:
            await outbox.add(writing, "acme", [ROW])
        assert await outbox.depth(conn) == 1


async def test_the_clock_is_the_databases_and_moves_within_a_transaction(store: Store) -> None:
    before = time.time()
    now = await store.now()
    assert before - 1 < now < time.time() + 1
    async with store.write() as conn:
        first = (await conn.execute(select(store_now()))).scalar_one()

        async def moved() -> bool:
            later: float = (await conn.execute(select(store_now()))).scalar_one()
            return later > first

        await eventually(moved)


async def test_a_cancelled_write_leaves_no_lock_and_no_row(store: Store, other: Store) -> None:
    async def blocked() -> None:
        async with store.write() as conn:
            await conn.execute(insert(store_generation).values(id=1, generation=2))
            await asyncio.Event().wait()

    async with other.write() as holding:
        await holding.execute(insert(store_generation).values(id=1, generation=1))
        waiting = asyncio.create_task(blocked())
        await asyncio.wait([waiting], timeout=0.2)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with store.write() as conn:
        await conn.execute(delete(store_generation))
    inside = asyncio.create_task(blocked())
    await asyncio.wait([inside], timeout=0.2)
    inside.cancel()
    async with asyncio.timeout(60), other.write() as conn:
        assert (await conn.execute(select(store_generation.c.generation))).all() == []
    async with asyncio.timeout(60), store.write() as conn:
        await outbox.add(conn, "acme", [ROW])
    with pytest.raises(asyncio.CancelledError):
        await inside


async def test_a_callers_own_timeout_is_not_mistaken_for_the_stores(store: Store) -> None:
    with pytest.raises(TimeoutError):
        async with store.write():
            raise TimeoutError
    with pytest.raises(ConnectionError):
        async with store.read():
            raise ConnectionError


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite+aiosqlite:///:memory:", "no url", ""])
async def test_another_kind_of_database_is_refused_without_repeating_the_url(url: str) -> None:
    with pytest.raises(StoreNotSupported) as refused:
        await Store.open(url)
    assert not url or url not in str(refused.value)


async def test_nobody_listening_is_unavailable(free_port: int) -> None:
    with pytest.raises(StoreUnavailable):
        await Store.open(f"postgresql://hub:secret@127.0.0.1:{free_port}/hub")


async def test_a_missing_directory_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no directory"):
        await Store.open(f"sqlite:///{tmp_path}/missing/store.db")


async def test_a_missing_database_does_not_show_the_password(postgres: PostgresServer) -> None:
    url = postgres.create_database().replace("hub@", "hub:verysecret@") + "_missing"
    with pytest.raises((exc.DBAPIError, StoreUnavailable)) as missing:
        await Store.open(url)
    assert "verysecret" not in str(missing.value)


async def test_an_error_does_not_show_the_values_of_a_statement(store: Store) -> None:
    with pytest.raises(exc.DBAPIError) as wrong:
        async with store.read() as conn:
            await conn.execute(text("SELECT 1 FROM nowhere WHERE :name = ''"), {"name": "jane@example.com"})
    assert "jane" not in str(wrong.value)


async def test_several_may_make_the_same_new_file_at_once(tmp_path: Path) -> None:
    for number in range(25):
        url = f"sqlite:///{tmp_path}/{number}.db"
        for store in await asyncio.gather(*(Store.open(url) for _ in range(6))):
            await store.close()


async def test_a_file_locked_for_longer_than_the_timeout_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await migrated(f"sqlite:///{path}")
    store = await Store.open(f"sqlite:///{path}", timeout_s=0.2)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        async with store.write():
            pytest.fail("the lock was not waited for")
    holder.execute("ROLLBACK")
    holder.close()
    async with store.write() as conn:
        await outbox.add(conn, "acme", [ROW])
    await store.close()


async def test_a_row_locked_for_longer_than_the_timeout_is_unavailable(postgres: PostgresServer) -> None:
    url = postgres.create_database()
    await migrated(url)
    store, other = await Store.open(url, timeout_s=0.3), await Store.open(url)
    async with other.write() as holding:
        await holding.execute(insert(store_generation).values(id=1, generation=1))
        with pytest.raises(StoreUnavailable):
            async with store.write() as conn:
                await conn.execute(insert(store_generation).values(id=1, generation=2))
    await store.close()
    await other.close()


async def test_who_stands_still_in_a_transaction_keeps_no_lock_from_who_takes_over(
    postgres: PostgresServer,
) -> None:
    """A process may be frozen between any two statements, and its successor needs the very rows that it holds."""
    url = postgres.create_database()
    await migrated(url)
    frozen, other = await Store.open(url, timeout_s=0.5), await Store.open(url)

    async def stand_still() -> None:
        async with frozen.write() as holding:
            await leases.take(holding, "acme", "write", "frozen", 0.1)
            async with other.write() as conn:
                assert await leases.take(conn, "acme", "write", "other", 30.0)
            await leases.take(holding, "acme", "write", "frozen", 30.0)

    with pytest.raises(StoreUnavailable):
        await stand_still()
    async with other.write() as conn:
        assert await leases.take(conn, "acme", "write", "frozen", 30.0) is None, "what it had begun is undone"
    await frozen.close()
    await other.close()


async def test_a_deadlock_is_unavailable_for_one_and_done_for_the_other(postgres: PostgresServer) -> None:
    store = await Store.open(postgres.create_database())
    await store.migrate()
    async with store.write() as conn:
        await outbox.add(conn, "acme", [ROW, ROW])
    met = asyncio.Barrier(2)

    async def locked(first: int, second: int) -> bool:
        try:
            async with store.write() as conn:
                await outbox.remove(conn, [first])
                await met.wait()
                await outbox.remove(conn, [second])
        except StoreUnavailable:
            return False
        return True

    assert sorted(await asyncio.gather(locked(1, 2), locked(2, 1))) == [False, True]
    await store.close()


async def test_a_killed_server_is_unavailable_and_is_used_again_when_it_is_back() -> None:
    directory = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
    server = PostgresServer(directory)
    server.start()
    store = await Store.open(server.create_database())
    await store.migrate()

    async def cut_off() -> None:
        async with store.write() as conn:
            await outbox.add(conn, "acme", [ROW])
            await asyncio.to_thread(server.kill)
            await outbox.add(conn, "acme", [ROW])

    try:
        with pytest.raises(StoreUnavailable):
            await cut_off()
        with pytest.raises(StoreUnavailable):
            await store.now()
        await asyncio.to_thread(server.start)
        # The test's server runs without durability: it may have forgotten the schema.
        await store.migrate()
        async with store.read() as conn:
            assert await outbox.depth(conn) == 0
    finally:
        await store.close()
        await asyncio.to_thread(server.stop)
        shutil.rmtree(directory)


async def test_a_server_that_goes_silent_is_unavailable_within_the_timeout(postgres: PostgresServer) -> None:
    silent = asyncio.Event()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if silent.is_set():
                continue
            writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.wait(
            [asyncio.create_task(pump(reader, up_writer)), asyncio.create_task(pump(up_reader, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        writer.close()
        up_writer.close()

    url = postgres.create_database()
    port = url.rsplit(":", 1)[1].split("/")[0]
    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    through = url.replace(f":{port}/", f":{proxy.sockets[0].getsockname()[1]}/")
    store = await Store.open(through, timeout_s=0.4)
    await eventually(lambda: answers(store))

    async def unanswered() -> None:
        async with store.read() as conn:
            silent.set()
            await outbox.depth(conn)

    async with asyncio.timeout(60):
        with pytest.raises(StoreUnavailable):
            await unanswered()
        with pytest.raises(StoreUnavailable):
            await store.now()
        silent.clear()
        await eventually(lambda: answers(store))
        await store.close()
    proxy.close()
