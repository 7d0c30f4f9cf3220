"""Commands about what is sold: items, opportunities, quotes. Money is in the quote's currency."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from msgspec import UNSET, UnsetType

from schemas.base import Id, Name, OwnData, Text
from schemas.command_parts import Command, Field, Linked, Named
from schemas.customer_commands import SiteAddress
from schemas.targets import Target


class AccountCodes(OwnData, frozen=True, kw_only=True):
    """The accounts that an item's income and expense are booked on; what is absent is left to Halo's group."""

    income: Text | None = None
    """The account of its income."""
    expense: Text | None = None
    """The account of its expense."""


class ItemAccounts(OwnData, frozen=True, kw_only=True):
    """The codes of the group that an item gets: `own` if it is the group's own name, `fallback` if its fallback."""

    group: Named
    """The Halo group, by name."""
    own: AccountCodes | None = None
    """The codes of that group."""
    fallback: AccountCodes | None = None
    """The codes of its fallback."""


class UpsertItem(Command, frozen=True, kw_only=True):
    """Create, adopt or update a Halo item; a new one needs a group that exists in Halo.

    `part_number` is the item's number, `sku` the manufacturer's; `stocked` is false for what is never in stock.
    """

    kind = "item"
    groups = {
        "head": (
            "name",
            "description",
            "group",
            "price",
            "cost",
            "recurring",
            "billing_period",
            "part_number",
            "sku",
            "type",
            "accounts",
            "stocked",
        )
    }

    name: Field[Name] | UnsetType = UNSET
    """The name of the item."""
    description: Field[str] | UnsetType = UNSET
    """A longer text."""
    group: Field[Named] | UnsetType = UNSET
    """The Halo group, by name."""
    price: Field[Decimal] | UnsetType = UNSET
    """The price of one."""
    cost: Field[Decimal] | UnsetType = UNSET
    """What one costs."""
    recurring: Field[bool] | UnsetType = UNSET
    """Whether it recurs."""
    billing_period: Field[Named] | UnsetType = UNSET
    """How often, by the name of the Halo billing period."""
    part_number: Field[Text] | UnsetType = UNSET
    """Its number."""
    sku: Field[Text] | UnsetType = UNSET
    """The manufacturer's number."""
    type: Field[Named] | UnsetType = UNSET
    """The Halo item type, by name."""
    accounts: Field[ItemAccounts] | UnsetType = UNSET
    """The accounts that it is booked on."""
    stocked: Field[bool] | UnsetType = UNSET
    """Whether it may be in stock."""


class OpportunityLine(OwnData, frozen=True, kw_only=True):
    """One product on the Halo opportunity. `price` is the unit price after discount.

    Its item is one of the source's products, `item`, or one that Halo has already, `halo_item`.
    """

    id: Id
    """The line's id at its source."""
    name: Name
    """The name on the line."""
    part_number: Text
    """The number on the line."""
    quantity: Decimal
    """How many."""
    price: Decimal
    """The price of one after discount."""
    cost: Decimal | None = None
    """What one costs."""
    tax: Decimal | None = None
    """The tax on the whole line."""
    item: Target | None = None
    """The product of the source that it sells."""
    halo_item: Named | None = None
    """The Halo item that it sells, by name."""

    def __post_init__(self) -> None:
        if (self.item is None) == (self.halo_item is None):
            raise ValueError("a product on an opportunity is exactly one of `item` and `halo_item`")


class UpsertOpportunity(Command, frozen=True, kw_only=True):
    """Create or update a Halo opportunity: its head, its status, its value and its products, each for itself."""

    kind = "opportunity"
    groups = {
        "head": (
            "client",
            "site",
            "user",
            "title",
            "ticket_type",
            "team",
            "agent",
            "note",
            "lead",
            "company",
            "contact_name",
            "contact_email",
        ),
        "status": ("status",),
        "value": ("value",),
        "lines": ("lines",),
        "po_number": ("po_number",),
        "links": ("links",),
    }

    client: Field[Target] | UnsetType = UNSET
    """The Halo client it belongs to."""
    site: Field[Target] | UnsetType = UNSET
    """The site of that client."""
    user: Field[Target] | UnsetType = UNSET
    """The person at the customer."""
    title: Field[Name] | UnsetType = UNSET
    """The title."""
    ticket_type: Field[Named] | UnsetType = UNSET
    """The Halo ticket type, by name."""
    team: Field[Named] | UnsetType = UNSET
    """The Halo team, by name."""
    agent: Field[Named] | UnsetType = UNSET
    """Who owns it, by name."""
    note: Field[str] | UnsetType = UNSET
    """A longer text."""
    lead: Field[Target] | UnsetType = UNSET
    """The lead of its company, while that is no Halo client."""
    company: Field[Name] | UnsetType = UNSET
    """The name of a company that may be no Halo client."""
    contact_name: Field[Name] | UnsetType = UNSET
    """The person there."""
    contact_email: Field[Text] | UnsetType = UNSET
    """That person's email address."""
    status: Field[Named] | UnsetType = UNSET
    """The Halo status, by name."""
    value: Field[Decimal] | UnsetType = UNSET
    """What it is worth."""
    lines: Field[tuple[OpportunityLine, ...]] | UnsetType = UNSET
    """All products, in their order."""
    po_number: Field[Text] | UnsetType = UNSET
    """The customer's PO number."""
    links: Field[tuple[Linked, ...]] | UnsetType = UNSET
    """What `fields` of the tenant's file links."""


