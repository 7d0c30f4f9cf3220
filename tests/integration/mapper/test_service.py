"""The mapper's process on real Kafka and both stores: what it promises when it is killed, starved or fed rubbish."""

import base64
import uuid
from decimal import Decimal
from typing import Any

import pytest

from hub.store import pending
from hub.store.engine import Store
from schemas.envelope import Envelope, headers_of
from schemas.ordering import Seq, order_of
from schemas.quotes import Contact, Customer, Line, Product, Quote, QuoteStatus
from schemas.topics import QUOTES
from tests.integration.mapper.harness import Mappers, event, exited, ids
from tests.support.eventually import eventually

QUOTE = Quote(
    title="Laptops",
    customer=Customer(name="Contoso Ltd", id="c-1"),
    contact=Contact(name="Jo Roe", email="jo@contoso.example"),
    lines=(Line(id="1", product=Product(name="Laptop"), quantity=Decimal(2), price=Decimal("999.90")),),
    status="draft",
)


@pytest.fixture
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.mark.fault("F1")
@pytest.mark.invariant("INV-12")
@pytest.mark.invariant("INV-12")
async def test_a_kill_between_publish_and_mark_makes_the_same_commands_again(
    mappers: Mappers, tenant: str
) -> None:
    mappers.tenant_file(tenant)
    mark = mappers.directory / "mark"
    first = mappers.start(HUB_STOP_AT="after_publish", HUB_STOP_MARK=str(mark))
    await eventually(lambda: mappers.settings(tenant), timeout_s=120)
    await mappers.publish(event(1, tenant, "Q-1"), QUOTE)
    assert await exited(first) == -9
    assert mark.read_text() == "after_publish"
    before = ids(await mappers.commands(tenant))
    # client, site, user, item, opportunity, quote
    assert len(before) == 6

    mappers.start()
    again = await eventually(lambda: _at_least(mappers, tenant, 12), timeout_s=120)
    assert ids(again) == before * 2

    await mappers.publish(event(2, tenant, "Q-1", "quote.status_changed.v1"), QuoteStatus(status="sent"))
    more = await eventually(lambda: _at_least(mappers, tenant, 13), timeout_s=120)
    envelope, command = more[-1]
    assert command.status.value.name == "Sent"
    assert (command.seq[:3], command.seq[-1]) == ((2, 1, 1), 1)
    assert envelope.id not in before


async def test_rubbish_becomes_dead_letters_and_holds_up_nothing(mappers: Mappers, tenant: str) -> None:
    mappers.tenant_file(tenant)
    mappers.start()
    good = event(1, tenant, "Q-2")
    wrong = event(2, tenant, "Q-3")
    await mappers.put(QUOTES, wrong.key, b'{"title": "", "customer": {}}', headers_of(wrong))
    await mappers.put(QUOTES, b"elsewhere", b"{}", headers_of(wrong))
    await mappers.put(QUOTES, wrong.key, b"\xff\x00", headers_of(wrong))
    await mappers.put(QUOTES, good.key, None, [])
    await mappers.publish(good, QUOTE)
    await eventually(lambda: _at_least(mappers, tenant, 6), timeout_s=120)
    letters = await eventually(lambda: _letters(mappers, tenant, 3), timeout_s=120)
    by_reason = {letter.reason: letter for _, letter in letters}
    assert set(by_reason) == {"data.invalid", "key.mismatch", "data.not_json"}
    assert {fault.at for fault in by_reason["data.invalid"].faults} >= {"title", "customer"}
    assert base64.b64decode(by_reason["data.not_json"].value) == b"\xff\x00"


async def test_an_event_of_an_unknown_tenant_waits_for_its_settings(mappers: Mappers, tenant: str) -> None:
    mappers.start()
    await mappers.publish(event(1, tenant, "Q-4"), QUOTE)
    store = await Store.open(mappers.store_url)
    await store.migrate()
    try:
        rows = await eventually(lambda: _rows(store, tenant), timeout_s=120)
        assert [row.reason for row in rows] == ["settings"]
        mappers.tenant_file(tenant)
        commands = await eventually(lambda: _at_least(mappers, tenant, 6), timeout_s=120)
        assert {command.basis.rule_sequence for _, command in commands} == {1}
        assert {command.basis.event_id for _, command in commands} == {"Q-4-1"}

        async def nothing_waits() -> bool:
            return not await _rows(store, tenant)

        await eventually(nothing_waits, timeout_s=120)
    finally:
        await store.close()


async def test_a_status_before_its_quote_waits_visibly_and_goes_with_it(
    mappers: Mappers, tenant: str
) -> None:
    mappers.tenant_file(tenant)
    mappers.start()
    await mappers.publish(event(2, tenant, "Q-5", "quote.status_changed.v1"), QuoteStatus(status="sent"))
    store = await Store.open(mappers.store_url)
    await store.migrate()
    try:
        rows = await eventually(lambda: _rows(store, tenant), timeout_s=120)
        assert rows[0].reason in ("base", "settings")
        await mappers.publish(event(1, tenant, "Q-5"), QUOTE)
        commands = await eventually(lambda: _at_least(mappers, tenant, 6), timeout_s=120)

        async def sent() -> bool:
            newest = max((c for _, c in await mappers.commands(tenant) if c.kind == "quote"), key=_newness)
            return bool(newest.status.value.name == "Sent" and not await _rows(store, tenant))

        await eventually(sent, timeout_s=120)
        assert commands
    finally:
        await store.close()


async def test_each_accepted_change_of_a_file_is_a_revision_and_an_invalid_one_is_none(
    mappers: Mappers, tenant: str
) -> None:
    mappers.tenant_file(tenant)
    mappers.start()
    path = mappers.tenants / f"{tenant}.yaml"
    first = path.read_text()
    await eventually(lambda: _revisions(mappers, tenant, 1), timeout_s=120)
    path.write_text(first.replace("Sent}", "Gone Out}"))
    await eventually(lambda: _revisions(mappers, tenant, 2), timeout_s=120)
    path.write_text("tenant: [")
    await eventually(lambda: "settings.invalid" in mappers.log(), timeout_s=120)
    path.write_text(first)
    history = await eventually(lambda: _revisions(mappers, tenant, 3), timeout_s=120)
    assert [changed.sequence for _, changed in history] == [1, 2, 3]
    assert history[0][1].hash == history[2][1].hash != history[1][1].hash
    assert len(set(ids(history))) == 3


Messages = list[tuple[Envelope, Any]]


def _newness(command: Any) -> tuple[Seq, Seq]:
    return order_of(command.seq)


async def _at_least(mappers: Mappers, tenant: str, count: int) -> Messages:
    found = await mappers.commands(tenant)
    return found if len(found) >= count else []


async def _letters(mappers: Mappers, tenant: str, count: int) -> Messages:
    found = await mappers.dead_letters(tenant)
    return found if len(found) >= count else []


async def _revisions(mappers: Mappers, tenant: str, count: int) -> Messages:
    found = await mappers.settings(tenant)
    return found if len(found) >= count else []


async def _rows(store: Store, tenant: str) -> list[pending.Pending]:
    async with store.read() as conn:
        return await pending.of_tenant(conn, tenant, "mapper")
