"""Folded records: in batches, each only onto the version that its fold started from."""

import asyncio
from typing import Any

import msgspec
import pytest

from hub.store import Store, records
from hub.store.records import Group, Record, RecordKey


def group(data: object = "x", version: int = 1) -> Group:
    return Group(version, "event-1", "quote.published.v1", "hash", msgspec.Raw(msgspec.json.encode(data)))


def record(number: object, version: int = 1, **fields: Any) -> Record:
    values: dict[str, Any] = {
        "tenant": "acme",
        "source": "quoter",
        "kind": "quote",
        "ordering": "revision",
        "groups": {"head": group()},
    }
    return Record(id=f"q-{number}", version=version, **{**values, **fields})


def following(of: Record, **fields: Any) -> Record:
    return msgspec.structs.replace(of, version=of.version + 1, **fields)


async def save(store: Store, *batch: Record) -> list[RecordKey]:
    async with store.write() as conn:
        return await records.save_many(conn, [(each, each.version - 1) for each in batch])


async def load(store: Store, *batch: Record) -> dict[RecordKey, Record]:
    async with store.read() as conn:
        return await records.load_many(conn, [each.key for each in batch])


async def test_records_come_back_as_they_were_saved(store: Store) -> None:
    rows = [
        record(
            1,
            groups={"head": group({"ä\u0000'\"": [1.50, None, "\\u0000 %s :x"]}), "lines": group([], 2**62)},
        ),
        record("%/ä'", ordering="time", groups={}),
        record(1, tenant="globex"),
        record(1, source="crm"),
        record(1, kind="opportunity"),
    ]
    assert await save(store, *rows) == []
    assert await load(store, *rows, record("missing")) == {row.key: row for row in rows}
    async with store.read() as conn:
        assert await records.load_many(conn, []) == {}


async def test_of_a_batch_only_stale_ones_are_refused(store: Store) -> None:
    one, two = record(1), record(2)
    await save(store, one, two)
    await save(store, following(two))
    batch = [following(one), following(two, ordering="time"), record(3), following(record(4)), record(1)]
    async with store.write() as conn:
        with pytest.raises(ValueError, match="once"):
            await records.save_many(conn, [(each, each.version - 1) for each in batch])
    assert await save(store, *batch[:-1]) == [two.key, record(4).key]
    assert await save(store, record(1)) == [one.key]
    expected = {row.key: row for row in (following(one), following(two), record(3))}
    assert await load(store, *batch) == expected


async def test_a_version_that_does_not_follow_is_a_mistake(store: Store) -> None:
    async with store.write() as conn:
        with pytest.raises(ValueError, match="can't follow"):
            await records.save_many(conn, [(record(1, version=2), 0)])
        assert await records.save_many(conn, []) == []


async def test_of_two_who_fold_at_once_each_record_is_one_ones(store: Store, other: Store) -> None:
    rows = [record(number) for number in range(60)]
    for _ in range(4):
        left, right = rows[:40], rows[20:][::-1]
        refused = await asyncio.gather(save(store, *left), save(other, *right))
        assert sorted(map(len, refused)) == [0, 20]
        assert {key for part in refused for key in part} == {row.key for row in rows[20:40]}
        rows = [following(row) for row in rows]
