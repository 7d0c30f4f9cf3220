"""What Halo holds of each quote after an example, read from the sandbox's rows alone. Pure.

Which rows are a quote's is told by what a person sees: titles begin with the quote's number.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cli.demo.sandbox_side import QUOTE_STATUS_LOOKUP, State
from cli.demo.verify import money

Row = Mapping[str, Any]
Facts = dict[str, Any]
_BILLING_PERIODS = 27
_ITEM_TYPES = "Item type"
_RELATIONSHIPS = "Customer relationship"


class Halo:
    """The sandbox's rows after an example, and which of them are new."""

    def __init__(self, before: State, after: State) -> None:
        self._after = after
        self._known = {table: {row["id"] for row in rows} for table, rows in before.items()}

    def rows(self, table: str) -> Sequence[Row]:
        return self._after.get(table, [])

    def new(self, table: str) -> list[Row]:
        known = self._known.get(table, set())
        return [row for row in self.rows(table) if row["id"] not in known]

    def row(self, table: str, id_: object) -> Row:
        """The row of that id, or an empty one."""
        return next((row for row in self.rows(table) if row["id"] == id_), {})

    def name(self, table: str, id_: object) -> str | None:
        """The name of a row."""
        found: str | None = self.row(table, id_).get("name")
        return found

    def code(self, lookup: int | None, code: object) -> str | None:
        """The name of a code in one of Halo's lists."""
        rows = self.rows("Lookup")
        return next(
            (row["name"] for row in rows if (row["lookupid"], row["id_in_lookup"]) == (lookup, code)), None
        )

    def lookup(self, name: str) -> int | None:
        """The number of the code list of that name."""
        rows = (row for row in self.rows("Lookup") if row["lookupid"] == 11)
        return next((row["id_in_lookup"] for row in rows if row["name"].lower() == name.lower()), None)


def of_quote(number: str, halo: Halo) -> Facts:
    """What Halo holds of one source quote."""
    quotes = quotes_of(number, halo)
    opportunity = opportunity_of(number, halo)
    newest = quotes[-1] if quotes else opportunity or {}
    return {
        "client": halo.name("Client", newest.get("client_id")),
        "site": halo.name("Site", newest.get("site_id")),
        "contact": halo.row("Users", newest.get("user_id")).get("emailaddress"),
        "opportunity": None if opportunity is None else _opportunity(opportunity, halo),
        "quotes": [_quote(row, halo) for row in quotes],
        "orders": [_order(row, halo) for row in orders_of(number, halo)],
    }


def in_all(halo: Halo, items: Collection[str]) -> Facts:
    """What is new beside the quotes: clients, contacts, leads, products; and the `items` that are asked for."""
    return {
        "clients": {row["name"]: _client(row, halo) for row in halo.new("Client")},
        "contacts": sorted(str(row.get("emailaddress")) for row in halo.new("Users")),
        "leads": sorted(str(row["summary"]) for row in leads(halo)),
        "items": {
            row["name"]: _item(row, halo)
            for row in halo.rows("Item")
            if row["name"] in items or row in halo.new("Item")
        },
        "groups": [row["name"] for row in halo.new("AssetGroup")],
    }


def quotes_of(number: str, halo: Halo) -> list[Row]:
    return [row for row in halo.rows("Quotation") if _is_of(number, row.get("title"))]


def opportunity_of(number: str, halo: Halo) -> Row | None:
    """That of its Halo quotes; without any, the one that is called like it."""
    under = {row.get("ticket_id") for row in quotes_of(number, halo)}
    for row in halo.rows("Faults"):
        if row["id"] in under or (not under and _is_of(number, row.get("summary"))):
            return row
    return None


def orders_of(number: str, halo: Halo) -> list[Row]:
    quotes = {row["id"] for row in quotes_of(number, halo)}
    return [row for row in halo.rows("SalesOrder") if row.get("quotation_id") in quotes]


def leads(halo: Halo) -> list[Row]:
    """New opportunities that others are under."""
    parents = {row.get("parent_id") for row in halo.rows("Faults")}
    return [row for row in halo.new("Faults") if row["id"] in parents]


def _is_of(number: str, title: object) -> bool:
    return f"{title} ".startswith(f"{number} ")


