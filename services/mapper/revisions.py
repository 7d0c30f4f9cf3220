"""Which Halo quote a state of a source quote belongs to, and what of it a later revision may write. Pure.

* `overwrite`: one Halo quote takes every revision and every status.
* `first_only`: one Halo quote. What it says is given when it is created; its status alone follows.
* `new`: one Halo quote for each (revision, status) that the folded quote has been in. Such a pair is a target of its
  own, so that a redelivery finds it settled and no newer pair replaces it on its way.

A revision is the producer's own number for it where the quote carries one (`commercial_revision`), so that a correction
of a published revision stays that revision; else each published or updated event is one.
"""

from __future__ import annotations

from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.names import folded
from hub.tenants.quotes import Quotes
from schemas.commands import Field, UpsertQuote
from schemas.targets import Target
from services.mapper.parts import QuoteHead
from services.mapper.refs import bounded
from services.mapper.scope import Scope

_SAID = ("head", "lines", "addresses", "links")
"""What a revision says, its status aside."""


def quote_target(record: Record, head: QuoteHead, word: str | None, scope: Scope) -> Target:
    """The target of the quote's present state; `word` is the producer's word for its status."""
    if scope.quotes.revisions != "new":
        return scope.target("quote", record.id)
    revision = head.commercial_revision
    number = record.groups["head"].version if revision is None else revision
    return scope.target("quote", record.id, bounded(f"{number}:{folded(word or '')}"))


def as_revision(quote: UpsertQuote, rules: Quotes) -> UpsertQuote:
    """The quote with what the mode lets a later revision write."""
    if rules.revisions != "first_only":
        return quote
    fields = {name: getattr(quote, name) for group in _SAID for name in quote.groups[group]}
    once = {
        name: Field(value=field.value, write="on_create")
        for name, field in fields.items()
        if isinstance(field, Field)
    }
    return replace(quote, **once)
