"""Line 3: whether Halo ever has to refuse a request, however much is to be written and whatever becomes of the writers.

The tenant's budget in its file is the very limit that its Halo enforces. Many times more is published than that allows,
while ingest reads the same Halo again and again on its own share. First one writer works undisturbed; then writers are
killed and started, join and leave, so that the tenant changes hands with its counts.

The lease and Kafka's session are scaled down (5 s and 3 s, for 45 s and 15 s), or a killed writer's tenant would rest
for most of the run.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import quotes
from benchmarks.kafka_log import KafkaLog
from benchmarks.report import Figure
from benchmarks.stack import give_halos, hub_on_real_parts, wait_for_catalogue
from benchmarks.steady import logged_at
from hub.bus.records import Outgoing
from hub.store import leases
from hub.store.engine import Store
from schemas.control import SyncRequested
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.topics import CONTROL
from tests.sandbox.server import Sandbox
from tests.support.hub import DEFAULT_RULES, Hub

LINE = 3
AIM = 0.0
TENANT = "busy"
_REQUESTS, _WINDOW_S = 60, 10
_SCALED = {"HUB_LEASE_TTL_S": "5", "HUB_REQUEST_TIMEOUT_S": "2", "HUB_KAFKA_SESSION_TIMEOUT_S": "3"}
_QUOTES = 400
_CALM_S, _STORM_S = 25.0, 50.0
_READ_AGAIN_EVERY_S = 5.0


@dataclass(frozen=True)
class Phase:
    """What Halo was asked in that time. `times` are those of the requests, in seconds since the epoch."""

    seconds: float
    times: tuple[float, ...]
    refused: int
    written: int
    owners: int

    @property
    def used(self) -> float:
        """The requests made, as a part of those that Halo would have allowed."""
        return len(self.times) / (_REQUESTS * self.seconds / _WINDOW_S)


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Far more than the budget allows: undisturbed, then with writers that come, go and die."""
    scale = 0.3 if quick else 1.0
    with hub_on_real_parts(directory) as hub:
        halo = give_halos(hub, [TENANT], DEFAULT_RULES)[TENANT]
        _set_budget(hub)
        hub.environment.update(_SCALED)
        hub.start_all()
        wait_for_catalogue(hub, TENANT, halo)
        halo.configure(budget={"limit": _REQUESTS, "window_s": _WINDOW_S})
        asyncio.run(_flood(hub))
        calm = _phase(hub, halo, lambda: time.sleep(_CALM_S * scale))
        storm = _phase(hub, halo, lambda: _storm(hub, _STORM_S * scale))
        _check_oracle(halo)
    return figures(calm, storm)


def figures(calm: Phase, storm: Phase) -> list[Figure]:
    """The refusals, and how much of the budget was used meanwhile."""
    together = [*calm.times, *storm.times]
    return [
        Figure(
            LINE,
            "requests that Halo refused for its limit (429)",
            calm.refused + storm.refused,
            "requests",
            AIM,
            detail=f"of {len(together)}, {storm.owners} changes of the tenant's writer",
        ),
        Figure(
            LINE,
            f"  most requests in any {_WINDOW_S} s",
            busiest(together, _WINDOW_S),
            "requests",
            detail=f"Halo's limit: {_REQUESTS}",
        ),
        _used("  of its budget used by one undisturbed writer and ingest", calm),
        _used("  of its budget used while writers came, went and died", storm),
    ]


def busiest(times: Sequence[float], window_s: float) -> int:
    """The most of these that fall into any window of that length."""
    most = first = 0
    ordered = sorted(times)
    for last, at in enumerate(ordered):
        while ordered[first] <= at - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _used(what: str, phase: Phase) -> Figure:
    detail = f"{len(phase.times)} requests in {phase.seconds:.0f} s, {phase.written} of them writes"
    return Figure(LINE, what, phase.used * 100, "%", detail=detail)


def _set_budget(hub: Hub) -> None:
    file = Path(hub.environment["HUB_TENANTS_DIR"], f"{TENANT}.yaml")
    text = file.read_text()
    given = next(line for line in text.splitlines() if "budget:" in line)
    file.write_text(text.replace(given, f"  budget: {{requests: {_REQUESTS}, window: {_WINDOW_S}s}}"))


async def _flood(hub: Hub) -> None:
    """All at once: hours of work at the tenant's limit."""
    log = KafkaLog(hub.bootstrap)
    await log.start()
    try:
        await log.publish([quotes.known(f"q{number}", tenant=TENANT) for number in range(_QUOTES)])
    finally:
        await log.stop()


def _phase(hub: Hub, halo: Sandbox, meanwhile: Callable[[], None]) -> Phase:
    before, epoch = halo.last_request(), asyncio.run(_epoch(hub))
    started = time.monotonic()
    asyncio.run(_reading_again_and_again(hub, meanwhile))
    seconds = time.monotonic() - started
    seen = halo.requests(since=before)
    return Phase(
        seconds=seconds,
        times=tuple(logged_at(request["at"]) for request in seen),
        refused=sum(request["status"] == 429 for request in seen),
        written=sum(request["method"] == "POST" for request in seen),
        owners=asyncio.run(_epoch(hub)) - epoch,
    )


async def _reading_again_and_again(hub: Hub, meanwhile: Callable[[], None]) -> None:
    """Ask ingest for a read of everything, again and again, until that is over."""
    log = KafkaLog(hub.bootstrap)
    await log.start()
    running = asyncio.create_task(asyncio.to_thread(meanwhile))
    try:
        while not running.done():
            await log.append([_sync()])
            await asyncio.wait([running], timeout=_READ_AGAIN_EVERY_S)
        running.result()
    finally:
        await log.stop()


def _sync() -> Outgoing:
    now = dt.datetime.now(dt.UTC)
    envelope = Envelope(
        id=f"sync-{now.timestamp()}",
        source="/benchmark",
        type="sync.requested.v1",
        subject=TENANT,
        time=now,
        tenant=TENANT,
    )
    return Outgoing(CONTROL, TENANT.encode(), encode(SyncRequested(by="benchmark")), headers_of(envelope))


async def _epoch(hub: Hub) -> int:
    """How often the tenant's writing lease has changed hands."""
    store = await Store.open(hub.store_url)
    try:
        async with store.read() as conn:
            lease = await leases.peek(conn, TENANT, "write")
            return 0 if lease is None else lease.epoch
    finally:
        await store.close()


def _storm(hub: Hub, seconds: float) -> None:
    """A writer is killed, another joins, one leaves, one is killed while it is alone, another joins, one leaves."""
    pause_s = seconds / 6
    first = hub.processes["writer"]
    first.kill()
    second = hub.start("writer", "second")
    time.sleep(pause_s)
    third = hub.start("writer", "third")
    time.sleep(pause_s)
    second.stop()
    time.sleep(pause_s)
    third.kill()
    fourth = hub.start("writer", "fourth")
    time.sleep(pause_s)
    hub.start("writer", "fifth")
    time.sleep(pause_s)
    fourth.stop()
    time.sleep(pause_s)


def _check_oracle(halo: Sandbox) -> None:
    """No refusals are worth nothing if what was written is not right."""
    titles = [row["title"] for row in halo.state("Quotation")]
    if len(set(titles)) != len(titles) or not titles:
        raise RuntimeError(
            f"Halo has {len(titles)} quotes of {len(set(titles))} titles: this run means nothing"
        )
