"""Linked values: fields of Halo by their names, and custom fields in `customfields`.

Halo takes custom fields one by one, each as an id (or a name) with its value: those that are not sent stay as they are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from schemas.commands import Linked
from services.halo_writer.kinds.base import Resolved, Row

CUSTOM_FIELDS = "customfields"


def linked_fields(values: tuple[Linked, ...], resolved: Resolved) -> Row:
    """The fields of linked values. A custom field that Halo lacks is left out; its notice says so."""
    element: Row = {link.field: _as_halo_has_it(link) for link in values if link.field is not None}
    custom = [_custom(link, resolved) for link in values if link.custom_field is not None]
    known = [field for field in custom if field is not None]
    return element | ({CUSTOM_FIELDS: known} if known else {})


def _custom(link: Linked, resolved: Resolved) -> Row | None:
    """By its id; of several with one name Halo knows which is the record's own, so that the name goes alone."""
    assert link.custom_field is not None
    name, number = resolved.spelling(link.custom_field), resolved.name(link.custom_field)
    if number is not None:
        return {"id": number, "value": link.value}
    return None if name is None else {"name": name, "value": link.value}


def _as_halo_has_it(link: Linked) -> Any:
    match link.type:
        case "number":
            return Decimal(link.value)
        case "date":
            return f"{link.value}T00:00:00"
        case "text":
            return link.value
