"""Quotations (`/Quotation`): head, status and lines.

An update that carries `lines` carries all of them, those that exist with their Halo ids: what is not sent is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from halo.resources import QUOTATION
from halo.wire import as_id
from schemas.commands import Command, Notice, QuoteLine, SiteAddress, UpsertQuote
from schemas.targets import TargetState
from services.halo_writer.kinds.base import (
    ItemForbids,
    KindSpec,
    Resolved,
    Row,
    SoldItem,
    value_of,
    written,
)
from services.halo_writer.kinds.line_array import LineArray
from services.halo_writer.kinds.links import linked_fields
from services.halo_writer.kinds.site import ADDRESS_FIELDS, address_lines
from services.halo_writer.kinds.unsaid import Unsaid

_CENT = Decimal("0.01")
OWN_ORDER = "sales_order"
"""The part of a quote's row that names the order which Halo itself made of it."""


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    assert isinstance(command, UpsertQuote)
    opportunity = value_of(command.opportunity)
    return None if opportunity is None else {"ticket_id": resolved.target(opportunity)}


def _agent(value: Any, resolved: Resolved) -> Row:
    """The owner shows as the quote's agent and as the agent it is assigned to."""
    agent = resolved.name(value)
    return {} if agent is None else {"agent_id": agent, "assigned_agent": agent}


def _lines(value: tuple[QuoteLine, ...], resolved: Resolved) -> Row:
    return {
        "lines": [
            line_element(place, line, resolved) | linked_fields(line.links, resolved)
            for place, line in enumerate(value)
        ]
    }


def _sold_to(value: SiteAddress, resolved: Resolved) -> Row:
    return {"address": address_lines(value)}


def _ship_to(value: SiteAddress, resolved: Resolved) -> Row:
    return {"delivery_address": address_lines(value)}


def _check_sold(line: QuoteLine, item_id: int, sold: SoldItem) -> None:
    """Raises ItemForbids for a line that Halo would not take as it is, since it names the line and what to do."""
    if line.recurring and not sold.recurring:
        raise ItemForbids(
            item_id,
            "line.item_not_recurring",
            f"line {line.id} ({line.name}) recurs, but Halo's item {item_id} is a one-time item",
            "make the item recurring in Halo (Configuration > Products), or let the line match another item",
        )
    most = sold.max_discount_percent
    if most is not None and not _allowed(line, most):
        raise ItemForbids(
            item_id,
            "line.discount_too_high",
            f"line {line.id} ({line.name}) has a discount of {line.discount_percent}%, "
            f"but Halo's item {item_id} allows {most.normalize() + 0:f}% at most",
            "raise the item's maximum discount in Halo (Configuration > Products), or lower the line's discount",
        )


def _allowed(line: QuoteLine, most: Decimal) -> bool:
    """Whether a discount is within a percentage, or above it by no more than rounding a line to the cent brings."""
    over = line.discount_percent - most
    return over <= 0 or (over <= 1 and abs(over / 100 * line.base_price * line.quantity) < _CENT)


def _discount(line: QuoteLine, sold: SoldItem | None) -> Decimal:
    """The line's discount as Halo takes it: a part of a cent is none above what its item allows."""
    most = None if sold is None else sold.max_discount_percent
    return line.discount_percent if most is None else min(line.discount_percent, most)


def line_element(place: int, line: QuoteLine, resolved: Resolved) -> Row:
    item_id = item_id_of(line, resolved)
    sold = resolved.sold.get(item_id)
    if sold is not None:
        _check_sold(line, item_id, sold)
    element: Row = {
        "sort_seq": place + 1,
        "item_id": item_id,
        "name": line.name,
        "productcode": line.product_code,
        "description": line.description,
        "quantity": line.quantity,
        "baseprice": line.base_price,
        "price": line.price,
        "discount_perc": _discount(line, sold),
        "costprice": line.cost,
        "item_recurring": line.recurring,
        "billingperiod": None if line.billing_period is None else resolved.name(line.billing_period),
        "supplier_id": None if line.supplier is None else resolved.name(line.supplier),
    }
    if line.tax is not None:
        # The source's tax stands as given: Halo must not compute its own.
        element |= {"tax": line.tax, "ignoretaxcalc": True}
    return {name: value for name, value in element.items() if value is not None}


def item_id_of(line: QuoteLine, resolved: Resolved) -> int:
    if line.item is not None:
        return resolved.target(line.item)
    assert line.halo_item is not None, "a line sells something"
    item_id = resolved.name(line.halo_item)
    assert item_id is not None, "a product that the tenant file names is never left out"
    return item_id


def _mark(key: str) -> Row:
    return {"new_external_link": {"third_party_id": key, "third_party_desc": "halo-hub"}}


