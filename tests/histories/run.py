"""Runs cases one after another, and makes a counter-example as small as it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from tests.histories.checker import Finding, findings
from tests.histories.draw import HISTORIES, Case, draw
from tests.histories.expected import Expected, expected
from tests.histories.hub_in_process import Place, Told, carry_out, place
from tests.histories.seen import Seen
from tests.histories.tell import told

INTERESTING = 0.05
"""The share of histories below which a class of them would prove too little."""


@dataclass
class Counted:
    """What the cases were made of."""

    histories: int = 0
    cases: int = 0
    of_histories: Counter[str] = field(default_factory=Counter)
    of_events: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    in_halo: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def add(self, case: Case, want: Expected, said: Told, requests: int) -> None:
        self.cases += 1
        self.histories += len(case.quotes)
        self.requests += requests
        self.results += said.results
        self.of_events.update(f"{one.event.kind}" for one in case.sendings)
        self.of_events.update(one.why for one in case.sendings)
        self.in_halo.update(
            {
                "Halo quotes": len(want.quotes),
                "opportunities": len(want.opportunities),
                "completed": sum(len(one.completed_by) for one in want.opportunities.values()),
                "orders by the hub": len(want.orders),
                "orders by Halo": sum(one.order for one in want.quotes.values()),
                "clients": len(want.clients),
                "leads": len(want.leads),
                "items": len(want.items),
            }
        )
        for quote in case.quotes:
            self.of_histories.update(_classes(case, want, quote))

    def lines(self) -> list[str]:
        return [
            f"{self.histories} histories in {self.cases} cases, {self.requests} requests",
            _shares("histories", self.of_histories, self.histories),
            _shares("events", self.of_events, self.of_events.total() // 2),
            "came to: " + _counts(self.results),
            "in Halo: " + _counts(self.in_halo),
        ]

    def rare(self) -> list[str]:
        """The classes of histories that a property test must not go without, and that are hardly there."""
        due = (
            *(f"mode {mode}" for mode in ("overwrite", "first_only", "new")),
            "redelivered",
            "out of order",
            "won",
        )
        return [name for name in due if self.of_histories[name] < INTERESTING * self.histories]


def _classes(case: Case, want: Expected, quote: str) -> set[str]:
    """What kind of a history it is; most are of several."""
    rules = case.setting
    sendings = [one for one in case.sendings if one.event.subject == quote]
    kinds = {one.event.kind for one in sendings}
    found = {f"mode {rules.quotes_mode}", f"push {rules.quotes['push']}"}
    marks = {
        "leads": rules.leads,
        "crowded": case.crowded,
        "redelivered": any(one.why == "again" for one in sendings),
        "out of order": any(one.why == "late" for one in sendings),
        "ordered by time": any(
            one.event.revision is None for one in sendings if one.event.kind != "answered"
        ),
        "revised": "updated" in kinds
        or len({one.event.id for one in sendings if one.event.kind == "published"}) > 1,
        "converted": "converted" in kinds,
        "answered": "answered" in kinds or any(one.event.data.get("answers") for one in sendings),
        "shared opportunity": any("halo_id" in one.event.data.get("opportunity", {}) for one in sendings),
        "waiting": quote in want.waiting or want.held.get(quote) == "no base",
        "rejected": quote in want.rejected or want.held.get(quote) == "faulty",
        "asked": quote in want.asked,
        "won": quote in want.orders or any(quote in one.completed_by for one in want.opportunities.values()),
        "several Halo quotes": sum(of == quote for of, _ in want.quotes) > 1,
        "nothing in Halo": not any(of == quote for of, _ in want.quotes),
    }
    return found | {name for name, holds in marks.items() if holds}


def _shares(what: str, counts: Counter[str], whole: int) -> str:
    told_of = ", ".join(f"{name} {100 * count / whole:.0f}%" for name, count in sorted(counts.items()))
    return f"{what}: {told_of}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


@dataclass(frozen=True)
class CounterExample:
    """The smallest case found that breaks what the drawn one broke."""

    case: Case
    drawn: Case
    found: Sequence[Finding]

    def __str__(self) -> str:
        again = f"python -m tests.histories --only {self.drawn.seed}"
        return "\n".join([told(self.case), *(f"=> {one}" for one in self.found), f"again: {again}"])


async def run(
    seeds: Sequence[str],
    counted: Counted,
    *,
    shrink: bool = True,
    look: Callable[[int], None] = lambda done: None,
) -> AsyncIterator[CounterExample]:
    """Each counter-example among the cases of these seeds; all are run."""
    async with place() as where:
        for number, seed in enumerate(seeds, start=1):
            case = draw(seed)
            shown, said = await carry_out(case, where)
            counted.add(case, expected(case), said, len(shown[-1].requests))
            found = found_in(case, shown)
            if found:
                yield await _smallest(case, found, where) if shrink else CounterExample(case, case, found)
            look(number)


def found_in(case: Case, shown: Sequence[Seen]) -> list[Finding]:
    """What is wrong after the first wave after which anything is."""
    for wave, seen in zip(case.waves, shown, strict=True):
        so_far = case.until(wave)
        found = findings(so_far, expected(so_far), seen)
        if found:
            return [replace(one, text=f"after wave {wave}: {one.text}") for one in found]
    return []


def seeds_of(seed: str, histories: int) -> list[str]:
    """The seeds of the cases that come to at least so many histories."""
    return [f"{seed}/{number}" for number in range(-(-histories // HISTORIES))]


async def _smallest(drawn: Case, found: Sequence[Finding], where: Place) -> CounterExample:
    """Leave out quotes, then single events, as long as something of the same kind is found."""
    kinds, case = {one.kind for one in found}, drawn

    async def still(smaller: Case) -> Sequence[Finding]:
        shown, _ = await carry_out(smaller, where)
        return [one for one in found_in(smaller, shown) if one.kind in kinds]

    for subject in dict.fromkeys(one.event.subject for one in drawn.sendings):
        smaller = replace(case, sendings=tuple(one for one in case.sendings if one.event.subject != subject))
        if smaller.sendings and (less := await still(smaller)):
            case, found = smaller, less
    place_of = len(case.sendings) - 1
    while place_of >= 0 and len(case.sendings) > 1:
        rest = (*case.sendings[:place_of], *case.sendings[place_of + 1 :])
        if less := await still(replace(case, sendings=rest)):
            case, found = replace(case, sendings=rest), less
        place_of -= 1
    return CounterExample(case, drawn, found)
