"""The checker's part about what is sold: lines of quotes and orders, and products on opportunities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from tests.histories import amounts, person
from tests.histories.ground import FREIGHT, PERIODS
from tests.histories.person import State
from tests.histories.rules import Setting
from tests.histories.seen import Row, Seen, amount

Json = dict[str, Any]
Found = Iterator[tuple[str, str]]


def carried(document: Json, rules: Setting) -> tuple[Decimal, Decimal]:
    """The charge for delivery: on a line of the quote, or beside its lines."""
    charge = amounts.shipping(document)
    return (charge, Decimal(0)) if "shipping" in rules.of("items") else (Decimal(0), charge)


def line_findings(quote: str, document: Json, rows: Sequence[Row], rules: Setting, seen: Seen) -> Found:
    due: list[Json] = document["lines"]
    freight = bool(carried(document, rules)[0])
    names = [line["product"]["name"] for line in due] + [FREIGHT] * freight
    if [row.get("name") for row in rows] != names:
        yield "lines", f"{quote} has the lines {[row.get('name') for row in rows]}, not {names}"
        return
    for line, row in zip(due, rows, strict=False):
        for what, value, there in _fields(line, row, rules, seen):
            if value != there:
                yield (
                    "lines",
                    f"{quote}: {what} of line {line['id']} ({row['name']}) is {there!r}, not {value!r}",
                )
        if abs(amount(row["total_price"]) - amounts.share(line, document)) > amounts.CENT:
            share = amounts.share(line, document)
            yield "amount", f"{quote}: line {line['id']} comes to {row['total_price']}, not {share}"


def _fields(line: Json, row: Row, rules: Setting, seen: Seen) -> Iterator[tuple[str, Any, Any]]:
    period = rules.sections["billing_periods"].get(line.get("frequency"))
    yield "the quantity", Decimal(line["quantity"]), amount(row.get("quantity"))
    yield "the price", Decimal(line["price"]), amount(row.get("baseprice"))
    yield "the cost", Decimal(line.get("cost", 0)), amount(row.get("costprice"))
    yield "the text", line.get("description", ""), row.get("description") or ""
    yield "whether it recurs", period is not None, bool(row.get("item_recurring"))
    yield "the period", PERIODS.get(period, 0), row.get("billingperiod") or 0
    yield "the item", *_items(line, row, seen)


def _items(line: Json, row: Row, seen: Seen) -> tuple[Any, Any]:
    product, sold = person.product_of(line), seen.row("Item", row.get("item_id"))
    if product.item is not None:
        return product.item, sold.get("id")
    names = (product.name, product.fields.get("manufacturer_part_number"))
    return True, sold.get("name") in names


def product_findings(name: str, state: State, row: Row, rules: Setting) -> Found:
    """The products on an opportunity add up to its document, line by line or in one."""
    lines = rules.of("opportunities").get("lines", {"write": "none"})
    products: list[Row] = row.get("items_issued") or []
    document = state.document
    on_line, beside = carried(document, rules)
    due, count = amounts.net(document) + on_line, 0
    match lines["write"]:
        case "none":
            due = Decimal(0)
        case "summary":
            due, count = due + beside, 1
        case "detail":
            # A bundle is one product, its head's: its parts are none of their own.
            parts = [
                line for line in document["lines"] if lines.get("bundles") == "summary" and "bundle" in line
            ]
            count = len(document["lines"]) - len(parts) + bool(on_line)
    if len(products) != count:
        yield "lines", f"{name} has {len(products)} products, not {count}"
    there = sum((amount(one["total_price"]) for one in products), Decimal(0))
    if there != due:
        yield "amount", f"the products of {name} come to {there}, not {due}"
    if lines.get("cost") is False and any(one.get("costprice") for one in products):
        yield "state", f"the products of {name} show costs"


def order_findings(quote: str, due: State, row: Row, rules: Setting, seen: Seen) -> Found:
    document = due.document
    on_line, _ = carried(document, rules)
    names = [line["product"]["name"] for line in document["lines"]] + [FREIGHT] * bool(on_line)
    lines: list[Row] = row.get("lines") or []
    if [line.get("name") for line in lines] != names:
        yield "lines", f"the order of {quote} has the lines {[one.get('name') for one in lines]}, not {names}"
    if amount(row["total"]) != amounts.net(document) + on_line:
        yield "amount", f"the order of {quote} comes to {row['total']}, not {amounts.net(document) + on_line}"
    number = person.po_number(document, rules)
    if (row.get("po_number") or None) != number:
        yield "state", f"the order of {quote} has the PO number {row.get('po_number')}, not {number}"
    yield from _accounts(quote, lines, rules, seen)


def _accounts(quote: str, lines: Sequence[Row], rules: Setting, seen: Seen) -> Found:
    codes = {"Hardware": 1, "Services": 3}
    accounts = rules.of("items").get("accounts", {})
    incomes = {codes[group]: codes_of["income"] for group, codes_of in accounts.items()}
    for line in lines:
        group = seen.row("Item", line.get("item_id")).get("assetgroup_id")
        if group in incomes and line.get("nominalcode") != incomes[group]:
            yield "state", f"{line['name']} on the order of {quote} is booked on {line.get('nominalcode')}"
