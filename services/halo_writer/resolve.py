"""From symbolic references to Halo ids: targets from their rows, names from the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from halo.wire import as_id
from hub.store import catalogue, targets
from schemas.commands import Command, CreateSalesOrder, Field, Missing, Named, Notice, QuoteLine, UpsertQuote
from schemas.targets import Target, TargetState
from services.halo_writer.ending import is_absent
from services.halo_writer.kinds.base import Resolved, SoldItem, references, value_of
from services.halo_writer.names import Found, Unknown, resolve
from services.halo_writer.tools import Parked, Timing

_BUILT_IN: frozenset[str] = frozenset({"region", "item_type", "customer_relationship"})
"""Lookups that a tenant's Halo may not have at all: an unread one is empty, not unknown."""


THERE = "reference.there"


class Ready(msgspec.Struct, frozen=True):
    """Every reference has its id (or may be left out)."""

    resolved: Resolved
    notices: tuple[Notice, ...]


class NeedsTarget(msgspec.Struct, frozen=True):
    """A record that this one refers to isn't in Halo yet."""

    target_key: str


class NeedsCatalogue(msgspec.Struct, frozen=True):
    """Halo's list was never read whole, so a name's absence says nothing."""

    kind: str


class NotWanted(msgspec.Struct, frozen=True):
    """What the command refers to is not there and not to be made, or is there and makes the command needless."""

    code: str
    message: str


class Referred(msgspec.Struct, frozen=True):
    """The Halo ids of the records referred to; `absent` are those that Halo lacks and that may be left out."""

    ids: Mapping[Target, int]
    absent: frozenset[Target]


Resolution = Ready | NeedsTarget | NeedsCatalogue | Unknown | NotWanted


def waits_for(needed: NeedsTarget | NeedsCatalogue, now: float, timing: Timing) -> Parked:
    """How a command waits for what it refers to."""
    match needed:
        case NeedsTarget(target_key):
            return Parked("dependency", now + timing.dependency_s, target_key)
        case NeedsCatalogue(kind):
            return Parked(
                "catalogue", now + timing.catalogue_s, note=f"Halo's list of {kind} is not read yet"
            )


async def resolve_references(conn: AsyncConnection, command: Command, fields: Sequence[str]) -> Resolution:
    """The ids of all that `fields` of the command refer to. Reads the store only."""
    referred = referred_to(command, fields, await targets.load(conn, targets_in(command, fields)))
    if not isinstance(referred, Referred):
        return referred
    ids = referred.ids
    names: dict[Named, int | None] = {}
    spellings: dict[Named, str] = {}
    fell_back: set[Named] = set()
    notices: list[Notice] = []
    for named in names_in(command, fields):
        found = await _name(conn, command.target, named)
        if not isinstance(found, Found):
            return found if not isinstance(found, Unknown) else _on_its_line(found, command, named)
        names[named] = found.halo_id
        if found.spelling is not None:
            spellings[named] = found.spelling
        if found.fell_back:
            fell_back.add(named)
        if found.notice is not None:
            notices.append(found.notice)
    sold = await _sold(conn, command, ids, names)
    resolved = Resolved(
        targets=ids,
        names=names,
        spellings=spellings,
        sold=sold,
        fell_back=frozenset(fell_back),
        absent=referred.absent,
    )
    return Ready(resolved, tuple(notices))


def place_fields(command: Command) -> tuple[str, ...]:
    """The fields that say under what its record is: enough to look for it."""
    fields = command.state_fields()
    return tuple(name for name in ("client", "site", "opportunity", "quote") if name in fields)


def targets_in(command: Command, fields: Sequence[str]) -> list[Target]:
    """The other records that these fields refer to."""
    refs = (ref for name in fields for ref in references(getattr(command, name)))
    return list(dict.fromkeys(ref for ref in refs if isinstance(ref, Target)))


def names_in(command: Command, fields: Sequence[str]) -> list[Named]:
    """The names of Halo's that these fields refer to."""
    refs = (ref for name in fields for ref in references(getattr(command, name)))
    return list(dict.fromkeys(ref for ref in refs if isinstance(ref, Named)))


