"""Carries out a case with the hub's own code: the mapper's core, then a lane of the writer against the sandbox.

Events are read, folded and mapped as the mapper's service does it, its records kept here; commands go to one lane on an
SQLite store of the case's own. Nothing of it is another process, so that thousands of cases take minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
import yaml

from halo import Connection, HaloClient, Secret
from hub.bus.records import Outgoing
from hub.bus.records import Record as LogRecord
from hub.lease_keeper import LeaseKeeper
from hub.steps import Steps
from hub.store import catalogue, pending, proofs
from hub.store.engine import Store
from hub.store.records import Record, RecordKey
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import Rules
from hub.tenants.load import accept, from_text
from sandbox.app import SandboxConfig, create_app
from schemas.control import Proof
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.registry import decode
from schemas.targets import KINDS
from schemas.topics import COMMANDS, CONTROL, QUOTES
from services.halo_writer.lane import Lane, LaneSettings, Services
from services.halo_writer.tenancy import Tenancy
from services.halo_writer.tools import Ended, Parked, Timing
from services.halo_writer.work import Work
from services.ingest.catalogue import KINDS as CATALOGUE_KINDS
from services.ingest.catalogue import Reader
from services.ingest.catalogue import Seen as ReadSeen
from services.mapper.batch import Batch, DesiredCache
from services.mapper.intake import Event as MapperEvent
from services.mapper.intake import Refused, read
from tests.histories.draw import Case, Event, Sending
from tests.histories.ground import rows
from tests.histories.rules import SOURCE
from tests.histories.seen import TABLES, Seen
from tests.integration.halo_writer.bench import OpenGate, Recorder, no_files, template
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET

TENANT = "acme"
START = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
SERVER = "http://127.0.0.1:9"
API = f"{SERVER}/tenant"
"""Nothing listens there: requests are handed to the sandbox in this process."""
_FIXTURE = Path(__file__).parents[2] / "sandbox" / "fixtures" / "default.yaml"
_MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)
"""Stores of a second's life need no disk."""
_SECRET = "HISTORIES_HALO_SECRET"
_REASONS = {"dependency", "reserved"}
"""What a command may wait for where Halo, its budget and its settings are as they should be."""
_NEVER_S = 3600.0
_SOON_S = 300.0
_PATIENCE_S = 240.0


@dataclass
class Told:
    """What the hub said on the way, for the count at the end."""

    results: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    pending: int = 0


