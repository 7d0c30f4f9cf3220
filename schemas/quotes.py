"""The quote family of source events: `quote.published`, `quote.updated`, `quote.status_changed`, `quote.converted`.

A published or updated quote carries the whole document; a status change carries the status alone, a conversion what the
document became. Money is in
the document's currency; unit prices are before discount and without tax.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from msgspec import Meta

from schemas.base import MAX_LINES, CurrencyCode, HaloId, Id, LongText, Name, SourceData, Text
from schemas.files import MAX_FILES, FileRef

_LINK_PROBLEM = (
    "`new` asks for another opportunity than the one that `halo_id` or `id` names; give one of them"
)
_BUNDLE_PROBLEM = "is not the id of a line of this quote that is in no bundle itself"


class Address(SourceData, frozen=True, kw_only=True):
    """A postal address in the producer's own fields; the tenant's `addresses` table says which Halo line each fills."""

    street: Text | None = None
    """Street and number."""
    apartment: Text | None = None
    """Floor, flat or suite."""
    city: Text | None = None
    """Town or city."""
    county: Text | None = None
    """County or district."""
    postcode: Text | None = None
    """Postal code."""
    region: Text | None = None
    """State or region; written to Halo where Halo knows it."""
    country: Text | None = None
    """Country, as the producer writes it."""
    custom: dict[str, Text] = {}
    """Further lines of the producer's own, by name."""


class Customer(SourceData, frozen=True, kw_only=True):
    """Whom the quote is for. `halo_id` is the Halo client when the producer picked it from Halo."""

    name: Name
    """The company, as Halo is to show it."""
    id: Id | None = None
    """The producer's id of the company; without it the company is known by its name."""
    halo_id: HaloId | None = None
    """The Halo client, when the producer took the company from Halo."""
    phone: Text | None = None
    """Its telephone number."""
    website: Text | None = None
    """Its web address."""
    site: Name | None = None
    """The name of its site; without it the main one."""
    address: Address | None = None
    """Where that site is."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""


class Contact(SourceData, frozen=True, kw_only=True):
    """The person the quote was prepared for. `halo_id` is the Halo user when picked from Halo."""

    name: Name
    """The whole name."""
    id: Id | None = None
    """The producer's id of the person; without it the person is known by email, else by name."""
    halo_id: HaloId | None = None
    """The Halo user, when the producer took the person from Halo."""
    first_name: Text | None = None
    """First name."""
    last_name: Text | None = None
    """Last name."""
    email: Text | None = None
    """Email address; it also tells whom Halo knows already."""
    phone: Text | None = None
    """Telephone number."""
    title: Text | None = None
    """Job title."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""


class Person(SourceData, frozen=True, kw_only=True):
    """A user of the producer: who prepared the quote, or whose customer it is."""

    username: Name
    """The name by which the tenant's `agents.map` knows this person."""
    name: Text | None = None
    """The whole name; taken for the name of a Halo agent where `agents.map` has no entry."""
    email: Text | None = None
    """Email address."""


class OpportunityLink(SourceData, frozen=True, kw_only=True):
    """The opportunity that the quote belongs under.

    It is an existing one of Halo's (`halo_id`), one that the producer publishes itself (`id`), or one made for the
    quote (`new`). A revision that says none of these stays under the one named last; a quote that never named one has
    its own. `type` and `team` are the producer's words, for an opportunity that is created.
    """

    halo_id: HaloId | None = None
    """An opportunity that Halo already has."""
    id: Id | None = None
    """An opportunity that the producer publishes itself, by its id there."""
    new: bool = False
    """Whether one is made for this quote."""
    type: Text | None = None
    """The producer's word for the kind of opportunity, for one that is made."""
    team: Text | None = None
    """The producer's word for the team, for one that is made."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.new and (self.halo_id is not None or self.id is not None):
            raise ValueError(_LINK_PROBLEM)


class ProductData(SourceData, frozen=True, kw_only=True):
    """What is said of a product, on a line or by itself. `halo_id` is its Halo item when it was taken from Halo."""

    name: Name
    """The name of the product."""
    halo_id: HaloId | None = None
    """The Halo item, when the producer took the product from Halo."""
    manufacturer: Text | None = None
    """Who makes it."""
    manufacturer_part_number: Text | None = None
    """The manufacturer's part number."""
    vendor: Text | None = None
    """Who sells it to the producer's user."""
    vendor_part_number: Text | None = None
    """That vendor's part number."""
    description: LongText | None = None
    """A longer text."""
    category: Text | None = None
    """The producer's category; `items.asset_groups` makes a Halo group of it."""
    group: Text | None = None
    """The producer's product group, where it has such; it goes before the category."""
    item_type: Text | None = None
    """The producer's word for what it is; makes the group where the category doesn't."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""


class Product(ProductData, frozen=True, kw_only=True):
    """What a line sells."""

    id: Id | None = None
    """The producer's id of the product; without it the part number, else the name, tells products apart."""


