"""One run: start the world, publish, break, mend, wait for rest, judge."""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import os
import platform
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sandbox.server import Sandbox
from tests.soak import faults, settings
from tests.soak.checker import TABLES, Finding, Seen, check
from tests.soak.expected import expected
from tests.soak.histories import plan
from tests.soak.log_side import suspicions
from tests.soak.nemesis import kinds_of, schedule
from tests.soak.publisher import Publisher
from tests.soak.quiet import Rest, wait_for_rest
from tests.soak.tenants import SMALL_BUDGET, tenants
from tests.soak.verdict import (
    BAD_EXIT,
    DIED,
    UNFINISHED,
    UNPUBLISHED,
    Frozen,
    Run,
    described,
    plain,
    split,
)
from tests.soak.world import Death, World, running_world

ROOT = Path(__file__).parents[2]
_TICK_S = 0.1
_TELL_S = 10.0
_PUBLISH_S = 90.0
_PAGE = 2_000


@dataclass(frozen=True)
class Given:
    """What a run is told. `only`: no other faults than these kinds."""

    seed: int
    minutes: float
    tenants: int = 20
    rate: float = 4.0
    only: tuple[str, ...] = ()
    processes: Mapping[str, int] = field(default_factory=lambda: settings.PROCESSES)


def run(given: Given, directory: Path, tell: Callable[[str], None]) -> Run:
    """The whole of one soak; `directory` keeps the processes' logs and the list of what was done."""
    began_s = time.monotonic()
    cast = tenants(given.tenants)
    families = faults.families(given.only)
    duration_s = given.minutes * 60
    sendings = plan(given.seed, cast, duration_s, given.rate)
    with running_world(directory, cast, given.processes) as world:
        tell(f"up after {time.monotonic() - began_s:.0f} s; {len(sendings)} sendings planned")
        known = {name: _ids(_tables(world, name)) for name in world.sandboxes}
        publisher = Publisher(sendings, world.kafka.bootstrap, world.doors, given.seed)
        publisher.start()
        try:
            begun = _storm(world, schedule(families, given.seed, duration_s), duration_s, publisher, tell)
            world.disarm()
            left = _publish_the_rest(world, publisher)
            rest = wait_for_rest(
                world, tell, still_s=settings.SETTLE_S + 1, patience_s=90, limit_s=300 + duration_s
            )
        finally:
            publisher.stop()
            (directory / "actions.log").write_text("\n".join(world.actions) + "\n")
        findings, excused = _judged(world, publisher, known)
        counts = {kind: begun[kind] for kind in kinds_of(families)}
        requests = [one for sandbox in world.sandboxes.values() for one in _log_of(sandbox, "api")]
        sign_ins = [one for sandbox in world.sandboxes.values() for one in _log_of(sandbox, "token")]
        return Run(
            seed=given.seed,
            minutes=given.minutes,
            took_s=time.monotonic() - began_s,
            at=dt.datetime.now(dt.UTC).isoformat(timespec="minutes").removesuffix("+00:00"),
            commit=_commit(),
            machine=f"{os.cpu_count()} cores, Python {platform.python_version()}",
            tenants=len(cast),
            rate=given.rate,
            events=_events(publisher),
            requests=_requests(requests),
            faults=plain(counts),
            met=_met(requests, sign_ins),
            verdicts=_verdicts(findings, world, rest, left),
            excused=len(excused),
            starts_refused=sum(not _is_failure(death) for death in world.deaths),
            findings=tuple(_told(findings, excused, world, rest)),
        )


def _storm(
    world: World,
    planned: Sequence[Any],
    duration_s: float,
    publisher: Publisher,
    tell: Callable[[str], None],
) -> Counter[str]:
    """Begin and end every fault at its time, while the supervisor looks after the processes."""
    tie = itertools.count()
    due: list[tuple[float, int, Callable[[], Any]]] = []
    begun: Counter[str] = Counter()
    began_s = told_s = time.monotonic()

    def begin(one: Any) -> None:
        end = faults.KINDS[one.kind](world, random.Random(one.seed), one.lasts_s)
        begun[one.kind] += 1
        # A fault that took long to begin lasts as long all the same.
        heapq.heappush(due, (time.monotonic() - began_s + one.lasts_s, next(tie), end))

    for one in planned:
        heapq.heappush(due, (one.at_s, next(tie), lambda one=one: begin(one)))  # type: ignore[misc]
    while due or time.monotonic() - began_s < duration_s:
        world.supervise()
        now_s = time.monotonic() - began_s
        while due and due[0][0] <= now_s:
            heapq.heappop(due)[2]()
        if time.monotonic() - told_s > _TELL_S:
            told_s = time.monotonic()
            asked = world.hub.sandbox.last_request()
            tell(f"{now_s:4.0f} s: {begun.total()} faults, {publisher.left} sendings left, {asked} requests")
        time.sleep(_TICK_S)
    return begun


