"""Line 5: how many events a second a mapper carries through on one core, beside a handler that only decodes them.

The mapper's work on each event: decode and validate it, load the quote's record, fold, map by the tenant's rules,
publish the command (acknowledged), save the record. The baseline's: decode. Both read the same records of the same
topic in the same run; CPU time is that of their one process, so the broker's and the database's is not in it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import quotes
from benchmarks.kafka_log import KafkaLog, Positions
from benchmarks.processes import cpu_s, frozen
from benchmarks.quotes import Event
from benchmarks.report import Figure
from benchmarks.stack import hub_on_real_parts
from schemas.topics import COMMANDS, QUOTES
from services.mapper.app import GROUP
from tests.support.hub import ROOT, Hub, Process

LINE = 5
AIM = 4.0
_TENANTS = tuple(f"tenant{number:02}" for number in range(20))
_BASELINE = "benchmarks.baselines.faststream_pydantic"
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 300.0
_CHUNK = 2_000


@dataclass(frozen=True)
class Spent:
    """What one process spent on a number of events, in seconds."""

    events: int
    cpu_s: float
    wall_s: float

    @property
    def per_cpu_s(self) -> float:
        return self.events / self.cpu_s

    @property
    def per_wall_s(self) -> float:
        return self.events / self.wall_s


@dataclass(frozen=True)
class Round:
    """The same events through each; `recent` are other events, of quotes that the mapper has in memory."""

    mapper: Spent
    recent: Spent
    silent: Spent
    default: Spent
    acknowledged: Spent


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Publish quotes, then rounds of status changes: each round is handled by the mapper, then by the baseline."""
    events, rounds = (2_400, 1) if quick else (10_000, 5)
    with hub_on_real_parts(directory, tenants=dict.fromkeys(_TENANTS, "")) as hub:
        mapper = hub.start("mapper")
        hub.wait_ready()
        return figures(asyncio.run(_rounds(hub, mapper, events, rounds)))


def figures(rounds: Sequence[Round]) -> list[Figure]:
    """Medians over the rounds; the ratio is taken within each round, where both had the same neighbours."""

    def median(value: Callable[[Round], float]) -> float:
        return statistics.median(map(value, rounds))

    def ratio(what: str, value: Callable[[Round], float], aim: float | None = None) -> Figure:
        detail = " ".join(f"{value(one):.2f}" for one in rounds)
        return Figure(LINE, what, median(value), "x", aim, "at least", f"rounds: {detail}")

    def rate(what: str, of: Callable[[Round], Spent]) -> Figure:
        wall = f"{median(lambda one: of(one).per_wall_s):,.0f} events/s by wall time"
        return Figure(LINE, what, median(lambda one: of(one).per_cpu_s), "events/CPU s", detail=wall)

    return [
        ratio(
            "mapper against a handler that only decodes, per CPU second",
            lambda one: one.mapper.per_cpu_s / one.silent.per_cpu_s,
            AIM,
        ),
        ratio(
            "  against that handler with FastStream's own log lines",
            lambda one: one.mapper.per_cpu_s / one.default.per_cpu_s,
        ),
        ratio(
            "  against that handler when it acknowledges each message",
            lambda one: one.mapper.per_cpu_s / one.acknowledged.per_cpu_s,
        ),
        rate("  mapper, quotes that it has not in memory", lambda one: one.mapper),
        rate("  mapper, quotes that it has in memory", lambda one: one.recent),
        rate("  baseline, silent", lambda one: one.silent),
        rate("  baseline, default", lambda one: one.default),
        rate("  baseline, acknowledged", lambda one: one.acknowledged),
    ]


async def _rounds(hub: Hub, mapper: Process, events: int, rounds: int) -> list[Round]:
    log = KafkaLog(hub.bootstrap)
    await log.start()
    try:
        # More quotes than the mapper keeps in memory, so that each change of status finds a quote it has to read.
        names = [(f"q{number}", _TENANTS[number % len(_TENANTS)]) for number in range(events)]
        await _publish_quotes(log, names)
        revision = 1
        measured = []
        for _ in range(rounds):
            revision += 1
            starts = await log.ends(QUOTES)
            mapped = await _mapped(log, mapper, _changes(names, revision))
            silent = await _decoded(hub, log, "silent", starts, events)
            default = await _decoded(hub, log, "default", starts, events)
            acknowledged = await _decoded(hub, log, "acknowledged", starts, events // 10)
            few = names[: events // 10]
            await _mapped(log, mapper, _changes(few, revision + 1))
            recent = [change for more in range(2, 12) for change in _changes(few, revision + more)]
            revision += 11
            measured.append(Round(mapped, await _mapped(log, mapper, recent), silent, default, acknowledged))
        return measured
    finally:
        await log.stop()


def _changes(names: Sequence[tuple[str, str]], revision: int) -> list[Event]:
    return [quotes.status_changed(name, revision, tenant=tenant) for name, tenant in names]


async def _publish_quotes(log: KafkaLog, names: Sequence[tuple[str, str]]) -> None:
    """Give every quote its record."""
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        await log.publish([quotes.known(name, tenant=tenant) for name, tenant in chunk])
    await log.finished(GROUP, QUOTES)


async def _mapped(log: KafkaLog, mapper: Process, changes: Sequence[Event]) -> Spent:
    """From thawing the mapper before a full topic to its last command acknowledged."""
    before = await log.count(COMMANDS)
    pid = mapper.popen.pid
    with frozen(pid):
        await log.publish(changes)
        before_s = cpu_s(pid)
    started = time.perf_counter()
    while await log.count(COMMANDS) < before + len(changes):
        if time.perf_counter() - started > _PATIENCE_S or mapper.popen.poll() is not None:
            raise RuntimeError(f"the mapper did not carry it through:\n{mapper.log.read_text()[-2000:]}")
        await asyncio.sleep(_LOOK_EVERY_S)
    wall_s = time.perf_counter() - started
    # The last batch's records are saved after its commands, and belong to it.
    await log.finished(GROUP, QUOTES)
    more = await log.count(COMMANDS) - before - len(changes)
    if more:
        raise RuntimeError(f"{more} commands more than events: this is no measure of one command each")
    return Spent(len(changes), cpu_s(pid) - before_s, wall_s)


async def _decoded(hub: Hub, log: KafkaLog, mode: str, starts: Positions, events: int) -> Spent:
    """A baseline on the very records that the mapper had."""
    group = f"baseline-{uuid.uuid4().hex[:8]}"
    await log.begin_at(group, starts)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _BASELINE, mode, hub.bootstrap, QUOTES, group, str(events)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    printed, _ = await asyncio.wait_for(running.communicate(), _PATIENCE_S)
    return Spent(events, **json.loads(printed.splitlines()[-1]))
