"""A quote's status in Halo's word, and what a new Halo quote starts with where the tenant maps none."""

from __future__ import annotations

import functools

from msgspec import UNSET, UnsetType

from hub.store.records import Record
from hub.tenants.names import folded
from hub.tenants.quotes import Quotes
from schemas.commands import Field, Named
from schemas.identity import content_hash
from services.mapper.parts import STATUS_DECODER

_NEW = Field(value=Named(lookup="quote_status", name="New", missing="ignore"), write="on_create")


def word_of(record: Record) -> str | None:
    """The producer's own word for the quote's status."""
    group = record.groups.get("status")
    return None if group is None else STATUS_DECODER.decode(group.data).status


def quote_status(word: str | None, rules: Quotes) -> Field[Named] | UnsetType:
    """The quote's status; one that Halo doesn't have leaves the status there as it is."""
    if word is None:
        return UNSET
    name = rules.status_table.get(folded(word), word)
    return Field(value=Named(lookup="quote_status", name=name, missing="leave", setting="quotes.statuses"))


def first_status(word: str | None, rules: Quotes) -> Field[Named] | UnsetType:
    """What a quote without a mapped status is created with: New, where Halo has it and not the word itself."""
    mapped = word is not None and folded(word) in rules.status_table
    return UNSET if mapped else _NEW


@functools.lru_cache(maxsize=1_024)
def status_hash(status: Field[Named]) -> str:
    return content_hash({"status": status})
