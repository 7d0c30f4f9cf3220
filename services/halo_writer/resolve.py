"""From symbolic references to Halo ids: targets from their rows, names from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store import catalogue, targets
from schemas.commands import Command, Named, Notice, UpsertQuote
from schemas.targets import Target
from services.halo_writer.kinds.base import Resolved, references, value_of
from services.halo_writer.names import Found, Unknown, resolve

_BUILT_IN: frozenset[str] = frozenset({"region"})
"""Lookups that a tenant's Halo may not have at all: an unread one is empty, not unknown."""


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


Resolution = Ready | NeedsTarget | NeedsCatalogue | Unknown


async def resolve_references(conn: AsyncConnection, command: Command, fields: Iterable[str]) -> Resolution:
    """The ids of all that `fields` of the command refer to. Reads the store only."""
    refs = [ref for name in fields for ref in references(getattr(command, name))]
    wanted = list(dict.fromkeys(ref for ref in refs if isinstance(ref, Target)))
    rows = await targets.load(conn, wanted)
    ids: dict[Target, int] = {}
    for target in wanted:
        row = rows.get(target)
        if row is None or row.halo_id is None:
            return NeedsTarget(target.key)
        ids[target] = row.halo_id
    names: dict[Named, int | None] = {}
    notices: list[Notice] = []
    for named in dict.fromkeys(ref for ref in refs if isinstance(ref, Named)):
        found = await _name(conn, command.target, named)
        if not isinstance(found, Found):
            return found
        names[named] = found.halo_id
        if found.notice is not None:
            notices.append(found.notice)
    recurring = await _recurring(conn, command, ids)
    return Ready(Resolved(targets=ids, names=names, recurring_items=recurring), tuple(notices))


async def _name(conn: AsyncConnection, target: Target, named: Named) -> Found | NeedsCatalogue | Unknown:
    usable_only = named.lookup in ("asset_group", "agent")

    async def rows_of(name: str | int) -> Sequence[catalogue.Row]:
        return await catalogue.by_name(
            conn, target.tenant, target.instance, named.lookup, name, usable_only=usable_only
        )

    async def known() -> tuple[Sequence[catalogue.Row], Sequence[catalogue.Row]]:
        rows = await rows_of(named.name)
        return rows, await rows_of(named.fallback) if not rows and named.fallback is not None else ()

    rows, fallback = await known()
    near: Sequence[str] = ()
    if not rows and not fallback:
        fresh = await catalogue.fresh_since(conn, target.tenant, target.instance, named.lookup)
        if fresh is None and named.lookup not in _BUILT_IN:
            return NeedsCatalogue(named.lookup)
        # The list may have come between the two looks: only what is not in it now is unknown.
        rows, fallback = await known()
    if not rows and not fallback:
        near = await catalogue.near(conn, target.tenant, target.instance, named.lookup, str(named.name))
    return resolve(named, rows, fallback, near)


async def _recurring(conn: AsyncConnection, command: Command, ids: dict[Target, int]) -> dict[int, bool]:
    """For each item of a quote's recurring lines, whether Halo's item recurs (as far as the catalogue knows)."""
    if not isinstance(command, UpsertQuote):
        return {}
    known: dict[int, bool] = {}
    for line in value_of(command.lines) or ():
        item_id = ids.get(line.item)
        if line.recurring and item_id is not None and item_id not in known:
            row = await catalogue.by_id(conn, command.target.tenant, command.target.instance, "item", item_id)
            if row is not None:
                known[item_id] = bool(msgspec.json.decode(row.data).get("isrecurringitem"))
    return known
