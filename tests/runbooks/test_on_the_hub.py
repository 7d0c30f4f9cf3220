"""Runbooks used on a running hub: the trouble is made, the alert would fire, the page is followed, and it is over.

What of a page is no command (a setting in Halo, a file) the test does in its place, between the blocks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hub.store.engine import Store
from schemas.topics import COMMANDS, HALO
from services.halo_writer.app import FEEDS_GROUP
from tests.faults.conftest import KNOWN, quotes_titled, warm_hub, worked_off
from tests.faults.on_the_log import put, records
from tests.faults.tenants import ask_to_read, backlog, publish_quotes
from tests.runbooks.desk import Desk, scraped
from tests.support.hub import PRODUCER_TOKEN, SERVICES, Hub, eventually, quote_event, tenant_file
from tests.support.postgres import PostgresServer
from tests.support.runbook import Case, used

pytestmark = pytest.mark.timeout(900)
_PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Hub]:
    with warm_hub(tmp_path_factory.mktemp("hub"), postgres, "acme", "short") as running:
        # Nobody is killed here: whoever leaves the group was made to.
        running.environment["HUB_KAFKA_SESSION_TIMEOUT_S"] = "10"
        running.start("writer")
        running.wait_ready("writer")
        yield running


@pytest.fixture
def desk(hub: Hub, tmp_path: Path) -> Desk:
    return Desk(hub, tmp_path)


@pytest.fixture(autouse=True)
def no_faults_left(hub: Hub) -> Iterator[None]:
    yield
    hub.sandbox.disarm()
    hub.halo("acme").configure(login="good", denied=[], main_contact_compulsory=False)


def in_halo(hub: Hub, quotes: list[str], tenant: str = "acme") -> None:
    """Wait until Halo has each of the quotes once, and nothing of the tenant waits."""
    titles = sorted(f"Quote {quote}" for quote in quotes)
    eventually(
        lambda: sorted(str(row["title"]) for row in quotes_titled(hub, *titles, tenant=tenant)) == titles,
        _PATIENCE_S,
        what=f"{titles} in Halo",
    )
    eventually(lambda: not backlog(hub, tenant), _PATIENCE_S, what="nothing that waits")


def in_store(hub: Hub, statement: str, **values: Any) -> None:
    async def execute() -> None:
        store = await Store.open(hub.store_url)
        async with store.write() as conn:
            await conn.execute(text(statement), values)
        await store.close()

    asyncio.run(execute())


def edited(path: Path, old: str, new: str) -> Callable[[], None]:
    """Edit a file; what puts it back."""
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))

    def put_back() -> None:
        path.write_text(before)

    return put_back


def test_tenant_login_lost(hub: Hub, desk: Desk) -> None:
    case = desk.case("tenant-login-lost", tenant="acme")
    hub.halo("acme").login("revoked")
    quotes = publish_quotes(hub, "acme", ["login-1", "login-2"])
    with used(case):
        hub.halo("acme").login("good")
        # Its one sign-in is given up as early as the services' requests are: an operator would try again.
        eventually(lambda: "successful" in case.run("Fix"), _PATIENCE_S, what="a successful sign-in")
    in_halo(hub, quotes)


def test_tenant_right_missing(hub: Hub, desk: Desk) -> None:
    case = desk.case("tenant-right-missing", tenant="acme", scope="quote")
    hub.halo("acme").deny({"resource": "Quotation", "method": "POST"})
    quotes = publish_quotes(hub, "acme", [f"right-{number}" for number in range(3)])
    with used(case):
        assert "upsert_quote" in case.run("Look")
        hub.halo("acme").deny()
        case.run("Fix")
    in_halo(hub, quotes)


def test_tenant_unreachable(hub: Hub, desk: Desk) -> None:
    case = desk.case("tenant-unreachable", tenant="acme")
    fault = hub.halo("acme").down()
    quotes = publish_quotes(hub, "acme", ["unreachable-1", "unreachable-2"])
    with used(case):
        hub.sandbox.disarm(fault)
    in_halo(hub, quotes)


def test_halo_throttled(hub: Hub, desk: Desk) -> None:
    case = desk.case("halo-throttled", tenant="acme")
    hub.halo("acme").arm("throttle", method="POST", path="^/Quotation$", retry_after_s=0.5, times=3)
    quotes = publish_quotes(hub, "acme", ["throttled-1", "throttled-2", "throttled-3"])
    with used(case):
        in_halo(hub, quotes)
        assert '"requests": 100000' in case.run("Verify")


def test_budget_short(hub: Hub, desk: Desk) -> None:
    case = desk.case("budget-short", tenant="short")
    path = hub.directory / "tenants" / "short.yaml"
    put_back = edited(path, "{requests: 100000, window: 10s}", "{requests: 2, window: 1h}")
    eventually(lambda: '"requests": 2,' in case.run("Look"), _PATIENCE_S, what="the small budget in force")
    quotes = publish_quotes(hub, "short", [f"short-{number}" for number in range(4)])
    with used(case):
        put_back()
    in_halo(hub, quotes, "short")


@pytest.mark.feature("beyond.redrive", part="cli")
def test_dead_letters_and_waits_long(hub: Hub, desk: Desk) -> None:
    """A customer that Halo refuses is a dead letter, and its quote waits for it."""
    letters = desk.case("dead-letters", tenant="acme", stage="writer", reason="halo.rejected")
    mended = {"REASON": "halo.rejected"}
    waits = desk.case("waits-long", tenant="acme", reason="dependency", more=mended)
    hub.halo("acme").configure(main_contact_compulsory=True)
    publish_quotes(hub, "acme", ["no-contact"], customer={"id": "org-9", "name": "Contactless Ltd"})
    eventually(
        lambda: {row["reason"] for row in backlog(hub, "acme")} == {"dependency"},
        _PATIENCE_S,
        what="a quote that waits for its customer",
    )
    in_store(hub, "UPDATE pending SET since = since - 7200 WHERE tenant = 'acme'")
    with used(letters), used(waits):
        # The alert counts a letter that is about to be written.
        waits.in_the_end("Look", lambda said: "Please populate main contact name" in said)
        hub.halo("acme").configure(main_contact_compulsory=False)
        assert "redriven: 1" in letters.run("Fix")
        assert "redriven: 0" in waits.run("Fix"), "what was redriven is not again"
    assert "redriven 1×" in letters.run("Verify")
    in_halo(hub, ["no-contact"])


def test_decision_waits(hub: Hub, desk: Desk) -> None:
    case = desk.case("decision-waits", tenant="acme")
    halo = hub.halo("acme")
    with halo.client() as person:
        for name in ("Smith & Sons", "smith & sons"):
            person.post("/Client", json=[{"name": name}]).raise_for_status()
    meant, other = (row["id"] for row in halo.state("Client") if row["name"].lower() == "smith & sons")
    read_again(hub, "client")
    publish_quotes(hub, "acme", ["twins"], customer={"id": "org-7", "name": "Smith & Sons"})
    publish_quotes(hub, "acme", ["sold"])
    hub.publish(quote_event("sold", 2, event_type="quote.converted.v1") | {"data": {"to": "order"}})
    eventually(lambda: len(questions(case)) == 2, _PATIENCE_S, what="a question of each service")
    with used(case):
        said = case.run("Look")
        assert f"{meant}, {other}" in said
        assert "shall its opportunity be completed" in said
        case.hub("decisions", "answer", questions(case)["won.opp.exists"], "leave")
        halo.edit("Client", other, name="Smith & Sons (old)")
        assert "successful" in case.run("Fix")
    in_halo(hub, ["twins", "sold"])
    assert [quote["client_id"] for quote in quotes_titled(hub, "Quote twins", tenant="acme")] == [meant]


def questions(case: Case) -> dict[str, str]:
    """The ids of acme's open questions, by what they ask."""
    open_ones = json.loads(case.hub("decisions", "list", "--tenant", "acme", "--json"))
    return {one["question"]: one["id"] for one in open_ones}