class LineDiscount(SourceData, frozen=True, kw_only=True):
    """A discount on one line: `percent` of its price, or an `amount` off the line's whole price; never both."""

    percent: Annotated[Decimal, Meta()] | None = None
    """Off the price: 0 to 100."""
    amount: Decimal | None = None
    """Off the whole line, or the whole document."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.percent is None) == (self.amount is None):
            raise ValueError("a discount has exactly one of `percent` and `amount`")
        if self.percent is not None and not 0 <= self.percent <= 100:
            raise ValueError("`percent` is between 0 and 100")


class Supplier(SourceData, frozen=True, kw_only=True):
    """Who supplies what a line sells."""

    name: Name
    """The name of the supplier, as Halo has it."""
    sku: Text | None = None
    """The supplier's own number of the product."""


class Line(SourceData, frozen=True, kw_only=True):
    """One line of the quote. `frequency` is the producer's word for how often it recurs; none is one-time.

    `bundle` is the id of the line that heads the bundle which this line is part of; a head is in no bundle itself.
    Each line's price is its own: a head's does not contain its parts'.
    """

    id: Id
    """Unique in its quote and the same in each revision: by it a line is found again."""
    product: Product
    """What is sold."""
    quantity: Decimal
    """How many; may be a fraction."""
    price: Decimal
    """The price of one, before discount and without tax."""
    description: LongText | None = None
    """The text of the line, where it differs from that of the product."""
    cost: Decimal | None = None
    """What one costs the seller."""
    discount: LineDiscount | None = None
    """Off this line."""
    tax: Decimal | None = None
    """The tax on the whole line, when the producer reckons tax by line."""
    frequency: Text | None = None
    """How often it recurs, in the producer's word; none is one-time."""
    supplier: Supplier | None = None
    """Who supplies it."""
    bundle: Id | None = None
    """The id of the line that heads the bundle which this line is part of."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""


class Tax(SourceData, frozen=True, kw_only=True):
    """One tax on the document: `calculator` names what computed it (a tenant may refuse some calculators)."""

    name: Name
    """The name of the tax."""
    amount: Decimal
    """The amount, for the whole document."""
    rate: Decimal | None = None
    """In percent."""
    calculator: Text | None = None
    """What reckoned it; `quotes.taxes.skip` may refuse some."""


class Quote(SourceData, frozen=True, kw_only=True):
    """The whole quote, as `quote.published` and `quote.updated` carry it. `shipping` is the charge for delivery."""

    title: Name
    """The title, as Halo is to show it."""
    customer: Customer
    """Whom the quote is for."""
    lines: Annotated[tuple[Line, ...], Meta(max_length=MAX_LINES)]
    """All lines, in their order."""
    number: Text | None = None
    """The number that a person knows the quote by."""
    commercial_revision: int | None = None
    """The number of the offer that the customer sees; not the `revision` of the event."""
    status: Text | None = None
    """The status, in the producer's word; the tenant's `quotes.statuses` makes a Halo status of it."""
    currency: CurrencyCode | None = None
    """ISO code, or the producer's word; without it the tenant's `currency`."""
    date: dt.date | None = None
    """The day of the quote."""
    expiry_date: dt.date | None = None
    """The last day on which it holds."""
    contact: Contact | None = None
    """The person at the customer."""
    sold_to: Address | None = None
    """Where the invoice goes; the Halo quote's own address."""
    ship_to: Address | None = None
    """Where the goods go; the Halo quote's delivery address."""
    prepared_by: Person | None = None
    """Who made the quote."""
    sales_rep: Person | None = None
    """Whose customer it is."""
    opportunity: OpportunityLink | None = None
    """Where in Halo the quote belongs; without it the quote has an opportunity of its own."""
    discount: LineDiscount | None = None
    """Off the whole document."""
    taxes: Annotated[tuple[Tax, ...], Meta(max_length=50)] = ()
    """The taxes on the document, when the producer reckons them so."""
    shipping: Decimal | None = None
    """The charge for delivery, without tax."""
    note: LongText | None = None
    """A text for the customer."""
    pdf: FileRef | None = None
    """The quote as a document, by reference."""
    files: Annotated[tuple[FileRef, ...], Meta(max_length=MAX_FILES)] = ()
    """Other files that go with it, by reference."""
    description: LongText | None = None
    """What the quote is about."""
    po_number: Text | None = None
    """The customer's PO number."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        seen: set[str] = set()
        for line in self.lines:
            if line.id in seen:
                raise ValueError(f"two lines have the id {line.id!r}; a line's id is unique in its quote")
            seen.add(line.id)
        heads = {line.id for line in self.lines if line.bundle is None}
        for line in self.lines:
            if line.bundle is not None and line.bundle not in heads:
                raise ValueError(f"line {line.id!r}: `bundle` {_BUNDLE_PROBLEM}")


class QuoteStatus(SourceData, frozen=True, kw_only=True):
    """What `quote.status_changed` carries: the new status in the producer's word, and why."""

    status: Name
    """The new status, in the producer's word."""
    reason: LongText | None = None
    """Why, in a few words."""


