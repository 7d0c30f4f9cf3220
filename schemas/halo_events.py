"""Facts seen in Halo, as ingest publishes them. Fields carry Halo's own names; only what the hub uses travels.

A full read gives each of its events the same `read_id` and ends with `halo.read.completed`. Since keys differ, the
end may be read before the last rows, so it says how many there are.
"""

from __future__ import annotations

from decimal import Decimal

from schemas.base import HaloId, Id, OwnData
from schemas.control import CatalogueKind


class HaloRecord(OwnData, frozen=True, kw_only=True):
    """What every Halo event carries. `read_id` is set when a full read saw the record; `deleted` when it is gone."""

    id: int
    name: str
    inactive: bool = False
    read_id: str | None = None
    deleted: bool = False


class HaloClient(HaloRecord, frozen=True, kw_only=True):
    main_site_id: HaloId | None = None
    main_contact_id: HaloId | None = None
    customertype: int | None = None


class HaloUser(HaloRecord, frozen=True, kw_only=True):
    client_id: HaloId | None = None
    site_id: HaloId | None = None
    emailaddress: str | None = None
    third_party_id: str | None = None


class HaloItem(HaloRecord, frozen=True, kw_only=True):
    supplier_part_code: str | None = None
    assetgroup_id: int | None = None
    isrecurringitem: bool = False
    third_party_id: str | None = None
    maxitemdiscount: Decimal | None = None


class ReferenceRow(OwnData, frozen=True, kw_only=True):
    """A row of Halo's configuration: `code` is a currency's ISO code, `usable` false for a group not for items."""

    id: int
    name: str
    code: str | None = None
    usable: bool = True


class HaloReference(OwnData, frozen=True, kw_only=True):
    """A whole reference list at once: such lists are small, and a row that is gone is gone."""

    reference: CatalogueKind
    rows: tuple[ReferenceRow, ...]
    read_id: str | None = None


class ReadCompleted(OwnData, frozen=True, kw_only=True):
    """The end of a full read of one kind: `count` records carry this `read_id`."""

    kind: CatalogueKind
    read_id: Id
    count: int
    started_at: float
