"""Every world that can come about, breadth first: the first harm that is found is reached by a shortest way."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field

from tests.model.protocol.decisions import Decisions
from tests.model.protocol.parts import Rules, Setup, World
from tests.model.protocol.steps import Broken, Steps


@dataclass
class Found:
    """How many worlds there are, and the harm with the way to it, if there is any."""

    worlds: int
    steps: int
    ends: int
    harm: str | None
    way: list[str]
    seen: Counter[str] = field(default_factory=Counter)
    decisions: Decisions | None = None

    def __str__(self) -> str:
        counted = f"{self.worlds:,} worlds, {self.steps:,} steps, {self.ends:,} ends"
        return counted if self.harm is None else f"{counted}: {self.harm}: {' > '.join(self.way)}"


def explore(setup: Setup, rules: Rules = Rules(), most: int = 1_000_000) -> Found:  # noqa: B008 - frozen
    """Look for a world in which the promise is broken, or that can't come to its end any more."""
    # A million small tuples and no cycle among them: the collector would only look at them, again and again.
    gc.disable()
    try:
        return _explore(setup, rules, most)
    finally:
        gc.enable()


def _explore(setup: Setup, rules: Rules, most: int) -> Found:
    steps = Steps(Decisions(setup, rules))
    numbers: dict[World, int] = {steps.start: 0}
    worlds, parents, names = [steps.start], [-1], [""]
    back: list[list[int]] = [[]]
    ends: list[int] = []
    seen: Counter[str] = Counter()
    taken = 0

    def found(harm: str | None, number: int = 0, *last: str) -> Found:
        way = list(last)
        while number > 0:
            way.append(names[number])
            number = parents[number]
        return Found(len(worlds), taken, len(ends), harm, way[::-1], seen, steps.d)

    number = -1
    while (number := number + 1) < len(worlds):
        world = worlds[number]
        stuck = True
        try:
            for step in steps.of(world):
                taken += 1
                seen[step.name] += 1
                after = numbers.setdefault(step.world, len(worlds))
                if after == len(worlds):
                    worlds.append(step.world)
                    parents.append(number)
                    names.append(step.name)
                    back.append([])
                if not step.fault:
                    stuck = False
                    back[after].append(number)
        except Broken as broken:
            return found(str(broken), number)
        if stuck:
            if not steps.settled(world):
                return found("a dead end that isn't settled", number)
            ends.append(number)
        if len(worlds) > most:
            raise AssertionError(f"more than {most} worlds")
    lost = _never_ending(back, ends)
    return found(None) if lost is None else found("no way to an end", lost)


def _never_ending(back: list[list[int]], ends: list[int]) -> int | None:
    """A world from which no end can be reached without a fault; None if there is none."""
    reaches = bytearray(len(back))
    todo = list(ends)
    for number in todo:
        reaches[number] = 1
    while todo:
        for before in back[todo.pop()]:
            if not reaches[before]:
                reaches[before] = 1
                todo.append(before)
    place = reaches.find(0)
    return None if place < 0 else place
