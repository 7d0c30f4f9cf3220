"""The processes of one soak, and the supervisor that starts those again that have ended."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.bus.settings import BusSettings
from hub.bus.topics import create_topics
from schemas.control import ConnectionTested, Proof
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.targets import KINDS
from schemas.topics import CONTROL, TOPICS
from tests.sandbox.server import Sandbox
from tests.soak import settings
from tests.soak.checker import Edit
from tests.soak.tenants import Tenant, known_rows, sandbox_config, tenant_text
from tests.support.hub import Hub, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer
from tests.support.processes import free_port, tail

_START_AGAIN_S = 1.0
_GRACE_S = {"writer": 120.0}
_GRACE_ELSE_S = 60.0
"""How long after SIGTERM a process is left to end: what the manifests of `deploy/k8s` give each service."""


@dataclass(frozen=True)
class Death:
    """A process that ended though nobody had ended it. `ready`: it had come up; `alone`: all it needs was there."""

    name: str
    code: int
    ready: bool
    alone: bool
    why: str


@dataclass
class Member:
    """One place in the hub for a process of a service, whichever process fills it now."""

    service: str
    name: str
    environment: dict[str, str]
    ready: bool = False
    killed: bool = False
    term_sent_s: float | None = None
    term_expected: bool = False
    stopped: bool = False
    start_at_s: float = 0.0


@dataclass
class Freeze:
    """A process that stood still, as the sandbox's clock tells the time."""

    name: str
    began: str
    ended: str = ""


@dataclass
class World:
    """Everything that faults act on."""

    hub: Hub
    kafka: KafkaServer
    postgres: PostgresServer
    cast: Sequence[Tenant]
    sandboxes: dict[str, Sandbox]
    members: dict[str, Member]
    doors: list[str]
    sandbox_pid: int
    down: set[str] = field(default_factory=set)
    last_down_s: float = 0.0
    deaths: list[Death] = field(default_factory=list)
    bad_exits: list[str] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        """Keep one line of what was done, with its time."""
        self.actions.append(f"{time.monotonic() - self.started_s:7.1f} {text}")

    def of(self, service: str) -> list[Member]:
        return [member for member in self.members.values() if member.service == service]

    def start(self, member: Member) -> None:
        self.hub.start(member.service, member.name, **member.environment)
        member.ready = member.killed = member.stopped = False
        member.term_sent_s = None

    def pid(self, member: Member) -> int | None:
        """The process's id while it runs."""
        process = self.hub.processes.get(member.name)
        return process.popen.pid if process and process.popen.poll() is None else None

    def signalled(self, member: Member, number: signal.Signals) -> bool:
        """Send a signal; False when there is no process to take it."""
        pid = self.pid(member)
        if pid is None or member.stopped or member.term_sent_s is not None:
            return False
        os.kill(pid, number)
        match number:
            case signal.SIGKILL:
                member.killed = True
            case signal.SIGTERM:
                member.term_sent_s = time.monotonic()
                # One that is still starting may not have got as far as to catch it.
                member.term_expected = member.ready
            case signal.SIGSTOP:
                member.stopped = True
                self.freezes.append(Freeze(member.name, stamp()))
            case _:
                pass
        return True

    def thaw(self, member: Member) -> None:
        pid = self.pid(member)
        if member.stopped and pid is not None:
            for freeze in self.freezes:
                if freeze.name == member.name and not freeze.ended:
                    freeze.ended = stamp()
            os.kill(pid, signal.SIGCONT)
        member.stopped = False

    def is_down(self, what: str, down: bool) -> None:
        (self.down.add if down else self.down.discard)(what)
        self.last_down_s = time.monotonic()

    def supervise(self) -> None:
        """Start again what has ended, and keep how it ended."""
        now_s = time.monotonic()
        for member in self.members.values():
            process = self.hub.processes[member.name]
            code = process.popen.poll()
            if code is None:
                self._look_at(member, process.health_port, now_s)
            elif member.start_at_s == 0.0:
                self._ended(member, code, process.log, now_s)
                member.start_at_s = now_s + _START_AGAIN_S
            elif now_s >= member.start_at_s:
                member.start_at_s = 0.0
                self.start(member)

    def _look_at(self, member: Member, health_port: int, now_s: float) -> None:
        grace_s = _GRACE_S.get(member.service, _GRACE_ELSE_S)
        if member.term_sent_s is not None and now_s - member.term_sent_s > grace_s:
            self.bad_exits.append(f"{member.name} did not end within {grace_s:.0f} s of SIGTERM")
            member.killed = True
            self.hub.processes[member.name].kill()
        elif not member.ready and not member.stopped:
            with suppress(httpx.TransportError):
                url = f"http://127.0.0.1:{health_port}/health/ready"
                member.ready = httpx.get(url, trust_env=False, timeout=0.5).status_code == 200

    def _ended(self, member: Member, code: int, log: Path, now_s: float) -> None:
        if member.killed:
            return
        alone = not self.down and now_s - self.last_down_s > 30
        if member.term_sent_s is not None:
            if code != 0 and (member.term_expected or code != -signal.SIGTERM):
                near = "" if alone else " (Kafka or PostgreSQL was away)"
                self.bad_exits.append(f"{member.name} answered SIGTERM with {code}{near}: {cause(log)}")
            return
        self.note(f"{member.name} ended by itself with {code}")
        self.deaths.append(Death(member.name, code, member.ready, alone, cause(log)))

    def disarm(self) -> None:
        """Halo misbehaves no more, and nobody stands still."""
        self.hub.sandbox.disarm()
        for member in self.members.values():
            self.thaw(member)


