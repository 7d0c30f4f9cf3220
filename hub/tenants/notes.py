"""What a valid tenant file says without effect: notes for whoever wrote it, never errors. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hub.tenants.model import RuleSet
from schemas.envelope import Fault


def notes_of(rules: RuleSet) -> tuple[Fault, ...]:
    """Every setting of the file that has no effect beside the others, and why; overrides of single sources too."""
    own = dict(_unused(rules))
    notes = []
    of_sources = {source: dict(_unused(rules.for_source(source))) for source in rules.sources}
    for at, why in own.items():
        # What one producer's overrides make use of is not set in vain.
        if all(at in unused for unused in of_sources.values()):
            notes.append(Fault(at, why))
    for source, unused in of_sources.items():
        notes += [Fault(f"sources.{source}.{at}", why) for at, why in unused.items() if at not in own]
    return tuple(notes)


def _unused(rules: RuleSet) -> Iterator[tuple[str, str]]:
    yield from rules.items.unused()
    yield from _unread_links(rules)
    if rules.opportunities is not None:
        yield from rules.opportunities.lines.unused()
        if rules.quotes is not None:
            yield from rules.opportunities.won.unused(rules.quotes.push)


def _unread_links(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """Links of what is switched off."""
    if rules.opportunities is None and rules.fields.opportunities:
        yield "fields.opportunities", "has no effect: `opportunities` is off"
    if rules.quotes is None:
        links = (("fields.quotes", rules.fields.quotes), ("fields.lines", rules.fields.lines))
        yield from ((at, "has no effect: `quotes` is off") for at, table in links if table)
