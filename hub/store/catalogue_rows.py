"""What the catalogue keeps of a Halo record: its row, the keys that it is found by, and how an event becomes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

import msgspec

from hub.store.sql import storable, to_json
from schemas.control import CatalogueKind
from schemas.halo_events import HaloClient, HaloItem, HaloReference, HaloUser, ReadCompleted, ReferenceRow

HaloRecordEvent = HaloClient | HaloUser | HaloItem
HaloEvent = HaloRecordEvent | HaloReference | ReadCompleted

RECORD_TYPES: dict[CatalogueKind, type[HaloRecordEvent]] = {
    "client": HaloClient,
    "user": HaloUser,
    "item": HaloItem,
}
# What PostgreSQL can index is bounded; no name, SKU or address that matters is longer.
_MAX_KEY = 255


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A record of Halo's as last seen; `parent_id` is a user's client, `data` the JSON of its event's fields."""

    kind: CatalogueKind
    halo_id: int
    name: str
    sku: str | None = None
    email_key: str | None = None
    parent_id: int | None = None
    code: str | None = None
    usable: bool = True
    inactive: bool = False
    data: str


def text_key(text: str) -> str:
    """How names and email addresses compare: case-folded and trimmed."""
    return storable(text.strip().casefold()[:_MAX_KEY])


def sku_of(text: str) -> str:
    """How SKUs compare: byte for byte."""
    return storable(text[:_MAX_KEY])


def kind_of(event: HaloEvent) -> CatalogueKind:
    """The kind of the records that an event is about."""
    match event:
        case HaloClient():
            return "client"
        case HaloUser():
            return "user"
        case HaloItem():
            return "item"
        case HaloReference():
            return event.reference
        case ReadCompleted():
            return event.kind
        case _:
            assert_never(event)


def record_columns(event: HaloRecordEvent, time: float) -> dict[str, Any]:
    """The columns of a client, a user or an item that was seen at `time`."""
    return _columns(kind_of(event), event, time) | {
        **_keys(event),
        "inactive": event.inactive,
        "deleted": event.deleted,
        "read_id": event.read_id,
        "read_at": time if event.read_id is not None else None,
    }


def reference_columns(event: HaloReference, row: ReferenceRow, time: float) -> dict[str, Any]:
    """The columns of one row of a reference list."""
    return _columns(event.reference, row, time) | {
        "code": storable(row.code.strip().upper()) if row.code else None,
        "usable": row.usable,
        "read_id": event.read_id,
        "read_at": time if event.read_id is not None else None,
    }


def newest_of_each(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each record: its newest state, with the newest full read that saw it."""
    newest: dict[tuple[str, int], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: float(row["seen_at"])):
        key = (row["kind"], row["halo_id"])
        former = newest.get(key)
        seen = former if former and row["read_id"] is None else row
        newest[key] = row | {"read_id": seen["read_id"], "read_at": seen["read_at"]}
    return list(newest.values())


def merged(kind: CatalogueKind, known: Mapping[str, Any], fields: Mapping[str, Any]) -> HaloRecordEvent:
    """The event of a record of which `known` was stored and `fields` were seen since; needs an `id`.

    `fields` may be any record as Halo answers it: what the event has no field for, or can't hold, is left out.
    """
    event_type = RECORD_TYPES[kind]
    values = {"name": "", **known, "deleted": False}
    for field in msgspec.structs.fields(event_type):
        if field.name in fields and field.name not in ("deleted", "read_id"):
            try:
                values[field.name] = msgspec.convert(fields[field.name], field.type)
            except msgspec.ValidationError:
                continue
    values.pop("read_id", None)
    return msgspec.convert(values, event_type)


def row_of(columns: Any) -> Row:
    """The row that a stored one's columns stand for."""
    return Row(**{name: getattr(columns, name) for name in Row.__struct_fields__})


def _columns(kind: CatalogueKind, seen: HaloRecordEvent | ReferenceRow, time: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "halo_id": seen.id,
        "name": storable(seen.name),
        "name_key": text_key(seen.name),
        "sku": None,
        "email_key": None,
        "parent_id": None,
        "code": None,
        "usable": True,
        "inactive": False,
        "deleted": False,
        "seen_at": time,
        "data": to_json(seen),
    }


def _keys(event: HaloRecordEvent) -> dict[str, Any]:
    match event:
        case HaloItem():
            return {"sku": sku_of(event.supplier_part_code) if event.supplier_part_code else None}
        case HaloUser():
            email = text_key(event.emailaddress or "")
            return {"email_key": email or None, "parent_id": event.client_id}
        case HaloClient():
            return {}
        case _:
            assert_never(event)
