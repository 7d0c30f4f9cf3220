"""Finding the record that already is a target: by our key in Halo, or by the tenant's match order.

The catalogue answers first; Halo is asked when no full read of that kind is fresh. What Halo's filters do is never
trusted: each answer is compared here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from halo import GateClosed, HaloClient, Reply, Resource, as_id, record_count, rows_of
from halo.resources import CLIENT, EXTERNAL_LINK, ITEM, SITE, USERS
from hub.store import catalogue, proofs, targets
from hub.store.engine import Store
from schemas.commands import Command, CreateSalesOrder, Notice, UpsertSite, UpsertUser
from schemas.commands import Match as MatchRule
from schemas.control import CatalogueKind, LookupBy
from schemas.targets import Target, TargetState, our_key
from services.halo_writer.kinds.base import KindSpec, Refused, Resolved, carries, value_of
from services.halo_writer.names import folded
from services.halo_writer.orders import made_by_halo
from services.halo_writer.plan import GONE, ByOurKey, Match, Matched, NoMatch, Reserved, Several

PICKED_GONE_FIX = "publish the event again with the id of one that exists, or asking for a new one"
CATALOGUED: dict[str, CatalogueKind] = {"client": "client", "user": "user", "item": "item"}

_LOOK_UPS: Mapping[LookupBy, Callable[[KindSpec], bool]] = {
    "external_link": lambda spec: spec.resource.link_table is not None,
    "field": lambda spec: spec.key_field is not None,
}
"""The ways to look for our key, and which kinds have them."""


def gone(command: Command) -> tuple[str, str]:
    """The code and the fix of a rejection because the record was deleted in Halo.

    Where a person picked this very record, nothing is to take its place unasked.
    """
    if command.target.kind not in CATALOGUED and any(rule.by == "halo_id" for rule in command.match):
        return f"{command.target.kind}.gone", PICKED_GONE_FIX
    return GONE, "redrive this dead letter to have it made anew, or take it out at its source"


class LookupFailed(Exception):
    """Halo could not be asked; `reply` says why. Nothing was learnt."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.text or reply.outcome)


