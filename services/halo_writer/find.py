"""Finding the record that already is a target, by the tenant's match order.

The catalogue answers first; Halo is asked when no full read of that kind is fresh, and its answers are compared here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from halo.resources import ITEM
from hub.store import catalogue, targets
from schemas.commands import Command, CreateSalesOrder, Notice, UpsertSite, UpsertUser
from schemas.commands import Match as MatchRule
from schemas.targets import LEAD, Target
from services.halo_writer.decisions import Match, Matched, NoMatch, Reserved, Several
from services.halo_writer.gone import PICKED_GONE_FIX
from services.halo_writer.kinds import CATALOGUED
from services.halo_writer.kinds.base import KindSpec, Refused, Resolved, value_of
from services.halo_writer.look_up import LookUp, id_in
from services.halo_writer.marked import by_our_key
from services.halo_writer.members import (
    contact_born_with_client,
    main_site,
    people_with,
    site_born_with_client,
    sites_named,
)
from services.halo_writer.names import folded
from services.halo_writer.orders import made_by_halo


class Finder:
    """Matches by one tenant's rules."""

    def __init__(self, look: LookUp) -> None:
        self._look = look
        self._store = look.store

    async def match(
        self, spec: KindSpec, command: Command, resolved: Resolved, gone: Collection[int] = ()
    ) -> Match:
        """The record that already is this target, by the tenant's rules in their order. Raises LookupFailed.

        `gone` are records that were asked for and aren't there, whatever the catalogue has. Where Halo has none, the
        target's natural keys are reserved: of two new targets with one of them in common the later waits for the
        earlier one's record.
        """
        if spec.step_on is not None:
            return await self._step(command, value_of(getattr(command, spec.step_on)), resolved)
        found = await self._first(spec, command, resolved, gone)
        if isinstance(found, NoMatch):
            return await self.reserved(spec, command)
        if isinstance(found, Matched):
            async with self._store.write() as conn:
                return await self._claimed(conn, command.target, found)
        return found

    async def _step(self, command: Command, on: Target, resolved: Resolved) -> Matched:
        """The record that a step is made on. A lead ends once, whichever quote of its company is won first."""
        found = Matched(resolved.target(on))
        if on.scope != LEAD:
            return found
        async with self._store.write() as conn:
            return await self._claimed(conn, command.target, found)

    async def reserved(self, spec: KindSpec, command: Command) -> Match:
        """The record of another target with the same natural key; where there is none the key is this target's."""
        target = command.target
        async with self._store.write() as conn:
            other = await targets.reserve(conn, target, spec.natural_keys(command))
            if other is None:
                return NoMatch()
            row = (await targets.load(conn, [other])).get(other)
            if row is None or row.halo_id is None:
                return Reserved(other.key)
            return await self._claimed(conn, target, Matched(row.halo_id))

    async def _claimed(self, conn: AsyncConnection, target: Target, found: Matched) -> Matched:
        owned = await targets.claim(conn, target, found.halo_id)
        return Matched(found.halo_id, owned=owned, notices=found.notices)

    async def _first(
        self, spec: KindSpec, command: Command, resolved: Resolved, gone: Collection[int]
    ) -> Match:
        fresh = await self._look.is_fresh(command.target)
        if isinstance(command, UpsertUser):
            born = await contact_born_with_client(self._look, command)
            if born is not None:
                return Matched(born)
        for rule in command.match:
            found = _there(await self._by_rule(spec, command, resolved, rule, fresh), gone)
            if found is not None:
                return found
        return NoMatch()

    async def _by_rule(
        self, spec: KindSpec, command: Command, resolved: Resolved, rule: MatchRule, fresh: bool
    ) -> Match | None:
        match rule.by:
            case "halo_id" if rule.value:
                return await self._by_halo_id(spec, command.target, int(rule.value))
            case "our_key" if not fresh and spec.kind in CATALOGUED:
                # With a fresh catalogue and a whole store, a target without a row was never written by us.
                ours = await by_our_key(self._look, spec, command, resolved, 0.0)
                return _matched(ours.halo_ids[0] if ours.halo_ids else None)
            case "sku" if rule.value:
                return _lowest(await self._items(command.target, rule, fresh), rule)
            case "email" if rule.value:
                assert isinstance(command, UpsertUser)
                email = str(rule.value)
                return _only(await people_with(self._look, command, resolved, email, fresh=fresh), rule)
            case "name" if rule.value:
                return await self._by_name(spec, command, resolved, rule, fresh)
            case "parent_main":
                assert isinstance(command, UpsertSite)
                return _matched(await main_site(self._look, command, resolved))
            case "quotation":
                assert isinstance(command, CreateSalesOrder)
                return _matched(await made_by_halo(self._store, command, resolved, self._look.rows))
            case _:
                return None

    async def _by_name(
        self, spec: KindSpec, command: Command, resolved: Resolved, rule: MatchRule, fresh: bool
    ) -> Match | None:
        name = str(rule.value)
        if spec.kind == "item":
            return _lowest(await self._items(command.target, rule, fresh), rule)
        if spec.kind == "site":
            assert isinstance(command, UpsertSite)
            born = await site_born_with_client(self._look, command, name)
            if born is not None:
                return Matched(born)
            return _only(await sites_named(self._look, command, resolved, name), rule)
        if fresh:
            target = command.target
            async with self._store.read() as conn:
                rows = await catalogue.by_name(conn, target.tenant, target.instance, "client", name)
            return _only([row.halo_id for row in rows], rule)
        answers = await self._look.rows(spec.resource, search=name)
        return _only(
            [id_in(row) for row in answers if folded(str(row.get("name", ""))) == folded(name)], rule
        )

    async def _by_halo_id(self, spec: KindSpec, target: Target, halo_id: int) -> Match | None:
        """An id that no longer exists is no match: the next rule decides."""
        kind = CATALOGUED.get(spec.kind)
        if kind is not None:
            async with self._store.read() as conn:
                row = await catalogue.by_id(conn, target.tenant, target.instance, kind, halo_id)
            if row is not None:
                return Matched(halo_id)
        # Obsolete items and prospects are hidden from Halo's lists, so that the catalogue's silence isn't the end.
        reply = await self._look.get(spec.resource, halo_id)
        if not reply.not_found:
            return Matched(halo_id)
        if kind is None:
            raise Refused(
                f"{spec.kind}.gone",
                f"the {spec.kind} {halo_id} that the event names was deleted in Halo",
                PICKED_GONE_FIX,
            )
        return None

    async def _items(self, target: Target, rule: MatchRule, fresh: bool) -> list[int]:
        value = str(rule.value)
        by, field = ("sku", "supplier_part_code") if rule.by == "sku" else ("name", "name")
        if fresh:
            async with self._store.read() as conn:
                if by == "sku":
                    rows = await catalogue.by_sku(conn, target.tenant, target.instance, "item", value)
                else:
                    rows = await catalogue.by_exact_name(conn, target.tenant, target.instance, "item", value)
            return [row.halo_id for row in rows if not row.inactive]
        return [id_in(row) for row in await self._look.rows(ITEM, search=value) if row.get(field) == value]