class Answers(
    SourceData,
    frozen=True,
    kw_only=True,
    rename={"opportunity_missing": "won.opp.missing", "opportunity_exists": "won.opp.exists"},
):
    """What the producer's own user has answered already; each name is a question that the hub would ask."""

    opportunity_missing: Literal["create", "skip"] | None = None
    """The converted quote has no opportunity: shall a won one be created?"""
    opportunity_exists: Literal["convert", "leave"] | None = None
    """The converted quote has an opportunity: shall it be completed as Won?"""


class QuoteConversion(SourceData, frozen=True, kw_only=True):
    """What `quote.converted` carries: what the document became, with its number there.

    An invoice is past an order: a document that became both is told as it became each.
    """

    to: Literal["order", "invoice"]
    """What it became."""
    number: Text | None = None
    """The number of the order or invoice."""
    answers: Answers = Answers()
    """What the producer's user has been asked already."""


def unsaid_faults(document: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a quote's JSON that its JSON Schema can't say, as (path, problem); any JSON is taken.

    The Structs hold the same rules, but stop at the first.
    """
    if not isinstance(document, dict):
        return
    yield from _discount_faults("discount", document.get("discount"))
    link = document.get("opportunity")
    if (
        isinstance(link, dict)
        and link.get("new") is True
        and not (link.get("halo_id") is link.get("id") is None)
    ):
        yield "opportunity", _LINK_PROBLEM
    lines = document.get("lines")
    seen: set[str] = set()
    for place, line in enumerate(lines if isinstance(lines, list) else ()):
        if not isinstance(line, dict):
            continue
        line_id = line.get("id")
        if isinstance(line_id, str) and line_id in seen:
            yield f"lines[{place}].id", f"another line has the id {line_id!r} too"
        elif isinstance(line_id, str):
            seen.add(line_id)
        yield from _discount_faults(f"lines[{place}].discount", line.get("discount"))
    yield from _bundle_faults(lines)


def _bundle_faults(lines: Any) -> Iterator[tuple[str, str]]:
    """Told once the ids are known, since a head may stand below its parts."""
    numbered = [(place, line) for place, line in enumerate(lines if isinstance(lines, list) else ())]
    objects = [(place, line) for place, line in numbered if isinstance(line, dict)]
    ids = (line.get("id") for _, line in objects if line.get("bundle") is None)
    heads = {line_id for line_id in ids if isinstance(line_id, str)}
    for place, line in objects:
        bundle = line.get("bundle")
        if isinstance(bundle, str) and bundle not in heads:
            yield f"lines[{place}].bundle", _BUNDLE_PROBLEM


def _discount_faults(at: str, discount: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(discount, dict):
        return
    percent, amount = discount.get("percent"), discount.get("amount")
    if (percent is None) == (amount is None):
        yield at, "a discount has exactly one of `percent` and `amount`"
    try:
        if percent is not None and not 0 <= Decimal(str(percent)) <= 100:
            yield f"{at}.percent", "is not between 0 and 100"
    except InvalidOperation:
        return
