"""The catalogue is the newest that Halo told, in whatever order and however often the events arrive."""

import asyncio
import json
import random
from typing import Any

import pytest

from hub.store import Store, catalogue, restore
from hub.store.catalogue import HaloEvent, KindSummary
from schemas.halo_events import (
    HaloClient,
    HaloItem,
    HaloReference,
    HaloUser,
    ReadCompleted,
    ReferenceRow,
)

HERE = ("acme", "acme.halopsa.com")


async def apply(store: Store, *dated: tuple[float, HaloEvent], tenant: str = "acme") -> None:
    async with store.write() as conn:
        for time, event in dated:
            await catalogue.apply(conn, tenant, HERE[1], [event], time)


async def names(
    store: Store, kind: Any = "client", tenant: str = "acme", among: range = range(1, 20)
) -> list[str]:
    async with store.read() as conn:
        rows = [await catalogue.by_id(conn, tenant, HERE[1], kind, halo_id) for halo_id in among]
    return [row.name for row in rows if row]


async def fresh(store: Store, kind: Any = "client", tenant: str = "acme") -> float | None:
    async with store.read() as conn:
        return await catalogue.fresh_since(conn, tenant, HERE[1], kind)


def client(halo_id: int, name: str, **fields: Any) -> HaloClient:
    return HaloClient(id=halo_id, name=name, **fields)


def completed(read_id: str, count: int, started_at: float, kind: Any = "client") -> ReadCompleted:
    return ReadCompleted(kind=kind, read_id=read_id, count=count, started_at=started_at)


async def test_records_are_found_by_each_of_their_keys(store: Store) -> None:
    item = HaloItem(id=1, name=" Widget ä ", supplier_part_code="Sku-1", isrecurringitem=True)
    user = HaloUser(id=2, name="Jane", client_id=7, emailaddress=" Jane@Example.com", inactive=True)
    twin = HaloUser(id=3, name="Jane", client_id=8, emailaddress="jane@example.com")
    bare = HaloItem(id=4, name="widget Ä", supplier_part_code="")
    await apply(
        store, (1, item), (1, user), (1, twin), (1, bare), (1, HaloUser(id=5, name="", emailaddress=""))
    )
    async with store.read() as conn:
        row = await catalogue.by_id(conn, *HERE, "item", 1)
        assert row is not None
        assert (row.kind, row.halo_id, row.name, row.sku) == ("item", 1, " Widget ä ", "Sku-1")
        assert json.loads(row.data)["isrecurringitem"] is True
        assert await catalogue.by_sku(conn, *HERE, "item", "Sku-1") == [row]
        assert await catalogue.by_sku(conn, *HERE, "item", "sku-1") == []
        assert await catalogue.by_sku(conn, *HERE, "item", "") == []
        assert [one.halo_id for one in await catalogue.by_name(conn, *HERE, "item", "WIDGET Ä ")] == [1, 4]
        assert [one.halo_id for one in await catalogue.by_exact_name(conn, *HERE, "item", "widget Ä")] == [4]
        assert [one.halo_id for one in await catalogue.by_name(conn, *HERE, "item", 4)] == [4]
        [jane] = await catalogue.by_email(conn, *HERE, 7, "JANE@example.com ")
        assert (jane.halo_id, jane.parent_id, jane.inactive) == (2, 7, True)
        assert await catalogue.by_email(conn, *HERE, 7, " ") == []
        assert await catalogue.by_email(conn, *HERE, 9, "jane@example.com") == []
        assert await catalogue.by_name(conn, *HERE, "user", "Jane", usable_only=True) != []
        assert [
            one.halo_id for one in await catalogue.by_name(conn, *HERE, "user", "jane", usable_only=True)
        ] == [3]
        assert await catalogue.by_id(conn, "acme", "other", "item", 1) is None
        assert await catalogue.by_id(conn, "globex", HERE[1], "item", 1) is None


