"""What will be published, drawn from a seed: quotes that are made, revised, sent twice and sent late. Pure.

Ids (quotes, customers) are the same in every tenant; names, titles and part numbers carry the tenant's name, so that
what ends in another tenant's Halo shows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from tests.soak.tenants import (
    KNOWN_CUSTOMERS,
    KNOWN_PRODUCTS,
    Tenant,
    known_customer,
    known_product,
    known_sku,
)

Route = Literal["http", "kafka"]
Why = Literal["new", "late", "again"]
STATUSES = ("draft", "sent", "approved", "declined", "expired")
_NEW_QUOTE, _STATUS, _LATE, _AGAIN, _SEESAW = 0.3, 0.3, 0.15, 0.15, 0.12
_REVISED_LATELY = 12
_FIRST_PRODUCTS = 6


@dataclass(frozen=True)
class Line:
    id: str
    product: str
    sku: str
    quantity: int
    price: Decimal
    product_id: str | None = None


@dataclass(frozen=True)
class Customer:
    """`id` is the producer's, absent where it only knows names."""

    name: str
    contact: str
    email: str
    id: str | None = None


@dataclass(frozen=True)
class Event:
    """One revision of one quote: the whole of it, or (`lines` None) its status alone."""

    tenant: str
    quote: str
    revision: int
    status: str | None
    title: str = ""
    customer: Customer | None = None
    lines: tuple[Line, ...] | None = None

    @property
    def id(self) -> str:
        return f"{self.tenant}-{self.quote}-{self.revision}"

    @property
    def type(self) -> str:
        if self.lines is None:
            return "quote.status_changed.v1"
        return "quote.published.v1" if self.revision == 1 else "quote.updated.v1"

    def data(self) -> dict[str, Any]:
        """The event's body, as its type's schema has it."""
        if self.lines is None or self.customer is None:
            return {"status": self.status}
        customer = {"name": self.customer.name} | ({"id": self.customer.id} if self.customer.id else {})
        body = {
            "title": self.title,
            "customer": customer,
            "contact": {"name": self.customer.contact, "email": self.customer.email},
            "lines": [_line_data(line) for line in self.lines],
        }
        return body if self.status is None else body | {"status": self.status}


@dataclass(frozen=True)
class Publish:
    """One sending of one event, `at_s` after the start."""

    at_s: float
    event: Event
    route: Route
    why: Why


@dataclass
class _Quote:
    newest: Event
    seesaw: tuple[Event, Event] | None = None


@dataclass
class _Book:
    """One tenant's side of the story so far."""

    tenant: Tenant
    customers: list[Customer]
    products: int = _FIRST_PRODUCTS
    quotes: list[_Quote] = field(default_factory=list)


def plan(seed: int, cast: Sequence[Tenant], duration_s: float, rate: float) -> list[Publish]:
    """The sendings of `duration_s` seconds at `rate` new revisions a second, in the order of their times."""
    rng = random.Random(f"events {seed}")
    books = [_Book(tenant, _first_customers(tenant.name)) for tenant in cast]
    weights = [tenant.weight for tenant in cast]
    sendings: list[Publish] = []
    count = max(len(books), int(duration_s * rate))
    for number in range(count):
        # Each tenant has at least one quote, however small its share.
        book = books[number] if number < len(books) else rng.choices(books, weights)[0]
        at_s = number * duration_s / count
        sendings += _sendings(rng, _next_event(rng, book), at_s)
    return sorted(sendings, key=lambda sending: sending.at_s)


def _sendings(rng: random.Random, event: Event, at_s: float) -> list[Publish]:
    late = rng.random() < _LATE
    found = [
        Publish(at_s + (rng.uniform(0.5, 8) if late else 0), event, _route(rng), "late" if late else "new")
    ]
    while rng.random() < _AGAIN:
        found.append(Publish(found[-1].at_s + rng.uniform(0, 15), event, _route(rng), "again"))
    return found


def _route(rng: random.Random) -> Route:
    return "http" if rng.random() < 0.5 else "kafka"


def _next_event(rng: random.Random, book: _Book) -> Event:
    if not book.quotes or rng.random() < _NEW_QUOTE:
        return _new_quote(rng, book)
    quote = rng.choice(book.quotes[-_REVISED_LATELY:])
    revision = quote.newest.revision + 1
    if quote.seesaw is not None:
        # A, B, A, B: each is a revision, whatever was there before.
        quote.newest = replace(quote.seesaw[revision % 2], revision=revision)
        return quote.newest
    if rng.random() < _STATUS:
        status = rng.choice([one for one in STATUSES if one != quote.newest.status])
        quote.newest = replace(quote.newest, revision=revision, status=status)
        return Event(book.tenant.name, quote.newest.quote, revision, status)
    quote.newest = _revised(rng, book, quote.newest, revision)
    # Half of the revisions leave the status to its own events.
    return quote.newest if rng.random() < 0.5 else replace(quote.newest, status=None)