def referred_to(
    command: Command, fields: Sequence[str], rows: Mapping[Target, TargetState]
) -> Referred | NeedsTarget | NotWanted:
    """The ids of the records that these fields refer to, by their rows. Pure."""
    missing = _missing(command, fields)
    ids: dict[Target, int] = {}
    absent: set[Target] = set()
    for target in targets_in(command, fields):
        row, how = rows.get(target), missing.get(target, "wait")
        if row is not None and row.halo_id is not None:
            if how == "instead":
                return NotWanted(THERE, f"Halo has the {target.kind} in whose place this would stand")
            ids[target] = row.halo_id
        elif how == "wait" or not is_absent(row):
            return NeedsTarget(target.key)
        elif how == "skip":
            return NotWanted("reference.absent", f"Halo has no such {target.kind}, and none is made yet")
        else:
            absent.add(target)
    return Referred(ids, frozenset(absent))


def _missing(command: Command, fields: Sequence[str]) -> dict[Target, Missing]:
    """What becomes of the command without a target, by the fields that refer to one and don't simply wait."""
    owned = (getattr(command, name) for name in fields)
    return {
        field.value: field.missing
        for field in owned
        if isinstance(field, Field) and field.missing != "wait" and isinstance(field.value, Target)
    }


async def _name(conn: AsyncConnection, target: Target, named: Named) -> Found | NeedsCatalogue | Unknown:
    usable_only = named.lookup in ("asset_group", "agent", "item")

    async def all_of(name: str | int) -> Sequence[catalogue.Row]:
        return await catalogue.by_name(conn, target.tenant, target.instance, named.lookup, name)

    def usable(rows: Sequence[catalogue.Row]) -> Sequence[catalogue.Row]:
        return [row for row in rows if row.usable and not row.inactive] if usable_only else rows

    async def known() -> tuple[Sequence[catalogue.Row], Sequence[catalogue.Row], Sequence[catalogue.Row]]:
        every = await all_of(named.name)
        rows = usable(every)
        otherwise = usable(await all_of(named.fallback)) if not rows and named.fallback is not None else ()
        return every, rows, otherwise

    every, rows, fallback = await known()
    near: Sequence[str] = ()
    if not every and not fallback:
        fresh = await catalogue.fresh_since(conn, target.tenant, target.instance, named.lookup)
        if fresh is None and named.lookup not in _BUILT_IN:
            return NeedsCatalogue(named.lookup)
        # The list may have come between the two looks: only what is not in it now is unknown.
        every, rows, fallback = await known()
    if not every and not fallback:
        near = await catalogue.near(conn, target.tenant, target.instance, named.lookup, str(named.name))
    found = resolve(named, rows, fallback, near, unusable=bool(every) and not rows)
    if not isinstance(found, Found):
        return found
    spelling = found.spelling or next(
        (row.name for row in (*rows, *fallback) if row.halo_id == found.halo_id), None
    )
    return msgspec.structs.replace(found, spelling=spelling)


def _on_its_line(unknown: Unknown, command: Command, named: Named) -> Unknown:
    """The same, naming the quote's line that it is about."""
    lines, _ = _lines(command)
    for line in lines:
        if named in (line.billing_period, line.supplier, line.halo_item):
            return Unknown(f"line {line.id} ({line.name}): {unknown.message}", unknown.fix)
    return unknown


def _lines(command: Command) -> tuple[tuple[QuoteLine, ...], bool]:
    """The lines that a command sells, and whether each is booked to an account."""
    match command:
        case UpsertQuote():
            return value_of(command.lines) or (), False
        case CreateSalesOrder():
            order = value_of(command.lines)
            return ((), False) if order is None else (order.lines, bool(order.accounts))
        case _:
            return (), False


async def _sold(
    conn: AsyncConnection, command: Command, ids: Mapping[Target, int], names: Mapping[Named, int | None]
) -> dict[int, SoldItem]:
    """What the catalogue knows of the items whose lines Halo may refuse, or whose group decides on their account."""
    lines, booked = _lines(command)
    known: dict[int, SoldItem] = {}
    for line in lines:
        named = None if line.halo_item is None else names.get(line.halo_item)
        item_id = named if line.item is None else ids.get(line.item)
        if item_id is None or item_id in known or not (booked or line.recurring or line.discount_percent > 0):
            continue
        row = await catalogue.by_id(conn, command.target.tenant, command.target.instance, "item", item_id)
        if row is not None:
            data = msgspec.json.decode(row.data)
            most = Decimal(str(data.get("maxitemdiscount") or 0))
            known[item_id] = SoldItem(
                recurring=bool(data.get("isrecurringitem")),
                # Of an item that the hub has just made Halo's own word is kept: 0 is no bound.
                max_discount_percent=most if most > 0 else None,
                group_id=as_id(data.get("assetgroup_id")),
            )
    return known
