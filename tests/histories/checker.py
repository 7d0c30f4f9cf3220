"""Compares what a person expects with what the sandbox holds and was asked; reads nothing of the hub's own.

A finding's kind is the invariant that is broken:

    count   as many Halo quotes, opportunities, orders, clients and items as there should be, and no more
    lines   no line lost, added or mixed up
    amount  totals to the cent
    won     each step of a won quote once
    group   no product group made, no item without one
    state   statuses, titles, numbers and places
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.histories import amounts, person
from tests.histories.check_lines import carried, line_findings, order_findings, product_findings
from tests.histories.draw import Case
from tests.histories.expected import SUMMARY, Expected, HaloQuote, Opportunity, value_of
from tests.histories.ground import (
    BY_KEY,
    KNOWN_CLIENTS,
    LEAD_TYPE,
    OPPORTUNITY_TYPE,
    PICKS,
    UNKNOWN_CLIENT,
    WON,
)
from tests.histories.rules import Setting
from tests.histories.seen import Row, Seen, amount

Kind = Literal["count", "lines", "amount", "won", "group", "state"]


@dataclass(frozen=True)
class Finding:
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def findings(case: Case, want: Expected, seen: Seen) -> list[Finding]:
    return [Finding(kind, text) for kind, text in _all(case.setting, want, seen)]  # type: ignore[arg-type]


Found = Iterator[tuple[str, str]]


def _all(rules: Setting, want: Expected, seen: Seen) -> Found:
    places = _places(want, seen)
    yield from _groups(seen)
    yield from _companies(want, seen)
    yield from _items(rules, want, seen)
    yield from _opportunities(rules, want, seen, places)
    yield from _quotes(rules, want, seen, places)
    yield from _orders(rules, want, seen, places)
    yield from _refused(seen)


# Surroundings ---------------------------------------------------------------------------------------------------


def _groups(seen: Seen) -> Found:
    if seen.rows("AssetGroup") != seen.before["AssetGroup"]:
        yield "group", f"there are product groups that weren't: {seen.new('AssetGroup')}"
    groups = {row["id"] for row in seen.before["AssetGroup"]}
    for item in seen.new("Item"):
        if item.get("assetgroup_id") not in groups:
            yield "group", f"the item {item['name']!r} is in the group {item.get('assetgroup_id')}"


def _companies(want: Expected, seen: Seen) -> Found:
    yield from _as_many("client", want.clients, (row["name"] for row in seen.new("Client")))
    leads = Counter(row["summary"] for row in seen.new("Faults") if row["tickettype_id"] == LEAD_TYPE)
    for company in sorted(leads.keys() | want.leads.keys()):
        certain = want.leads.get(company)
        if leads[company] not in {None: (0,), False: (0, 1), True: (1,)}[certain]:
            yield "count", f"{leads[company]} leads of {company}"
    people = Counter((row.get("client_id"), row.get("emailaddress")) for row in seen.rows("Users"))
    for (client, email), count in people.items():
        if count > 1:
            yield "count", f"{count} contacts {email} of client {client}"


def _items(rules: Setting, want: Expected, seen: Seen) -> Found:
    due = {_item_name(key, rules): key for key in want.items}
    yield from _as_many("item", due, (row["name"] for row in seen.new("Item")))
    for row in seen.new("Item"):
        key = due.get(row["name"])
        if key is None or key == SUMMARY:
            continue
        product, group = BY_KEY[key], person.group_of(BY_KEY[key].fields, rules.of("items"))
        if row.get("assetgroup_id") != group:
            yield "group", f"the item {row['name']!r} is in the group {row.get('assetgroup_id')}, not {group}"
        if bool(row.get("isrecurringitem")) != product.recurring:
            yield "state", f"the item {row['name']!r} recurs: {row.get('isrecurringitem')}"


def _item_name(key: str, rules: Setting) -> str:
    if key == SUMMARY:
        return str(rules.of("opportunities")["lines"]["summary_part_number"])
    product = BY_KEY[key]
    if rules.of("items").get("name_from") == "manufacturer_part_number":
        return str(product.fields.get("manufacturer_part_number", product.name))
    return product.name


def _as_many(what: str, due: Any, there: Iterator[str]) -> Found:
    counted = Counter(there)
    for name in sorted(counted.keys() | set(due)):
        if counted[name] != (name in due):
            yield "count", f"the {what} {name!r} is there {counted[name]} times"


# Opportunities --------------------------------------------------------------------------------------------------


def _places(want: Expected, seen: Seen) -> dict[str, set[int]]:
    """Which rows each opportunity may be; more than one where their titles don't tell them apart."""
    made = [row for row in seen.new("Faults") if row["tickettype_id"] == OPPORTUNITY_TYPE]
    return {
        name: {int(name.split()[1])}
        if name.startswith("picked")
        else {row["id"] for row in made if row["summary"] in one.titles}
        for name, one in want.opportunities.items()
    }


