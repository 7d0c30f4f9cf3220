"""Commands of a won quote: its opportunity completed, and its sales order."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from schemas.base import Name, OwnData, Text
from schemas.command_parts import Command, Field, Named
from schemas.sales_commands import QuoteLine
from schemas.targets import Target


class CompleteOpportunity(Command, frozen=True, kw_only=True):
    """Write what winning a quote brings onto its opportunity, or onto its company's lead, whoever else writes to that.

    A step, not a record of its own: the target is the step, and the record that it writes to is `opportunity`.
    """

    kind = "won"
    groups = {"head": ("opportunity", "client", "site"), "status": ("status",), "po_number": ("po_number",)}

    opportunity: Field[Target] | UnsetType = UNSET
    """The opportunity that is completed, or the lead that is over."""
    client: Field[Target] | UnsetType = UNSET
    """The Halo client that the company of a lead is now."""
    site: Field[Target] | UnsetType = UNSET
    """The site of that client."""
    status: Field[Named] | UnsetType = UNSET
    """Its Halo status from now on, by name."""
    po_number: Field[Text] | UnsetType = UNSET
    """The customer's PO number."""


class GroupIncome(OwnData, frozen=True, kw_only=True):
    """The account that what is sold of one Halo asset group is booked on."""

    group: Named
    """The Halo group, by name."""
    account: Text
    """The code of its income account."""


class OrderLines(OwnData, frozen=True, kw_only=True):
    """The lines of a sales order, which are its quote's, and the accounts of the groups that their items may be in."""

    lines: tuple[QuoteLine, ...]
    """All lines, in their order."""
    accounts: tuple[GroupIncome, ...] = ()
    """The accounts of all groups that have one."""


class CreateSalesOrder(Command, frozen=True, kw_only=True):
    """Create the sales order of a won quote, or adopt the one that Halo made of it; never updated."""

    kind = "sales_order"
    once = True
    groups = {
        "head": (
            "opportunity",
            "quote",
            "client",
            "site",
            "user",
            "title",
            "agent",
            "currency",
            "po_number",
            "lines",
        )
    }

    opportunity: Field[Target] | UnsetType = UNSET
    """The Halo opportunity of the quote."""
    quote: Field[Target] | UnsetType = UNSET
    """The Halo quote that was won."""
    client: Field[Target] | UnsetType = UNSET
    """The Halo client it belongs to."""
    site: Field[Target] | UnsetType = UNSET
    """The site of that client."""
    user: Field[Target] | UnsetType = UNSET
    """The person at the customer."""
    title: Field[Name] | UnsetType = UNSET
    """The title."""
    agent: Field[Named] | UnsetType = UNSET
    """Who owns it, by name."""
    currency: Field[Named] | UnsetType = UNSET
    """The Halo currency, by name."""
    po_number: Field[Text] | UnsetType = UNSET
    """The customer's PO number."""
    lines: Field[OrderLines] | UnsetType = UNSET
    """What is ordered."""
