"""A lane of the writer, the sandbox for its Halo, a store of its own, and a bus that only remembers.

What a test believes is what the sandbox holds and logged; the hub's own rows and messages are looked at only for what
a person is told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import delete

from halo import Connection, HaloClient, Secret
from hub.bus.records import Outgoing
from hub.lease_keeper import LeaseKeeper
from hub.steps import Steps
from hub.store import catalogue, pending, proofs, tables, targets
from hub.store.engine import Store
from hub.store.pending import Pending
from hub.telemetry.metrics import Metrics
from hub.tenants.load import accept, from_text
from schemas.commands import Command
from schemas.control import CatalogueKind, Proof
from schemas.envelope import Envelope, from_headers
from schemas.identity import id_of
from schemas.outcomes import DeadLetter, Outcome
from schemas.registry import decode
from schemas.targets import KINDS, Kind, TargetState
from schemas.topics import DEAD_LETTERS, OUTCOMES
from services.halo_writer.fetch import Fetcher
from services.halo_writer.file_rules import IpAddress
from services.halo_writer.files import FileRoom
from services.halo_writer.lane import Lane, LaneSettings, Services
from services.halo_writer.tenancy import Tenancy
from services.halo_writer.tools import Ended, Parked, Timing
from services.halo_writer.work import Work
from services.ingest.catalogue import KINDS as CATALOGUE_KINDS
from services.ingest.catalogue import Reader, Seen
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, Tool, work_of

TIMING = Timing(
    settle_s=1.2,
    send_within_s=0.6,
    first_look_s=0.05,
    unreachable_s=0.1,
    denied_s=0.2,
    catalogue_s=0.1,
    dependency_s=0.2,
    spill_s=20.0,
    file_s=0.1,
    file_most_s=0.3,
    file_deadline_s=1.5,
)
"""Scaled down: what takes minutes with a real Halo takes a second here. What is in a row has been tried, however long
that took; but where a test is about it."""
REQUEST_TIMEOUT_S = 30.0
"""Nothing here is about an answer that comes late by itself: a slow machine's is waited for."""


class Crash(BaseException):
    """The process ends here; nothing after it is done."""


class CrashAt(Steps):
    """Ends the lane at the n-th time of a step."""

    def __init__(self, step: str, times: int = 1) -> None:
        super().__init__({})
        self.armed = step
        self.left = times

    def reached(self, step: str) -> None:
        if step == self.armed:
            self.left -= 1
            if self.left == 0:
                raise Crash(step)


class Recorder:
    """Takes what the writer publishes."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.records += records


class OpenGate:
    """Lets the reader of the catalogue ask what it wants."""

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        return

    def throttled(self, retry_after_s: float | None) -> None:
        raise AssertionError("the reader is not to be throttled")


def no_files() -> FileRoom:
    """For tests without files: nothing is fetched."""

    async def nowhere(host: str) -> list[IpAddress]:
        raise AssertionError(f"{host} is not to be looked up")

    return FileRoom(Fetcher(nowhere, httpx.AsyncHTTPTransport))


@dataclass
class Bench:
    """One tenant. Each delivery runs in a new lane on the same store, as after a restart."""

    sandbox: Sandbox
    store: Store
    http: httpx.AsyncClient
    timing: Timing = TIMING
    fresh_s: float = 3600.0
    budget: str = "{requests: 100000, window: 10s}"
    bulk: str = "auto"
    request_timeout_s: float = REQUEST_TIMEOUT_S
    quotes: str = "{statuses: {sent: Sent}}"
    more_rules: str = ""
    files: FileRoom = field(default_factory=no_files)
    publisher: Recorder = field(default_factory=Recorder)
    metrics: Metrics = field(default_factory=Metrics)
    told: list[tuple[Work, Ended | Parked]] = field(default_factory=list)
    mark: int = 0
    sequence: int = 0

    def __post_init__(self) -> None:
        self.rules = from_text(accept(self._tenant_file().encode()).text)
        self.tool = Tool(instance=self.rules.instance)

    def _tenant_file(self) -> str:
        return f"""
tenant: {TENANT}
halo:
  resource_server: {self.sandbox.resource_url}
  authorization_server: {self.sandbox.auth_url}
  client_id: {CLIENT_ID}
  client_secret: env:SANDBOX_SECRET
  budget: {self.budget}
  bulk: {self.bulk}
