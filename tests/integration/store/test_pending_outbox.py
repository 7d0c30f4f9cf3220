"""What waits, and what must still be published."""

import asyncio
from typing import Any

import msgspec
from sqlalchemy import select, update

from hub.store import Store, outbox, pending
from hub.store.pending import Backlog, Pending
from hub.store.tables import pending as table


def row(target_key: str = "acme/h/s/client/1/", **fields: Any) -> Pending:
    values = {
        "tenant": "acme",
        "stage": "writer",
        "message_id": "m1",
        "message_type": "upsert_client.v1",
        "headers": b'{"id":"m1"}',
        "value": b'\xff\x00{"not":"json',
        "reason": "ambiguous",
        "waits_for": "acme/h/s/client/0/",
        "not_before": 100.5,
        "since": 50.25,
        "seq": (3, 1),
        "attempts": 2,
        "note": "Halo did not answer",
    }
    return Pending(target_key=target_key, **{**values, **fields})


async def put(store: Store, *rows: Pending) -> None:
    async with store.write() as conn:
        for each in rows:
            await pending.put(conn, each)


async def test_a_row_comes_back_as_it_was_put(store: Store) -> None:
    bare = row("b", waits_for=None, note=None, seq=())
    await put(store, row(note="a\0b"), row(), bare)
    async with store.read() as conn:
        assert await pending.of_tenant(conn, "acme", "writer") == [row(), bare]


async def test_a_newer_message_replaces_the_row_but_not_since_when_it_waits(store: Store) -> None:
    newer = row(message_id="m2", value=b"2", reason="down", since=99.0, seq=(4,), attempts=0, waits_for=None)
    await put(store, row(), newer)
    async with store.read() as conn:
        assert await pending.of_tenant(conn, "acme", "writer") == [
            msgspec.structs.replace(newer, since=50.25)
        ]


async def test_rows_come_with_their_sequences_those_that_wait_longest_first(store: Store) -> None:
    seqs: list[tuple[int, ...]] = [(), (2,), (3, -1, -1, 1), (2**62, 10, 1)]
    rows = [row(f"t{age}", since=age, seq=seq) for age, seq in enumerate(seqs)]
    await put(store, *reversed(rows))
    async with store.read() as conn:
        assert [each.seq for each in await pending.of_tenant(conn, "acme", "writer")] == seqs


async def test_a_rows_kind_is_its_targets_whatever_place_a_release_gave_it(store: Store) -> None:
    """The order of kinds is each release's own: a later one may put a kind between two others."""
    keys = {"acme/h/s/lead/1/": "lead", "acme/h/s/quote/1/": "quote", "version/1": ""}
    await put(store, *map(row, keys))
    async with store.write() as conn:
        await conn.execute(update(table).values(phase=3))
        briefs = await pending.briefs(conn, "acme", "writer")
    assert {brief.target_key: brief.kind for brief in briefs} == keys


async def test_a_release_that_reads_places_finds_those_that_it_knows(store: Store) -> None:
    known = ["client", "site", "user", "item", "opportunity", "quote", "attachment", "won", "sales_order"]
    await put(store, *(row(f"acme/h/s/{kind}/1/") for kind in (*known, "later")))
    async with store.read() as conn:
        found = await conn.execute(select(table.c.target_key, table.c.phase))
    phases = {key.split("/")[3]: phase for key, phase in found}
    assert phases == {**{kind: place for place, kind in enumerate(known)}, "later": 0}


async def test_tenants_and_stages_are_apart(store: Store) -> None:
    mapper, globex = row(stage="mapper"), row(tenant="globex")
    await put(store, row(), mapper, globex)
    async with store.write() as conn:
        await pending.remove(conn, "acme", "writer", row().target_key)
        await pending.remove(conn, "acme", "writer", "never there")
        assert await pending.of_tenant(conn, "acme", "writer") == []
        assert await pending.of_tenant(conn, "acme", "mapper") == [mapper]
        assert await pending.of_tenant(conn, "globex", "writer") == [globex]