def cause(log: Path) -> str:
    """Why a service says that it ended; its last words when it doesn't say. Of a traceback its last line alone."""
    lines = tail(log, 200).splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    last = (said or lines or ["(no log)"])[-1]
    with suppress(ValueError):
        line = json.loads(last)
        last = ": ".join([line["event"], *line.get("exception", "").splitlines()[-1:]])
    return last[:500]


def stamp() -> str:
    """Now, as the sandbox's log writes times."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


@contextmanager
def running_world(directory: Path, cast: Sequence[Tenant], counts: Mapping[str, int]) -> Iterator[World]:
    """The whole hub, up and ready, every tenant's Halo proven; all of it has ended on exit."""
    kafka = KafkaServer(directory / "kafka")
    # Under root PostgreSQL runs as a user of its own, which a directory below `directory` might be closed to.
    place = tempfile.TemporaryDirectory(prefix="hub-postgres-")
    postgres = PostgresServer(Path(place.name), options={"synchronous_commit": "on"})
    try:
        kafka.start()
        postgres.start()
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(directory, kafka.bootstrap, postgres.create_database(), tenants={}) as hub:
            hub.environment.update(settings.ENVIRONMENT)
            sandboxes = {tenant.name: _halo_of(tenant, hub) for tenant in cast}
            members = _members(hub, counts)
            doors = [
                f"http://127.0.0.1:{one.environment['HUB_HTTP_PORT']}" for one in members if one.environment
            ]
            world = World(
                hub=hub,
                kafka=kafka,
                postgres=postgres,
                cast=cast,
                sandboxes=sandboxes,
                members={member.name: member for member in members},
                doors=doors,
                sandbox_pid=hub.sandbox_pid,
            )
            for member in members:
                world.start(member)
            hub.wait_ready(timeout_s=120)
            for member in members:
                member.ready = True
            asyncio.run(_prove(hub, sandboxes))
            try:
                yield world
            finally:
                for member in members:
                    world.thaw(member)
                for sandbox in sandboxes.values():
                    sandbox.close()
    finally:
        postgres.stop()
        kafka.stop()
        place.cleanup()


def _halo_of(tenant: Tenant, hub: Hub) -> Sandbox:
    """The tenant's own sandbox instance, and its file."""
    sandbox = hub.sandbox.named(tenant.name, **sandbox_config(tenant))
    sandbox.load(known_rows(tenant.name))
    path = Path(hub.environment["HUB_TENANTS_DIR"]) / f"{tenant.name}.yaml"
    path.write_text(tenant_text(tenant, sandbox))
    return sandbox


def _members(hub: Hub, counts: Mapping[str, int]) -> list[Member]:
    found = [
        Member(service, f"{service}-{number}", {})
        for service, count in counts.items()
        for number in range(1, count + 1)
    ]
    for member in found:
        if member.service == "ingest":
            member.environment["HUB_HTTP_PORT"] = str(free_port())
    return found


async def _prove(hub: Hub, sandboxes: dict[str, Sandbox]) -> None:
    """What `hub tenant check --write-proof` publishes when our key is found again, for every tenant and kind."""
    publisher = Publisher(BusSettings(bootstrap_servers=hub.bootstrap, client_id="soak"))
    await publisher.start()
    try:
        await publisher.publish([_proof(tenant, sandbox) for tenant, sandbox in sandboxes.items()])
    finally:
        await publisher.stop()


def _proof(tenant: str, sandbox: Sandbox) -> Outgoing:
    tested = ConnectionTested(
        instance=sandbox.resource_url.removeprefix("http://").removesuffix("/api"),
        ok=True,
        proofs=tuple(Proof(kind=kind, by="external_link", ok=True, lag_s=1.0) for kind in KINDS),
    )
    envelope = Envelope(
        id=f"tested-{tenant}",
        source="/hub/cli",
        type="connection.tested.v1",
        subject=tenant,
        time=dt.datetime.now(dt.UTC),
        tenant=tenant,
    )
    return Outgoing(CONTROL, tenant.encode(), encode(tested), headers_of(envelope))
