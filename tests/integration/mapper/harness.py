"""A mapper process on a real Kafka and a real store, and what came out of it."""

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from hub.bus.reader import read_range
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.registry import decode, encode
from schemas.topics import COMMANDS, CONTROL, DEAD_LETTERS, QUOTES
from tests.support.processes import free_port

ROOT = Path(__file__).resolve().parents[3]
RULES = """
tenant: {tenant}
halo: {{url: "https://{tenant}.halopsa.com", client_id: app, client_secret: env:SECRET}}
items: {{asset_group: Hardware}}
opportunities: {{ticket_type: Opportunity}}
quotes: {{statuses: {{draft: Draft, sent: Sent}}}}
"""


@dataclass
class Mappers:
    """Where the processes of one test run; `start` begins one."""

    bootstrap: str
    store_url: str
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def tenants(self) -> Path:
        path = self.directory / "tenants"
        path.mkdir(exist_ok=True)
        return path

    def tenant_file(self, tenant: str, text: str = RULES) -> None:
        (self.tenants / f"{tenant}.yaml").write_text(text.format(tenant=tenant))

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        settings = {
            "HUB_BOOTSTRAP_SERVERS": self.bootstrap,
            "HUB_STORE_URL": self.store_url,
            "HUB_TENANTS_DIR": str(self.tenants),
            "HUB_HEALTH_PORT": str(free_port()),
            "HUB_LEASE_TTL_S": "3",
            "HUB_REQUEST_TIMEOUT_S": "2",
            "HUB_DRAIN_S": "5",
            "HUB_KAFKA_SESSION_TIMEOUT_S": "2",
            # Each test has a store of its own, and the Kafka of all.
            "HUB_ACCEPT_START_POSITION": "true",
        }
        log = (self.directory / f"mapper-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "run", "mapper"],
            cwd=ROOT,
            env={**os.environ, **settings, **environment},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.processes.append(process)
        return process

    def log(self, index: int = -1) -> str:
        return (self.directory / f"mapper-{range(len(self.processes))[index]}.log").read_text()

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                # A member that leaves in order lets the next one have its partitions at once.
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def publish(self, envelope: Envelope, data: Any) -> None:
        await self.put(QUOTES, envelope.key, encode(data), headers_of(envelope))

    async def put(self, topic: str, key: bytes | None, value: bytes | None, headers: Any) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key=key, headers=list(headers))
        finally:
            await producer.stop()

    async def commands(self, tenant: str) -> list[tuple[Envelope, Any]]:
        return await self._messages(COMMANDS, tenant)

    async def dead_letters(self, tenant: str) -> list[tuple[Envelope, Any]]:
        return await self._messages(DEAD_LETTERS, tenant)

    async def settings(self, tenant: str) -> list[tuple[Envelope, Any]]:
        return await self._messages(CONTROL, tenant)

    async def _messages(self, topic: str, tenant: str) -> list[tuple[Envelope, Any]]:
        found = []
        async for record in read_range(self.bootstrap, topic, key_filter=lambda key: key == tenant.encode()):
            envelope = from_headers(record.headers)
            found.append((envelope, decode(envelope.type, record.value or b"")))
        return found


async def exited(process: subprocess.Popen[bytes], timeout_s: float = 120.0) -> int:
    return await asyncio.to_thread(process.wait, timeout_s)


def event(
    number: int, tenant: str, subject: str, kind: str = "quote.published.v1", revision: int | None = None
) -> Envelope:
    return Envelope(
        id=f"{subject}-{number}",
        source="/quoter",
        type=kind,
        subject=subject,
        time=dt.datetime(2025, 3, 1, 9, 0, number, tzinfo=dt.UTC),
        tenant=tenant,
        revision=number if revision is None else revision,
    )


def ids(messages: Sequence[tuple[Envelope, Any]]) -> list[str]:
    return [envelope.id for envelope, _ in messages]
