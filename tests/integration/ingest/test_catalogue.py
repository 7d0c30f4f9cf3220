"""The ingest process reads tenants' Halos onto the log: real Kafka, the sandbox over HTTP, the process as deployed."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.bus.connect import bus_settings
from hub.bus.producer import Publisher
from hub.bus.reader import read_range
from hub.bus.records import Outgoing, Record
from hub.bus.topics import create_topics
from hub.settings import Settings
from hub.tenants.load import accept
from hub.tenants.publisher import message
from schemas.control import CatalogueKind, SyncRequested
from schemas.envelope import Envelope, from_headers
from schemas.registry import decode, encode
from schemas.topics import HALO, TOPICS
from services.ingest.log import record_of
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, SandboxProcess, start_sandbox
from tests.support.eventually import eventually
from tests.support.kafka import KafkaServer
from tests.support.processes import free_port

ROOT = Path(__file__).parents[3]
CODE_LISTS = {
    "agent",
    "asset_group",
    "billing_period",
    "currency",
    "custom_field",
    "customer_relationship",
    "item_type",
    "quote_status",
    "region",
    "status",
    "supplier",
    "tax",
    "team",
    "ticket_type",
}


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
async def publisher(kafka: KafkaServer) -> AsyncIterator[Publisher]:
    await create_topics(kafka.bootstrap, TOPICS)
    publisher = Publisher(bus_settings(Settings(bootstrap_servers=kafka.bootstrap), client_id="test"))
    await publisher.start()
    yield publisher
    await publisher.stop()


class Ingest:
    """The service as a process; `ready()` asks its health port."""

    def __init__(self, kafka: KafkaServer, directory: Path, **settings: Any) -> None:
        (directory / "producers.yaml").write_text("producers: []")
        self.health_port = free_port()
        environment = {
            "HUB_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "HUB_STORE_URL": f"sqlite+aiosqlite:///{directory / 'store.db'}",
            "HUB_PRODUCERS_FILE": str(directory / "producers.yaml"),
            "HUB_HTTP_PORT": "0",
            "HUB_HEALTH_PORT": str(self.health_port),
            "HUB_REQUEST_TIMEOUT_S": "60",
            "HUB_LEASE_TTL_S": "90",
            "SANDBOX_SECRET": CLIENT_SECRET,
            "PATH": "/usr/bin:/bin",
            **{f"HUB_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.log = directory / "ingest.log"
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from cli.main import main; main()", "run", "ingest"],
                cwd=ROOT,
                env=environment,
                stdout=sink,
                stderr=sink,
            )

    async def ready(self) -> None:
        async def answers() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            async with httpx.AsyncClient() as client:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.health_port}/health/ready")
                except httpx.TransportError:
                    return False
            return answer.status_code == 200

        await eventually(answers, timeout_s=120)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def ingest(kafka: KafkaServer, tmp_path: Path) -> Iterator[Callable[..., Ingest]]:
    started: list[Ingest] = []

    def start(**settings: Any) -> Ingest:
        started.append(Ingest(kafka, tmp_path, **settings))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def tenant_file(
    tenant: str, sandbox: Sandbox, *, secret: str = "env:SANDBOX_SECRET", requests: int = 3000
) -> bytes:
    return json.dumps(
        {
            "tenant": tenant,
            "halo": {
                "resource_server": sandbox.resource_url,
                "authorization_server": sandbox.auth_url,
                "client_id": CLIENT_ID,
                "client_secret": secret,
                "budget": {"requests": requests, "window": "300s"},
            },
        }
    ).encode()


async def configure(publisher: Publisher, file: bytes, sequence: int = 1) -> None:
    await publisher.publish([message(accept(file), sequence, dt.datetime.now(dt.UTC))])


async def seen(kafka: KafkaServer, tenant: str) -> list[tuple[Envelope, Any]]:
    """What the log tells of a tenant's Halo."""

    def of_tenant(key: bytes | None) -> bool:
        return key is not None and key.startswith(f"{tenant}/".encode())

    records: list[Record] = [r async for r in read_range(kafka.bootstrap, HALO, key_filter=of_tenant)]
    found = []
    for record in records:
        envelope = from_headers(record.headers)
        found.append((envelope, decode(envelope.type, record.value or b"")))
    return found