def read_again(hub: Hub, kind: str) -> None:
    """Have ingest read a kind of acme's Halo; return when the writer has what it read."""
    before = len(hub.halo("acme").requests(method="GET"))
    reads = read_lines(hub, kind)
    ask_to_read(hub, "acme", kind)
    eventually(lambda: read_lines(hub, kind) > reads, _PATIENCE_S, what=f"a read of each {kind}")
    assert len(hub.halo("acme").requests(method="GET")) > before
    eventually(lambda: worked_off(hub, FEEDS_GROUP, HALO), _PATIENCE_S, what="the feeds at their end")


def read_lines(hub: Hub, kind: str) -> int:
    lines = hub.processes["ingest"].lines()
    return sum(
        line["event"] == "halo.read" and (line["tenant"], line["kind"]) == ("acme", kind) for line in lines
    )


def test_duplicate_suspected(hub: Hub, desk: Desk) -> None:
    """The answer of a create is lost, and when the hub looks for it Halo has two with its key."""
    case = desk.case("duplicate-suspected", tenant="acme", more={"ID": "doubled"})
    halo = hub.halo("acme")
    halo.arm("store_then_drop", method="POST", path="^/Quotation$", body="Quote doubled")
    hold = halo.arm("drop", method="GET", path="^/ExternalLink$", times=0)
    publish_quotes(hub, "acme", ["doubled"])
    (made,) = eventually(
        lambda: quotes_titled(hub, "Quote doubled", tenant="acme"), _PATIENCE_S, every_s=0.02
    )
    (link,) = [row for row in halo.state("ExternalLink") if row["halo_id"] == made["id"]]
    ours = {name: link[name] for name in ("third_party_id", "third_party_desc")}
    again = {"ticket_id": made["ticket_id"], "title": "Quote doubled", "new_external_link": ours}
    with halo.client() as other:
        other.post("/Quotation", json=[again]).raise_for_status()
    newest = max(row["id"] for row in halo.state("Quotation"))
    hub.sandbox.disarm(hold)
    with used(case):
        assert f"{newest}" in case.run("Look"), "the alarm names the records"
        halo.remove("Quotation", newest)