class Place:
    """The sandbox, and stores to copy whose catalogue was read from it."""

    def __init__(self, http: httpx.AsyncClient, directory: Path) -> None:
        self.http = http
        self.directory = directory
        self._stores: dict[bool, Path] = {}

    async def new_halo(self, case: Case) -> None:
        """The tenant's Halo as it is before the case."""
        setting = case.setting
        content = rows(order_on_approval=setting.order_on_approval, has_new=setting.has_new)
        await self._admin("DELETE", "/instances/tenant", absent=True)
        await self._admin("PUT", "/instances/tenant", json={})
        await self._admin("POST", "/fixtures?instance=tenant", content=msgspec.json.encode(content))
        await self._admin("DELETE", "/requests")

    async def tables(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = await self._admin("GET", "/state?instance=tenant")
        return {name: found.get(name, []) for name in TABLES}

    async def requests(self) -> list[dict[str, Any]]:
        found = await self._admin("GET", "/requests?instance=tenant&kind=api")
        asked: list[dict[str, Any]] = found["requests"]
        return asked

    async def store_for(self, case: Case) -> Path:
        """A store of the case's own, whose catalogue is that of its Halo."""
        has_new = case.setting.has_new
        if has_new not in self._stores:
            self._stores[has_new] = await self._read_store(case)
        path = self.directory / "case.db"
        shutil.copy(self._stores[has_new], path)
        return path

    async def _read_store(self, case: Case) -> Path:
        path = self.directory / f"read-{case.setting.has_new}.db"
        shutil.copy(self.directory / "template.db", path)
        store = await Store.open(_url(path))
        instance = ruleset(case).rules.instance

        class Log:
            async def append_seen(self, events: Sequence[ReadSeen]) -> None:
                dated = [(event.data, event.envelope.time.timestamp()) for event in events]
                async with store.write() as conn:
                    await catalogue.apply_dated(conn, TENANT, instance, dated)  # type: ignore[arg-type]

        connection = Connection(f"{API}/api", f"{API}/auth", CLIENT_ID, Secret(CLIENT_SECRET), None, ("all",))
        client = HaloClient(connection, self.http, OpenGate())
        reader = Reader(client, Log(), tenant=TENANT, instance=instance, now=time.time)
        for kind in CATALOGUE_KINDS:
            await reader.read(kind, f"read-{kind}")
        found = [Proof(kind=kind, by="external_link", ok=True) for kind in KINDS if kind != "attachment"]
        async with store.write() as conn:
            await proofs.put(conn, TENANT, instance, found, time.time())
        await store.close()
        _forget_log(path)
        return path

    async def _admin(self, method: str, path: str, *, absent: bool = False, **options: Any) -> Any:
        answer = await self.http.request(method, f"{SERVER}/_sandbox{path}", **options)
        if answer.is_error and not (absent and answer.status_code == 404):
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """Where cases are carried out, one after another."""
    app = create_app(SandboxConfig(fixture=_FIXTURE))
    with tempfile.TemporaryDirectory(dir=_MEMORY) as directory, _quiet():
        await asyncio.to_thread(template, Path(directory))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            yield Place(http, Path(directory))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The secret is there for the lane, and log lines go nowhere: a case that is told at length is told anew."""
    patch = pytest.MonkeyPatch()
    patch.setenv(_SECRET, CLIENT_SECRET)
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[lambda *_: ""])
    try:
        yield
    finally:
        structlog.configure(**before)
        patch.undo()


async def carry_out(case: Case, where: Place) -> tuple[list[Seen], Told]:
    """What Halo shows after each wave of the case, and what the hub told."""
    await where.new_halo(case)
    before = await where.tables()
    path = await where.store_for(case)
    store = await Store.open(_url(path))
    told, shown = Told(), []
    mapper = _Mapper(ruleset(case), told)
    try:
        spill_s = 0.0 if case.crowded else _NEVER_S
        async with _Writer(store, mapper.rules, where.http, told, spill_s=spill_s).running() as writer:
            for wave in case.waves:
                works = mapper.mapped([one for one in case.sendings if one.wave == wave])
                await writer.at_rest(works)
                shown.append(Seen(before, await where.tables(), await where.requests()))
            told.pending = len(await writer.rows())
    finally:
        await store.close()
        _forget_log(path)
    return shown, told


def ruleset(case: Case) -> Rules:
    """The tenant's file as it was accepted."""
    connection = {
        "tenant": TENANT,
        "halo": {
            "resource_server": f"{API}/api",
            "authorization_server": f"{API}/auth",
            "client_id": CLIENT_ID,
            "client_secret": f"env:{_SECRET}",
            "budget": {"requests": 100_000, "window": "300s"},
        },
    }
    accepted = accept(yaml.safe_dump(connection | case.setting.sections, sort_keys=False).encode())
    return Rules(TENANT, 1, accepted.hash, from_text(accepted.text))


def envelope_of(event: Event) -> Envelope:
    return Envelope(
        id=event.id,
        source=f"/{SOURCE}",
        type=event.type,
        subject=event.subject,
        time=START + dt.timedelta(seconds=event.number),
        tenant=TENANT,
        revision=event.revision,
    )


class _Mapper:
    """The mapper's service without its shell: what it would load and save is kept here."""

    def __init__(self, rules: Rules, told: Told) -> None:
        self.rules = rules
        self._told = told
        self._records: dict[RecordKey, Record] = {}
        self._cache = DesiredCache()
        self._now = START + dt.timedelta(days=1)

    def mapped(self, sendings: Sequence[Sending]) -> list[Work]:
        """The commands of what arrives together."""
        works: list[Work] = []
        together: list[LogRecord] = []
        for sending in sendings:
            together.append(_on_the_log(sending.event))
            # An answer comes back on the log of its own before what its producer says next.
            if sending.event.kind == "answered":
                works += self._processed(together)
                together = []
        return works + self._processed(together)

    def _processed(self, records: Sequence[LogRecord]) -> list[Work]:
        events = [found for record in records if isinstance(found := read(record, self._now), MapperEvent)]
        assert len(events) == len(records), "what is drawn is valid"
        batch = Batch(self._records, self._rules_of, self._cache, max_message_bytes=10**6)
        batch.run(events)
        assert not batch.surprises, batch.surprises
        for settled in batch.settled:
            refused = isinstance(settled.result, Refused)
            self._told.results[settled.result.reason if refused else str(settled.result)] += 1  # type: ignore[union-attr]
        self._records |= {
            record.key: msgspec.structs.replace(record, version=record.version + 1)
            for record, _ in batch.changed()
        }
        works = [_work_of(message) for message in batch.outgoing if message.topic == COMMANDS]
        answers = [message for message in batch.outgoing if _is_answer(message)]
        return works + (self._processed([_read_back(one) for one in answers]) if answers else [])

    def _rules_of(self, tenant: str) -> Rules | None:
        return self.rules if tenant == TENANT else None


def _on_the_log(event: Event) -> LogRecord:
    envelope = envelope_of(event)
    return LogRecord(QUOTES, 0, 0, 0, envelope.key, msgspec.json.encode(event.data), headers_of(envelope))


def _read_back(message: Outgoing) -> LogRecord:
    return LogRecord(message.topic, 0, 0, 0, message.key, message.value, message.headers)


def _is_answer(message: Outgoing) -> bool:
    return message.topic == CONTROL and from_headers(message.headers).type == "decision.answered.v1"


def _work_of(message: Outgoing) -> Work:
    envelope = from_headers(message.headers)
    value = message.value or b""
    return Work(command=decode(envelope.type, value), envelope=envelope, value=value)


class _Writer:
    """One lane, for the whole case."""

    def __init__(
        self, store: Store, rules: Rules, http: httpx.AsyncClient, told: Told, *, spill_s: float
    ) -> None:
        self._store = store
        self._told = told
        self._moved = asyncio.Event()
        self._open: set[object] = set()
        tenancy = Tenancy(TENANT, rules.sequence, rules.rules, http, _PATIENCE_S)
        services = Services(
            store=store,
            publisher=Recorder(),  # type: ignore[arg-type]
            keeper=LeaseKeeper(store, owner="histories", ttl_s=3_600.0),
            steps=Steps({}),
            settings=LaneSettings(
                timing=Timing(dependency_s=_NEVER_S, spill_s=spill_s), fresh_s=10**9, idle_s=_NEVER_S
            ),
            files=no_files(),
            told=self._ended,
            metrics=Metrics(),
        )
        self._lane = Lane(TENANT, services, lambda: tenancy)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[_Writer]:
        task = asyncio.create_task(self._lane.run())
        try:
            yield self
        finally:
            self._lane.stop()
            await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), _PATIENCE_S)

    async def at_rest(self, works: Sequence[Work]) -> None:
        """Hand in what came together; returns when all that can run has run.

        What waits is tried once more, as it would be after a while: another command may have taken its place.
        """
        for work in works:
            handed_in = object()
            self._open.add(handed_in)
            work.done.append(partial(self._done, handed_in))
            self._lane.submit(work)
        await self._quiet()
        rows = await self.rows()
        if rows:
            self._lane.heard((), [row.target_key for row in rows])
            await self._quiet()
        strange = {row.reason for row in rows} - _REASONS
        assert not strange, f"nothing here is to make a command wait for {strange}"

    async def rows(self) -> list[pending.Pending]:
        async with self._store.read() as conn:
            return await pending.of_tenant(conn, TENANT, "writer")

    async def _quiet(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not self._rests():
                self._moved.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), 0.02)

    def _rests(self) -> bool:
        backlog, held = self._lane._backlog, self._lane.held
        queue = backlog.queue
        # Under its lock a command may be on its way from memory into a row.
        if self._open or queue.in_memory or held is None or backlog.lock.locked():
            return False
        now = held.store_now()
        return queue.next_at(self._lane._standing, now) > now + _SOON_S

    def _done(self, handed_in: object) -> None:
        """May be said twice, as an offset's end may be."""
        self._open.discard(handed_in)
        self._moved.set()

    def _ended(self, work: Work, end: Ended | Parked) -> None:
        self._moved.set()
        name = end.status if isinstance(end, Ended) else f"waits: {end.reason}"
        self._told.ends[f"{work.command.target.kind} {name}"] += 1


def _url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def _forget_log(path: Path) -> None:
    """A copied store must not find another's log beside it."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
