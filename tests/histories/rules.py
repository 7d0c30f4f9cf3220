"""Draws what a tenant's file says and how its Halo is set up."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.histories.ground import FREIGHT

T = TypeVar("T")
MODES = ("overwrite", "first_only", "new")
_TABLES: tuple[dict[str, str], ...] = (
    {},
    {"draft": "Draft", "sent": "Sent", "approved": "Accepted", "declined": "Rejected"},
    {"Sent": "Awaiting Approval", "approved": "Accepted", "ordered": "Accepted"},
)
_PO_FIELDS = (None, "po_number", "custom.customer_po")


@dataclass(frozen=True)
class Setting:
    """`sections` are those of the tenant file beside the connection."""

    sections: dict[str, Any]
    order_on_approval: bool
    has_new: bool

    @property
    def quotes(self) -> dict[str, Any]:
        """The `quotes` section as it holds for the producer."""
        return self.of("quotes")

    @property
    def quotes_mode(self) -> str:
        mode: str = self.quotes["revisions"]
        return mode

    @property
    def won(self) -> dict[str, Any]:
        found: dict[str, Any] = self.of("opportunities").get("won", {})
        return found

    @property
    def leads(self) -> bool:
        return "lead_ticket_type" in self.of("clients")

    def of(self, section: str) -> dict[str, Any]:
        """A section with what `sources` says for the producer laid over it, its top keys as a whole."""
        own = self.sections.get("sources", {}).get(SOURCE, {}).get(section, {})
        return {**self.sections.get(section, {}), **own}


SOURCE = "quoter"


def draw(rng: random.Random) -> Setting:
    sections: dict[str, Any] = {
        "items": _items(rng),
        "opportunities": _opportunities(rng),
        "quotes": _quotes(rng),
        "billing_periods": {"month": "Monthly", "year": "Yearly", "once": None},
    }
    if chance(rng, 0.5):
        sections["currency"] = "GBP"
    if chance(rng, 0.25):
        sections["clients"] = {"lead_ticket_type": "Lead"}
    if chance(rng, 0.2):
        # What holds for this producer alone; whatever the tenant says for all the others must not show.
        quotes = sections["quotes"]
        sections["sources"] = {SOURCE: {"quotes": {"revisions": quotes["revisions"]}}}
        sections["quotes"] = {**quotes, "revisions": rng.choice(MODES)}
    return Setting(sections, order_on_approval=chance(rng, 0.3), has_new=chance(rng, 0.5))


def _quotes(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "revisions": rng.choice(MODES),
        "push": "won" if chance(rng, 0.3) else "published",
        "statuses": rng.choice(_TABLES),
        "sales_order": chance(rng, 0.6),
    }
    if chance(rng, 0.3):
        found["won"] = rng.choice((["ordered"], ["Accepted", "fulfilled"], ["approved"]))
    if chance(rng, 0.3):
        found["taxes"] = rng.choice(({"push": False}, {"skip": []}, {"skip": ["avalara", "taxjar"]}))
    po_number = rng.choice(_PO_FIELDS)
    if po_number is not None:
        found["po_number"] = po_number
    return found


def _opportunities(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"ticket_type": "Opportunity"}
    won: dict[str, Any] = {}
    if chance(rng, 0.6):
        won["when"] = rng.choice(("order", "order", "invoice", "never"))
    if chance(rng, 0.8):
        won["if_none"] = rng.choice(("ask", "ask", "create", "skip"))
    if chance(rng, 0.7):
        won["if_exists"] = rng.choice(("ask", "convert", "convert"))
    if won:
        found["won"] = won
    if chance(rng, 0.4):
        found["rename"] = True
    if chance(rng, 0.3):
        found["value"] = "profit"
    if chance(rng, 0.3):
        found["status"] = "Qualified"
    if chance(rng, 0.5):
        found["lines"] = rng.choice(
            (
                {"write": "summary", "summary_part_number": "QUOTE-TOTAL"},
                {"write": "detail"},
                {"write": "detail", "bundles": "summary", "cost": False},
            )
        )
    return found


def _items(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"asset_group": "Nowhere" if chance(rng, 0.06) else "Hardware"}
    if chance(rng, 0.6):
        found["asset_groups"] = {"Laptops": "Hardware", "Labour": "Services", "M365": "Managed Services"}
    if chance(rng, 0.3):
        found["shipping"] = FREIGHT
    if chance(rng, 0.3):
        found["name_from"] = "manufacturer_part_number"
    if chance(rng, 0.3):
        found["sku_from"] = "manufacturer_part_number"
    if chance(rng, 0.3):
        found["accounts"] = {
            "Hardware": {"income": "4000", "expense": "5000"},
            "Services": {"income": "4300"},
        }
    if chance(rng, 0.15):
        found["part_number"] = {"fallback": "{vendor_part_number}"}
    elif chance(rng, 0.15):
        found["part_number"] = {"from": "vendor_part_number", "if_missing": "macro", "macro": "M-{name}"}
    return found


def chance(rng: random.Random, share: float) -> bool:
    return rng.random() < share
