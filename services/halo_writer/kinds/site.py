"""Sites (`/Site`), with their address lines; region and country go to Halo's own fields."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from halo.resources import SITE
from schemas.commands import Command, SiteAddress, UpsertSite
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable, value_of
from services.halo_writer.names import folded

_LINES = ("line1", "line2", "line3", "line4", "postcode")
ADDRESS_FIELDS = ("id", *_LINES)
"""What an address in Halo holds that a write without it would lose."""


def address_lines(value: SiteAddress) -> Row:
    """The address lines that the rules own: an empty one clears Halo's, an absent one leaves it."""
    found = {name: getattr(value, name) for name in _LINES}
    return {name: text for name, text in found.items() if text is not UNSET}


def country_and_region(value: SiteAddress, resolved: Resolved) -> Row:
    """Halo keeps these beside the address. A region that Halo doesn't list is left out; its notice says so."""
    element: Row = {}
    if value.country is not UNSET and value.country:
        element["country_code"] = value.country
    if value.region is not UNSET:
        region = resolved.name(value.region)
        if region is not None:
            element["region_code"] = region
    return element


def _address(value: Any, resolved: Resolved) -> Row:
    element = country_and_region(value, resolved)
    lines = address_lines(value)
    if lines:
        element["delivery_address"] = lines
    return element


def _natural_keys(command: Command) -> tuple[str, ...]:
    assert isinstance(command, UpsertSite)
    client = value_of(command.client)
    name = value_of(command.name)
    return (f"site:{client.key}:{folded(name)}",) if client is not None and name else ()


SPEC = KindSpec(
    kind="site",
    resource=SITE,
    fills={"client": "client_id", "name": "name", "phone": "phonenumber", "address": _address},
    on_create=frozenset({"client"}),
    natural_keys=_natural_keys,
    nested={"delivery_address": ADDRESS_FIELDS},
    repeatable=repeatable,
)