def test_catalogue_behind(hub: Hub, desk: Desk) -> None:
    case = desk.case("catalogue-behind", process="ingest", tenant="acme")
    fault = hub.halo("acme").down()
    ask_to_read(hub, "acme", "supplier")
    with used(case):
        hub.sandbox.disarm(fault)
        assert "successful" in case.run("Fix")


def test_tenant_file_invalid(desk: Desk, hub: Hub) -> None:
    case = desk.case("tenant-file-invalid", process="mapper", file="acme.yaml")
    put_back = edited(hub.directory / "tenants" / "acme.yaml", "asset_group", "aset_group")
    with used(case):
        assert "aset_group" in case.run("Look")
        put_back()


def test_producers_file_invalid(desk: Desk, hub: Hub) -> None:
    case = desk.case("producers-file-invalid", process="ingest")
    put_back = edited(hub.directory / "producers.yaml", "token_sha256", "token")
    with used(case):
        put_back()


def test_door_refusing(desk: Desk, hub: Hub, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    case = desk.case("door-refusing", process="ingest", more={"EVENT": str(event)})
    bad = quote_event("refused", 1, currency="not a currency", lines="none")
    event.write_text(json.dumps(bad))
    address = f"http://127.0.0.1:{hub.http_port}/v1/events"
    headers = {
        "content-type": "application/cloudevents+json",
        "authorization": f"Bearer {PRODUCER_TOKEN}",
    }
    for _ in range(30):
        answer = httpx.post(
            address, content=event.read_bytes(), headers=headers, trust_env=False, timeout=_PATIENCE_S
        )
        assert answer.status_code == 400
    with used(case):
        assert "lines" in case.run("Look")
        event.write_text(json.dumps(quote_event("refused", 1, customer=KNOWN)))


def test_tenant_without_settings(desk: Desk, hub: Hub) -> None:
    case = desk.case("tenant-without-settings", tenant="late")
    publish_quotes(hub, "late", ["late-1", "late-2"])
    halo = hub.halos["late"] = hub.sandbox.named("late", budget={"limit": 0})
    with used(case):
        (hub.directory / "tenants" / "late.yaml").write_text(tenant_file("late", halo))
        assert "successful" in case.run("Fix")
    in_halo(hub, ["late-1", "late-2"], "late")


def test_release_too_old(desk: Desk, hub: Hub) -> None:
    """The upgrade itself is tried elsewhere; here the row goes as it would."""
    case = desk.case("release-too-old")
    known = next(record for record in records(hub, COMMANDS) if record.key == b"acme")
    headers = [(name, value) for name, value in known.headers if name not in ("ce_id", "ce_type")]
    newer = [*headers, ("ce_id", b"of-a-newer-type"), ("ce_type", b"upsert_client.v2")]
    put(hub, COMMANDS, (b"acme", known.value, newer))
    with used(case):
        assert "upsert_client.v2" in case.run("Look")
        in_store(hub, "DELETE FROM pending WHERE reason = 'version'")


def test_tenant_contended(desk: Desk, hub: Hub) -> None:
    """A stranger on the same store takes the lease, as a second hub would, and keeps it."""
    case = desk.case("tenant-contended", tenant="acme")
    taken = (
        "UPDATE lease SET owner = 'stranger', epoch = epoch + 1, until = extract(epoch FROM clock_timestamp()) + 600"
        " WHERE tenant = 'acme' AND share = 'write'"
    )
    hub.halo("acme").arm("slow", method="POST", path="^/Quotation$", delay_s=1.0, apply="first", times=0)
    quotes = publish_quotes(hub, "acme", ["contended-1"])
    in_store(hub, taken)
    publish_quotes(hub, "acme", ["contended-2"])
    quotes.append("contended-2")

    def contended() -> bool:
        in_store(hub, taken)
        return (
            scraped(hub, {"hub_lease_held"}).get(
                'hub_lease_held{tenant="acme", instance="writer", job="hub"}'
            )
            == 0
        )

    eventually(contended, _PATIENCE_S, what="a writer without the lease")
    with used(case):
        hub.sandbox.disarm()
        in_store(hub, "UPDATE lease SET until = 0 WHERE owner = 'stranger'")
    in_halo(hub, quotes)


def test_service_down_and_partitions_unread(desk: Desk, hub: Hub) -> None:
    """The store was restored to before what Kafka has committed: the mapper ends at each start until that is told."""
    down = desk.case("service-down", process="mapper", component="mapper")
    unread = desk.case("partitions-unread", process="mapper", group="hub-mapper", topic="hub.quotes.v1")
    hub.stop_all()
    in_store(hub, "UPDATE position SET position = 0 WHERE consumer_group = 'hub-mapper'")
    refusing = hub.start("mapper")
    assert refusing.ended(_PATIENCE_S) == 1
    assert "hub store restored" in refusing.log.read_text()
    with used(down), used(unread):
        down.run("Fix")
        for service in SERVICES:
            hub.start(service)
        hub.wait_ready(*SERVICES)
        for case in (down, unread):
            case.environment["HEALTH"] = desk.health("mapper")
    quotes = publish_quotes(hub, "acme", ["after-restore"])
    in_halo(hub, quotes)
