"""What must be in Halo after the day, from the published events alone: neither the mapper nor the writer is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cli.demo import goods
from cli.demo.day import Day, Event, document_net, line_net
from cli.demo.goods import CUSTOMERS, Product

STATUSES = {
    "draft": "Draft",
    "sent": "Sent",
    "approved": "Accepted",
    "declined": "Rejected",
    "expired": "Expired",
}
_KNOWN_PRODUCTS = {one.name for one in vars(goods).values() if isinstance(one, Product) and one.known}


@dataclass(frozen=True)
class Line:
    """One line; `net` is None where the document's discount is spread over the lines."""

    name: str
    quantity: Decimal
    recurring: bool
    net: Decimal | None


@dataclass(frozen=True)
class Quote:
    """One Halo quote; `tax` is None where the tenant lets Halo compute it."""

    number: str
    title: str
    client: str
    contact: str
    status: str
    net: Decimal
    tax: Decimal | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Expected:
    """`quotes` by number; every number of `opportunities` has one, with or without a quote. The rest is what is new."""

    quotes: Mapping[str, Quote]
    opportunities: frozenset[str]
    clients: frozenset[str]
    contacts: frozenset[str]
    items: frozenset[str]
    events: frozenset[str]


def expected(day: Day) -> Expected:
    """The end state of Halo: of each quote its newest revision, in whatever order the events came."""
    whole = _newest(event for event in day.valid if "lines" in event["data"])
    statuses = _newest(event for event in day.valid if event["data"].get("status"))
    sold = {line["product"]["name"] for event in day.valid for line in event["data"].get("lines", ())}
    buyers = {event["data"]["customer"]["id"] for event in whole.values()}
    return Expected(
        quotes={
            subject: _quote(event["data"], statuses[subject]["data"]["status"])
            for subject, event in whole.items()
            if subject not in day.rejected
        },
        opportunities=frozenset(whole),
        clients=frozenset(c.name_in_halo for c in CUSTOMERS if c.id in buyers and not c.known),
        contacts=frozenset(c.email for c in CUSTOMERS if c.id in buyers and not c.known_contact),
        items=frozenset(sold) - _KNOWN_PRODUCTS,
        events=frozenset(event["id"] for event in day.valid),
    )


def _newest(events: Iterable[Event]) -> dict[str, Event]:
    found: dict[str, Event] = {}
    for event in events:
        known = found.get(event["subject"])
        if known is None or event["revision"] > known["revision"]:
            found[event["subject"]] = event
    return found


def _quote(data: dict[str, Any], status: str) -> Quote:
    spread = "discount" in data
    return Quote(
        number=data["number"],
        title=data["title"],
        client=next(c.name_in_halo for c in CUSTOMERS if c.id == data["customer"]["id"]),
        contact=data["contact"]["email"],
        status=STATUSES[status],
        net=document_net(data),
        tax=_tax(data),
        lines=tuple(
            Line(
                name=line["product"]["name"],
                quantity=Decimal(line["quantity"]),
                recurring="frequency" in line,
                net=None if spread else line_net(line),
            )
            for line in data["lines"]
        ),
    )


def _tax(data: Mapping[str, Any]) -> Decimal | None:
    on_lines = [Decimal(line["tax"]) for line in data["lines"] if "tax" in line]
    if on_lines:
        return sum(on_lines, Decimal(0))
    taxes = [tax for tax in data.get("taxes", ()) if tax.get("calculator") != "avalara"]
    return sum((Decimal(tax["amount"]) for tax in taxes), Decimal(0)) if taxes else None
