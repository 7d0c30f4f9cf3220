"""What a valid tenant file says without effect: notes for whoever wrote it, never errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.tenants.model import RuleSet
from schemas.envelope import Fault, is_producer

_NOBODY = (
    "has no effect: no producer can have this name; it is what follows the first / of its events' `source`"
)
_QUOTES_OFF = "has no effect: `quotes` is off"


def notes_of(rules: RuleSet) -> tuple[Fault, ...]:
    """Every setting of the file that has no effect beside the others, and why; overrides of single sources too.

    What one producer makes use of is not set in vain, and what an override doesn't say itself is not its own.
    """
    own = dict(_unused(rules))
    of_sources = {source: dict(_unused(rules.for_source(source))) for source in rules.sources}
    notes = [Fault(f"sources.{source}", _NOBODY) for source in rules.sources if not is_producer(source)]
    notes += [
        Fault(at, why) for at, why in own.items() if all(at in unused for unused in of_sources.values())
    ]
    for source, unused in of_sources.items():
        said = rules.sources[source]
        notes += [
            Fault(f"sources.{source}.{at}", why)
            for at, why in unused.items()
            if at not in own and _says(said, at)
        ]
    return tuple(notes)


def _says(override: Any, at: str) -> bool:
    for name in at.split("."):
        if not isinstance(override, dict) or name not in override:
            return False
        override = override[name]
    return True


def _unused(rules: RuleSet) -> Iterator[tuple[str, str]]:
    yield from rules.items.unused()
    yield from rules.clients.unused()
    yield from _unread_links(rules)
    if rules.quotes is None:
        yield from _of_quotes_alone(rules)
        return
    yield from rules.quotes.unused()
    if rules.opportunities is not None:
        yield from rules.opportunities.lines.unused()
        yield from rules.opportunities.won.unused(rules.quotes.push)


def _of_quotes_alone(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """What only a quote makes use of, where quotes are off: an opportunity may still be published by itself."""
    if "lead_ticket_type" in rules.clients.model_fields_set:
        yield "clients.lead_ticket_type", _QUOTES_OFF
    if rules.opportunities is not None:
        for name in ("rename", "lines", "won"):
            if name in rules.opportunities.model_fields_set:
                yield f"opportunities.{name}", _QUOTES_OFF


def _unread_links(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """Links of what is switched off."""
    if rules.opportunities is None and rules.fields.opportunities:
        yield "fields.opportunities", "has no effect: `opportunities` is off"
    if rules.quotes is None:
        links = (("fields.quotes", rules.fields.quotes), ("fields.lines", rules.fields.lines))
        yield from ((at, _QUOTES_OFF) for at, table in links if table)