def _opportunity(row: Row, halo: Halo) -> Facts:
    return {
        "title": row.get("summary"),
        "type": halo.name("TicketType", row.get("tickettype_id")),
        "status": halo.name("Status", row.get("status_id")),
        "client": halo.name("Client", row.get("client_id")),
        "agent": halo.name("Agent", row.get("agent_id")),
        "team": row.get("team"),
        "lead": halo.row("Faults", row.get("parent_id")).get("summary"),
        "value": str(money(row.get("oppvalue"))),
        "po_number": row.get("purchaseordernumber"),
        "products": [_product(product) for product in row.get("items_issued") or ()],
    }


def _quote(row: Row, halo: Halo) -> Facts:
    return {
        "status": halo.code(QUOTE_STATUS_LOOKUP, row.get("status")),
        "client": halo.name("Client", row.get("client_id")),
        "agent": halo.name("Agent", row.get("agent_id")),
        "po_number": row.get("ponumber"),
        "sold_to": _address(row.get("address")),
        "ship_to": _address(row.get("delivery_address")),
        "lines": [_line(line, halo) for line in row.get("lines") or ()],
        "net": str(money(row.get("revenue"))),
        "tax": str(money(row.get("tax_total"))),
        "total": str(money(row.get("total"))),
    }


def _order(row: Row, halo: Halo) -> Facts:
    return {
        "po_number": row.get("po_number"),
        "opportunity": halo.row("Faults", row.get("ticket_id")).get("summary"),
        "lines": [_line(line, halo) for line in row.get("lines") or ()],
        "total": str(money(row.get("total"))),
    }


def _line(row: Row, halo: Halo) -> str:
    """`2 x 27-inch Monitor at 224.10 instead of 249.00, Monthly`; with the Halo product where its name is another."""
    return "".join(_parts(row, halo))


def _parts(row: Row, halo: Halo) -> Iterator[str]:
    yield f"{_plain(row.get('quantity'))} x {row.get('name')}"
    item = halo.name("Item", row.get("item_id"))
    if item != row.get("name"):
        yield f" ({item})"
    yield f" at {_price(row.get('price'))}"
    if Decimal(str(row.get("baseprice") or 0)) != Decimal(str(row.get("price") or 0)):
        yield f" instead of {_price(row.get('baseprice'))}"
    period = halo.code(_BILLING_PERIODS, row.get("billingperiod"))
    if period is not None:
        yield f", {period}"
    if row.get("nominalcode"):
        yield f", account {row['nominalcode']}"


def _product(row: Row) -> str:
    cost = "" if row.get("costprice") is None else f", cost {_price(row['costprice'])}"
    return (
        f"{_plain(row.get('quantity'))} x {row.get('supplier_part_code')} at {_price(row.get('price'))}{cost}"
    )


def _client(row: Row, halo: Halo) -> Facts:
    relationships = halo.lookup(_RELATIONSHIPS)
    given = [halo.code(relationships, int(one["id"])) for one in row.get("customer_relationship") or ()]
    sites = [site for site in halo.rows("Site") if site.get("client_id") == row["id"]]
    return {
        "relationship": ", ".join(str(name) for name in given) or None,
        "sites": [
            {"name": site["name"], "address": _address(site.get("delivery_address"))} for site in sites
        ],
    }


def _item(row: Row, halo: Halo) -> Facts:
    return {
        "group": halo.name("AssetGroup", row.get("assetgroup_id")),
        "type": halo.code(halo.lookup(_ITEM_TYPES), row.get("type")),
        "number": row.get("internalreference"),
        "sku": row.get("supplier_part_code"),
        "price": _price(row.get("baseprice")),
        "cost": _price(row.get("costprice")),
        "period": halo.code(_BILLING_PERIODS, row.get("item_default_billing_period")),
        "income": row.get("nominalcode"),
        "stocked": not row.get("dont_track_stock", False),
    }


def _address(address: object) -> str | None:
    """The lines and the postcode as they stand in Halo, empty ones left out."""
    if not isinstance(address, Mapping):
        return None
    parts = [address.get(name) for name in ("line1", "line2", "line3", "line4", "postcode")]
    return ", ".join(str(part) for part in parts if part)


def _plain(value: object) -> str:
    return format(Decimal(str(value or 0)).normalize() + 0, "f")


def _price(value: object) -> str:
    """At least two places, and as many as there are."""
    amount = Decimal(str(value or 0))
    return str(money(amount)) if amount == money(amount) else _plain(amount)
