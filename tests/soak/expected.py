"""What Halo must hold once every acknowledged event is through: computed from the events alone. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from tests.soak.histories import Event, Line
from tests.soak.tenants import KNOWN_CUSTOMERS, KNOWN_PRODUCTS, known_customer, known_product

STATUS_NAMES = {
    "draft": "Draft",
    "sent": "Sent",
    "approved": "Accepted",
    "declined": "Rejected",
    "expired": "Expired",
}


class LineShape(NamedTuple):
    """What of a line is compared, in the quote's order."""

    name: str
    quantity: Decimal
    price: Decimal


Lines = tuple[LineShape, ...]


@dataclass(frozen=True)
class Wanted:
    """One quote: its newest state, and every value that each of its parts had, in the order of revisions."""

    id: str
    title: str
    status: str
    lines: Lines
    client: str
    email: str
    titles: tuple[str, ...]
    statuses: tuple[str, ...]
    every_lines: tuple[Lines, ...]

    @property
    def net(self) -> Decimal:
        return sum((line.quantity * line.price for line in self.lines), Decimal(0))


@dataclass
class Expected:
    """One tenant's Halo: what must be there, and what may be, since an older revision spoke of it."""

    tenant: str
    quotes: dict[str, Wanted] = field(default_factory=dict)
    clients: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    possible_items: set[str] = field(default_factory=set)


def expected(events: Iterable[Event], tenants: Iterable[str]) -> dict[str, Expected]:
    """By tenant. `events` may come in any order and more than once."""
    histories: dict[tuple[str, str], dict[int, Event]] = defaultdict(dict)
    for event in events:
        histories[event.tenant, event.quote][event.revision] = event
    found = {tenant: _known(tenant) for tenant in tenants}
    for (tenant, quote), history in sorted(histories.items()):
        revisions = [history[revision] for revision in sorted(history)]
        wanted = _wanted(quote, revisions)
        if wanted is not None:
            _add(found[tenant], wanted, revisions)
    return found


def shapes(lines: Iterable[Line]) -> Lines:
    return tuple(LineShape(line.product, Decimal(line.quantity), line.price) for line in lines)


def _known(tenant: str) -> Expected:
    """What was in its Halo from the start must be there still, once."""
    return Expected(
        tenant,
        clients={known_customer(tenant, n) for n in range(1, KNOWN_CUSTOMERS + 1)},
        emails={f"known{n}@{tenant}-known.example" for n in range(1, KNOWN_CUSTOMERS + 1)},
        items={known_product(tenant, n) for n in range(1, KNOWN_PRODUCTS + 1)},
    )


def _wanted(quote: str, revisions: list[Event]) -> Wanted | None:
    """None while nothing but statuses has come: nothing can be written yet."""
    whole = [event for event in revisions if event.lines is not None]
    if not whole:
        return None
    newest = whole[-1]
    assert newest.lines is not None
    assert newest.customer is not None
    statuses = tuple(STATUS_NAMES[event.status] for event in revisions if event.status is not None)
    every_lines = tuple(shapes(event.lines or ()) for event in whole)
    return Wanted(
        id=quote,
        title=newest.title,
        status=statuses[-1],
        lines=every_lines[-1],
        client=newest.customer.name,
        email=newest.customer.email,
        titles=tuple(event.title for event in whole),
        statuses=statuses,
        every_lines=every_lines,
    )


def _add(there: Expected, wanted: Wanted, revisions: list[Event]) -> None:
    there.quotes[wanted.id] = wanted
    there.clients.add(wanted.client)
    there.emails.add(wanted.email)
    newest = [event for event in revisions if event.lines is not None][-1]
    there.items |= {line.product for line in newest.lines or ()}
    there.possible_items |= {line.product for event in revisions for line in event.lines or ()}