def _new_quote(rng: random.Random, book: _Book) -> Event:
    name = book.tenant.name
    quote_id = f"Q{len(book.quotes) + 1}"
    lines = tuple(_line(rng, book, n) for n in range(rng.randint(1, min(4, book.tenant.max_lines))))
    first = Event(name, quote_id, 1, "sent", _title(name, quote_id, 1), _customer(rng, book), lines)
    quote = _Quote(first)
    if rng.random() < _SEESAW:
        a = replace(first, title=_title(name, quote_id, 1))
        b = replace(_revised(rng, book, first, 2), status="draft", title=_title(name, quote_id, 2))
        quote.seesaw = (b, a)
    book.quotes.append(quote)
    return first


def _revised(rng: random.Random, book: _Book, before: Event, revision: int) -> Event:
    """Lines added, removed, changed or reordered; each with a title of its own."""
    lines = list(before.lines or ())
    match rng.choice(("add", "remove", "change", "change", "reorder", "title")):
        case "add" if len(lines) < book.tenant.max_lines:
            numbers = [int(line.id[1:]) for line in lines]
            lines.insert(rng.randint(0, len(lines)), _line(rng, book, max(numbers, default=-1) + 1))
        case "remove" if len(lines) > 1:
            lines.pop(rng.randrange(len(lines)))
        case "change":
            place = rng.randrange(len(lines))
            lines[place] = replace(lines[place], quantity=rng.randint(1, 20), price=_price(rng))
        case "reorder":
            rng.shuffle(lines)
        case _:
            pass
    title = _title(before.tenant, before.quote, revision)
    return replace(before, revision=revision, title=title, lines=tuple(lines))


def _title(tenant: str, quote: str, revision: int) -> str:
    return f"{tenant}-{quote} revision {revision}"


def _line(rng: random.Random, book: _Book, number: int) -> Line:
    name = book.tenant.name
    if rng.random() < 0.2:
        known = rng.randint(1, KNOWN_PRODUCTS)
        return Line(f"l{number}", known_product(name, known), known_sku(name, known), 1, _price(rng))
    if rng.random() < 0.1:
        book.products += 1
    product = rng.randint(1, book.products)
    # One part number under two product ids is one item all the same.
    product_id = rng.choice((None, f"p{product}-a", f"p{product}-b")) if product % 3 == 0 else None
    return Line(
        id=f"l{number}",
        product=f"{name}-product {product}",
        sku=f"{name}-SKU-{product}",
        quantity=rng.randint(1, 20),
        price=_price(rng),
        product_id=product_id,
    )


def _price(rng: random.Random) -> Decimal:
    return Decimal(rng.randint(100, 99_999)) / 100


def _first_customers(tenant: str) -> list[Customer]:
    return [
        Customer(
            name=known_customer(tenant, n),
            contact=f"{tenant}-known person {n}",
            email=f"known{n}@{tenant}-known.example",
            id=f"k{n}" if n % 2 else None,
        )
        for n in range(1, KNOWN_CUSTOMERS + 1)
    ]


def _customer(rng: random.Random, book: _Book) -> Customer:
    """A known one, one of an earlier quote (perhaps another of its people), or a new one."""
    if rng.random() < 0.4:
        number = len(book.customers)
        new = Customer(
            name=f"{book.tenant.name}-customer {number}",
            contact=f"{book.tenant.name}-person {number}",
            email=f"person{number}@{book.tenant.name}-{number}.example",
            id=f"c{number}" if rng.random() < 0.7 else None,
        )
        book.customers.append(new)
        return new
    customer = rng.choice(book.customers)
    if rng.random() < 0.2:
        person = f"second.{customer.email}"
        customer = replace(customer, contact=f"{customer.contact} second", email=person)
    if rng.random() < 0.05:
        # The producer lost its id, or found one: the name is the same, and so is the customer.
        customer = replace(customer, id=None if customer.id else f"again-{customer.name}")
    return customer


def _line_data(line: Line) -> Mapping[str, Any]:
    product = {"name": line.product, "manufacturer_part_number": line.sku}
    if line.product_id is not None:
        product["id"] = line.product_id
    return {"id": line.id, "product": product, "quantity": line.quantity, "price": str(line.price)}