async def test_due_tenants_are_those_with_a_row_whose_time_has_come(store: Store) -> None:
    await put(
        store,
        row("a", not_before=10),
        row("b", not_before=11),
        row("c", tenant="globex", not_before=20),
        row("d", tenant="umbrella", stage="mapper", not_before=1),
    )
    async with store.read() as conn:
        assert await pending.due_tenants(conn, "writer", 9.9) == []
        assert await pending.due_tenants(conn, "writer", 10) == ["acme"]
        assert await pending.due_tenants(conn, "writer", 20) == ["acme", "globex"]


async def test_the_backlog_counts_by_tenant_stage_and_reason(store: Store) -> None:
    await put(store, row("a", since=7), row("b", since=5), row("c", reason="down"), row("d", tenant="globex"))
    async with store.read() as conn:
        assert await pending.count_by_reason(conn) == [
            Backlog("acme", "writer", "ambiguous", 2, 5.0),
            Backlog("acme", "writer", "down", 1, 50.25),
            Backlog("globex", "writer", "ambiguous", 1, 50.25),
        ]


async def test_a_listing_shows_the_longest_waiting_first(store: Store) -> None:
    rows = [row(f"t{age}", since=age, reason="down" if age % 2 else "limited") for age in (3, 1, 2)]
    await put(store, *rows, row("x", tenant="globex", since=0))
    async with store.read() as conn:
        assert [each.since for each in await pending.listing(conn)] == [0, 1, 2, 3]
        assert [each.since for each in await pending.listing(conn, "acme", limit=2)] == [1, 2]
        assert [each.since for each in await pending.listing(conn, "acme", "down")] == [1, 3]
        assert [each.since for each in await pending.listing(conn, reason="limited")] == [2]


async def test_the_outbox_keeps_order_and_bytes(store: Store) -> None:
    messages = [
        (f"topic-{n}", b"\xffkey", (("ce_id", b"\x00\xff"), ("ce_id", b"")), b"value") for n in range(300)
    ]
    async with store.write() as conn:
        await outbox.add(conn, "acme", messages)
        await outbox.add(conn, "globex", messages[:1])
        await outbox.add(conn, "acme", [])
    async with store.read() as conn:
        rows = await outbox.of_tenant(conn, "acme", 1000)
        assert [(each.topic, each.key, each.headers, each.value) for each in rows] == messages
        assert [each.id for each in rows] == sorted({each.id for each in rows})
        assert await outbox.of_tenant(conn, "acme", 2) == rows[:2]
        assert await outbox.tenants(conn) == ["acme", "globex"]
        assert await outbox.depth(conn) == 301


async def test_published_rows_are_removed_and_their_ids_never_come_back(store: Store) -> None:
    async with store.write() as conn:
        await outbox.add(conn, "acme", [("t", b"k", (), b"1"), ("t", b"k", (), b"2")])
        first, second = await outbox.of_tenant(conn, "acme", 10)
        await outbox.remove(conn, [second.id, second.id + 99])
        await outbox.remove(conn, [])
        await outbox.add(conn, "acme", [("t", b"k", (), b"3")])
        rows = await outbox.of_tenant(conn, "acme", 10)
    assert [each.value for each in rows] == [b"1", b"3"]
    assert rows[1].id > second.id > first.id


async def test_what_two_tenants_add_at_once_keeps_each_ones_order(store: Store, other: Store) -> None:
    async def add(who: Store, tenant: str) -> None:
        for number in range(20):
            async with who.write() as conn:
                await outbox.add(conn, tenant, [("t", b"k", (), str(number).encode())])

    await asyncio.gather(add(store, "acme"), add(other, "globex"))
    async with store.read() as conn:
        for tenant in ("acme", "globex"):
            rows = await outbox.of_tenant(conn, tenant, 100)
            assert [int(each.value) for each in rows] == list(range(20))