def _opportunities(rules: Setting, want: Expected, seen: Seen, places: dict[str, set[int]]) -> Found:
    made = [row for row in seen.new("Faults") if row["tickettype_id"] != LEAD_TYPE]
    due = [name for name in want.opportunities if not name.startswith("picked")]
    if len(made) != len(due):
        yield "count", f"opportunities {sorted(row['summary'] for row in made)}, due are {sorted(due)}"
    for name, one in want.opportunities.items():
        if not places[name]:
            yield "state", f"no opportunity has a title of {name}: {sorted(one.titles)}"
        elif len(places[name]) == 1:
            (number,) = places[name]
            yield from _opportunity(name, one, seen.row("Faults", number), rules, seen)
    completed = Counter(one["id"] for one in seen.posted("Opportunities") if one.get("status_id") == WON)
    for number in PICKS:
        if completed[number] and f"picked {number}" not in want.opportunities:
            yield "won", f"the opportunity {number} of another was completed"


def _opportunity(name: str, want: Opportunity, row: Row, rules: Setting, seen: Seen) -> Found:
    completed = sum(
        one.get("id") == row["id"] and one.get("status_id") == WON for one in seen.posted("Opportunities")
    )
    perhaps = want.perhaps_by - want.completed_by
    if not 0 <= completed - len(want.completed_by) <= len(perhaps):
        yield "won", f"{name} was completed {completed} times, by {sorted(want.completed_by)}"
    status = want.status
    if name.startswith("own"):
        status = 20 if rules.of("opportunities").get("status") == "Qualified" else 1
    if completed:
        # What its producer says of a published one may come after that.
        status = None if name.startswith("published") else WON
    if status is not None and row.get("status_id") != status:
        yield "state", f"{name} has the status {row.get('status_id')}, not {status}"
    number = row.get("purchaseordernumber") or None
    if number not in want.po_numbers:
        yield "state", f"{name} has the PO number {number}, not {want.po_numbers}"
    if want.value is not None and amount(row.get("oppvalue")) != want.value:
        yield "amount", f"{name} is worth {row.get('oppvalue')}, not {want.value}"
    if want.shows is None or len(want.writers) > 1:
        return
    due = value_of(want.shows, rules.of("opportunities"))
    if amount(row.get("oppvalue")) != due:
        yield "amount", f"{name} is worth {row.get('oppvalue')}, not {due}"
    yield from product_findings(name, want.shows, row, rules)


# Quotes ---------------------------------------------------------------------------------------------------------


def _quotes(rules: Setting, want: Expected, seen: Seen, places: dict[str, set[int]]) -> Found:
    rows = seen.new("Quotation")
    for quote in sorted({_of(row["title"]) for row in rows} | {quote for quote, _ in want.quotes}):
        there = [row for row in rows if _of(row["title"]) == quote]
        due = [one for (of, _), one in want.quotes.items() if of == quote]
        if len(there) != len(due):
            yield "count", f"{quote} is {len(there)} Halo quotes, not {len(due)} ({_told(there, due)})"
            continue
        for one, row in _paired(due, there):
            yield from _quote(quote, one, row, rules, seen, places)


def _of(title: str) -> str:
    return title.split(maxsplit=1)[0]


def _told(rows: list[Row], due: list[HaloQuote]) -> str:
    found = ", ".join(f"{row['title']!r} {row.get('status')}" for row in rows)
    wanted = ", ".join(f"{one.head.document['title']!r} {one.status}" for one in due)
    return f"there: {found or 'none'}; due: {wanted or 'none'}"


def _paired(due: list[HaloQuote], rows: list[Row]) -> Iterator[tuple[HaloQuote, Row]]:
    """Each expected quote with the row that is most like it."""
    left = list(rows)
    for exact in (True, False):
        for one in list(due):
            alike = [row for row in left if _same(one, row)]
            if exact and not alike:
                continue
            row = alike[0] if alike else left[0]
            left.remove(row)
            due.remove(one)
            yield one, row


