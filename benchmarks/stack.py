"""A whole hub for a measurement: its own Kafka and PostgreSQL, every service a process with its deployed settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.quotes import Event
from hub.bus.topics import create_topics
from hub.store import catalogue
from hub.store.engine import Store
from schemas.control import CatalogueKind
from schemas.topics import TOPICS
from tests.sandbox.server import Sandbox
from tests.support.hub import PRODUCER_TOKEN, Hub, eventually, running_hub, tenant_file
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer

# The harness scales windows down for tests; a measurement is of what is deployed.
_SCALED_FOR_TESTS = (
    "HUB_SETTLE_S",
    "HUB_LEASE_TTL_S",
    "HUB_REQUEST_TIMEOUT_S",
    "HUB_KAFKA_SESSION_TIMEOUT_S",
)
_NEEDED: tuple[CatalogueKind, ...] = ("client", "user", "item", "quote_status", "ticket_type", "asset_group")
_QUIET_S = 0.15
_PATIENCE_S = 60.0


@contextmanager
def hub_on_real_parts(directory: Path, *, tenants: Mapping[str, str] | None = None) -> Iterator[Hub]:
    """A hub that is configured and not started; all that was started for it has ended when this returns."""
    kafka = KafkaServer(directory / "kafka", jvm_options=("-Xmx512m", "-XX:+UseSerialGC"))
    postgres = PostgresServer()
    try:
        kafka.start()
        postgres.start()
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(directory, kafka.bootstrap, postgres.create_database(), tenants=tenants) as hub:
            for name in _SCALED_FOR_TESTS:
                del hub.environment[name]
            # What a budget makes wait is not what the hub takes.
            hub.sandbox.configure(budget={"limit": 0})
            yield hub
    finally:
        postgres.stop()
        kafka.stop()


def give_halos(hub: Hub, tenants: Iterable[str], rules: str = "", **config: Any) -> dict[str, Sandbox]:
    """A file and a Halo of its own for each of these tenants, which are all there are; `config` is that Halo's."""
    directory = Path(hub.environment["HUB_TENANTS_DIR"])
    for file in directory.iterdir():
        file.unlink()
    halos = {}
    for tenant in tenants:
        halos[tenant] = hub.sandbox.named(tenant, **({"budget": {"limit": 0}} | config))
        (directory / f"{tenant}.yaml").write_text(tenant_file(tenant, halos[tenant], rules))
    return halos


def wait_for_catalogue(hub: Hub, tenant: str = "acme", halo: Sandbox | None = None) -> None:
    """Return when the hub has read what quotes refer to: from then on it asks Halo for none of it."""
    address = (halo or hub.sandbox).resource_url
    instance = address.removeprefix("http://").removesuffix("/api")

    async def missing() -> list[str]:
        store = await Store.open(hub.store_url)
        try:
            async with store.read() as conn:
                return [
                    kind
                    for kind in _NEEDED
                    if await catalogue.fresh_since(conn, tenant, instance, kind) is None
                ]
        finally:
            await store.close()

    eventually(lambda: not asyncio.run(missing()), timeout_s=_PATIENCE_S, what="the catalogue is read")
    wait_until_quiet(hub, after=0)


def wait_until_quiet(hub: Hub, *, after: int, expect: bool = True) -> int:
    """The number of Halo's newest request, once one came after `after` (if expected) and then none for a while."""
    deadline = time.monotonic() + _PATIENCE_S
    last, since = hub.sandbox.last_request(), time.monotonic()
    while (expect and last == after) or time.monotonic() - since < _QUIET_S:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Halo's requests did not come to an end in {_PATIENCE_S} s (last: {last})")
        time.sleep(0.02)
        newest = hub.sandbox.last_request()
        if newest != last:
            last, since = newest, time.monotonic()
    return last


class Door:
    """One producer's connection to ingest, kept open as a producer would."""

    def __init__(self, hub: Hub) -> None:
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{hub.http_port}",
            headers={
                "content-type": "application/cloudevents+json",
                "authorization": f"Bearer {PRODUCER_TOKEN}",
            },
            trust_env=False,
            verify=False,
            timeout=20.0,
        )

    def publish(self, event: Event) -> float:
        """The moment (seconds since the epoch) at which the event was acknowledged."""
        answer = self._http.post("/v1/events", json=event)
        acknowledged_at = time.time()
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"ingest answered {answer.status_code}: {answer.text}")
        return acknowledged_at

    def close(self) -> None:
        self._http.close()
