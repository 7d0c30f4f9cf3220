"""Line 6: how many commands a second go through a writer when Halo has everything already.

Each command's state has settled before; it comes again as of a later revision, as after a re-sync of everything. The
writer reads it, looks the target's row up, sees that there is nothing to do, publishes the outcome and the row's new
place in its history, saves the row, commits. Measured from the moment at which a frozen writer may go on before a
full topic until it has committed the last offset. The baseline reads the same bytes from the same broker, decodes
them, publishes an answer of the same size for each, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.kafka_log import KafkaLog, Positions
from benchmarks.processes import cpu_s, frozen
from benchmarks.report import Figure
from benchmarks.settled import Settled, put_states, settled
from benchmarks.stack import hub_on_real_parts
from hub.bus.reader import read_range
from hub.bus.records import Outgoing
from hub.store.engine import Store
from hub.tenants.load import accept, from_text
from hub.tenants.model import RuleSet
from schemas.outcomes import Outcome
from schemas.topics import COMMANDS, CONTROL, OUTCOMES
from services.halo_writer.app import GROUP
from tests.support.hub import ROOT, Hub, Process, tenant_file

LINE = 6
AIM_PER_S = 5_000.0
_BASELINE = "benchmarks.baselines.consume_produce"
_MANY = tuple(f"tenant{number:02}" for number in range(50))
_ONE = ("alone",)
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Spent:
    """What one process spent on a number of commands, in seconds."""

    commands: int
    cpu_s: float
    wall_s: float

    @property
    def per_s(self) -> float:
        return self.commands / self.wall_s

    @property
    def per_cpu_s(self) -> float:
        return self.commands / self.cpu_s


@dataclass(frozen=True)
class Answers:
    """What the outcomes of a run look like on the wire, on average."""

    value_bytes: int
    headers: int


@dataclass(frozen=True)
class Round:
    """The same commands through the writer, then through the baseline."""

    writer: Spent
    baseline: Spent


@dataclass(frozen=True)
class Load:
    """One kind of load, and what came of each of its rounds."""

    what: str
    commands: Settled
    rounds: tuple[Round, ...]


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Settle everything, then rounds in which it all comes again."""
    commands, rounds = (2_000, 1) if quick else (10_000, 3)
    with hub_on_real_parts(directory, tenants=dict.fromkeys((*_MANY, *_ONE), "")) as hub:
        return figures(asyncio.run(_loads(hub, commands, rounds)))


def figures(loads: Sequence[Load]) -> list[Figure]:
    """Medians over the rounds; the ratio is taken within each round, where both had the same neighbours."""
    shown = []
    for load, aim in zip(loads, (AIM_PER_S, AIM_PER_S, None), strict=False):
        per_s = [one.writer.per_s for one in load.rounds]
        ratios = [one.writer.per_s / one.baseline.per_s for one in load.rounds]
        per_cpu_s = statistics.median(one.writer.per_cpu_s for one in load.rounds)
        bare_cpu_s = statistics.median(one.baseline.per_cpu_s for one in load.rounds)
        bare = statistics.median(one.baseline.per_s for one in load.rounds)
        made = len(load.commands.made)
        shown += [
            Figure(
                LINE,
                f"unchanged commands, {load.what}",
                statistics.median(per_s),
                "commands/s",
                aim,
                "at least",
                f"{made:,} commands, {load.commands.ensures:,} of them ensures; rounds: {_each(per_s, 0)}",
            ),
            Figure(
                LINE,
                "  of a bare loop without a store",
                statistics.median(ratios),
                "x",
                detail=f"that loop: {bare:,.0f}/s; rounds: {_each(ratios, 2)}",
            ),
            Figure(
                LINE,
                "  per CPU second of the writer",
                per_cpu_s,
                "commands",
                detail=f"of the bare loop: {bare_cpu_s:,.0f}",
            ),
        ]
    return shown


def _each(values: Sequence[float], digits: int) -> str:
    return " ".join(f"{value:,.{digits}f}" for value in values)


