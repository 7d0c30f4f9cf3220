"""An example from its first process to the verdict: start the parts, publish day by day, let the hub rest, compare."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from cli.demo import producer_side
from cli.demo.course import SERVICES, Stage, check_tenant, wait_catalogue, what_was_proven
from cli.demo.day import Event
from cli.demo.like import log
from cli.demo.like.compare import Compared, Said, compare
from cli.demo.like.example import Example
from cli.demo.like.facts import Halo
from cli.demo.log_side import Backlog, read_ledger
from cli.demo.progress import Progress
from cli.demo.sandbox_side import SandboxSide, State
from cli.errors import CommandFailed

_LOOK_S = 0.4
_LIMIT_S = 120.0


@dataclass(frozen=True)
class Result:
    """What came of one example. `requests` is the sandbox's log since its first event, token calls included."""

    example: Example
    compared: tuple[Compared, ...]
    said: dict[str, Said]
    unended: tuple[str, ...]
    requests: tuple[dict[str, Any], ...]

    @property
    def ok(self) -> bool:
        return not self.unended and all(one.ok for one in self.compared)


@dataclass(frozen=True)
class Played:
    """All examples of one run."""

    results: tuple[Result, ...]
    took_s: float

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results)


def play(on: Stage, examples: Sequence[Example], progress: Progress) -> Played:
    """All examples at once, each on a Halo of its own. Raises CommandFailed when a part fails or gets stuck."""
    began = time.monotonic()
    with ExitStack() as stack:
        sides = [
            stack.enter_context(SandboxSide(on.place.sandbox, instance=example.name)) for example in examples
        ]
        for example, side in zip(examples, sides, strict=True):
            side.configure({})
            side.load_text(example.halo)
            progress.now(f"checking {example.tenant}'s Halo")
            progress.step(
                f"hub tenant check of {example.tenant}: {what_was_proven(check_tenant(on.place, example.tenant))}"
            )
        progress.now("starting the services")
        on.start(*SERVICES)
        for example in examples:
            wait_catalogue(on, example.tenant)
        progress.step(f"{', '.join(SERVICES)} run and have read Halo")
        since = on.sandbox.last_request()
        before = [side.everything() for side in sides]
        for number, day in enumerate(
            itertools.zip_longest(*(example.days for example in examples), fillvalue=()), 1
        ):
            _publish(on, number, day, progress)
        left = asyncio.run(log.rest(on.settings)).left
        return Played(_judged(on, examples, sides, before, since, left), round(time.monotonic() - began, 1))


def _publish(on: Stage, number: int, day: Sequence[Sequence[Event]], progress: Progress) -> None:
    """One day of every example; returns when the hub has come to rest."""
    for events in day:
        if events:
            producer_side.publish(on.place, events)
    count = sum(map(len, day))
    waiting = _wait_rest(on, progress)
    asks = "; what waits, waits for an answer or another revision" if waiting.waiting else ""
    progress.step(f"day {number}: {count} events published, and the hub has come to rest{asks}")


def _wait_rest(on: Stage, progress: Progress) -> Backlog:
    deadline = time.monotonic() + _LIMIT_S
    while True:
        on.family.check()
        left, at_rest = asyncio.run(log.rest(on.settings))
        if at_rest:
            return left
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"no rest within {_LIMIT_S:g} s: {left}; the logs are in {on.place.directory}"
            )
        waits = f"; waiting: {', '.join(left.reasons)}" if left.reasons else ""
        progress.now(f"{left.events + left.commands} messages to go{waits}")
        time.sleep(_LOOK_S)


def _judged(
    on: Stage,
    examples: Sequence[Example],
    sides: Sequence[SandboxSide],
    before: Sequence[State],
    since: int,
    left: Backlog,
) -> tuple[Result, ...]:
    ledger = asyncio.run(read_ledger(on.settings))
    questions = asyncio.run(log.asked(on.settings))
    unended = () if left.empty else (f"not finished: {left}",)
    results = []
    for example, side, rows in zip(examples, sides, before, strict=True):
        said = log.said_of(example.tenant, ledger, questions)
        logged = {event.id for event in ledger.events if event.tenant == example.tenant}
        missing = [
            f"event {event['id']} is not on the log" for event in example.events if event["id"] not in logged
        ]
        results.append(
            Result(
                example=example,
                compared=compare(example, Halo(rows, side.everything()), said),
                said=dict(said),
                unended=(*unended, *missing),
                requests=tuple(side.requests(since, instance=example.name)),
            )
        )
    return tuple(results)
