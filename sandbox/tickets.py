"""What Halo demands of a new ticket by its type and its settings, and the products on a ticket.

Not in Halo's documentation, so this sandbox's reading: `items_issued` in an update is the whole new list, as `lines`
of a quote; a field of a ticket type is mandatory for a new ticket where its `technew` is 2; and with the appointment
check on, a new ticket that comes with an agent is refused, since nobody is there to answer the question.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.errors import broken_reference, rule_error
from sandbox.instance import Instance
from sandbox.quotation import cents, decimal, total

Element = Mapping[str, Any]

MANDATORY = 2
PRODUCTS = "items_issued"


def check_new(instance: Instance, element: Element, ticket_type: Element) -> None:
    """Raises a rule error for what a person at the screen would have to fill in or to answer."""
    missing = [label(field) for field in ticket_type.get("fields") or () if lacking(field, element)]
    if missing:
        raise rule_error(f"Please complete the following mandatory fields: {', '.join(missing)}")
    if element.get("agent_id") and instance.control.get("checkreassignappclashes"):
        raise rule_error("The Agent has ongoing Appointments. Are you sure you want to assign this Ticket?")


def lacking(field: Element, element: Element) -> bool:
    """Whether a field of the type's list is mandatory and not filled in; custom fields go by id or name."""
    if field.get("technew") != MANDATORY:
        return False
    info = field.get("fieldinfo") or {}
    custom = (sent for sent in element.get("customfields") or () if isinstance(sent, Mapping))
    given = [sent.get("value") for sent in custom if known_by(sent, info)]
    return element.get(info.get("name", "")) in (None, "") and not any(given)


def known_by(sent: Element, info: Element) -> bool:
    return bool(sent.get("id", 0) == info.get("id") or sent.get("name", "") == info.get("name"))


def label(field: Element) -> str:
    info = field.get("fieldinfo") or {}
    return str(info.get("label") or field.get("fieldname") or info.get("name"))


def with_products(instance: Instance, values: dict[str, Any], sent: Sequence[Element]) -> dict[str, Any]:
    """`values` with the products of `sent`: a known id keeps its unsent fields, none is a new one."""
    before = {product["id"]: product for product in values.get(PRODUCTS) or ()}
    products = [product_of(instance, element, before) for element in sent]
    return {
        **values,
        PRODUCTS: products,
        "items_issued_count": len(products),
        "itemsprice": float(total(products, "total_price")),
    }


def product_of(instance: Instance, element: Element, before: Mapping[int, Element]) -> dict[str, Any]:
    known = element.get("id") or 0
    if known and known not in before:
        raise rule_error(f"Item {known} does not exist on this Ticket")
    item = instance.store.values("Item", element.get("item_id"))
    if element.get("item_id") and item is None:
        raise broken_reference("item_id", "FAULTITEM")
    product = {
        "supplier_part_code": (item or {}).get("supplier_part_code"),
        **before.get(known, {}),
        **element,
    }
    amount = float(cents(decimal(product.get("quantity")) * decimal(product.get("price"))))
    number = known or instance.store.new_id("FaultItem")
    return {**product, "id": number, "total_price": amount, "net_total": amount}
