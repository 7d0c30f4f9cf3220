"""The quote family of source events: `quote.published`, `quote.updated`, `quote.status_changed`.

A published or updated quote carries the whole document; a status change carries the status alone. Money is in
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
    apartment: Text | None = None
    city: Text | None = None
    county: Text | None = None
    postcode: Text | None = None
    region: Text | None = None
    country: Text | None = None
    custom: dict[str, Text] = {}


class Customer(SourceData, frozen=True, kw_only=True):
    """Whom the quote is for. `halo_id` is the Halo client when the producer picked it from Halo."""

    name: Name
    id: Id | None = None
    halo_id: HaloId | None = None
    phone: Text | None = None
    website: Text | None = None
    site: Name | None = None
    address: Address | None = None


class Contact(SourceData, frozen=True, kw_only=True):
    """The person the quote was prepared for. `halo_id` is the Halo user when picked from Halo."""

    name: Name
    id: Id | None = None
    halo_id: HaloId | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    title: Text | None = None


class Person(SourceData, frozen=True, kw_only=True):
    """A user of the producer: who prepared the quote, or whose customer it is."""

    username: Name
    name: Text | None = None
    email: Text | None = None


class OpportunityLink(SourceData, frozen=True, kw_only=True):
    """The opportunity that the quote belongs under.

    It is an existing one of Halo's (`halo_id`), one that the producer publishes itself (`id`), or one made for the
    quote (`new`). A revision that says none of these stays under the one named last; a quote that never named one has
    its own. `type` and `team` are the producer's words, for an opportunity that is created.
    """

    halo_id: HaloId | None = None
    id: Id | None = None
    new: bool = False
    type: Text | None = None
    team: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.new and (self.halo_id is not None or self.id is not None):
            raise ValueError(_LINK_PROBLEM)


class ProductData(SourceData, frozen=True, kw_only=True):
    """What is said of a product, on a line or by itself. `halo_id` is its Halo item when it was taken from Halo."""

    name: Name
    halo_id: HaloId | None = None
    manufacturer: Text | None = None
    manufacturer_part_number: Text | None = None
    vendor: Text | None = None
    vendor_part_number: Text | None = None
    description: LongText | None = None
    category: Text | None = None
    group: Text | None = None
    item_type: Text | None = None
    custom: dict[str, Text] = {}


class Product(ProductData, frozen=True, kw_only=True):
    """What a line sells."""

    id: Id | None = None


class LineDiscount(SourceData, frozen=True, kw_only=True):
    """A discount on one line: `percent` of its price, or an `amount` off the line's whole price; never both."""

    percent: Annotated[Decimal, Meta()] | None = None
    amount: Decimal | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.percent is None) == (self.amount is None):
            raise ValueError("a discount has exactly one of `percent` and `amount`")
        if self.percent is not None and not 0 <= self.percent <= 100:
            raise ValueError("`percent` is between 0 and 100")


class Supplier(SourceData, frozen=True, kw_only=True):
    name: Name
    sku: Text | None = None


class Line(SourceData, frozen=True, kw_only=True):
    """One line of the quote. `frequency` is the producer's word for how often it recurs; none is one-time.

    `bundle` is the id of the line that heads the bundle which this line is part of; a head is in no bundle itself.
    Each line's price is its own: a head's does not contain its parts'.
    """

    id: Id
    product: Product
    quantity: Decimal
    price: Decimal
    description: LongText | None = None
    cost: Decimal | None = None
    discount: LineDiscount | None = None
    tax: Decimal | None = None
    frequency: Text | None = None
    supplier: Supplier | None = None
    bundle: Id | None = None


class Tax(SourceData, frozen=True, kw_only=True):
    """One tax on the document: `calculator` names what computed it (a tenant may refuse some calculators)."""

    name: Name
    amount: Decimal
    rate: Decimal | None = None
    calculator: Text | None = None


class Quote(SourceData, frozen=True, kw_only=True):
    """The whole quote, as `quote.published` and `quote.updated` carry it. `shipping` is the charge for delivery."""

    title: Name
    customer: Customer
    lines: Annotated[tuple[Line, ...], Meta(max_length=MAX_LINES)]
    number: Text | None = None
    commercial_revision: int | None = None
    status: Text | None = None
    currency: CurrencyCode | None = None
    date: dt.date | None = None
    expiry_date: dt.date | None = None
    contact: Contact | None = None
    prepared_by: Person | None = None
    sales_rep: Person | None = None
    opportunity: OpportunityLink | None = None
    discount: LineDiscount | None = None
    taxes: Annotated[tuple[Tax, ...], Meta(max_length=50)] = ()
    shipping: Decimal | None = None
    note: LongText | None = None
    pdf: FileRef | None = None
    files: Annotated[tuple[FileRef, ...], Meta(max_length=MAX_FILES)] = ()
    custom: dict[str, Text] = {}

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
    reason: LongText | None = None


QuoteEventType = Literal["quote.published.v1", "quote.updated.v1", "quote.status_changed.v1"]


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
