"""Asking a tenant's Halo and what the hub knows of it. What Halo's filters do is never trusted: callers compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from halo import GateClosed, HaloClient, Reply, Resource, as_id, record_count, rows_of
from hub.store import catalogue, targets
from hub.store.engine import Store
from schemas.commands import Command
from schemas.targets import Target, TargetState
from services.halo_writer.kinds import CATALOGUED
from services.halo_writer.kinds.base import KindSpec, Resolved

Rows = list[dict[str, Any]]


class LookupFailed(Exception):
    """Halo could not be asked; `reply` says why. Nothing was learnt."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.text or reply.outcome)


class LookUp:
    """Look-ups for one tenant. `noted` is called with each reply, so that its requests are told with the outcome."""

    def __init__(
        self, store: Store, client: HaloClient, *, fresh_s: float, noted: Callable[[Reply], None]
    ) -> None:
        self.store = store
        self._client = client
        self._fresh_s = fresh_s
        self._noted = noted

    async def rows(self, resource: Resource, **filters: Any) -> Rows:
        """All rows of a list, page by page. Raises LookupFailed."""
        rows: Rows = []
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

    async def get(self, resource: Resource, halo_id: int, *, details: bool = False) -> Reply:
        """The answer to a read of one record, which is there or gone. Raises LookupFailed."""
        reply = await self._client.get(resource, halo_id, details=details)
        self._noted(reply)
        if not reply.ok and not reply.not_found:
            raise LookupFailed(reply)
        return reply

    async def record(
        self, spec: KindSpec, command: Command, resolved: Resolved, halo_id: int
    ) -> dict[str, Any] | None:
        """The record as Halo has it now, or None when it is gone. Raises LookupFailed."""
        if spec.in_list_only:
            rows = await self.rows(spec.resource, **(spec.key_scope(command, resolved) or {}))
            return next((row for row in rows if id_in(row) == halo_id), None)
        reply = await self.get(spec.resource, halo_id, details=True)
        record: dict[str, Any] | None = None if reply.not_found else reply.body
        return record

    async def details(self, spec: KindSpec, halo_id: int) -> dict[str, Any]:
        """The record whole, as far as it can be had now: what was written is written, with or without it."""
        try:
            reply = await self._client.get(spec.resource, halo_id)
        except GateClosed:
            return {}
        self._noted(reply)
        return reply.body if reply.ok and isinstance(reply.body, dict) else {}

    async def row(self, target: Target) -> TargetState | None:
        """What the hub knows of a target."""
        async with self.store.read() as conn:
            return (await targets.load(conn, [target])).get(target)

    async def is_fresh(self, target: Target) -> bool:
        """Whether the catalogue's silence about a record of this kind means that Halo has none."""
        kind = CATALOGUED.get(target.kind)
        if kind is None:
            return False
        async with self.store.read() as conn:
            since = await catalogue.fresh_since(conn, target.tenant, target.instance, kind)
        return since is not None and await self.store.now() - since <= self._fresh_s


def id_in(row: Mapping[str, Any]) -> int:
    """The id of a record as Halo tells it."""
    halo_id = as_id(row["id"])
    assert halo_id is not None, "Halo's records have ids"
    return halo_id
