"""Runbooks whose trouble takes long to make with whole processes: the hub's own parts, in the test's process."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from sqlalchemy import make_url

from hub.bus.connect import bus_settings as settings_of
from hub.bus.delivery import Delivery, Intake
from hub.bus.embedded import start_embedded
from hub.bus.errors import PublishFailed
from hub.bus.prefix import PartitionPrefix
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing, Partition, Record
from hub.bus.topics import check_topics
from hub.dead_letter_box import DeadLetterBox, Posted
from hub.lease_keeper import LeaseKeeper
from hub.runtime import serving
from hub.settings import Settings
from hub.steps import Steps
from hub.store import outbox, rule_sets
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.rule_sets import RuleSetRow
from hub.tenants.follower import RulesFollower
from schemas.topics import BY_NAME, COMMANDS, DEAD_LETTERS, OUTCOMES, TOPICS
from services.halo_writer.lane import LaneSettings, Services
from services.halo_writer.teller import Teller
from services.halo_writer.tools import Timing
from services.halo_writer.writer import Writer
from services.ingest.http import Door, Limits, make_app
from services.ingest.log import KafkaLog
from services.ingest.producers import ProducersFile
from tests.runbooks.desk import Here
from tests.runbooks.relay import Relay
from tests.support.bus import Spec, bus_settings, member
from tests.support.hub import PRODUCER_TOKEN, eventually, producers_text, quote_event
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port
from tests.support.runbook import Samples, samples_of, used

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Bootstrap servers of a broker that holds nothing for long, with every topic."""
    process, servers = start_embedded()
    asyncio.run(check_topics(servers, TOPICS, any_partition_count=True))
    yield servers
    process.terminate()
    process.wait(60)


@pytest.fixture
def here(broker: str, tmp_path: Path) -> Iterator[Here]:
    environment = {
        "HUB_BOOTSTRAP_SERVERS": broker,
        "HUB_ANY_PARTITION_COUNT": "true",
        "HUB_STORE_URL": f"sqlite+aiosqlite:///{tmp_path / 'store.db'}",
        "TENANT": "acme",
    }
    with Here("mapper", tmp_path, **environment) as running:
        running.service.health.condition("settings").holds()
        yield running


