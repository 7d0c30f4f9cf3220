"""One running hub for the tests of a module: its own Kafka, a PostgreSQL database, a sandbox, mapper and ingest."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.bus.positions import committed_and_end
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.bus.settings import BusSettings
from hub.bus.topics import create_topics
from schemas.control import ConnectionTested, Proof
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.targets import KINDS
from schemas.topics import COMMANDS, CONTROL, TOPICS
from tests.support.hub import Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Hub]:
    """All but the writer runs; the catalogue is read, the tenant is proven, one quote has gone through."""
    directory: Path = tmp_path_factory.mktemp("hub")
    kafka = KafkaServer(directory / "kafka")
    kafka.start()
    try:
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(directory, kafka.bootstrap, postgres.create_database()) as running:
            running.start_all()
            prove(running)
            running.publish(quote_event("warm-up", 1, customer={"id": "org-0", "name": "Warm Up Ltd"}))
            eventually(lambda: quotes_titled(running, "Quote warm-up"), what="the first quote in Halo")
            assert running.processes["writer"].stop() == 0
            yield running
    finally:
        kafka.stop()


def prove(hub: Hub, tenant: str = "acme") -> None:
    """What `hub tenant check` publishes when our key is found again by its external link, for every kind."""
    instance = hub.sandbox.url.removeprefix("http://")
    tested = ConnectionTested(
        instance=instance,
        ok=True,
        proofs=tuple(Proof(kind=kind, by="external_link", ok=True, lag_s=0.1) for kind in KINDS),
    )
    now = dt.datetime.now(dt.UTC)
    envelope = Envelope(
        id=f"tested-{tenant}-{now.timestamp()}",
        source="/hub/cli",
        type="connection.tested.v1",
        subject=tenant,
        time=now,
        tenant=tenant,
    )
    record = Outgoing(CONTROL, tenant.encode(), encode(tested), headers_of(envelope))
    asyncio.run(_publish(hub.bootstrap, record))


async def _publish(bootstrap: str, record: Outgoing) -> None:
    publisher = Publisher(BusSettings(bootstrap_servers=bootstrap, client_id="test"))
    await publisher.start()
    await publisher.publish([record])
    await publisher.stop()


def all_commands_ended(hub: Hub) -> bool:
    """Whether the writer's group has committed every command: each has settled, or waits in the store."""
    settings = BusSettings(bootstrap_servers=hub.bootstrap, client_id="test", group="hub-writer")
    committed, ends = asyncio.run(committed_and_end(settings, [COMMANDS]))
    return all((committed[partition] or 0) == end for partition, end in ends.items())


def quotes_titled(hub: Hub, *titles: str) -> list[dict[str, object]]:
    """Halo's quotes with one of these titles, as the sandbox has them."""
    return [quote for quote in hub.sandbox.state("Quotation") if quote["title"] in titles]