def completed(events: list[tuple[Envelope, Any]]) -> dict[str, int]:
    return {data.kind: data.count for envelope, data in events if envelope.type == "halo.read.completed.v1"}


def name() -> str:
    return f"t-{uuid.uuid4().hex[:10]}"


async def test_a_tenants_whole_halo_comes_onto_the_log_and_its_reads_are_completed(
    kafka: KafkaServer, publisher: Publisher, ingest: Callable[..., Ingest], sandbox_process: SandboxProcess
) -> None:
    tenant = name()
    with Sandbox(sandbox_process.url, tenant) as sandbox:
        sandbox.configure()
        sandbox.load({"Client": [{"id": 1000 + n, "name": f"Client {n}"} for n in range(120)]})
        await configure(publisher, tenant_file(tenant, sandbox))
        service = ingest()
        await service.ready()

        async def all_read() -> list[tuple[Envelope, Any]] | None:
            events = await seen(kafka, tenant)
            return events if completed(events).keys() >= CODE_LISTS | {"client", "user", "item"} else None

        events = await eventually(all_read, timeout_s=120)
        assert events is not None
        by_type: dict[str, list[Any]] = {}
        for envelope, data in events:
            by_type.setdefault(envelope.type, []).append(data)
        with sandbox.client() as halo:
            clients = halo.get("/Client", params={"count": 1000}).json()["clients"]
        assert {(c.id, c.name) for c in by_type["halo.client.changed.v1"]} == {
            (c["id"], c["name"]) for c in clients
        }
        assert completed(events)["client"] == len(clients) > 100
        lists = {
            data.reference: {row.name: row for row in data.rows}
            for data in by_type["halo.reference.changed.v1"]
        }
        assert {"Draft", "Sent", "Accepted"} <= lists["quote_status"].keys()
        assert {"Monthly", "Yearly"} <= lists["billing_period"].keys()
        assert lists["asset_group"]["Hardware"].usable
        assert not lists["asset_group"]["Servers"].usable
        assert lists["currency"]["Pound Sterling"].code == "GBP"
        assert "Alex Morgan" in lists["agent"]
        skus = {item.supplier_part_code for item in by_type["halo.item.changed.v1"]}
        assert "LT-14-G5" in skus
        assert "OF-2019" not in skus, "an obsolete item is no match for a new line"
        assert all(envelope.source == f"/halo/{accept_instance(sandbox)}" for envelope, _ in events)
    assert service.stop() == 0


def accept_instance(sandbox: Sandbox) -> str:
    return sandbox.resource_url.removeprefix("http://").removesuffix("/api")


async def test_a_sync_request_reads_again_and_a_broken_tenant_delays_no_other(
    kafka: KafkaServer, publisher: Publisher, ingest: Callable[..., Ingest], sandbox_process: SandboxProcess
) -> None:
    broken, missing, good = name(), name(), name()
    with Sandbox(sandbox_process.url, good) as sandbox, Sandbox(sandbox_process.url, broken) as other:
        sandbox.configure()
        other.configure()
        other.arm("error", status=500, times=0)
        await configure(publisher, tenant_file(missing, other, secret="env:NOT_SET_ANYWHERE"))
        await configure(publisher, tenant_file(broken, other))
        await configure(publisher, tenant_file(good, sandbox))
        service = ingest()
        await service.ready()

        async def read() -> bool:
            return "item" in completed(await seen(kafka, good))

        await eventually(read, timeout_s=120)
        asked = Envelope(
            id=str(uuid.uuid4()),
            source="/hub/cli",
            type="sync.requested.v1",
            subject=good,
            time=dt.datetime.now(dt.UTC),
            tenant=good,
        )
        sandbox.load({"Client": [{"id": 4711, "name": "Made by hand"}]})
        await publisher.publish([record_of(asked, encode(SyncRequested(by="test", kinds=("client",))))])

        async def read_again() -> bool:
            return any(getattr(data, "id", None) == 4711 for _, data in await seen(kafka, good))

        await eventually(read_again, timeout_s=120)
        ends = [data.kind for e, data in await seen(kafka, good) if e.type == "halo.read.completed.v1"]
        await asyncio.sleep(0)
        assert ends.count("item") == 1, "only what was asked for is read again"
        assert await seen(kafka, broken) == []
        await eventually(lambda: "NOT_SET_ANYWHERE" in service.log.read_text())
        assert CLIENT_SECRET not in service.log.read_text()
        assert service.process.poll() is None
        requests = sandbox.requests(method="GET")
        assert requests
        assert {line["method"] for line in sandbox.requests()} == {"GET"}, "ingest never writes to Halo"