async def test_a_reference_list_replaces_the_former_one_whole(store: Store) -> None:
    def currencies(*rows: ReferenceRow) -> HaloReference:
        return HaloReference(reference="currency", rows=rows)

    dollar = ReferenceRow(id=0, name="US Dollar", code=" usd ")
    first = currencies(dollar, ReferenceRow(id=2, name="Euro", code="EUR"))
    second = currencies(dollar, ReferenceRow(id=3, name="Pound", code="GBP"))
    groups = HaloReference(
        reference="asset_group",
        rows=(ReferenceRow(id=2, name="Kit"), ReferenceRow(id=5, name="kit", usable=False)),
    )
    await apply(store, (1, first), (2, second), (1, first), (2, second), (1, groups))
    async with store.read() as conn:
        assert await catalogue.by_name(conn, *HERE, "currency", "euro") == []
        assert [row.halo_id for row in await catalogue.by_name(conn, *HERE, "currency", "usd")] == [0]
        assert [row.halo_id for row in await catalogue.by_name(conn, *HERE, "currency", " us dollar")] == [0]
        assert [row.code for row in await catalogue.by_name(conn, *HERE, "currency", 0)] == ["USD"]
        assert [row.halo_id for row in await catalogue.by_name(conn, *HERE, "asset_group", "KIT")] == [2, 5]
        usable = await catalogue.by_name(conn, *HERE, "asset_group", "kit", usable_only=True)
        assert [row.halo_id for row in usable] == [2]


async def test_a_reference_list_is_fresh_once_its_read_has_ended(store: Store) -> None:
    tax = HaloReference(reference="tax", rows=(ReferenceRow(id=1, name="VAT"),), read_id="r1")
    await apply(store, (10, tax))
    assert await fresh(store, "tax") is None
    await apply(store, (11, completed("r1", 1, 10, "tax")))
    assert await fresh(store, "tax") == 10
    # An emptied list is announced by its count alone.
    await apply(store, (21, completed("r2", 0, 20, "tax")))
    assert await fresh(store, "tax") == 20
    assert await names(store, "tax") == []


async def test_an_older_event_never_overwrites_a_newer_one(store: Store) -> None:
    await apply(store, (5, client(1, "new")), (4, client(1, "old")), (4, client(2, "gone", deleted=True)))
    await apply(store, (3, client(2, "before it went")))
    assert await names(store) == ["new"]
    await apply(store, (6, client(2, "back")))
    assert await names(store) == ["new", "back"]


async def test_a_read_is_complete_when_all_its_rows_have_come_and_then_the_unseen_are_gone(
    store: Store,
) -> None:
    await apply(store, (1, client(1, "unseen")), (99, client(2, "born since")), (1, client(3, "seen")))
    await apply(store, (11, completed("r", 2, 10)), (10, client(3, "seen", read_id="r")))
    assert await fresh(store) is None
    assert await names(store) == ["unseen", "born since", "seen"]
    await apply(store, (12, client(4, "late", read_id="r")))
    assert await fresh(store) == 10
    assert await names(store) == ["born since", "seen", "late"]
    # What the read did not see does not come back from before it.
    await apply(store, (9, client(1, "unseen")))
    assert await names(store) == ["born since", "seen", "late"]


async def test_a_row_that_a_read_saw_counts_though_newer_news_of_it_came_first(store: Store) -> None:
    await apply(store, (12, client(1, "newer")), (13, client(2, "x", deleted=True)))
    await apply(store, (11, client(1, "read", read_id="r")), (11, client(2, "y", read_id="r")))
    await apply(store, (14, completed("r", 2, 10)))
    assert await fresh(store) == 10
    assert await names(store) == ["newer"]


async def test_an_empty_read_empties_the_catalogue(store: Store) -> None:
    await apply(store, (1, client(1, "a")), (3, completed("r", 0, 2)))
    assert await names(store) == []
    assert await fresh(store) == 2


