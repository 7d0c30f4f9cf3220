"""The day that the demo publishes, as a quoting tool would: quotes, revisions, changes of status, and what goes wrong.

Everything here follows from the clock that is given and nothing else. Revisions count every change of a quote.
"""

import copy
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cli.demo import goods
from cli.demo.goods import CUSTOMERS, Customer, Product

TENANT = "demo"
PRODUCER = "quoter"
Event = dict[str, Any]
QUOTES = 44
ONE_MORE = "Q-2060"
_MORNING = 31
_HOURS = 8
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Item:
    """One line of a template: product, quantity, and a discount as the quoting tool gives it."""

    product: Product
    quantity: str
    discount: dict[str, str] | None = None


@dataclass(frozen=True)
class Template:
    """A kind of quote. `tax` says how its producer gives tax: `document`, `lines`, or by a `calculator` of its own."""

    title: str
    items: tuple[Item, ...]
    tax: str = "document"
    discount: dict[str, str] | None = None


TEMPLATES: tuple[Template, ...] = (
    Template(
        "Office refresh",
        (Item(goods.LAPTOP, "6"), Item(goods.DOCK, "6", {"percent": "7.5"}), Item(goods.MONITOR, "12")),
    ),
    Template(
        "Managed workplace",
        (
            Item(goods.WORKSTATION, "14"),
            Item(goods.LICENCE, "14"),
            Item(goods.MAIL_SECURITY, "17"),
            Item(goods.ONBOARDING, "14"),
        ),
        tax="lines",
    ),
    Template(
        "Network upgrade",
        (
            Item(goods.SWITCH, "2"),
            Item(goods.FIREWALL, "1", {"amount": "100.00"}),
            Item(goods.ACCESS_POINT, "7"),
            Item(goods.CABLE, "48"),
            Item(goods.INSTALLATION, "1.5"),
        ),
        discount={"percent": "3"},
    ),
    Template("Meeting room", (Item(goods.CAMERA, "1"), Item(goods.DISPLAY, "1"), Item(goods.PROJECT_HOUR, "4"))),
    Template("Backup and recovery", (Item(goods.BACKUP, "9"), Item(goods.UPS, "2")), tax="lines"),
    Template(
        "Server replacement",
        (Item(goods.SERVER, "1"), Item(goods.UPS, "1"), Item(goods.INSTALLATION, "2")),
        discount={"amount": "250.00"},
    ),
    Template("Security renewal", (Item(goods.ENDPOINT, "25", {"percent": "12"}), Item(goods.PASSWORDS, "25"))),
    Template("Cloud seats", (Item(goods.LICENCE, "33"), Item(goods.PASSWORDS, "33")), tax="calculator"),
)  # fmt: skip
_STATUSES = ("sent", "sent", "draft", "sent")


@dataclass(frozen=True)
class Day:
    """The day in the order of its deliveries. The afternoon is published while the writer is dead.

    `refused` is for HTTP to refuse, `smuggled` goes straight to Kafka; `lost_answer` is the quote whose create is
    stored by Halo while its writer dies; `rejected` are the quotes that end as rejections, with their codes.
    """

    morning: tuple[Event, ...]
    afternoon: tuple[Event, ...]
    refused: Event
    smuggled: Event
    lost_answer: str
    rejected: dict[str, str]

    @property
    def valid(self) -> tuple[Event, ...]:
        """All that HTTP is to accept, late and repeated deliveries included."""
        return (*self.morning, *self.afternoon)


def the_day(now: dt.datetime) -> Day:
    """The day that ends at `now`."""
    book = _Book(now - dt.timedelta(hours=_HOURS))
    quotes = [book.published(number, _quote(number)) for number in range(1, QUOTES + 1)]
    quotes[41] = book.with_data(quotes[41], currency="CHF")
    quotes[42] = book.published(43, _quote(43, Template("Domain renewal", (Item(goods.DOMAIN, "4"),))))
    newest = book.updated(quotes[4], 3, quantities=("2", "2", "3"))
    older = book.updated(quotes[4], 2, quantities=("2", "1", "3"))
    early = book.status(quotes[31], 2, "approved", hour=7.0)
    morning = [*quotes[:_MORNING], newest, book.status(quotes[5], 2, "sent", hour=3.5)]
    changes = [
        book.updated(quotes[17], 2, quantities=("3", "1", "9", "60", "2")),
        book.updated(quotes[7], 2, more=Item(goods.ONBOARDING, "5")),
        book.updated(quotes[13], 2, quantities=("30", "30")),
        book.updated(quotes[13], 3, quantities=("30",)),
        book.updated(quotes[21], 2, more=Item(goods.PROJECT_HOUR, "6")),
        book.status(quotes[0], 2, "approved", hour=6.1),
        book.status(quotes[1], 2, "declined", hour=6.2),
        book.status(quotes[11], 2, "expired", hour=6.3),
    ]
    repeated = [copy.deepcopy(event) for event in (*quotes[:6], newest, *changes[:3])]
    afternoon = [early, *quotes[_MORNING:], *changes, older, *repeated]
    return Day(
        morning=tuple(morning),
        afternoon=tuple(afternoon),
        refused=book.faulty(98),
        smuggled=book.faulty(99),
        lost_answer=quotes[17]["subject"],
        rejected={quotes[41]["subject"]: "name.unknown", quotes[42]["subject"]: "halo.rejected"},
    )


