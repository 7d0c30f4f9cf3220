"""Reads one kind of a tenant's Halo whole and appends what it saw, then that it is complete.

Each record becomes one event whose id is a function of what was seen in which read; a reference list is one event.
The completion is appended after all of them are acknowledged.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from halo import HaloClient, ReadFailed, Resource, record_count
from halo.resources import (
    AGENT,
    ASSET_GROUP,
    CLIENT,
    CURRENCY,
    FIELD_INFO,
    ITEM,
    LOOKUP,
    STATUS,
    TAX,
    TEAM,
    TICKET_TYPE,
    USERS,
)
from schemas.control import CatalogueKind
from schemas.envelope import Envelope
from schemas.halo_events import HaloRecord, HaloReference, ReadCompleted, ReferenceRow
from schemas.identity import content_hash, derived_id
from services.ingest import halo_rows
from services.ingest.halo_rows import Row

_log = structlog.get_logger(__name__)
SUPPLIER = Resource("Supplier", "suppliers", 9, paged=True, scope="suppliers")
LOOKUP_TYPES = 11
_ATTEMPTS = 3


class ReadUnstable(Exception):
    """Records left the list while it was read, so some may have been passed over: read again later."""


class LookupMissing(Exception):
    """This Halo has no code list of that name; the names in a tenant's rules can't be checked against it."""


@dataclass(frozen=True, slots=True)
class Records:
    """A kind whose records are events of their own."""

    resource: Resource
    event_type: str
    event: Callable[[Row, str], HaloRecord]


@dataclass(frozen=True, slots=True)
class Reference:
    """A small list that is one event. `filters` are those that Halo needs to show all of it."""

    resource: Resource
    row: Callable[[Row], ReferenceRow] = halo_rows.reference
    filters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CodeList:
    """A reference list in Halo's table of all code lists, found by its name there; `optional` may be absent."""

    name: str
    optional: bool = False


KINDS: Mapping[CatalogueKind, Records | Reference | CodeList] = {
    "quote_status": CodeList("Quote status"),
    "billing_period": CodeList("Billing period"),
    "region": CodeList("Region", optional=True),
    "item_type": CodeList("Item type", optional=True),
    "customer_relationship": CodeList("Customer relationship", optional=True),
    "status": Reference(STATUS),
    "team": Reference(TEAM),
    "ticket_type": Reference(TICKET_TYPE, filters=(("showall", "true"),)),
    "asset_group": Reference(ASSET_GROUP, halo_rows.asset_group),
    "agent": Reference(AGENT, halo_rows.agent),
    "currency": Reference(CURRENCY),
    "tax": Reference(TAX),
    "custom_field": Reference(FIELD_INFO, filters=(("iscustomfieldsetup", "true"),)),
    "supplier": Reference(SUPPLIER),
    "client": Records(CLIENT, "halo.client.changed.v1", halo_rows.client),
    "user": Records(USERS, "halo.user.changed.v1", halo_rows.user),
    "item": Records(ITEM, "halo.item.changed.v1", halo_rows.item),
}
"""Every kind of the catalogue, in the order in which a first read does them: names before records."""

RECORD_KINDS: frozenset[CatalogueKind] = frozenset(
    kind for kind, how in KINDS.items() if isinstance(how, Records)
)


class Seen(msgspec.Struct, frozen=True):
    """One event of the catalogue."""

    envelope: Envelope
    data: msgspec.Struct


class HaloLog(Protocol):
    async def append_seen(self, events: Sequence[Seen]) -> None:
        """Returns when all are acknowledged."""