async def test_another_kind_tenant_and_instance_are_untouched_by_a_read(store: Store) -> None:
    await apply(store, (1, HaloUser(id=1, name="user")))
    await apply(store, (1, client(1, "other's")), tenant="globex")
    await apply(store, (3, completed("r", 0, 2)))
    assert await names(store, "user") == ["user"]
    assert await names(store, tenant="globex") == ["other's"]


HISTORY: list[tuple[float, HaloEvent]] = [
    (1, client(1, "one")),
    (2, client(2, "two")),
    (10, client(1, "one", read_id="r1")),
    (10, client(2, "two", read_id="r1")),
    (11, client(3, "three", read_id="r1")),
    (12, completed("r1", 3, 10)),
    (13, client(2, "two!", inactive=True)),
    (14, client(4, "four")),
    (15, client(3, "three", deleted=True)),
    (20, client(1, "ONE", read_id="r2")),
    (21, client(5, "five", read_id="r2")),
    (22, client(5, "FIVE")),
    (23, completed("r2", 2, 20)),
    (24, client(1, "one again")),
    (25, client(6, "six")),
    (26, client(6, "six", deleted=True)),
]


async def test_any_order_and_repetition_of_events_ends_in_the_same_catalogue(store: Store) -> None:
    randomly = random.Random(7)
    for round_number in range(25):
        tenant = f"t{round_number}"
        dated = HISTORY + randomly.sample(HISTORY, 8)
        randomly.shuffle(dated)
        while dated:
            size = randomly.randint(1, 6)
            async with store.write() as conn:
                batch = [(event, time) for time, event in dated[:size]]
                await catalogue.apply_dated(conn, tenant, HERE[1], batch)
            dated = dated[size:]
        assert await names(store, tenant=tenant) == ["one again", "FIVE"], round_number
        assert await fresh(store, tenant=tenant) == 20, round_number


async def test_the_last_row_and_the_end_of_a_read_applied_at_once_do_not_miss_each_other(
    store: Store, other: Store
) -> None:
    for number in range(15):
        tenant = f"t{number}"
        await asyncio.gather(
            apply(store, (11, client(1, "a", read_id="r")), tenant=tenant),
            apply(other, (12, completed("r", 1, 10)), tenant=tenant),
        )
        assert await fresh(store, tenant=tenant) == 10


async def test_what_the_hub_wrote_is_known_at_once_and_survives_a_read_that_began_before(
    store: Store,
) -> None:
    now = await store.now()
    answered = {
        "id": 7,
        "name": "Acme",
        "main_site_id": 3,
        "main_contact_id": -1,
        "customertype": "no number",
        "a field of Halo's": {},
    }
    async with store.write() as conn:
        await catalogue.upsert_own(conn, *HERE, "client", 7, answered)
        await catalogue.upsert_own(conn, *HERE, "item", 7, {})
        with pytest.raises(ValueError, match="writes no tax"):
            await catalogue.upsert_own(conn, *HERE, "tax", 1, {"name": "VAT"})
    await apply(store, (now - 5, client(8, "seen", read_id="r")), (now, completed("r", 1, now - 10)))
    assert await names(store) == ["Acme", "seen"]
    async with store.write() as conn:
        row = await catalogue.by_id(conn, *HERE, "client", 7)
        assert row is not None
        assert json.loads(row.data) == {"id": 7, "name": "Acme", "main_site_id": 3}
        # A partial answer leaves what it does not name, and what the full read saw stays seen.
        await catalogue.upsert_own(conn, *HERE, "client", 8, {"main_contact_id": 4, "id": 1})
    await apply(store, (now, client(7, "older", read_id="r2")), (now, completed("r2", 1, now - 2)))
    assert await names(store) == ["Acme", "seen"]
    async with store.read() as conn:
        row = await catalogue.by_id(conn, *HERE, "client", 8)
        assert row is not None
        assert json.loads(row.data)["main_contact_id"] == 4