def _same(one: HaloQuote, row: Row) -> bool:
    return (one.head.document["title"], one.status) == (row["title"], row.get("status"))


def _quote(
    quote: str, want: HaloQuote, row: Row, rules: Setting, seen: Seen, places: dict[str, set[int]]
) -> Found:
    document, state = want.head.document, want.head
    for what, due, there in (
        ("title", document["title"], row["title"]),
        ("status", want.status, row.get("status")),
        ("PO number", want.po_number, row.get("ponumber") or None),
    ):
        if due != there:
            yield "state", f"{quote}: the {what} is {there!r}, not {due!r}"
    if row["ticket_id"] not in places.get(state.opportunity, ()):
        yield "state", f"{quote} is under the opportunity {row['ticket_id']}, not {state.opportunity}"
    client = seen.row("Client", row.get("client_id"))
    allowed = {state.company}
    if rules.leads and not want.at_client and state.company not in {one.name for one in KNOWN_CLIENTS}:
        # Without a client of its own it is its opportunity's, whose producer may have named another company.
        owner = seen.row("Faults", row["ticket_id"]).get("client_id")
        allowed |= {seen.row("Client", UNKNOWN_CLIENT)["name"], *(one.name for one in KNOWN_CLIENTS)}
        allowed |= {seen.row("Client", owner).get("name", state.company)}
    if client.get("name") not in allowed:
        yield "state", f"{quote} is for {client.get('name')}, not {allowed}"
    yield from line_findings(quote, document, row.get("lines", []), rules, seen)
    yield from _totals(quote, document, row, rules)


def _totals(quote: str, document: dict[str, Any], row: Row, rules: Setting) -> Found:
    on_line, beside = carried(document, rules)
    net = amounts.net(document) + on_line
    if amount(row["revenue"]) != net:
        yield "amount", f"{quote} comes to {row['revenue']}, not {net}"
    tax = amounts.tax(document, rules.quotes.get("taxes", {}))
    if not row.get("site_id"):
        tax = amounts.cents(amount(0))
    elif tax is None:
        given = [line["name"] for line in row["lines"] if line.get("ignoretaxcalc")]
        if given:
            yield "amount", f"{quote} has taxes that nobody gave, on {given}"
        tax = amount(row["tax_total"])
    if amount(row["tax_total"]) != tax:
        yield "amount", f"the tax of {quote} is {row['tax_total']}, not {tax}"
    if amount(row["total"]) != net + tax + beside:
        yield "amount", f"{quote} comes to {row['total']} in all, not {net + tax + beside}"


# Orders ---------------------------------------------------------------------------------------------------------


def _orders(rules: Setting, want: Expected, seen: Seen, places: dict[str, set[int]]) -> Found:
    quotes = {row["id"]: _of(row["title"]) for row in seen.new("Quotation")}
    by_hub = seen.created("SalesOrder")
    for quote in sorted({*quotes.values(), *want.orders}):
        orders = [row for row in seen.new("SalesOrder") if quotes.get(row.get("quotation_id")) == quote]
        ours = [row for row in orders if row["id"] in by_hub]
        due = want.orders.get(quote)
        if len(ours) != (due is not None):
            yield "won", f"{quote} has {len(ours)} orders of the hub's, not {int(due is not None)}"
        elif due is not None:
            yield from order_findings(quote, due, ours[0], rules, seen)
            quotation = seen.row("Quotation", ours[0]["quotation_id"])
            allowed = {quotation["ticket_id"], *places.get(due.opportunity, ())}
            if ours[0]["ticket_id"] not in allowed:
                yield "state", f"the order of {quote} is under {ours[0]['ticket_id']}, not {allowed}"
        halos = want.halo_orders(quote)
        if len(orders) - len(ours) != halos:
            yield "won", f"{quote} has {len(orders) - len(ours)} orders of Halo's, not {halos}"
    strange = [row for row in seen.new("SalesOrder") if row.get("quotation_id") not in quotes]
    if strange:
        yield "won", f"orders of no quote: {strange}"


def _refused(seen: Seen) -> Found:
    """What Halo is sure to refuse is never sent."""
    for request in seen.requests:
        if request["method"] == "POST" and (request["status"] or 500) >= 400:
            yield "state", f"Halo refused POST {request['path']}: {request.get('error')}"