def _publish_the_rest(world: World, publisher: Publisher) -> int:
    """How many sendings are unacknowledged although everything runs again."""
    deadline = time.monotonic() + _PUBLISH_S
    while publisher.left and time.monotonic() < deadline:
        world.supervise()
        time.sleep(_TICK_S)
    return publisher.left


# Judging ----------------------------------------------------------------------------------------------------


def _tables(world: World, tenant: str) -> dict[str, list[dict[str, Any]]]:
    return {table: world.sandboxes[tenant].state(table) for table in (*TABLES, "Lookup", "ExternalLink")}


def _log_of(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    """The whole log of one instance, page by page: it may be long."""
    found: list[dict[str, Any]] = []
    while page := sandbox.requests(since=found[-1]["n"] if found else 0, kind=kind, limit=_PAGE):
        found += page
    return found


def _ids(tables: dict[str, list[dict[str, Any]]]) -> dict[str, frozenset[int]]:
    return {table: frozenset(int(row["id"]) for row in rows) for table, rows in tables.items()}


def _judged(
    world: World, publisher: Publisher, known: dict[str, dict[str, frozenset[int]]]
) -> tuple[list[Finding], list[Finding]]:
    wanted = expected(publisher.acknowledged, world.sandboxes)
    found: list[Finding] = []
    for tenant, sandbox in world.sandboxes.items():
        seen = Seen(_tables(world, tenant), known[tenant], _log_of(sandbox, "api"), settings.LATE_ACTIONS)
        edits = world.edits.get(tenant, ())
        found += check(wanted[tenant], seen, edits, limited=tenant == SMALL_BUDGET)
    frozen = [
        Frozen(one.name, one.began, one.ended) for one in world.freezes if one.name.startswith("writer")
    ]
    return split(found, suspicions(world.kafka.bootstrap), frozen, settings.LEASE_S)


def _is_failure(death: Death) -> bool:
    """A service that had come up may not end because Kafka or the store went away; one that can't start may."""
    return death.ready or death.alone


def _verdicts(findings: Sequence[Finding], world: World, rest: Rest, left: int) -> dict[str, int]:
    counts: Counter[str] = Counter(finding.verdict for finding in findings)
    waiting = sum(rest.behind.values()) + sum(rest.pending.values()) + rest.outbox
    counts.update(
        {
            UNPUBLISHED: left,
            UNFINISHED: waiting,
            DIED: sum(map(_is_failure, world.deaths)),
            BAD_EXIT: len(world.bad_exits),
        }
    )
    return dict(counts)


def _told(findings: Iterable[Finding], excused: Iterable[Finding], world: World, rest: Rest) -> Iterable[str]:
    yield from map(described, findings)
    yield from (f"excused: {described(finding)}" for finding in excused)
    if not rest.over:
        yield f"{UNFINISHED}: {rest}"
    for death in world.deaths:
        if _is_failure(death):
            yield f"{DIED}: {death.name} with {death.code}: {death.why}"
    yield from (f"{BAD_EXIT}: {text}" for text in world.bad_exits)


# Figures ----------------------------------------------------------------------------------------------------


def _events(publisher: Publisher) -> dict[str, int]:
    counts = publisher.counts
    return {
        "revisions published": len({event.id for event in publisher.acknowledged}),
        "quotes": len({(event.tenant, event.quote) for event in publisher.acknowledged}),
        "acknowledged over HTTP": counts["http"],
        "acknowledged by Kafka": counts["kafka"],
        "sent although acknowledged before": counts["again"],
        "sent late, after newer revisions": counts["late"],
        "sent again, unacknowledged": counts["sent again, unacknowledged"],
    }


def _requests(every: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "all": len(every),
        "writes that took effect": sum(bool(one["applied"]) for one in every),
        "records made": sum(len(one["created"]) for one in every),
    }


def _met(every: Sequence[Mapping[str, Any]], sign_ins: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = Counter(str(one["fault"]) for one in every if one["fault"])
    statuses = Counter(one["status"] for one in every if not one["fault"])
    counts["401, no valid login"] = statuses[401]
    counts["403, right missing"] = statuses[403]
    counts["sign-in failed"] = sum(one["status"] != 200 for one in sign_ins)
    return plain(counts)


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