async def test_a_deleted_record_that_the_hub_writes_is_there_again(store: Store) -> None:
    await apply(store, (1, client(1, "gone", deleted=True)))
    async with store.write() as conn:
        await catalogue.upsert_own(conn, *HERE, "client", 1, {"name": "back"})
    assert await names(store) == ["back"]


async def test_near_names_are_offered_likeliest_first(store: Store) -> None:
    statuses = ("Awaiting Approval", "Approved", "Approved ", "Rejected", "Sent to customer")
    rows = tuple(ReferenceRow(id=number, name=name) for number, name in enumerate(statuses))
    await apply(store, (1, HaloReference(reference="quote_status", rows=rows)))
    async with store.read() as conn:
        assert await catalogue.near(conn, *HERE, "quote_status", "aproved") == ["Approved "]
        assert await catalogue.near(conn, *HERE, "quote_status", "Awaiting approvals", limit=1) == [
            statuses[0]
        ]
        assert await catalogue.near(conn, *HERE, "quote_status", "zzz") == []
        assert await catalogue.near(conn, *HERE, "status", "Approved") == []


async def test_a_name_that_postgresql_cannot_hold_does_not_stop_the_catalogue(store: Store) -> None:
    rows = (ReferenceRow(id=1, name="\0", code="\0"),)
    await apply(
        store,
        (1, HaloItem(id=1, name="a\0b", supplier_part_code="\0")),
        (1, HaloUser(id=1, name="", client_id=1, emailaddress="\0@x")),
        (1, HaloReference(reference="currency", rows=rows)),
    )
    async with store.read() as conn:
        [item] = await catalogue.by_exact_name(conn, *HERE, "item", "a\0b")
        assert json.loads(item.data)["name"] == "a\0b"
        assert len(await catalogue.by_sku(conn, *HERE, "item", "\0")) == 1
        assert len(await catalogue.by_name(conn, *HERE, "currency", "\0")) == 1
        assert len(await catalogue.by_email(conn, *HERE, 1, "\0@X")) == 1


async def test_names_longer_than_an_index_can_hold_are_kept(store: Store) -> None:
    long = "".join(random.Random(1).choices("äöüßabcdefghij", k=20_000))
    await apply(store, (1, HaloItem(id=1, name=long, supplier_part_code=long)))
    async with store.read() as conn:
        assert [row.name for row in await catalogue.by_exact_name(conn, *HERE, "item", long)] == [long]
        assert len(await catalogue.by_sku(conn, *HERE, "item", long)) == 1


async def test_the_summary_counts_what_is_known(store: Store) -> None:
    await apply(
        store,
        (11, client(1, "a", read_id="r")),
        (12, client(2, "b", inactive=True, read_id="r")),
        (13, client(3, "c", deleted=True)),
        (14, completed("r", 2, 10)),
        (14, completed("u", 1, 10, "user")),
    )
    async with store.read() as conn:
        assert await catalogue.summary(conn, *HERE) == [
            KindSummary("client", 2, 1, 10.0),
            KindSummary("user", 0, 0, None),
        ]
        assert await catalogue.summary(conn, "globex", HERE[1]) == []


async def test_a_read_that_began_before_the_store_was_restored_proves_no_absence(store: Store) -> None:
    now = await store.now()
    seen: list[tuple[float, HaloEvent]] = [
        (now - 9, client(1, "One", read_id="r")),
        (now - 8, completed("r", 1, now - 10)),
    ]
    await apply(store, *seen)
    assert await fresh(store) == now - 10
    async with store.write() as conn:
        await restore.begin(conn, {})
    assert await fresh(store) is None
    assert await names(store) == ["One"]
    async with store.read() as conn:
        (summary,) = await catalogue.summary(conn, *HERE)
    assert (summary.records, summary.fresh_since) == (1, None)
    # What comes again from the log after the restore brings no freshness back.
    await apply(store, *seen)
    assert await fresh(store) is None
    later = await store.now() + 1
    await apply(store, (later, client(1, "One", read_id="s")), (later, completed("s", 1, later)))
    assert await fresh(store) == later
