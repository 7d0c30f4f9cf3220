"""A Halo site address from a producer's address, line by line as the tenant's `addresses` table says."""

from __future__ import annotations

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.tenants.model import Addresses
from schemas.commands import Named, SiteAddress
from schemas.quotes import Address


def site_address(address: Address | None, rules: Addresses) -> SiteAddress | None:
    """An unmapped line is absent, so that Halo keeps its own; a mapped one without a value is "" and clears.

    Postcode, region and country have fields of their own in Halo and need no entry in the table; a region is one
    of Halo's list, and one that isn't there is left out with a warning.
    """
    if address is None:
        return None
    return SiteAddress(
        line1=_line(address, rules.line1),
        line2=_line(address, rules.line2),
        line3=_line(address, rules.line3),
        line4=_line(address, rules.line4),
        postcode=address.postcode or "",
        region=Named(lookup="region", name=address.region, missing="leave") if address.region else UNSET,
        country=address.country or "",
    )


def quote_address(address: Address | None, rules: Addresses) -> SiteAddress | None:
    """The same for an address on a quote, which has lines and a postcode: region and country are a site's in Halo."""
    found = site_address(address, rules)
    return None if found is None else replace(found, region=UNSET, country=UNSET)


def _line(address: Address, field: str | None) -> str | UnsetType:
    if field is None:
        return UNSET
    custom = field.removeprefix("custom.")
    value = getattr(address, field) if custom == field else address.custom.get(custom)
    return value or ""
