"""What every case's Halo holds at the start beside the packaged tenant, and what quotes name of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STATUS_CODES = {
    "draft": 1,
    "sent": 2,
    "accepted": 3,
    "rejected": 4,
    "expired": 5,
    "awaiting approval": 6,
    "cancelled": 7,
}
"""Halo's quote statuses by folded name; the lowest is what Halo gives a quote that comes without one."""
FIRST_STATUS = 1
NEW_STATUS = 9
ACCEPTED = 3
WON = 22
OPPORTUNITY_STATUSES = {"qualified": 20, "quote sent": 21, "lost": 23}
OPPORTUNITY_TYPE, LEAD_TYPE = 6, 7
UNKNOWN_CLIENT = 1
PERIODS = {"Monthly": 2, "Yearly": 3}
GROUPS = {"Hardware": 1, "Software": 2, "Services": 3, "Managed Services": 4, "Consumables": 5}
PICKS = (901, 902, 903)
"""Opportunities that people have entered in Halo themselves."""
FREIGHT = "Freight"
MAX_DISCOUNT = 15


@dataclass(frozen=True)
class KnownClient:
    id: int
    name: str
    contact: str
    email: str


KNOWN_CLIENTS = (
    KnownClient(11, "Alder & Finch Architects", "Hannah Finch", "hannah@alderfinch.example"),
    KnownClient(12, "Brightwater Dental Group", "Maya Osei", "maya.osei@brightwater.example"),
    KnownClient(13, "Copperfield Logistics Ltd", "Sofia Marin", "sofia@copperfield.example"),
)
NEW_COMPANIES = ("Marlow Reed Ltd", "Quill Harbour", "Tansy Works")


@dataclass(frozen=True)
class Product:
    """`item` is the Halo item that it is already; without one the hub makes it. `fields` are what lines say of it."""

    key: str
    fields: dict[str, Any]
    item: int | None = None
    recurring: bool = False
    frequencies: tuple[str | None, ...] = (None,)

    @property
    def name(self) -> str:
        return str(self.fields["name"])


def _product(key: str, name: str, **rest: Any) -> Product:
    item, recurring = rest.pop("item", None), rest.pop("recurring", False)
    frequencies = rest.pop("frequencies", ("month", "year") if recurring else (None, "once"))
    return Product(key, {"name": name, **rest}, item, recurring, frequencies)


PRODUCTS = (
    _product("laptop", "Business laptop", manufacturer_part_number="LT-14-G5", category="Laptops", item=51),
    _product("dock", "USB-C Docking Station", category="Laptops", vendor_part_number="V-DK", item=53),
    _product("day", "A day of work", halo_id=62, vendor_part_number="V-62", item=62),
    _product("licence", "Business Premium", manufacturer_part_number="LIC-BP", item=65, recurring=True),
    _product("backup", "Managed Backup per Device", vendor_part_number="V-BK", item=67, recurring=True),
    _product("bargain", "Rack Shelf", manufacturer_part_number="RS-1", item=81),
    _product("gadget", "Desk Gadget", manufacturer_part_number="DG-7", category="Laptops"),
    _product("cable", "Long Cable", vendor="Cables Inc", vendor_part_number="CI-100"),
    _product("survey", "Site Survey", item_type="Labour", vendor_part_number="SV-1"),
    _product(
        "seat", "Cloud Seat", id="p-seat", manufacturer_part_number="CS-1", group="M365", recurring=True
    ),
    _product("care", "Care Plan", category="M365", vendor_part_number="CP-1", recurring=True),
    _product("ghost", "Gone Item", halo_id=4040, manufacturer_part_number="GI-1"),
)
ODD_PRODUCTS = (
    _product("wrong", "24-Port PoE Switch", item=56, recurring=True),
    _product("rhythm", "Odd Rhythm", vendor_part_number="OR-1", recurring=True, frequencies=("fortnight",)),
    _product("bare", "Bare Thing"),
)
"""No lines of these can be written: a one-time item that recurs, a frequency that Halo lacks, no part number."""
BY_KEY = {product.key: product for product in (*PRODUCTS, *ODD_PRODUCTS)}


def rows(*, order_on_approval: bool, has_new: bool) -> dict[str, Any]:
    """What is laid over the packaged tenant, as a fixture of the sandbox."""
    found: dict[str, Any] = {
        "Control": {"create_so_on_quote_approved": order_on_approval},
        "config": {"budget": {"limit": 0, "window_s": 300}},
        "Item": [
            {"id": 80, "name": FREIGHT, "assetgroup_id": 5, "status": 14},
            {
                "id": 81,
                "name": "Rack Shelf",
                "supplier_part_code": "RS-1",
                "assetgroup_id": 1,
                "status": 14,
                "maxitemdiscount": MAX_DISCOUNT,
            },
        ],
        "Opportunities": [
            {
                "id": number,
                "summary": f"Entered by hand {number}",
                "tickettype_id": OPPORTUNITY_TYPE,
                "client_id": client.id,
                "status_id": 20,
            }
            for number, client in zip(PICKS, KNOWN_CLIENTS, strict=True)
        ],
    }
    if has_new:
        found["Lookup"] = [{"lookupid": 63, "id": NEW_STATUS, "name": "New"}]
    return found