items: {{asset_group: Hardware}}
opportunities: {{ticket_type: Opportunity}}
quotes: {self.quotes}
{self.more_rules}
"""

    # The ground -------------------------------------------------------------------------------------------

    async def read_halo(self, *kinds: CatalogueKind) -> None:
        """A full read of Halo into the catalogue, by ingest's own reader."""
        connection = Connection(
            self.sandbox.resource_url,
            self.sandbox.auth_url,
            CLIENT_ID,
            Secret(CLIENT_SECRET),
            None,
            ("all",),
        )
        client = HaloClient(connection, self.http, OpenGate())
        reader = Reader(client, self, tenant=TENANT, instance=self.tool.instance, now=time.time)
        for kind in kinds or CATALOGUE_KINDS:
            await reader.read(kind, f"read-{kind}-{time.time_ns()}")
        self.mark = self.sandbox.last_request()

    async def append_seen(self, events: Sequence[Seen]) -> None:
        """Ingest's log, straight into the catalogue."""
        dated = [(event.data, event.envelope.time.timestamp()) for event in events]
        async with self.store.write() as conn:
            await catalogue.apply_dated(conn, TENANT, self.tool.instance, dated)  # type: ignore[arg-type]

    async def prove_look_ups(self, *kinds: Kind) -> None:
        """As `hub tenant check` leaves it: the external link, or else the field, finds what was just created."""
        found = [
            Proof(kind=kind, by="field" if kind == "attachment" else "external_link", ok=True)
            for kind in kinds or KINDS
        ]
        async with self.store.write() as conn:
            await proofs.put(conn, TENANT, self.tool.instance, found, time.time())

    def new_settings(self) -> None:
        """Another revision of the tenant's file is accepted."""
        self.sequence += 1
        self.tenancy = Tenancy(TENANT, self.sequence, self.rules, self.http, self.request_timeout_s)

    async def forget(self, command: Command) -> None:
        """The store loses all trace of a command's target, as one that is restored from a moment before it."""
        async with self.store.write() as conn:
            for table in (tables.target, tables.reservation, tables.target_owner):
                await conn.execute(delete(table).where(table.c.target_key == command.target.key))
            await conn.execute(delete(tables.catalogue_read))
            await conn.execute(delete(tables.catalogue).where(tables.catalogue.c.kind == command.target.kind))

    # Running ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lane(self, *, owner: str = "one", steps: Steps | None = None) -> AsyncIterator[Lane]:
        """A running lane; stopped at the end."""
        services = Services(
            store=self.store,
            publisher=self.publisher,  # type: ignore[arg-type]
            keeper=LeaseKeeper(self.store, owner=owner, ttl_s=120.0),
            steps=steps or Steps({}),
            settings=LaneSettings(timing=self.timing, fresh_s=self.fresh_s),
            files=self.files,
            told=lambda work, end: self.told.append((work, end)),
            metrics=self.metrics,
        )
        self.new_settings()
        lane = Lane(TENANT, services, lambda: self.tenancy)
        task = asyncio.create_task(lane.run())
        try:
            yield lane
        finally:
            lane.stop()
            await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 60.0)

    async def deliver(self, *commands: Command, timeout_s: float = 60.0) -> None:
        """Hand the commands to a new lane; returns when each has settled or waits in the store."""
        async with self.lane() as lane:
            await self.submit(lane, commands, timeout_s)

    async def deliver_at(self, position: tuple[int, int], *commands: Command) -> None:
        """As `deliver`, of commands that lie from this partition and offset of the log on; until they have ended.

        After a restore the whole budget counts as spent, so that takes a window.
        """
        partition, offset = position
        async with self.lane() as lane:
            for number, command in enumerate(commands):
                work = work_of(command)
                work.position = (partition, offset + number)
                lane.submit(work)
            await eventually(lambda: all(self.outcomes(command) for command in commands), timeout_s=60)

    async def settle(self, *commands: Command, timeout_s: float = 60.0) -> None:
        """As `deliver`, and then until nothing waits any more."""
        async with self.lane() as lane:
            await self.submit(lane, commands, timeout_s)
            await self.until_nothing_waits(timeout_s)

    async def crash(self, step: str, *commands: Command, times: int = 1) -> None:
        """Deliver to a lane that ends at a step of its main path, as a killed process would."""
        armed = CrashAt(step, times)
        async with self.lane(owner="crashed", steps=armed) as lane:
            for command in commands:
                lane.submit(work_of(command))
            await eventually(lambda: armed.left <= 0)

    async def submit(self, lane: Lane, commands: Sequence[Command], timeout_s: float = 60.0) -> None:
        """Hand commands to a running lane; returns when each has settled or waits in the store."""
        left = len(commands)
        done = asyncio.Event()

        def one_less() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done.set()

        for command in commands:
            work = work_of(command)
            work.done.append(one_less)
            lane.submit(work)
        if commands:
            await asyncio.wait_for(done.wait(), timeout_s)

    async def until_nothing_waits(self, timeout_s: float = 60.0) -> None:
        async def nothing() -> bool:
            left = await self.pending()
            assert not left, [(row.target_key, row.reason, row.note) for row in left]
            return True

        await eventually(nothing, timeout_s=timeout_s, every_s=0.02)

    @asynccontextmanager
    async def held_on_its_way(self, path: str, *, answer: bool = False) -> AsyncIterator[Callable[[], bool]]:
        """The next POST to a path is held before it leaves, or, with `answer`, its answer before it is heard of.

        It goes on when the block ends; what is yielded says whether it is held by now.
        """
        release, held = asyncio.Event(), asyncio.Event()

        async def hold(way: httpx.Request | httpx.Response) -> None:
            request = way.request if isinstance(way, httpx.Response) else way
            if request.method == "POST" and request.url.path.endswith(path) and not held.is_set():
                held.set()
                await release.wait()

        self.http.event_hooks = {"response" if answer else "request": [hold]}
        try:
            yield held.is_set
        finally:
            release.set()
            self.http.event_hooks = {}

    # What came of it --------------------------------------------------------------------------------------

    def requests(self, method: str | None = None, path: str | None = None) -> list[dict[str, Any]]:
        """What Halo was asked since the last mark."""
        return self.sandbox.requests(since=self.mark, method=method, path=path)

    def posts(self, resource: str) -> list[dict[str, Any]]:
        """The elements that were posted to a resource since the last mark."""
        return [element for request in self.requests("POST", f"^/{resource}$") for element in request["body"]]

    def marked(self) -> None:
        """Forget the requests so far."""
        self.mark = self.sandbox.last_request()

    def rows(self, resource: str) -> list[dict[str, Any]]:
        return self.sandbox.state(resource)

    def row(self, resource: str, **fields: Any) -> dict[str, Any]:
        """The one row of a resource with these values."""
        found = [row for row in self.rows(resource) if all(row.get(k) == v for k, v in fields.items())]
        assert len(found) == 1, f"{len(found)} rows of {resource} with {fields}: {found}"
        return found[0]

    async def pending(self) -> list[Pending]:
        async with self.store.read() as conn:
            return await pending.of_tenant(conn, TENANT, "writer")

    async def state(self, command: Command) -> TargetState:
        async with self.store.read() as conn:
            return (await targets.load(conn, [command.target]))[command.target]

    def messages(self, topic: str) -> list[tuple[Envelope, Any]]:
        found = []
        for record in self.publisher.records:
            if record.topic == topic:
                envelope = from_headers(record.headers)
                found.append((envelope, decode(envelope.type, record.value or b"")))
        return found

    def outcomes(self, command: Command) -> list[Outcome]:
        """All that was told of a command, oldest first."""
        wanted = id_of(command)
        return [
            data
            for _, data in self.messages(OUTCOMES)
            if isinstance(data, Outcome) and data.command_id == wanted
        ]

    def outcome(self, command: Command) -> Outcome:
        """What was told of a command at last."""
        return self.outcomes(command)[-1]

    def dead_letters(self) -> list[DeadLetter]:
        return [data for _, data in self.messages(DEAD_LETTERS)]


MakeBench = Callable[..., Awaitable[Bench]]


def template(directory: Path) -> Path:
    """A migrated SQLite store that holds nothing, to be copied."""

    async def make() -> Path:
        path = directory / "template.db"
        store = await Store.open(f"sqlite+aiosqlite:///{path}")
        await store.migrate()
        await store.close()
        return path

    return asyncio.run(make())