async def _loads(hub: Hub, commands: int, rounds: int) -> list[Load]:
    rules = [_rules(hub, tenant) for tenant in _MANY]
    wanted = {
        f"{len(_MANY)} tenants": settled(rules, commands, "own"),
        "1 tenant": settled([_rules(hub, tenant) for tenant in _ONE], commands, "own"),
        f"{len(_MANY)} tenants, with all that quotes embed": settled(rules, commands // 10, "all"),
    }
    log = KafkaLog(hub.bootstrap)
    await log.start()
    try:
        await _settings_accepted(hub, log, len(_MANY) + len(_ONE))
        await _seed(hub, list(wanted.values()))
        writer = hub.start("writer")
        await asyncio.to_thread(hub.wait_ready, "writer")
        loads = []
        for what, load in wanted.items():
            # The first round finds a process that has not run this code yet.
            await _through_writer(log, writer, load.again(2))
            done = []
            for revision in range(3, 3 + rounds):
                starts, before = await log.ends(COMMANDS), await log.ends(OUTCOMES)
                spent = await _through_writer(log, writer, load.again(revision))
                answers = await _checked(hub, before, len(load.made))
                done.append(Round(spent, await _through_baseline(hub, log, starts, spent.commands, answers)))
            loads.append(Load(what, load, tuple(done)))
        return loads
    finally:
        await log.stop()


def _rules(hub: Hub, tenant: str) -> RuleSet:
    return from_text(accept(tenant_file(tenant, hub.sandbox).encode()).text)


async def _settings_accepted(hub: Hub, log: KafkaLog, tenants: int) -> None:
    mapper = hub.start("mapper")
    await log.grown(CONTROL, tenants, _PATIENCE_S)
    await asyncio.to_thread(mapper.stop)


async def _seed(hub: Hub, loads: Sequence[Settled]) -> None:
    store = await Store.open(hub.store_url)
    try:
        for load in loads:
            await put_states(store, load.states())
    finally:
        await store.close()


async def _through_writer(log: KafkaLog, writer: Process, commands: Sequence[Outgoing]) -> Spent:
    """From thawing the writer before a full topic to its last offset committed."""
    pid = writer.popen.pid
    with frozen(pid):
        await log.append(commands)
        ends = {at: end for at, end in (await log.ends(COMMANDS)).items() if end}
        before_s = cpu_s(pid)
    started = time.perf_counter()
    await log.committed(GROUP, ends, _PATIENCE_S)
    return Spent(len(commands), cpu_s(pid) - before_s, time.perf_counter() - started)


async def _checked(hub: Hub, before: Positions, commands: int) -> Answers:
    """Each command has its outcome, and each says that nothing had to be done: else the round means nothing."""
    start = {at.partition: offset for at, offset in before.items()}
    ended = set()
    size = headers = seen = 0
    async for record in read_range(hub.bootstrap, OUTCOMES, start=start):
        outcome = msgspec.json.decode(record.value or b"", type=Outcome)
        if outcome.result != "unchanged" or outcome.requests:
            raise RuntimeError(
                f"{outcome.target.key} ended {outcome.status} ({outcome.result}): this is no measure of no-ops"
            )
        ended.add(outcome.command_id)
        seen += 1
        size += len(record.value or b"")
        headers += len(record.headers)
    # Of an outcome that Kafka was slow to acknowledge there may be two.
    if len(ended) != commands:
        raise RuntimeError(f"{len(ended)} of {commands} commands have an outcome")
    return Answers(size // seen, headers // seen)


async def _through_baseline(
    hub: Hub, log: KafkaLog, starts: Positions, commands: int, answers: Answers
) -> Spent:
    group = f"baseline-{uuid.uuid4().hex[:8]}"
    await log.begin_at(group, starts)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _BASELINE, hub.bootstrap, COMMANDS, group, str(commands)),
        *(OUTCOMES, str(answers.value_bytes), str(answers.headers)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    printed, _ = await asyncio.wait_for(running.communicate(), _PATIENCE_S)
    return Spent(commands, **json.loads(printed.splitlines()[-1]))
