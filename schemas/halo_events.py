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
    """Its id in Halo."""
    name: str
    """Its name."""
    inactive: bool = False
    """Whether Halo has it switched off."""
    read_id: str | None = None
    """The full read that saw it."""
    deleted: bool = False
    """Whether it is gone."""


class HaloClient(HaloRecord, frozen=True, kw_only=True):
    """A Halo client (a customer)."""

    main_site_id: HaloId | None = None
    """Its main site."""
    main_contact_id: HaloId | None = None
    """Its main user."""
    customertype: int | None = None
    """Halo's customer type."""


class HaloUser(HaloRecord, frozen=True, kw_only=True):
    """A Halo user (a person at a customer)."""

    client_id: HaloId | None = None
    """The client it belongs to."""
    site_id: HaloId | None = None
    """The site it belongs to."""
    emailaddress: str | None = None
    """Email address."""
    third_party_id: str | None = None
    """A key of ours, or of another system."""


class HaloItem(HaloRecord, frozen=True, kw_only=True):
    """A Halo item (a product)."""

    supplier_part_code: str | None = None
    """Its SKU."""
    assetgroup_id: int | None = None
    """The group it is in."""
    isrecurringitem: bool = False
    """Whether it recurs."""
    third_party_id: str | None = None
    """A key of ours, or of another system."""
    maxitemdiscount: Decimal | None = None
    """The highest discount on it, in percent."""


class ReferenceRow(OwnData, frozen=True, kw_only=True):
    """A row of Halo's configuration: `code` is a currency's ISO code, `usable` false for a group not for items."""

    id: int
    """Its id in Halo."""
    name: str
    """Its name."""
    code: str | None = None
    """The ISO code, of a currency."""
    usable: bool = True
    """False for a group that is not for items."""


class HaloReference(OwnData, frozen=True, kw_only=True):
    """A whole reference list at once: such lists are small, and a row that is gone is gone."""

    reference: CatalogueKind
    """Which list."""
    rows: tuple[ReferenceRow, ...]
    """All its rows."""
    read_id: str | None = None
    """The full read that saw it."""


class ReadCompleted(OwnData, frozen=True, kw_only=True):
    """The end of a full read of one kind: `count` records carry this `read_id`."""

    kind: CatalogueKind
    """What was read."""
    read_id: Id
    """The read."""
    count: int
    """How many records carry its id."""
    started_at: float
    """When it began, in seconds since 1970."""