class Reader:
    """Reads kinds of one tenant's Halo. `now` gives seconds since the epoch, by the store's clock."""

    def __init__(
        self, client: HaloClient, log: HaloLog, *, tenant: str, instance: str, now: Callable[[], float]
    ) -> None:
        self._client = client
        self._log = log
        self._tenant = tenant
        self._instance = instance
        self._now = now
        self._lists: dict[str, int] | None = None

    async def read(self, kind: CatalogueKind, read_id: str) -> int:
        """How many records there are; all of them and the completion are acknowledged.

        Raises halo's ReadFailed and GateClosed, RowUnreadable, ReadUnstable, LookupMissing, and what the log raises.
        """
        how = KINDS[kind]
        if isinstance(how, Records):
            return await self._records(kind, how, read_id)
        started_at = self._now()
        rows = await self.names(kind)
        data = HaloReference(reference=kind, rows=tuple(rows), read_id=read_id)
        await self._log.append_seen(
            [self._seen("halo.reference.changed.v1", kind, data, read_id, started_at)]
        )
        await self._complete(kind, read_id, len(rows), started_at)
        return len(rows)

    async def names(self, kind: CatalogueKind) -> list[ReferenceRow]:
        """The rows of a reference list as Halo has them now; nothing is appended. Raises as `read`."""
        how = KINDS[kind]
        if isinstance(how, Records):
            raise TypeError(f"{kind} is no reference list")
        if isinstance(how, CodeList):
            return list(map(halo_rows.reference, await self._code_list(how)))
        return list(map(how.row, await self._rows(how.resource, dict(how.filters))))

    async def _records(self, kind: CatalogueKind, how: Records, read_id: str) -> int:
        for attempt in range(_ATTEMPTS):
            try:
                return await self._records_once(kind, how, read_id if not attempt else f"{read_id}.{attempt}")
            except ReadUnstable as error:
                _log.info("halo.read_again", tenant=self._tenant, kind=kind, why=str(error))
        raise ReadUnstable(
            f"{how.resource.name} changed during each of {_ATTEMPTS} reads; it is read again later"
        )

    async def _records_once(self, kind: CatalogueKind, how: Records, read_id: str) -> int:
        started_at = seen_at = self._now()
        total_before = await self._total(how.resource)
        ids: set[int] = set()
        pages = 0
        async for rows in self._client.list_all(how.resource):
            records = [how.event(row, read_id) for row in rows]
            ids.update(record.id for record in records)
            await self._log.append_seen(
                [self._seen(how.event_type, str(record.id), record, read_id, seen_at) for record in records]
            )
            seen_at = self._now()
            pages += 1
        # A list that shrinks while it is paged moves rows to a page already read; growth hides none.
        if pages > 1 and await self._total(how.resource) < total_before:
            raise ReadUnstable("records left the list while it was read")
        await self._complete(kind, read_id, len(ids), started_at)
        return len(ids)

    async def _complete(self, kind: CatalogueKind, read_id: str, count: int, started_at: float) -> None:
        completed = ReadCompleted(kind=kind, read_id=read_id, count=count, started_at=started_at)
        await self._log.append_seen(
            [self._seen("halo.read.completed.v1", kind, completed, read_id, self._now())]
        )
        _log.info("halo.read", tenant=self._tenant, kind=kind, records=count, read_id=read_id)

    async def _total(self, resource: Resource) -> int:
        reply = await self._client.list_page(resource, page_size=1)
        if not reply.ok:
            raise ReadFailed(f"the number of {resource.name}", reply)
        return record_count(reply.body) or 0

    async def _rows(self, resource: Resource, filters: Mapping[str, str | int]) -> list[Row]:
        filters_: dict[str, Any] = dict(filters)
        return [row async for page in self._client.list_all(resource, **filters_) for row in page]

    async def _code_list(self, how: CodeList) -> list[Row]:
        if self._lists is None:
            rows = await self._rows(LOOKUP, {"lookupid": LOOKUP_TYPES})
            found = map(halo_rows.reference, rows)
            self._lists = {row.name.strip().casefold(): row.id for row in found}
        number = self._lists.get(how.name.casefold())
        if number is None and not how.optional:
            raise LookupMissing(f"this Halo has no code list named {how.name!r}")
        return [] if number is None else await self._rows(LOOKUP, {"lookupid": number})

    def _seen(self, event_type: str, subject: str, data: msgspec.Struct, read_id: str, at: float) -> Seen:
        source = f"/halo/{self._instance}"
        id_ = derived_id("halo", self._tenant, source, event_type, subject, content_hash(data), read_id)
        time = dt.datetime.fromtimestamp(at, dt.UTC)
        envelope = Envelope(
            id=id_,
            source=source,
            type=event_type,
            subject=subject,
            time=time,
            tenant=self._tenant,
            correlationid=read_id,
        )
        return Seen(envelope, data)