class Topic:
    """Publishes, or refuses as long as it has a reason to."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.problem is not None and records:
            raise self.problem


def test_service_restarting(here: Here) -> None:
    async def started() -> Samples:
        async with serving("mapper", host="127.0.0.1", port=0) as service:
            exposed = generate_latest(service.metrics.registry).decode()
            return samples_of(exposed, "here", {"hub_start_time_seconds"})

    starts = [asyncio.run(started()) for _ in range(4)]
    here.metrics.start_time.labels(component="mapper").set(next(iter(starts[0].values())))
    case = here.case("service-restarting", component="mapper")
    case.fires_after(starts[1:])
    assert '"checks"' in case.run("Look")
    here.metrics.start_time.labels(component="mapper").set(next(iter(starts[-1].values())))
    case.verify()


def test_check_failing(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "not mounted" / "store.db"

    async def look() -> None:
        if not path.parent.exists():
            raise StoreUnavailable("the directory is not mounted")

    case = here.case("check-failing", check="the store")
    here.begin(here.service.wait_for("the store", look, StoreUnavailable))
    with used(case):
        assert "not mounted" in case.run("Look")
        path.parent.mkdir()


def test_store_unavailable(here: Here, postgres: PostgresServer) -> None:
    url = make_url(postgres.create_database())
    assert url.port is not None
    relay = Relay(url.port)
    here.do(relay.open())
    through = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    here.environment["HUB_STORE_URL"] = through

    async def migrated() -> Store:
        store = await Store.open(through)
        await store.migrate()
        return store

    store = here.do(migrated())
    here.begin(writer_on(here, store, Topic()).sweep())
    case = here.case("store-unavailable")
    here.do(relay.cut())
    with used(case):
        here.do(relay.open())
    here.do(store.close())


def test_consumer_lag_and_messages_unsettled(here: Here, broker: str) -> None:
    """A handler that holds on to its first batch; for how long is told by a clock that the test sets ahead."""
    topic, ahead_s, goes_on, over = "test.held-up", 0.0, asyncio.Event(), asyncio.Event()

    async def handle(batch: Sequence[Delivery]) -> None:
        await goes_on.wait()
        for delivery in batch:
            delivery.done()

    settings = bus_settings(broker, group="hub-mapper", session_timeout_ms=60_000)
    labels = {"group": "hub-mapper"}
    lag, unsettled = (
        here.case("consumer-lag", **labels, topic=topic),
        here.case("messages-unsettled", **labels),
    )

    async def run() -> None:
        clock = lambda: time.monotonic() + ahead_s  # noqa: E731 - a name for what is passed
        async with member(settings, [topic], handle, clock=clock) as consumer:
            here.service.watch("hub-mapper", consumer.health)
            await over.wait()

    async def fill() -> None:
        await check_topics(broker, [Spec(topic)], any_partition_count=True)
        publisher = Publisher(settings)
        await publisher.start()
        await publisher.publish([Outgoing(topic, b"k", b"%d" % number, ()) for number in range(4_000)])
        await publisher.stop()

    here.do(fill())
    running = here.begin(run())
    taken = {"hub_consumer_lag_messages"}
    eventually(lambda: here.scrape(taken), what="an assignment")
    ahead_s = 600.0
    with used(lag), used(unsettled):
        here.do(_set(goes_on))
    here.do(_set(over))
    here.do(_ended(running))


async def _set(event: asyncio.Event) -> None:
    event.set()


async def _ended(task: asyncio.Task[None]) -> None:
    await task


def test_kafka_not_acknowledging_and_door_failing(here: Here, broker: str, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    file = tmp_path / "producers.yaml"
    file.write_text(producers_text())
    limits = Limits(max_body_bytes=10_000, max_events=10, body_timeout_s=60.0)

    def door(bootstrap: str, publish_timeout_s: float) -> Door:
        settings = Settings(bootstrap_servers=bootstrap, publish_timeout_s=publish_timeout_s)
        bus = settings_of(settings, client_id="door")
        log = KafkaLog(Publisher(bus, told=here.metrics.tell_published))
        return Door(
            ProducersFile(file, time.monotonic), log, limits, here.metrics, lambda: dt.datetime.now(dt.UTC)
        )

    async def published(through: Door) -> int:
        headers = {
            "authorization": f"Bearer {PRODUCER_TOKEN}",
            "content-type": "application/cloudevents+json",
        }
        transport = httpx.ASGITransport(make_app(through))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
            return (await client.post("/v1/events", json=quote_event("Q-1", 1))).status_code

    there = door(broker, 60.0)
    assert here.do(published(there)) == 202
    here.environment["HUB_BOOTSTRAP_SERVERS"] = nobody
    failing = here.case("door-failing")
    kafka = here.case("kafka-not-acknowledging", topic="hub.quotes.v1")
    away = door(nobody, 0.5)
    assert [here.do(published(away)) for _ in range(4)] == [503] * 4
    with used(failing), used(kafka):
        assert 'hub_publish_failures_total{topic="hub.quotes.v1"} 4' in failing.run("Look")
        kafka.environment["HUB_BOOTSTRAP_SERVERS"] = broker
        assert here.do(published(there)) == 202


def test_dead_letters_unwritable(here: Here) -> None:
    topic, prefix = Topic(PublishFailed(1, "not authorised")), PartitionPrefix()
    box = DeadLetterBox(
        topic.publish,
        here.service.health.condition("dead letters"),
        unwritten=here.metrics.dead_letters_unwritten.set,
    )
    case = here.case("dead-letters-unwritable")
    prefix.added([0], 0.0)
    intake = Intake(Partition("hub.quotes.v1", 0), prefix, lambda _: None)
    about = Delivery(Record("hub.quotes.v1", 0, 0, 0, b"k", b"{", ()), intake)
    here.do(box.post([Posted(Outgoing(DEAD_LETTERS, b"acme", b"{}", ()), about)]))
    here.begin(box.run())
    with used(case):
        assert "not authorised" in case.run("Look")
        assert prefix.unsettled == 1
        topic.problem = None
    assert prefix.unsettled == 0, "it was finished, and not dropped"


def test_outbox_growing(here: Here) -> None:
    topic, store = Topic(PublishFailed(1, "away")), here.do(_store(here))
    here.do(_decided(store, 1_100))
    case = here.case("outbox-growing")
    here.begin(writer_on(here, store, topic).sweep())
    with used(case):
        topic.problem = None
    here.do(store.close())


def test_fault(here: Here) -> None:
    topic, store = Topic(RuntimeError("nobody foresaw this")), here.do(_store(here))
    here.do(_decided(store, 1))
    case = here.case("fault", tenant="acme")
    here.begin(writer_on(here, store, topic).sweep())
    with used(case):
        topic.problem = None
    here.do(store.close())


async def _store(here: Here) -> Store:
    """A store that knows one tenant."""
    store = await Store.open(here.environment["HUB_STORE_URL"])
    await store.migrate()
    async with store.write() as conn:
        await rule_sets.put(conn, RuleSetRow(tenant="acme", sequence=1, hash="h", text="{}", accepted_at=0.0))
    return store


async def _decided(store: Store, count: int) -> None:
    """So many messages wait to be published."""
    async with store.write() as conn:
        await outbox.add(conn, "acme", [(OUTCOMES, b"acme", (), b"{}")] * count)


def writer_on(here: Here, store: Store, topic: Topic) -> Writer:
    """A writer that has every partition."""
    publisher: Any = SimpleNamespace(publish=topic.publish)
    nothing: Any = None
    services = Services(
        store=store,
        publisher=publisher,
        keeper=LeaseKeeper(store, owner="here", ttl_s=600.0),
        files=nothing,
        steps=Steps({}),
        settings=LaneSettings(timing=Timing()),
        told=Teller(here.metrics),
        metrics=here.metrics,
    )
    count = BY_NAME[COMMANDS].partitions
    writer = Writer(
        services, RulesFollower(), nothing, here.metrics, nothing, partitions=count, request_timeout_s=1.0
    )
    here.do(writer.assigned(frozenset(Partition(COMMANDS, number) for number in range(count))))
    return writer