def one_more(now: dt.datetime) -> Event:
    """A quote that is not of the day, for a person to publish."""
    return _Book(now).published(60, _quote(60), hour=0.0)


class _Book:
    """Makes events: ids are the quote's number and its revision."""

    def __init__(self, opens: dt.datetime) -> None:
        self._opens = opens

    def published(self, number: int, data: dict[str, Any], *, hour: float | None = None) -> Event:
        return self._event(
            f"Q-{2000 + number}", 1, "quote.published.v1", data, number / 8 if hour is None else hour
        )

    def updated(
        self,
        quote: Event,
        revision: int,
        *,
        quantities: Sequence[str] | None = None,
        more: Item | None = None,
    ) -> Event:
        """A revision of a quote; `quantities` are those of its first lines, and further lines are gone."""
        data = copy.deepcopy(quote["data"])
        data["title"] = f"{data['title']}, revision {revision}"
        if quantities is not None:
            data["lines"] = data["lines"][: len(quantities)]
            for line, quantity in zip(data["lines"], quantities, strict=True):
                line["quantity"] = quantity
        if more is not None:
            data["lines"].append(_line(len(data["lines"]) + 1, more))
        _put_tax(data, "lines" if any("tax" in line for line in data["lines"]) else "document")
        return self._event(quote["subject"], revision, "quote.updated.v1", data, 5 + revision / 10)

    def status(self, quote: Event, revision: int, status: str, *, hour: float) -> Event:
        return self._event(quote["subject"], revision, "quote.status_changed.v1", {"status": status}, hour)

    def with_data(self, quote: Event, **data: Any) -> Event:
        return {**quote, "data": {**quote["data"], **data}}

    def faulty(self, number: int) -> Event:
        """What a broken producer sends: four faults in one event."""
        data = _quote(number)
        del data["title"]
        data["lines"][0]["quantity"] = "several"
        data["expiry_date"] = "soon"
        data["currency"] = ""
        return self.published(number, data, hour=5.5)

    def _event(self, subject: str, revision: int, type_: str, data: dict[str, Any], hour: float) -> Event:
        at = self._opens + dt.timedelta(hours=hour)
        return {
            "specversion": "1.0",
            "id": f"{subject}-{revision}",
            "source": f"/{PRODUCER}",
            "type": type_,
            "subject": subject,
            "time": at.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            "tenant": TENANT,
            "revision": revision,
            "datacontenttype": "application/json",
            "data": data,
        }


def _quote(number: int, template: Template | None = None) -> dict[str, Any]:
    customer = CUSTOMERS[number % len(CUSTOMERS)]
    template = template or TEMPLATES[number % len(TEMPLATES)]
    data: dict[str, Any] = {
        "title": f"Q-{2000 + number} {template.title}",
        "number": f"Q-{2000 + number}",
        "customer": customer.data,
        "contact": customer.contact_data,
        "prepared_by": _seller(customer),
        "currency": "GBP",
        "status": _STATUSES[number % len(_STATUSES)],
        "lines": [_line(place, item) for place, item in enumerate(template.items, 1)],
    }
    if template.discount is not None:
        data["discount"] = template.discount
    _put_tax(data, template.tax)
    return data


def _seller(customer: Customer) -> dict[str, str]:
    """One seller is in the tenant's table, the other has a Halo agent of the same name."""
    if customer.known:
        return {"username": "alex", "name": "Alex M."}
    return {"username": "priya.shah", "name": "Priya Shah"}


def _line(place: int, item: Item) -> dict[str, Any]:
    product = item.product
    line: dict[str, Any] = {
        "id": f"l{place}",
        "product": product.data,
        "quantity": item.quantity,
        "price": product.price,
        "cost": product.cost,
    }
    if product.frequency is not None:
        line["frequency"] = product.frequency
    if item.discount is not None:
        line["discount"] = item.discount
    return line


def _put_tax(data: dict[str, Any], how: str) -> None:
    """Tax of 20 % as the quoting tool computes it: on each line, or on the document."""
    if how == "lines":
        for line in data["lines"]:
            line["tax"] = str(_fifth(line_net(line)))
        return
    tax = {"name": "VAT", "amount": str(_fifth(document_net(data))), "rate": "20"}
    data["taxes"] = [{**tax, "calculator": "avalara"} if how == "calculator" else tax]


def line_net(line: dict[str, Any]) -> Decimal:
    """What a line comes to after its own discount, to the cent."""
    gross = Decimal(line["quantity"]) * Decimal(line["price"])
    discount = line.get("discount") or {}
    percent, amount = Decimal(discount.get("percent", "0")), Decimal(discount.get("amount", "0"))
    return cents(gross * (100 - percent) / 100 - amount)


def document_net(data: dict[str, Any]) -> Decimal:
    """What a quote comes to after all discounts and before tax, to the cent."""
    net = sum((line_net(line) for line in data["lines"]), Decimal(0))
    discount = data.get("discount") or {}
    percent, amount = Decimal(discount.get("percent", "0")), Decimal(discount.get("amount", "0"))
    return net - cents(net * percent / 100) - amount


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _fifth(net: Decimal) -> Decimal:
    return cents(net / 5)
