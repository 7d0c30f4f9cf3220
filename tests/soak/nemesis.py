"""When each fault begins and how long it lasts, drawn from a seed: every kind at least once. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Faults of one sort. `gap_s` is the aim between two beginnings; `alone`: one ends before the next begins."""

    kinds: tuple[str, ...]
    gap_s: float
    lasts_s: tuple[float, float]
    alone: bool = False


@dataclass(frozen=True)
class Planned:
    """One fault: it begins `at_s` after the start and ends `lasts_s` later; `seed` settles its details."""

    at_s: float
    lasts_s: float
    kind: str
    seed: int


def schedule(families: Sequence[Family], seed: int, duration_s: float) -> list[Planned]:
    """All faults of a run, in the order of their beginnings; all have ended at `duration_s`."""
    found = [planned for family in families for planned in _of(family, seed, duration_s)]
    return sorted(found, key=lambda planned: planned.at_s)


def _of(family: Family, seed: int, duration_s: float) -> list[Planned]:
    rng = random.Random(f"{family.kinds} {seed}")
    count = max(len(family.kinds), int(duration_s / family.gap_s))
    gap_s = duration_s / count
    longest_s = gap_s * 0.6 if family.alone else duration_s * 0.3
    found = []
    for number, kind in enumerate(_kinds(rng, family.kinds, count)):
        lasts_s = min(rng.uniform(*family.lasts_s), longest_s)
        jitter_s = rng.uniform(0, gap_s - lasts_s if family.alone else gap_s * 0.8)
        at_s = min(number * gap_s + jitter_s, duration_s - lasts_s)
        found.append(Planned(at_s, lasts_s, kind, rng.randrange(2**31)))
    return found


def _kinds(rng: random.Random, kinds: tuple[str, ...], count: int) -> list[str]:
    """Each kind before any comes again, in an order of its own each time."""
    found: list[str] = []
    while len(found) < count:
        found += rng.sample(kinds, len(kinds))
    return found[:count]


def kinds_of(families: Sequence[Family]) -> Mapping[str, int]:
    """Every kind, not yet seen."""
    return {kind: 0 for family in families for kind in family.kinds}
