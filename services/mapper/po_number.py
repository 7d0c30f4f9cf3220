"""The customer's PO number, from the source field that the tenant names."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from hub.tenants.quotes import Quotes
from schemas.commands import Field
from services.mapper.parts import QuoteHead

_CUSTOM = "custom."


def po_number_of(head: QuoteHead, rules: Quotes) -> Field[str] | UnsetType:
    """The number as a field; none when the source field is absent or empty: a number in Halo is never erased."""
    path = rules.po_number
    if path is None:
        return UNSET
    value = head.custom.get(path.removeprefix(_CUSTOM)) if path.startswith(_CUSTOM) else getattr(head, path)
    text = (value or "").strip()
    return Field(value=text) if text else UNSET
