"""Proves on a tenant's Halo that our key is written with a new record and found again, and how long that takes.

One record of each kind, named "hub check …", is made, looked for and removed again, whatever happens in between. Only a
look-up that was seen to find a fresh record may later prove that a record is not there. In passing, arrays are tried on
it (`cli.check_arrays`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cli.check_arrays import BAD, GOOD, NAME_FIELD, in_words, try_arrays
from cli.check_connection import Findings
from cli.check_names import find
from halo import HaloClient, Outcome, ReadFailed, Reply, as_id
from halo.resources import EXTERNAL_LINK, SITE, USERS
from hub.tenants.model import RuleSet
from schemas.control import ArrayProof, LookupBy, Proof
from schemas.targets import Kind, Target, our_key
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import carries, marks

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 4.0
_FILE_NAME = "hub check.txt"
_FILE = "data:text/plain;base64,aHViIGNoZWNrCg=="
Row = dict[str, Any]


@dataclass(frozen=True)
class _Made:
    kind: Kind
    halo_id: int


class Prover:
    """Makes, finds and removes the marked records of one check. `mark` makes their names and keys unique."""

    def __init__(
        self,
        client: HaloClient,
        rules: RuleSet,
        findings: Findings,
        mark: str,
        *,
        lag_limit_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._rules = rules
        self._findings = findings
        self._name = f"hub check {mark}"
        self._mark = mark
        self._lag_limit_s = lag_limit_s
        self._clock = clock
        self._sleep = sleep
        self._ids: dict[Kind, int] = {}
        self._made: list[_Made] = []
        self._unsure: list[tuple[Kind, str]] = []
        self.proofs: list[Proof] = []
        self.arrays: list[ArrayProof] = []

    async def prove(self) -> None:
        """Adds a check and proofs for each kind that the rules use. Raises GateClosed after removing what was made."""
        try:
            for kind in self._kinds():
                if not await self._create(kind):
                    break
                await self._look_for(kind)
                if self._rules.halo.most_together > 1 and kind in NAME_FIELD:
                    await self._try_arrays(kind)
        finally:
            # Shielded: an interrupted check must not leave its records in somebody's Halo.
            await asyncio.shield(asyncio.ensure_future(self._remove_all()))

    def _kinds(self) -> list[Kind]:
        """What these rules can write, each after what it belongs to."""
        kinds: list[Kind] = ["client", "site", "user"]
        if self._rules.items.asset_group is not None:
            kinds.append("item")
        if self._rules.opportunities is not None:
            kinds.append("opportunity")
        if self._rules.quotes is not None:
            kinds += ["quote", "attachment"]
            if any(one.quotes is not None and one.quotes.sales_order for one in self._every_source()):
                kinds.append("sales_order")
        return kinds

    def _every_source(self) -> tuple[RuleSet, ...]:
        return (self._rules, *map(self._rules.for_source, self._rules.sources))

    async def _create(self, kind: Kind) -> bool:
        spec = SPECS[kind]
        element = self._element(kind)
        if element is None:
            return False
        reply = await self._client.post(spec.resource, {**element, **marks(spec, self._target(kind))})
        halo_id = as_id(reply.body.get("id")) if reply.ok else None
        if halo_id is None:
            if reply.outcome in (Outcome.AMBIGUOUS, Outcome.APPLIED):
                self._unsure.append((kind, ""))
            self._findings.add(
                f"create {kind}", "failed", f"Halo did not make one: {reply.text or reply.outcome.value}"
            )
            return False
        self._ids[kind] = halo_id
        self._made.append(_Made(kind, halo_id))
        return True

    def _element(self, kind: Kind) -> Row | None:
        """The least that Halo takes; None (and a failed check) when the rules lack what it needs."""
        place = {
            "client_id": self._ids.get("client"),
            "site_id": self._ids.get("site"),
            "user_id": self._ids.get("user"),
        }
        match kind:
            case "client":
                return {"name": self._name, "newclient_contactname": self._name}
            case "site":
                return {"client_id": place["client_id"], "name": self._name}
            case "user":
                return {"client_id": place["client_id"], "site_id": place["site_id"], "name": self._name}
            case "item":
                group = self._id_of("asset_group", self._rules.items.asset_group)
                return None if group is None else {"name": self._name, "assetgroup_id": group}
            case "opportunity":
                assert self._rules.opportunities is not None
                ticket_type = self._id_of("ticket_type", self._rules.opportunities.ticket_type)
                if ticket_type is None:
                    return None
                return {**place, "summary": self._name, "tickettype_id": ticket_type}
            case "won":
                raise AssertionError("a step makes no record")
            case "quote" | "sales_order":
                sold = {"quotation_id": self._ids["quote"]} if kind == "sales_order" else {}
                return {**place, **sold, "ticket_id": self._ids["opportunity"], "title": self._name}
            case "attachment":
                return {"ticket_id": self._ids["opportunity"], "filename": _FILE_NAME, "data_base64": _FILE}

    def _id_of(self, lookup: Any, name: str | int | None) -> int | None:
        row = None if name is None else find(self._findings.lists.get(lookup, ()), name)
        if row is None:
            self._findings.add(
                f"create {lookup}", "failed", f"no record can be made without a known {lookup}"
            )
        return None if row is None else row.id

    async def _look_for(self, kind: Kind) -> None:
        ways: list[tuple[LookupBy, Callable[[], Awaitable[bool]]]] = []
        if SPECS[kind].resource.link_table is not None:
            ways.append(("external_link", lambda: self._linked(kind)))
        if SPECS[kind].key_field is not None:
            ways.append(("field", lambda: self._in_field(kind)))
        since = self._clock()
        found: list[str] = []
        for by, look in ways:
            ok = await self._eventually(look, since)
            lag_s = round(self._clock() - since, 3)
            self.proofs.append(Proof(kind=kind, by=by, ok=ok, lag_s=lag_s if ok else 0.0))
            if ok:
                found.append(f"by {by} within {lag_s:g} s")
        if found:
            self._findings.add(f"our key on {kind}", "ok", f"found again {', '.join(found)}")
        else:
            self._findings.add(
                f"our key on {kind}",
                "failed",
                f"a new {kind} was not found again within {self._lag_limit_s:g} s",
                "until it is, a create whose answer is lost waits for a person",
            )

    async def _eventually(self, look: Callable[[], Awaitable[bool]], since: float) -> bool:
        pause_s = _FIRST_PAUSE_S
        while True:
            if await look():
                return True
            if self._clock() + pause_s - since > self._lag_limit_s:
                return False
            await self._sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    async def _try_arrays(self, kind: Kind) -> None:
        spec, field = SPECS[kind], NAME_FIELD[kind]
        element = self._element(kind)
        assert element is not None, "one was made already"
        # Without its name and its place Halo can't take it.
        lacking = {name: value for name, value in element.items() if name not in (field, "ticket_id")}
        tried = await try_arrays(
            self._client,
            kind,
            self._ids[kind],
            name=self._name,
            good={**element, field: f"{self._name} (3)", **marks(spec, self._target(kind, GOOD))},
            bad={**lacking, **marks(spec, self._target(kind, BAD))},
        )
        self._made += [_Made(kind, halo_id) for halo_id in tried.made]
        self._unsure += [(kind, part) for part in tried.unsure]
        self.arrays.append(tried.proof)
        self._findings.add(f"arrays of {kind}", *in_words(tried.proof))

    async def _linked(self, kind: Kind) -> bool:
        return await self._linked_id(kind) == self._ids[kind]

    async def _linked_id(self, kind: Kind, part: str = "") -> int | None:
        key, table = our_key(self._target(kind, part)), SPECS[kind].resource.link_table
        rows = await self._rows(EXTERNAL_LINK, third_party_id=key, table_id=table)
        found = (
            as_id(row.get("halo_id"))
            for row in rows
            if row.get("third_party_id") == key and as_id(row.get("table_id")) == table
        )
        return next(found, None)

    async def _in_field(self, kind: Kind) -> bool:
        spec, key = SPECS[kind], our_key(self._target(kind))
        scopes: dict[Kind, Row] = {
            "user": {"client_id": self._ids["client"]},
            "item": {"search": self._name, "includeinactive": True},
            "opportunity": {"client_id": self._ids["client"]},
            "quote": {"ticket_id": self._ids.get("opportunity")},
            "attachment": {"ticket_id": self._ids.get("opportunity")},
        }
        rows = await self._rows(spec.resource, **scopes[kind])
        return any(carries(spec, row, key) and as_id(row.get("id")) == self._ids[kind] for row in rows)

    async def _rows(self, resource: Any, **filters: Any) -> list[Row]:
        try:
            return [row async for page in self._client.list_all(resource, **filters) for row in page]
        except ReadFailed:
            return []

    def _target(self, kind: Kind, part: str = "") -> Target:
        return Target(
            tenant=self._rules.tenant,
            instance=self._rules.instance,
            source="hub-check",
            kind=kind,
            id=f"{self._mark}{part}",
        )

    async def _remove_all(self) -> None:
        left = [f"{kind} (if Halo made one)" for kind in await self._find_unsure()]
        for made in reversed(self._made):
            if made.kind == "client":
                await self._remove_parts(made.halo_id)
            if not await self._remove(made):
                left.append(f"{made.kind} {made.halo_id}")
        if left:
            fix = f"remove what is named {self._name!r} by hand"
            self._findings.add("clean-up", "warning", f"still in Halo: {', '.join(left)}", fix)
        elif self._made:
            self._findings.add("clean-up", "ok", f"{len(self._made)} records made for the check are gone")

    async def _find_unsure(self) -> list[Kind]:
        """Find what may have been made untold; the kinds of those of which it can't be said."""
        lags = {proof.kind: proof.lag_s for proof in self.proofs if proof.ok and proof.by == "external_link"}
        left: list[Kind] = []
        for kind, part in self._unsure:
            # A record that other records of its kind would have been found after is not there.
            await self._sleep(2 * lags.get(kind, 0.0))
            halo_id = await self._linked_id(kind, part)
            if halo_id is not None:
                self._made.append(_Made(kind, halo_id))
            elif kind not in lags:
                left.append(kind)
        return left

    async def _remove_parts(self, client_id: int) -> None:
        """The site and contact that came with the client: Halo keeps a client that still has some."""
        for resource in (USERS, SITE):
            for row in await self._rows(resource, client_id=client_id):
                part = as_id(row.get("id"))
                if part is not None and as_id(row.get("client_id")) == client_id:
                    await self._client.delete(resource, part)

    async def _remove(self, made: _Made) -> bool:
        resource = SPECS[made.kind].resource
        reply = await self._client.delete(resource, made.halo_id)
        if reply.ok or reply.not_found:
            return True
        retired: Reply = await self._client.post(resource, {"id": made.halo_id, "inactive": True})
        return retired.ok and retired.body.get("inactive") is True
