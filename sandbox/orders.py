"""Sales orders: made by a caller, or by Halo itself of an approved quote when the tenant's settings say so.

The setting is `create_so_on_quote_approved` of `Control`. Halo's documentation doesn't say what approval is beside a
customer's signature; here a quote is approved when its status becomes one of the names below.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.errors import broken_reference, rule_error
from sandbox.instance import Instance
from sandbox.lookups import QUOTE_STATUS, codes
from sandbox.quotation import cents, decimal
from sandbox.schema import stamp
from sandbox.state import Values

APPROVED = frozenset({"accepted", "approved"})
ON_APPROVAL = "create_so_on_quote_approved"
OPEN = 1
COPIED = ("ticket_id", "client_id", "site_id", "user_id", "title", "assigned_agent", "currency_code")
COPIED_LINE = (
    "sort_seq",
    "item_id",
    "name",
    "productcode",
    "quantity",
    "baseprice",
    "price",
    "costprice",
    "discount_perc",
    "billingperiod",
)


def sales_order(instance: Instance, before: Values | None, element: Mapping[str, Any]) -> dict[str, Any]:
    """The row of an order; a line without an account takes its item's, or its item's group's."""
    store, now = instance.store, stamp(instance.clock.now())
    fresh = {"lines": (), "date": now, "status": OPEN}
    sent = {name: value for name, value in element.items() if name != "new_external_link"}
    values = {**(fresh if before is None else before), **sent}
    ticket = store.values("Faults", values.get("ticket_id"))
    if ticket is None:
        raise rule_error("A Sales Order needs an existing Ticket or Opportunity")
    if values.get("quotation_id") and store.values("Quotation", values["quotation_id"]) is None:
        raise broken_reference("quotation_id", "ORDERHEAD")
    values.setdefault("client_id", ticket.get("client_id"))
    if "lines" in element:
        values["lines"] = [line_of(instance, line) for line in element["lines"]]
    revenue, cost = amount(values["lines"], "price"), amount(values["lines"], "costprice")
    computed = {"revenue": float(revenue), "cost": float(cost), "profit": float(revenue - cost)}
    return {**values, **computed, "total": float(revenue), "last_update_time": now}


def amount(lines: Sequence[Mapping[str, Any]], each: str) -> Decimal:
    amounts = (cents(decimal(line.get("quantity")) * decimal(line.get(each))) for line in lines)
    return sum(amounts, Decimal(0))


def line_of(instance: Instance, line: Mapping[str, Any]) -> dict[str, Any]:
    item = instance.store.values("Item", line.get("item_id")) or {}
    group = instance.store.values("AssetGroup", item.get("assetgroup_id")) or {}
    account = item.get("nominalcode") or group.get("nominalcode")
    own = {} if account is None else {"nominalcode": account}
    return {**own, **line, "id": line.get("id") or instance.store.new_id("OrderLine")}


def after_quote(instance: Instance, quote_id: int, before: Values | None) -> None:
    """The order that Halo makes when a quote becomes approved, once for a quote."""
    store = instance.store
    quote = store.values("Quotation", quote_id) or {}
    if not instance.control.get(ON_APPROVAL) or quote.get("salesorder_id"):
        return
    if not is_approved(instance, quote) or is_approved(instance, before or {}):
        return
    element = {name: quote[name] for name in COPIED if quote.get(name) is not None}
    element |= {"quotation_id": quote_id, "po_number": quote.get("ponumber")}
    lines: Sequence[Mapping[str, Any]] = quote.get("lines", ())
    element["lines"] = [
        {name: line[name] for name in COPIED_LINE if line.get(name) is not None} for line in lines
    ]
    order_id = store.put("SalesOrder", sales_order(instance, None, element))
    store.put("Quotation", {**quote, "salesorder_id": order_id})


def is_approved(instance: Instance, quote: Mapping[str, Any]) -> bool:
    name = codes(instance.store, QUOTE_STATUS).get(quote.get("status", 0))
    return name is not None and name.casefold() in APPROVED