async def test_the_read_share_of_the_budget_is_never_exceeded(
    kafka: KafkaServer, publisher: Publisher, ingest: Callable[..., Ingest], sandbox_process: SandboxProcess
) -> None:
    tenant = name()
    with Sandbox(sandbox_process.url, tenant) as sandbox:
        sandbox.configure()
        await configure(publisher, tenant_file(tenant, sandbox, requests=40))
        service = ingest()
        await service.ready()
        await eventually(lambda: len(sandbox.requests()) >= 8, timeout_s=120)
        first = service.stop()
        again = ingest()
        await again.ready()
        await asyncio.sleep(1.5)
        assert first == 0
        assert len(sandbox.requests()) == 8, "a fifth of 40, the successor's requests included"


@pytest.mark.feature("hub.k8s", part="all")
async def test_a_start_while_kafka_is_away_waits_for_it_and_says_so_once(
    kafka: KafkaServer, ingest: Callable[..., Ingest]
) -> None:
    service = ingest(bootstrap_servers="127.0.0.1:1")

    async def why() -> dict[str, Any] | None:
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{service.health_port}/health/ready")
            except httpx.TransportError:
                return None
        told: dict[str, Any] = answer.json()
        return told if answer.status_code == 503 and "not reachable" in answer.text else None

    assert await eventually(why, timeout_s=120)

    def waiting() -> list[str]:
        return [line for line in service.log.read_text().splitlines() if "service.waiting" in line]

    await eventually(waiting)
    await asyncio.sleep(2.5)
    assert len(waiting()) == 1, "tried again and again, told once"
    assert service.stop() == 0, "told to end, it ends well"


def test_a_start_with_unusable_producers_says_so(kafka: KafkaServer, tmp_path: Path) -> None:
    service = Ingest(kafka, tmp_path, producers_file=tmp_path / "none.yaml")
    assert service.process.wait(120) == 1
    log = service.log.read_text()
    assert "none.yaml" in log.splitlines()[-1]
    assert "Traceback" not in log


@pytest.mark.feature("perm.denied", part="ingest")
@pytest.mark.parametrize("status", [403, 401])
async def test_a_missing_right_stops_its_list_with_one_error_and_the_others_are_read(
    status: int,
    kafka: KafkaServer,
    publisher: Publisher,
    ingest: Callable[..., Ingest],
    sandbox_process: SandboxProcess,
) -> None:
    tenant = name()
    with Sandbox(sandbox_process.url, tenant) as sandbox:
        sandbox.configure()
        sandbox.deny({"resource": "Item", "method": "GET", "status": status})
        await configure(publisher, tenant_file(tenant, sandbox))
        service = ingest()

        async def read(*kinds: str) -> bool:
            return completed(await seen(kafka, tenant)).keys() >= set(kinds)

        await eventually(lambda: read(*CODE_LISTS, "client", "user"), timeout_s=120)
        await eventually(lambda: errors(service.log), timeout_s=120)
        tried = len(sandbox.requests(method="GET", path="^/Item$"))
        await publisher.publish([sync_of(tenant, "item")])
        await eventually(lambda: len(sandbox.requests(method="GET", path="^/Item$")) > tried, timeout_s=120)
        (error,) = errors(service.log)
        assert (error["event"], error["kind"], error["scope"]) == ("halo.denied", "item", "read:items")
        assert "Permissions" in error["fix"]
        sandbox.deny()
        await publisher.publish([sync_of(tenant, "item")])
        await eventually(lambda: read("item"), timeout_s=120)
        assert len(errors(service.log)) == 1, "the try that failed again said nothing new"


def sync_of(tenant: str, kind: CatalogueKind) -> Outgoing:
    asked = Envelope(
        id=uuid.uuid4().hex,
        source="/hub/cli",
        type="sync.requested.v1",
        subject=tenant,
        time=dt.datetime.now(dt.UTC),
        tenant=tenant,
    )
    return record_of(asked, encode(SyncRequested(by="test", kinds=(kind,))))


def errors(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "error"]
