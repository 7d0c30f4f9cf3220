"""The schema that the migrations make."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, inspect, select, text

from hub.store import Store
from hub.store.migrations import upgrade
from hub.store.tables import metadata


async def test_the_migrated_schema_is_the_one_that_the_code_uses(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with store.read() as conn:
        assert await conn.run_sync(differences) == []


async def test_each_table_can_be_read_as_the_code_names_its_columns(store: Store) -> None:
    async with store.read() as conn:
        for table in metadata.sorted_tables:
            assert (
                await conn.execute(select(func.count()).select_from(select(table).subquery()))
            ).scalar() == 0


async def test_migrating_again_changes_nothing(store: Store) -> None:
    async with store.write() as conn:
        await conn.execute(text("INSERT INTO store_generation (id, generation) VALUES (1, 7)"))
    await store.migrate()
    async with store.read() as conn:
        assert (await conn.execute(text("SELECT generation FROM store_generation"))).scalar_one() == 7


async def test_several_may_migrate_an_empty_database_at_once(store_url: str) -> None:
    stores = await asyncio.gather(*(Store.open(store_url) for _ in range(4)))
    await asyncio.gather(*(store.migrate() for store in stores))
    async with stores[0].read() as conn:
        assert (await conn.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == [
            "0003"
        ]
    for store in stores:
        await store.close()


async def test_a_migration_that_is_cut_off_leaves_nothing_behind(store_url: str) -> None:
    store = await Store.open(store_url)

    async def cut_off() -> None:
        async with store.write() as conn:
            await conn.run_sync(upgrade)
            raise KeyError

    with pytest.raises(KeyError):
        await cut_off()
    async with store.read() as conn:
        assert await conn.run_sync(lambda connection: inspect(connection).get_table_names()) == []
    await store.migrate()
    await store.close()


async def test_the_schema_of_a_newer_release_is_left_alone(store: Store) -> None:
    async with store.write() as conn:
        await conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.migrate()
    async with store.read() as conn:
        assert (await conn.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "9999"
