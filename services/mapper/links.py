"""What `fields` of the tenant's file links: values of the source for fields of Halo that the rules don't know. Pure.

A value that the source doesn't say leaves Halo's alone; an empty text clears a text, and leaves a number or a date.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import UNSET, UnsetType

from hub.tenants.halo_fields import FieldType, LinkedKind
from hub.tenants.links import Link, field_type
from hub.tenants.source_paths import value_at
from schemas.base import MAX_DECIMAL_DIGITS
from schemas.commands import Field, Linked, Named, Notice
from services.mapper.scope import Scope, plain

Links = tuple[tuple[Linked, ...], tuple[Notice, ...]]


def linked(kind: LinkedKind, scope: Scope, *sources: object) -> Links:
    """The linked values of a record, in the order of the file, and what a person should know of those left out.

    `sources` are what the paths are looked up in; the first that has a value counts.
    """
    links = scope.rules.fields.of(kind)
    if not links:
        return (), ()
    values: list[Linked] = []
    told: list[Notice] = []
    for path, link in links.items():
        if not link.writes:
            continue
        found = next((value for source in sources if (value := value_at(source, path)) is not None), None)
        if found is None:
            continue
        wanted = field_type(kind, link)
        text = _fitted(_text(found), wanted)
        if text is None:
            told.append(_unfit(kind, path, link, wanted))
        elif text or wanted == "text":
            values.append(_value(kind, path, link, wanted, text))
    return tuple(values), tuple(told)


def field_of(values: tuple[Linked, ...]) -> Field[tuple[Linked, ...]] | UnsetType:
    """The values as a field of a command; none where nothing is linked."""
    return Field(value=values) if values else UNSET


def _value(kind: LinkedKind, path: str, link: Link, wanted: FieldType, text: str) -> Linked:
    if link.custom_field is None:
        return Linked(field=link.halo, value=text, type=wanted)
    setting = f"fields.{kind}.{path}"
    named = Named(
        lookup="custom_field", name=link.custom_field, missing="leave", setting=setting, chosen=True
    )
    return Linked(custom_field=named, value=text)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dt.date():
            return value.isoformat()
        case Decimal():
            return str(plain(value))
        case _:
            return str(value)


def _fitted(text: str, wanted: FieldType) -> str | None:
    """The text as Halo's field takes it; None where it is no such value."""
    if wanted == "text" or not text.strip():
        return text if wanted == "text" else ""
    try:
        if wanted == "date":
            # A time's day is that of its source, in whatever zone.
            return dt.date.fromisoformat(text.strip().partition("T")[0].partition(" ")[0]).isoformat()
        number = Decimal(text.strip())
    except (ValueError, InvalidOperation):
        return None
    if not number.is_finite() or abs(number.adjusted()) > MAX_DECIMAL_DIGITS:
        return None
    return str(plain(number))


def _unfit(kind: LinkedKind, path: str, link: Link, wanted: FieldType) -> Notice:
    message = f"fields.{kind}: the source's {path!r} is no {wanted}, as Halo's {link.halo!r} is: left alone"
    return Notice(code="link.unfit", message=message)
