"""Draws cases from a seed: one tenant with its rules, its Halo, and what its producer publishes, in which order.

A case has the histories of a few quotes, which share companies, products and opportunities. What it publishes comes in
waves: what is in one wave reaches the writer together, and it comes to rest before the next.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.histories import documents, rules
from tests.histories.rules import Setting, chance

Why = Literal["in order", "late", "again"]
HISTORIES = 4
_STATUSES = ("draft", "sent", "approved", "declined", "ordered", "fulfilled", "Accepted", "in review")
_TYPES = {
    "published": "quote.published.v1",
    "updated": "quote.updated.v1",
    "status": "quote.status_changed.v1",
    "converted": "quote.converted.v1",
    "answered": "question.answered.v1",
    "opportunity": "opportunity.upserted.v1",
}


@dataclass(frozen=True)
class Event:
    """One event of the producer. `number` is its place among those of its entity, from 1; its time rises with it."""

    kind: str
    subject: str
    number: int
    data: dict[str, Any]
    revision: int | None

    @property
    def id(self) -> str:
        return f"{self.subject}-{self.number}"

    @property
    def type(self) -> str:
        return _TYPES[self.kind]


@dataclass(frozen=True)
class Sending:
    """One event, sent in one wave."""

    wave: int
    event: Event
    why: Why = "in order"


@dataclass(frozen=True)
class Case:
    """What one tenant's hub is put through; the same seed draws the same case.

    Of a `crowded` writer each command goes into a row of the store before it is sent, as behind many others.
    """

    seed: str
    setting: Setting
    sendings: tuple[Sending, ...]
    crowded: bool = False

    @property
    def waves(self) -> list[int]:
        return sorted({sending.wave for sending in self.sendings})

    def until(self, wave: int) -> Case:
        """The case up to and with a wave."""
        return replace(self, sendings=tuple(one for one in self.sendings if one.wave <= wave))

    @property
    def quotes(self) -> tuple[str, ...]:
        named = (one.event.subject for one in self.sendings if one.event.kind != "opportunity")
        return tuple(dict.fromkeys(named))


def draw(seed: str) -> Case:
    rng = random.Random(seed)
    setting = rules.draw(rng)
    sendings: list[Sending] = []
    linked = False
    for number in range(1, HISTORIES + 1):
        events = _history(rng, f"Q{number}", setting)
        linked = linked or any(e.data.get("opportunity") == {"id": "OPP-1"} for e in events)
        sendings += _sent(rng, events)
    if linked and chance(rng, 0.6):
        sendings += _sent(rng, _opportunity(rng))
    sendings.sort(key=lambda one: one.wave)
    return Case(seed, setting, tuple(sendings), crowded=chance(rng, 0.1))


def _history(rng: random.Random, quote: str, setting: Setting) -> list[Event]:
    """The life of one quote, in the order in which it was lived."""
    ordered, numbered = chance(rng, 0.85), chance(rng, 0.3)
    document, commercial, won = documents.first(rng, quote), 1, False
    steps: list[tuple[str, dict[str, Any]]] = []
    link: dict[str, Any] = {}

    def told(kind: str, data: dict[str, Any]) -> None:
        nonlocal link
        link = data.get("opportunity", link)
        if _unsure(setting, link, data["lines"]):
            data, link = {**data, "opportunity": {"new": True}}, {}
        steps.append((kind, {**data, "commercial_revision": commercial} if numbered else data))

    told("published", {**document, "status": rng.choice(_STATUSES[:2])} if chance(rng, 0.5) else document)
    for _ in range(rng.choice((0, 1, 2, 2, 3, 4, 5))):
        what = rng.choice(("revision", "revision", "status", "status", "won", "won"))
        if what == "revision":
            document = documents.revised(rng, document, f"{quote} {chr(ord('a') + len(steps))}")
            # A correction of a published revision stays that revision.
            commercial += chance(rng, 0.6)
            kind = rng.choice(("updated", "published"))
            told(kind, {**document, "status": rng.choice(_STATUSES)} if chance(rng, 0.3) else document)
        elif what == "status":
            steps.append(("status", {"status": rng.choice(_STATUSES)}))
        elif not won or chance(rng, 0.3):
            won = True
            steps += _winning(rng, setting)
    return [
        Event(kind, quote, number, data, number if ordered and kind != "answered" else None)
        for number, (kind, data) in enumerate(steps, start=1)
    ]


def _unsure(setting: Setting, link: dict[str, Any], lines: list[dict[str, Any]]) -> bool:
    """Whether a quote may not be sure to come under the opportunity that it names.

    Of several quotes on one that a person picked the first alone waits for its products: which of them that is, is a
    matter of what comes first.
    """
    shown = "lines" in setting.of("opportunities")
    unmade = setting.of("items")["asset_group"] == "Nowhere" or any(
        one.get("frequency") == "fortnight" for one in lines
    )
    return "halo_id" in link and shown and unmade


def _winning(rng: random.Random, setting: Setting) -> list[tuple[str, dict[str, Any]]]:
    """What follows when a customer says yes: statuses, or what the document becomes, and what its user was asked."""
    way = rng.choice(("statuses", "order", "order", "invoice", "both"))
    if way == "statuses":
        return [
            ("status", {"status": word}) for word in ("approved", "ordered", "fulfilled")[: rng.randint(1, 3)]
        ]
    becomes = {"both": ("order", "invoice")}.get(way, (way,))
    steps: list[tuple[str, dict[str, Any]]] = [
        ("converted", {"to": to, "number": f"D-{to}"}) for to in becomes
    ]
    if chance(rng, 0.4):
        said = {
            "won.opp.exists": rng.choice(("convert", "leave")),
            "won.opp.missing": rng.choice(("create", "skip")),
        }
        steps[-1][1]["answers"] = said
    elif chance(rng, 0.5):
        choices = {"won.opp.exists": ("convert", "leave"), "won.opp.missing": ("create", "skip")}
        for question, possible in choices.items():
            answer = {"kind": "quote", "question": question, "choice": rng.choice(possible)}
            steps.append(("answered", answer))
    if chance(rng, 0.3):
        steps.append(("status", {"status": rng.choice(("approved", "ordered"))}))
    return steps


def _opportunity(rng: random.Random) -> list[Event]:
    """An opportunity that the producer publishes itself."""
    whose = documents.customer(rng)
    return [
        Event(
            "opportunity",
            "OPP-1",
            number,
            {"title": f"OPP-1 {number}", "customer": whose, "value": rng.choice(("100", "250.5"))}
            | ({"status": rng.choice(("Quote Sent", "lost"))} if chance(rng, 0.5) else {}),
            number,
        )
        for number in range(1, rng.choice((2, 3)))
    ]


def _sent(rng: random.Random, events: list[Event]) -> list[Sending]:
    """The events as they arrive: some late, some again, several or one in a wave."""
    arrival: list[tuple[Event, Why]] = [(event, "in order") for event in events]
    for place in range(len(arrival) - 1):
        if chance(rng, 0.15):
            event, _ = arrival.pop(place)
            arrival.insert(rng.randint(place + 1, len(arrival)), (event, "late"))
    for place in range(len(arrival), 0, -1):
        if chance(rng, 0.15):
            again = arrival[rng.randrange(place)][0]
            arrival.insert(rng.randint(place, len(arrival)), (again, "again"))
    wave, sendings = rng.choice((0, 0, 1)), []
    for event, why in arrival:
        sendings.append(Sending(wave, event, why))
        wave += chance(rng, 0.65)
    return sendings