class Finder:
    """Look-ups for one tenant. `noted` is called with each reply, so that its requests are told with the outcome."""

    def __init__(
        self, store: Store, client: HaloClient, *, fresh_s: float, noted: Callable[[Reply], None]
    ) -> None:
        self._store = store
        self._client = client
        self._fresh_s = fresh_s
        self._noted = noted

    # By our key -------------------------------------------------------------------------------------------

    async def by_our_key(self, spec: KindSpec, command: Command, resolved: Resolved, now: float) -> ByOurKey:
        """Which records of the kind carry our key. Raises LookupFailed.

        Uses what was proven on this tenant; when nothing was, tries all ways, and says that absence isn't proven.
        """
        if spec.step_on is not None:
            # It has made no record that could be missed.
            return ByOurKey((), proven=True, at=now)
        target = command.target
        async with self._store.read() as conn:
            proven = (await proofs.load(conn, target.tenant, target.instance)).get(spec.kind, [])
        able = [by for by, of_ours in _LOOK_UPS.items() if of_ours(spec)]
        # A proof of what this kind can't be looked up by would make an absence of it.
        ways = [proof.by for proof in proven if proof.ok and proof.by in able]
        found: set[int] = set()
        for way in ways[:1] or able:
            if way == "external_link":
                found |= await self._by_link(spec, target)
            else:
                found |= await self._by_field(spec, command, resolved)
        return ByOurKey(tuple(sorted(found)), proven=bool(ways), at=now)

    async def _by_link(self, spec: KindSpec, target: Target) -> set[int]:
        key, table = our_key(target), spec.resource.link_table
        rows = await self._rows(EXTERNAL_LINK, third_party_id=key, table_id=table)
        found = {
            as_id(row.get("halo_id"))
            for row in rows
            if row.get("third_party_id") == key and as_id(row.get("table_id")) == table
        }
        return {halo_id for halo_id in found if halo_id is not None}

    async def _by_field(self, spec: KindSpec, command: Command, resolved: Resolved) -> set[int]:
        filters = spec.key_scope(command, resolved)
        if spec.key_field is None or filters is None:
            return set()
        key = our_key(command.target)
        rows = await self._rows(spec.resource, **filters)
        return {_id(row) for row in rows if carries(spec, row, key)}

    async def record(
        self, spec: KindSpec, command: Command, resolved: Resolved, halo_id: int
    ) -> dict[str, Any] | None:
        """The record as Halo has it now, or None when it is gone. Raises LookupFailed."""
        if spec.in_list_only:
            rows = await self._rows(spec.resource, **(spec.key_scope(command, resolved) or {}))
            return next((row for row in rows if _id(row) == halo_id), None)
        reply = await self._client.get(spec.resource, halo_id)
        self._noted(reply)
        if reply.not_found:
            return None
        if not reply.ok:
            raise LookupFailed(reply)
        record: dict[str, Any] = reply.body
        return record

    async def details(self, spec: KindSpec, halo_id: int) -> dict[str, Any]:
        """The record whole, as far as it can be had now: what was written is written, with or without it."""
        try:
            reply = await self._client.get(spec.resource, halo_id)
        except GateClosed:
            return {}
        self._noted(reply)
        return reply.body if reply.ok and isinstance(reply.body, dict) else {}

    # By the tenant's match order --------------------------------------------------------------------------

    async def match(self, spec: KindSpec, command: Command, resolved: Resolved) -> Match:
        """The record that already is this target, by the tenant's rules in their order. Raises LookupFailed.

        Where Halo has none, the target's natural keys are reserved: of two new targets with one of them in common
        the later waits for the earlier one's record.
        """
        if spec.step_on is not None:
            return Matched(resolved.target(value_of(getattr(command, spec.step_on))))
        found = await self._first(spec, command, resolved)
        if isinstance(found, NoMatch):
            return await self._reserved(spec, command)
        if isinstance(found, Matched):
            async with self._store.write() as conn:
                return await self._claimed(conn, command.target, found)
        return found

    async def _reserved(self, spec: KindSpec, command: Command) -> Match:
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

    async def _first(self, spec: KindSpec, command: Command, resolved: Resolved) -> Match:
        fresh = await self._is_fresh(command.target)
        if isinstance(command, UpsertUser):
            born = await self._born_with_client(command)
            if born is not None:
                return Matched(born)
        for rule in command.match:
            found = await self._by_rule(spec, command, resolved, rule, fresh)
            if found is not None:
                return found
        return NoMatch()

    async def _by_rule(
        self, spec: KindSpec, command: Command, resolved: Resolved, rule: MatchRule, fresh: bool
    ) -> Match | None:
        match rule.by:
            case "halo_id" if rule.value:
                return await self._by_halo_id(spec, command.target, int(rule.value), fresh)
            case "our_key" if not fresh and spec.kind in CATALOGUED:
                # With a fresh catalogue and a whole store, a target without a row was never written by us.
                ours = await self.by_our_key(spec, command, resolved, 0.0)
                return Matched(ours.halo_ids[0]) if ours.halo_ids else None
            case "sku" if rule.value:
                return self._lowest(await self._items(command.target, rule, fresh), rule)
            case "email" if rule.value:
                return self._only(await self._emails(command, resolved, str(rule.value), fresh), rule)
            case "name" if rule.value:
                return await self._by_name(spec, command, resolved, rule, fresh)
            case "parent_main":
                return await self._main_site(command, resolved)
            case "quotation":
                assert isinstance(command, CreateSalesOrder)
                order = await made_by_halo(self._store, command, resolved, self._rows)
                return None if order is None else Matched(order)
            case _:
                return None

    async def _by_name(
        self, spec: KindSpec, command: Command, resolved: Resolved, rule: MatchRule, fresh: bool
    ) -> Match | None:
        if spec.kind == "item":
            return self._lowest(await self._items(command.target, rule, fresh), rule)
        if spec.kind == "site":
            born = await self._site_born_with_client(command, str(rule.value))
            if born is not None:
                return Matched(born)
            return self._only(await self._sites(command, resolved, str(rule.value)), rule)
        name = str(rule.value)
        if fresh:
            async with self._store.read() as conn:
                rows = await catalogue.by_name(
                    conn, command.target.tenant, command.target.instance, "client", name
                )
            return self._only([row.halo_id for row in rows], rule)
        answers = await self._rows(spec.resource, search=name)
        return self._only(
            [_id(row) for row in answers if folded(str(row.get("name", ""))) == folded(name)], rule
        )

    async def _by_halo_id(self, spec: KindSpec, target: Target, halo_id: int, fresh: bool) -> Match | None:
        """An id that no longer exists is no match: the next rule decides."""
        kind = CATALOGUED.get(spec.kind)
        if kind is not None:
            async with self._store.read() as conn:
                row = await catalogue.by_id(conn, target.tenant, target.instance, kind, halo_id)
            if row is not None:
                return Matched(halo_id)
        # Obsolete items and prospects are hidden from Halo's lists, so that the catalogue's silence isn't the end.
        reply = await self._client.get(spec.resource, halo_id, details=False)
        self._noted(reply)
        if reply.not_found and kind is None:
            raise Refused(
                f"{spec.kind}.gone",
                f"the {spec.kind} {halo_id} that the event names was deleted in Halo",
                PICKED_GONE_FIX,
            )
        if reply.not_found:
            return None
        if not reply.ok:
            raise LookupFailed(reply)
        return Matched(halo_id)

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
        return [_id(row) for row in await self._rows(ITEM, search=value) if row.get(field) == value]

    async def _emails(self, command: Command, resolved: Resolved, email: str, fresh: bool) -> list[int]:
        assert isinstance(command, UpsertUser)
        client = value_of(command.client)
        client_id = None if client is None else resolved.target(client)
        if client_id is None:
            return []
        if fresh:
            async with self._store.read() as conn:
                rows = await catalogue.by_email(
                    conn, command.target.tenant, command.target.instance, client_id, email
                )
            return [row.halo_id for row in rows if not row.inactive]
        answers = await self._rows(USERS, client_id=client_id, search=email)
        return [
            _id(row)
            for row in answers
            if folded(str(row.get("emailaddress", ""))) == folded(email)
            and as_id(row.get("client_id")) == client_id
        ]

    async def _sites(self, command: Command, resolved: Resolved, name: str) -> list[int]:
        """Sites aren't in the catalogue, and no filter is exact: the client's sites are listed and compared."""
        assert isinstance(command, UpsertSite)
        client = value_of(command.client)
        if client is None:
            return []
        client_id = resolved.target(client)
        rows = await self._rows(SITE, client_id=client_id)
        return [
            _id(row)
            for row in rows
            if folded(str(row.get("name", ""))) == folded(name) and as_id(row.get("client_id")) == client_id
        ]

    async def _site_born_with_client(self, command: Command, name: str) -> int | None:
        """The site that was created in the client's own request, if it has that name: a search may not show it yet."""
        assert isinstance(command, UpsertSite)
        client = value_of(command.client)
        row = await self._row(client) if client is not None else None
        if row is None or "site" not in row.children:
            return None
        reply = await self._client.get(SITE, row.children["site"], details=False)
        self._noted(reply)
        if not reply.ok and not reply.not_found:
            raise LookupFailed(reply)
        same = reply.ok and folded(str(reply.body.get("name", ""))) == folded(name)
        return row.children["site"] if same else None

    async def _main_site(self, command: Command, resolved: Resolved) -> Match | None:
        assert isinstance(command, UpsertSite)
        client = value_of(command.client)
        if client is None:
            return None
        row = await self._row(client)
        if row is not None and "site" in row.children:
            return Matched(row.children["site"])
        reply = await self._client.get(CLIENT, resolved.target(client), details=False)
        self._noted(reply)
        if not reply.ok:
            raise LookupFailed(reply)
        site_id = as_id(reply.body.get("main_site_id"))
        return None if site_id is None else Matched(site_id)

    async def _born_with_client(self, command: UpsertUser) -> int | None:
        """The main contact that was created in the client's own request, when it is this very person."""
        client = value_of(command.client)
        row = await self._row(client) if client is not None else None
        if row is None or "user" not in row.children:
            return None
        born, name, email = row.children["user"], value_of(command.name), value_of(command.email)
        async with self._store.read() as conn:
            user = await catalogue.by_id(conn, command.target.tenant, command.target.instance, "user", born)
        if user is not None:
            theirs, address = user.name, user.email_key
        else:
            reply = await self._client.get(USERS, born, details=False)
            self._noted(reply)
            if reply.not_found:
                return None
            if not reply.ok:
                raise LookupFailed(reply)
            theirs, address = str(reply.body.get("name", "")), reply.body.get("emailaddress")
        if not name or folded(theirs) != folded(name):
            return None
        return None if email and address and folded(str(address)) != folded(email) else born

    async def _row(self, target: Target) -> TargetState | None:
        async with self._store.read() as conn:
            return (await targets.load(conn, [target])).get(target)

    async def _is_fresh(self, target: Target) -> bool:
        kind = CATALOGUED.get(target.kind)
        if kind is None:
            return False
        async with self._store.read() as conn:
            since = await catalogue.fresh_since(conn, target.tenant, target.instance, kind)
        return since is not None and await self._store.now() - since <= self._fresh_s

    async def _rows(self, resource: Resource, **filters: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page_no = 0
        while True:
            page_no += 1
            reply = await self._client.list_page(resource, page_no, 100, **filters)
            self._noted(reply)
            if not reply.ok:
                raise LookupFailed(reply)
            page = rows_of(resource, reply.body)
            if page is None:
                raise LookupFailed(reply)
            rows += page
            total = record_count(reply.body)
            if not resource.paged or not page or len(rows) >= (total or 0):
                return rows

    @staticmethod
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

    @staticmethod
    def _only(halo_ids: Sequence[int], rule: MatchRule) -> Match | None:
        """People and clients are never guessed at."""
        if not halo_ids:
            return None
        if len(halo_ids) > 1:
            return Several(tuple(sorted(halo_ids)), f"{rule.by} {rule.value!r}")
        return Matched(halo_ids[0])


def _id(row: dict[str, Any]) -> int:
    halo_id = as_id(row["id"])
    assert halo_id is not None, "Halo's records have ids"
    return halo_id
