"""One module for each kind of record that the writer can write."""

from __future__ import annotations

from schemas.control import CatalogueKind
from schemas.targets import Kind
from services.halo_writer.kinds import (
    attachment,
    client,
    item,
    opportunity,
    quote,
    sales_order,
    site,
    user,
    won,
)
from services.halo_writer.kinds.base import KindSpec

SPECS: dict[Kind, KindSpec] = {
    module.SPEC.kind: module.SPEC
    for module in (client, site, user, item, opportunity, quote, attachment, won, sales_order)
}
CATALOGUED: dict[str, CatalogueKind] = {"client": "client", "user": "user", "item": "item"}
"""The kinds that the catalogue has, under its own names."""
