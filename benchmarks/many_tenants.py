"""Line 8: what a writer takes with 5,000 tenants configured and one in a hundred of them active.

Half of the tenant files hold a quoting tool's few lines, half set everything. A writer that knows the active tenants
alone is measured in the same run: what is above it is the price of those that rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import quotes
from benchmarks.kafka_log import KafkaLog
from benchmarks.processes import cpu_s, peak_mb, resident_mb
from benchmarks.report import Figure
from benchmarks.stack import hub_on_real_parts, wait_for_catalogue
from benchmarks.tenant_files import tenant_rules
from schemas.topics import COMMANDS, CONTROL
from services.halo_writer.app import FEEDS_GROUP, GROUP
from tests.support.hub import Hub, Process, eventually, tenant_file

LINE = 8
MEMORY_MB = 400.0
START_S = 10.0
_IDLE_S = 5.0
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Ready:
    """A service that has just become ready: how long that took, and how much CPU."""

    process: Process
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class AtRest:
    """A process with nothing to do: its memory, and how much of one core it takes."""

    resident_mb: float
    cpu: float


@dataclass(frozen=True)
class Run:
    """A writer that knows the active tenants alone, one that knows all, and what both needed."""

    configured: int
    active: int
    few: Ready
    few_rest: AtRest
    published_s: float
    many: Ready
    taken_in_s: float
    many_rest: AtRest
    quotes_s: float
    resident_mb: float
    peak_mb: float
    ingest: Ready
    ingest_reading_mb: float


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Configure the active tenants and read their Halo; then all tenants, a writer, and a quote for each active one."""
    configured, active = (500, 5) if quick else (5_000, 50)
    with hub_on_real_parts(directory) as hub:
        return _figures(_run(hub, configured, active))


def _run(hub: Hub, configured: int, active: int) -> Run:
    names = [f"tenant{number:04}" for number in range(configured)]
    busy, resting = names[:active], names[active:]
    Path(hub.environment["HUB_TENANTS_DIR"], "acme.yaml").unlink()
    _write_files(hub, busy, first=0)
    hub.start("mapper")
    hub.start("ingest")
    few = _start(hub, "writer")
    for tenant in busy:
        wait_for_catalogue(hub, tenant)
    hub.processes["ingest"].stop()
    few_rest = _at_rest(few.process)
    few.process.stop()
    hub.processes["mapper"].stop()

    _write_files(hub, resting, first=active)
    published_s = asyncio.run(_settings_published(hub, configured))
    started = time.perf_counter()
    many = _start(hub, "writer")
    asyncio.run(_finished(hub, FEEDS_GROUP, CONTROL))
    taken_in_s = time.perf_counter() - started
    many_rest = _at_rest(many.process)
    quotes_s = asyncio.run(_one_quote_each(hub, busy))
    pid = many.process.popen.pid
    resident, peak = resident_mb(pid), peak_mb(pid)
    many.process.stop()
    ingest = _start(hub, "ingest")
    time.sleep(_IDLE_S)
    return Run(
        configured=configured,
        active=active,
        few=few,
        few_rest=few_rest,
        published_s=published_s,
        many=many,
        taken_in_s=taken_in_s,
        many_rest=many_rest,
        quotes_s=quotes_s,
        resident_mb=resident,
        peak_mb=peak,
        ingest=ingest,
        ingest_reading_mb=resident_mb(ingest.process.popen.pid),
    )


def _figures(run: Run) -> list[Figure]:
    def figure(what: str, value: float, unit: str, aim: float | None = None, *, detail: str = "") -> Figure:
        return Figure(LINE, what, value, unit, aim, detail=detail)

    everyone, few = f"{run.configured:,} tenants", f"only the {run.active} active ones"
    each_kb = (run.many_rest.resident_mb - run.few_rest.resident_mb) * 1e3 / (run.configured - run.active)
    return [
        figure(
            f"writer of {everyone}, {run.active} active: the most memory it had", run.peak_mb, "MB", MEMORY_MB
        ),
        figure("writer, start to ready", run.many.wall_s, "s", START_S, detail=_cpu(run.many)),
        figure(f"  start to ready with {few}", run.few.wall_s, "s", detail=_cpu(run.few)),
        figure(
            "  start to all settings in the store",
            run.taken_in_s,
            "s",
            detail="no tenant's work waits for it",
        ),
        figure("  memory at rest", run.many_rest.resident_mb, "MB"),
        figure(f"  memory at rest with {few}", run.few_rest.resident_mb, "MB"),
        figure("  more memory for each resting tenant", each_kb, "kB"),
        figure(
            "  memory after a quote for each active tenant",
            run.resident_mb,
            "MB",
            detail=f"{run.active} applied in {run.quotes_s:.1f} s",
        ),
        figure(
            "  CPU at rest, of one core",
            run.many_rest.cpu * 100,
            "%",
            detail=f"{run.few_rest.cpu:.1%} with {few}",
        ),
        figure("mapper, start to all settings published", run.published_s, "s"),
        figure(
            "ingest, start to ready",
            run.ingest.wall_s,
            "s",
            detail=f"{run.ingest_reading_mb:.0f} MB {_IDLE_S:.0f} s later, reading every tenant's Halo",
        ),
    ]


def _cpu(ready: Ready) -> str:
    return f"{ready.cpu_s:.1f} s of CPU"


def _write_files(hub: Hub, tenants: Sequence[str], *, first: int) -> None:
    for number, tenant in enumerate(tenants, first):
        text = tenant_file(tenant, hub.sandbox, tenant_rules(number))
        Path(hub.environment["HUB_TENANTS_DIR"], f"{tenant}.yaml").write_text(text)


def _start(hub: Hub, service: str) -> Ready:
    started = time.perf_counter()
    process = hub.start(service)
    hub.wait_ready(service)
    return Ready(process, time.perf_counter() - started, cpu_s(process.popen.pid))


def _at_rest(process: Process) -> AtRest:
    pid = process.popen.pid
    before_s = cpu_s(pid)
    time.sleep(_IDLE_S)
    return AtRest(resident_mb(pid), (cpu_s(pid) - before_s) / _IDLE_S)


async def _settings_published(hub: Hub, expected: int) -> float:
    """From the start of a mapper to the last tenant's settings on the log."""
    log = KafkaLog(hub.bootstrap)
    await log.start()
    started = time.perf_counter()
    try:
        hub.start("mapper")
        await log.grown(CONTROL, expected, _PATIENCE_S)
        return time.perf_counter() - started
    finally:
        await log.stop()


async def _finished(hub: Hub, group: str, topic: str) -> None:
    log = KafkaLog(hub.bootstrap)
    await log.start()
    try:
        await log.finished(group, topic)
    finally:
        await log.stop()


async def _one_quote_each(hub: Hub, tenants: Sequence[str]) -> float:
    """Publish a quote for each tenant at once; the time until Halo has them all and the writer has finished."""
    log = KafkaLog(hub.bootstrap)
    await log.start()
    started = time.perf_counter()
    try:
        await log.publish([quotes.known(f"{tenant}-q", tenant=tenant) for tenant in tenants])
        await asyncio.to_thread(
            eventually,
            lambda: len(hub.sandbox.state("Quotation")) >= len(tenants),
            timeout_s=_PATIENCE_S,
            what="Halo has a quote of each active tenant",
        )
        took_s = time.perf_counter() - started
        await log.finished(GROUP, COMMANDS)
        return took_s
    finally:
        await log.stop()