class QuoteLine(OwnData, frozen=True, kw_only=True):
    """One line of the Halo quote. `base_price` is the unit price before discount, `price` after it.

    What it sells is a product of the source, `item`, or one that Halo has already, `halo_item`.
    """

    id: Id
    """The line's id at its source."""
    name: Name
    """The name on the line."""
    quantity: Decimal
    """How many."""
    base_price: Decimal
    """The price of one before discount."""
    price: Decimal
    """The price of one after discount."""
    discount_percent: Decimal
    """The discount, in percent."""
    cost: Decimal | None = None
    """What one costs."""
    tax: Decimal | None = None
    """The tax on the whole line."""
    product_code: Text | None = None
    """The number on the line."""
    description: str | None = None
    """The text of the line."""
    recurring: bool = False
    """Whether it recurs."""
    billing_period: Named | None = None
    """How often, by the name of the Halo billing period."""
    supplier: Named | None = None
    """Who supplies it, by name."""
    item: Target | None = None
    """The product of the source that it sells."""
    halo_item: Named | None = None
    """The Halo item that it sells, by name."""
    links: tuple[Linked, ...] = ()
    """What `fields.lines` of the tenant's file links."""

    def __post_init__(self) -> None:
        if (self.item is None) == (self.halo_item is None):
            raise ValueError("a line sells exactly one of `item` and `halo_item`")


class Totals(OwnData, frozen=True, kw_only=True):
    """What the document adds up to at its source; the writer compares it with what Halo answers."""

    net: Decimal
    """Without tax."""
    tax: Decimal | None = None
    """The tax; absent where none is written."""


class UpsertQuote(Command, frozen=True, kw_only=True):
    """Create or update a Halo quote: its head, its status and its lines, each with an order of its own.

    `first_status` is what a new quote starts with when Halo has no status by the name of `status`.
    """

    kind = "quote"
    groups = {
        "head": (
            "opportunity",
            "client",
            "site",
            "user",
            "title",
            "date",
            "expiry_date",
            "agent",
            "currency",
            "note",
            "description",
            "po_number",
            "first_status",
        ),
        "status": ("status",),
        "lines": ("lines", "totals", "carriage"),
        "addresses": ("sold_to", "ship_to"),
        "links": ("links",),
    }

    opportunity: Field[Target] | UnsetType = UNSET
    """The Halo opportunity that it lives under."""
    client: Field[Target] | UnsetType = UNSET
    """The Halo client it belongs to."""
    site: Field[Target] | UnsetType = UNSET
    """The site of that client."""
    user: Field[Target] | UnsetType = UNSET
    """The person at the customer."""
    title: Field[Name] | UnsetType = UNSET
    """The title."""
    date: Field[dt.date] | UnsetType = UNSET
    """The day of the quote."""
    expiry_date: Field[dt.date] | UnsetType = UNSET
    """The last day on which it holds."""
    agent: Field[Named] | UnsetType = UNSET
    """Who owns it, by name."""
    currency: Field[Named] | UnsetType = UNSET
    """The Halo currency, by name."""
    note: Field[str] | UnsetType = UNSET
    """A text for the customer."""
    description: Field[str] | UnsetType = UNSET
    """What the quote is about."""
    po_number: Field[Text] | UnsetType = UNSET
    """The customer's PO number."""
    first_status: Field[Named] | UnsetType = UNSET
    """The Halo status that a new quote starts with, by name."""
    status: Field[Named] | UnsetType = UNSET
    """The Halo status, by name."""
    lines: Field[tuple[QuoteLine, ...]] | UnsetType = UNSET
    """All lines, in their order."""
    totals: Field[Totals] | UnsetType = UNSET
    """What the document adds up to."""
    carriage: Field[Decimal] | UnsetType = UNSET
    """The charge for delivery, where no line carries it."""
    sold_to: Field[SiteAddress] | UnsetType = UNSET
    """Where the invoice goes."""
    ship_to: Field[SiteAddress] | UnsetType = UNSET
    """Where the goods go."""
    links: Field[tuple[Linked, ...]] | UnsetType = UNSET
    """What `fields` of the tenant's file links."""
