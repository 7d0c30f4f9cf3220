"""What of Halo's rows goes on the log. Pure: one function for each kind, from a row as Halo answers it.

Halo leaves null fields out and types some ids as floats ("95.0"); an id of 0 means none.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from halo import as_id
from schemas.halo_events import HaloClient, HaloItem, HaloUser, ReferenceRow

_MAX_NUMBER = 2**31 - 1
"""Halo's ids and codes are no larger; what is can't be stored."""
Row = Mapping[str, Any]


class RowUnreadable(Exception):
    """Halo answered a row without a usable id; the read can't be complete."""


def client(row: Row, read_id: str) -> HaloClient:
    return HaloClient(
        id=_id(row),
        name=_text(row, "name") or "",
        inactive=_flag(row, "inactive"),
        read_id=read_id,
        main_site_id=_other(row, "main_site_id"),
        main_contact_id=_other(row, "main_contact_id"),
        customertype=_number(row, "customertype"),
    )


def user(row: Row, read_id: str) -> HaloUser:
    return HaloUser(
        id=_id(row),
        name=_text(row, "name") or "",
        inactive=_flag(row, "inactive"),
        read_id=read_id,
        client_id=_other(row, "client_id"),
        site_id=_other(row, "site_id"),
        emailaddress=_text(row, "emailaddress"),
        third_party_id=_text(row, "third_party_id"),
    )


def item(row: Row, read_id: str) -> HaloItem:
    return HaloItem(
        id=_id(row),
        name=_text(row, "name") or "",
        inactive=_flag(row, "inactive"),
        read_id=read_id,
        supplier_part_code=_text(row, "supplier_part_code"),
        assetgroup_id=_other(row, "assetgroup_id"),
        isrecurringitem=_flag(row, "isrecurringitem"),
        third_party_id=_text(row, "third_party_id"),
        maxitemdiscount=_limit(row, "maxitemdiscount"),
    )


def reference(row: Row) -> ReferenceRow:
    return ReferenceRow(id=_number(row, "id") or 0, name=_text(row, "name") or "", code=_text(row, "code"))


def asset_group(row: Row) -> ReferenceRow:
    """Halo takes only groups marked "Use for items" as an item's group."""
    return ReferenceRow(id=_id(row), name=_text(row, "name") or "", usable=_flag(row, "showasitem"))


def agent(row: Row) -> ReferenceRow:
    gone = _flag(row, "isdisabled") or _flag(row, "inactive")
    return ReferenceRow(id=_id(row), name=_text(row, "name") or "", usable=not gone)


def _id(row: Row) -> int:
    try:
        found = as_id(row.get("id"))
    except ValueError:
        found = None
    if found is None or abs(found) > _MAX_NUMBER:
        raise RowUnreadable(f"a row has no usable id: {row.get('id')!r}")
    return found


def _other(row: Row, name: str) -> int | None:
    """The id of a record that this one refers to, as far as it can be one."""
    try:
        found = as_id(row.get(name))
    except ValueError:
        return None
    return found if found is not None and abs(found) <= _MAX_NUMBER else None


def _number(row: Row, name: str) -> int | None:
    """A whole number, where 0 is a value of its own."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if -_MAX_NUMBER <= value <= _MAX_NUMBER and int(value) == value else None


def _limit(row: Row, name: str) -> Decimal | None:
    """A bound on an amount, where 0 is none."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value <= 0:
        return None
    return Decimal(value)


def _text(row: Row, name: str) -> str | None:
    value = row.get(name)
    return str(value) if isinstance(value, str | int | Decimal) and str(value) != "" else None


def _flag(row: Row, name: str) -> bool:
    return row.get(name) is True