def _code(line: QuoteLine) -> str | None:
    return line.product_code


_OF_LINES = Unsaid(
    {"ignoretaxcalc": False, "costprice": 0, "description": "", "supplier_id": 0, "productcode": ""},
    # A tax that the source no longer gives must not stay in a total.
    assumed=frozenset({"ignoretaxcalc"}),
)
LINES = LineArray("lines", "productcode", _code, _mark, _OF_LINES)
_CARRIAGE = "carriage_price"
_OF_QUOTE = Unsaid({_CARRIAGE: 0, "note": "", "scope": ""}, assumed=frozenset({_CARRIAGE}))
_SAID = "said"
"""The part of a quote's row that remembers which of those were written."""


def _finish(command: Command, element: Row, row: TargetState) -> Row:
    """Nothing stays of what an earlier revision said and this one doesn't."""
    element = LINES.finish(command, element, row)
    if "id" not in element:
        return element
    # No charge for delivery is not the same as a charge of nothing: one that a person added stays.
    element = {name: value for name, value in element.items() if name != _CARRIAGE or value}
    unsaid = _unsaid(command, element)
    cleared = _OF_QUOTE.cleared(element, row.children.get(_SAID))
    element |= {name: value for name, value in cleared.items() if name in unsaid}
    if "lines" in element:
        # A line that doesn't recur has no period, whoever gave it one.
        element["lines"] = [
            {"billingperiod": 0} | line if "id" in line else line for line in element["lines"]
        ]
    return element


def _unsaid(command: Command, element: Row) -> set[str]:
    """The optional fields that the groups of an element could have, and that the source doesn't say."""
    assert isinstance(command, UpsertQuote)
    texts = {"note": command.note, "scope": command.description} if "title" in element else {}
    found = {name for name, field in texts.items() if field is UNSET}
    return found | {_CARRIAGE} if "lines" in element else found


def _noted(command: Command, element: Row, row: TargetState, *, settled: bool) -> dict[str, int]:
    found = LINES.noted(command, element, row, settled=settled)
    own = _OF_QUOTE.fields.keys() & element.keys()
    before = _OF_QUOTE.known(row.children.get(_SAID)) if "id" in element else 0
    if "id" in element and not own:
        return found
    said = _OF_QUOTE.said(element)
    return {**found, _SAID: _OF_QUOTE.of(own, said if settled else said | before, before)}


def _children(command: Command, record: Mapping[str, Any], row: TargetState) -> dict[str, int]:
    """The ids of its lines, and of the order that Halo itself made of it; what was said of it."""
    order = as_id(record.get("salesorder_id")) or row.children.get(OWN_ORDER)
    said = row.children.get(_SAID)
    found = LINES.children(command, record, row)
    found |= {} if said is None else {_SAID: said}
    return found if order is None else {**found, OWN_ORDER: order}


def _check(command: Command, record: Mapping[str, Any], *, created: bool) -> tuple[Notice, ...]:
    """Halo recomputes totals; a difference from the source's is said, never hidden."""
    assert isinstance(command, UpsertQuote)
    totals = command.totals.value if written(command.totals, creating=created) else None
    if totals is None:
        return ()
    notices = []
    for expected, name, code in (
        (totals.net, "revenue", "totals.net"),
        (totals.tax, "tax_total", "totals.tax"),
    ):
        found = record.get(name)
        if expected is None or found is None:
            continue
        if abs(Decimal(str(found)) - expected) >= Decimal("0.005"):
            notices.append(
                Notice(code=code, message=f"Halo computes {name} {found}, the source has {expected}")
            )
    return tuple(notices)


SPEC = KindSpec(
    kind="quote",
    resource=QUOTATION,
    fills={
        "opportunity": "ticket_id",
        "client": "client_id",
        "site": "site_id",
        "user": "user_id",
        "title": "title",
        "date": "date",
        "expiry_date": "expiry_date",
        "agent": _agent,
        "currency": "currency_code",
        "note": "note",
        "description": "scope",
        "po_number": "ponumber",
        # In this order: a status that Halo knows takes the place of the one to start with.
        "first_status": "status",
        "status": "status",
        "lines": _lines,
        "carriage": "carriage_price",
        "sold_to": _sold_to,
        "ship_to": _ship_to,
        "links": linked_fields,
    },
    key_field="third_party_number",
    key_scope=_key_scope,
    children=_children,
    check=_check,
    finish=_finish,
    parts=lambda command: frozenset({"lines"}),
    noted=_noted,
    repeatable=LINES.repeatable,
    nested={"address": ADDRESS_FIELDS, "delivery_address": ADDRESS_FIELDS},
)