def _there(found: Match | None, gone: Collection[int]) -> Match | None:
    """What was found without those that are gone."""
    match found:
        case Matched(halo_id) if halo_id in gone:
            return None
        case Several(halo_ids, by):
            left = tuple(halo_id for halo_id in halo_ids if halo_id not in gone)
            return Several(left, by) if len(left) > 1 else _matched(left[0] if left else None)
        case _:
            return found


def _matched(halo_id: int | None) -> Matched | None:
    return None if halo_id is None else Matched(halo_id)


def _lowest(halo_ids: Sequence[int], rule: MatchRule) -> Match | None:
    """Of several active items the lowest id, said aloud: products are often doubled, and a quote can't wait."""
    if not halo_ids:
        return None
    notices: tuple[Notice, ...] = ()
    if len(halo_ids) > 1:
        listed = ", ".join(map(str, sorted(halo_ids)))
        message = f"Halo items {listed} share the {rule.by} {rule.value!r}; the lowest id was taken"
        notices = (Notice(code=f"item.{rule.by}_doubled", message=message),)
    return Matched(min(halo_ids), notices=notices)


def _only(halo_ids: Sequence[int], rule: MatchRule) -> Match | None:
    """People and clients are never guessed at."""
    if not halo_ids:
        return None
    if len(halo_ids) > 1:
        return Several(tuple(sorted(halo_ids)), f"{rule.by} {rule.value!r}")
    return Matched(halo_ids[0])
