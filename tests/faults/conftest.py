"""One running hub for the tests of a module: its own Kafka, a PostgreSQL database, a sandbox, mapper and ingest."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from services.ingest.catalogue import KINDS as KINDS_READ
from tests.support.hub import Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer

KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
"""The customer that every tenant's Halo has from the start, as has each the product of `quote_event`."""


@pytest.fixture(scope="module")
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[Hub]:
    """All but the writer runs; the catalogue is read, the tenant is proven, one quote has gone through.

    A module's `ENVIRONMENT` is that of its services.
    """
    environment = getattr(request.module, "ENVIRONMENT", {})
    with warm_hub(tmp_path_factory.mktemp("hub"), postgres, environment=environment) as running:
        yield running


@contextmanager
def warm_hub(
    directory: Path, postgres: PostgresServer, *tenants: str, environment: Mapping[str, str] | None = None
) -> Iterator[Hub]:
    """As the fixture `hub`, for these tenants, each with a Halo of its own; without any, for `acme`."""
    kafka = KafkaServer(directory / "kafka")
    kafka.start()
    try:
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(
            directory,
            kafka.bootstrap,
            postgres.create_database(),
            tenants=dict.fromkeys(tenants, "") if tenants else None,
            own_halos=bool(tenants),
        ) as running:
            running.environment.update(environment or {})
            running.start_all()
            _warm_up(running, tenants or ("acme",))
            assert running.processes["writer"].stop() == 0
            yield running
    finally:
        kafka.stop()


def _warm_up(hub: Hub, tenants: Sequence[str]) -> None:
    prove(hub, *tenants)
    hub.publish(*(quote_event("warm-up", 1, tenant=tenant, customer=KNOWN) for tenant in tenants))
    for tenant in tenants:
        eventually(
            lambda tenant=tenant: quotes_titled(hub, "Quote warm-up", tenant=tenant),
            120.0,
            what=f"the first quote in the Halo of {tenant}",
        )
    # What a test counts at Halo is not to be counted with the first read of its lists.
    eventually(
        lambda: all(_read(hub, tenant) >= KINDS_READ.keys() for tenant in tenants),
        120.0,
        what="all lists read",
    )


def _read(hub: Hub, tenant: str) -> set[str]:
    """The lists of the tenant's Halo that ingest has read whole."""
    lines = hub.processes["ingest"].lines()
    return {line["kind"] for line in lines if line["event"] == "halo.read" and line["tenant"] == tenant}


def prove(hub: Hub, *tenants: str) -> None:
    """What `hub tenant check` publishes when our key is found again by its external link, for every kind."""
    asyncio.run(_publish(hub.bootstrap, [_proven(hub, tenant) for tenant in tenants or ("acme",)]))


def _proven(hub: Hub, tenant: str) -> Outgoing:
    tested = ConnectionTested(
        instance=hub.halo(tenant).resource_url.removeprefix("http://").removesuffix("/api"),
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
    return Outgoing(CONTROL, tenant.encode(), encode(tested), headers_of(envelope))


async def _publish(bootstrap: str, records: Sequence[Outgoing]) -> None:
    publisher = Publisher(BusSettings(bootstrap_servers=bootstrap, client_id="test"))
    await publisher.start()
    await publisher.publish(records)
    await publisher.stop()


def all_commands_ended(hub: Hub) -> bool:
    """Whether the writer's group has committed every command: each has settled, or waits in the store."""
    return worked_off(hub, "hub-writer", COMMANDS)


def worked_off(hub: Hub, group: str, topic: str) -> bool:
    """Whether a group has read a topic to its end, and all that comes of it is on the log or in the store."""
    settings = BusSettings(bootstrap_servers=hub.bootstrap, client_id="test", group=group)
    committed, ends = asyncio.run(committed_and_end(settings, [topic]))
    return all((committed[partition] or 0) == end for partition, end in ends.items())


def quotes_titled(hub: Hub, *titles: str, tenant: str = "acme") -> list[dict[str, object]]:
    """The quotes of the tenant's Halo with one of these titles, as the sandbox has them."""
    return [quote for quote in hub.halo(tenant).state("Quotation") if quote["title"] in titles]
