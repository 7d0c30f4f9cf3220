"""Compares what an example expects with what is there, and names each difference. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.demo.like import facts
from cli.demo.like.example import Example
from cli.demo.like.facts import Facts, Halo

EVERYTHING = "in all"


@dataclass(frozen=True)
class Said:
    """What the hub said of one quote on its log: questions, rejections and notices, by their codes."""

    asked: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """One quote, or what is to be in all: what it shows, what Halo holds of it, and every difference."""

    name: str
    shows: str
    found: Facts
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults


def compare(example: Example, halo: Halo, said: Mapping[str, Said]) -> tuple[Compared, ...]:
    """Every quote of the example, then all that is new beside them. `said` is by quote."""
    quotes = example.expected["quotes"]
    compared = [_quote(number, wanted, halo, said.get(number, Said())) for number, wanted in quotes.items()]
    wanted = example.expected["in_all"]
    found = facts.in_all(halo, wanted["items"])
    faults = (*differences(wanted, found), *_new_names(wanted, found), *_strangers(list(quotes), halo))
    return (*compared, Compared(EVERYTHING, "what is new beside quotes and opportunities", found, faults))


def differences(wanted: Any, found: Any, at: str = "") -> tuple[str, ...]:
    """Where `found` isn't as wanted. Of a table only what is wanted counts, a list is compared whole."""
    if isinstance(wanted, Mapping):
        there = found if isinstance(found, Mapping) else {}
        return tuple(
            fault
            for name, value in wanted.items()
            for fault in differences(value, there.get(name), f"{at}.{name}" if at else str(name))
        )
    if isinstance(wanted, list) and isinstance(found, Sequence) and not isinstance(found, str):
        faults = (
            []
            if len(wanted) == len(found)
            else [f"{at} has {len(found)} entries, not {len(wanted)}: {found}"]
        )
        pairs = zip(wanted, found, strict=False)
        return (*faults, *(f for i, (w, v) in enumerate(pairs, 1) for f in differences(w, v, f"{at}[{i}]")))
    return () if _text(wanted) == _text(found) else (f"{at} is {_text(found)}, not {_text(wanted)}",)


def _text(value: object) -> str:
    return "nothing" if value is None else str(value)


def _quote(number: str, wanted: Mapping[str, Any], halo: Halo, said: Said) -> Compared:
    there = facts.of_quote(number, halo)
    spoken = {"asked": list(said.asked), "rejected": list(said.rejected), "told": list(said.told)}
    expected = {name: value for name, value in wanted.items() if name != "shows"}
    # What isn't mentioned of these must not be there.
    silent: dict[str, Any] = {"asked": [], "rejected": [], "told": [], "orders": []}
    found = {**there, **spoken}
    return Compared(number, str(wanted["shows"]), found, differences({**silent, **expected}, found))


def _new_names(wanted: Mapping[str, Any], found: Facts) -> list[str]:
    """Of clients and products those that are new are exactly those that are wanted."""
    return [
        f"{kind}: {name} should not be there"
        for kind in ("clients", "items")
        for name in found[kind]
        if name not in wanted[kind]
    ]


def _strangers(numbers: Sequence[str], halo: Halo) -> list[str]:
    """New opportunities, quotes and orders that are none of the example's quotes'."""
    own = {
        "Quotation": [row["id"] for number in numbers for row in facts.quotes_of(number, halo)],
        "SalesOrder": [row["id"] for number in numbers for row in facts.orders_of(number, halo)],
        "Faults": [row["id"] for number in numbers if (row := facts.opportunity_of(number, halo))],
    }
    own["Faults"] += [row["id"] for row in facts.leads(halo)]
    faults = []
    for table, ids in own.items():
        counts = Counter(ids)
        faults += [
            f"{table} {row['id']} ({row.get('title') or row.get('summary')}) is no quote's, or several quotes'"
            for row in halo.new(table)
            if counts[row["id"]] != 1
        ]
    return faults
