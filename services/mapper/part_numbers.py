"""The part number of a product: a field of the source, or made from a template. Pure: no clock, no counter."""

from __future__ import annotations

from hub.tenants.items import PartNumber
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from hub.tenants.part_numbers import LINE_ID, custom_key, filled
from schemas.quotes import Line, ProductData

MAX_NUMBER = 255
_DEFAULT = "default"


def part_number(line: Line, rules: RuleSet) -> str | None:
    """The number that the tenant's rules give the line's product, by the fallback if need be; None without any."""
    return number_of(line.product, rules.items.part_number, line.id)


def number_of(product: ProductData, rules: PartNumber, line_id: str = "") -> str | None:
    """The product's number, by the fallback if need be; None when there is none, or none that Halo could keep."""
    number = own_number(product, rules, line_id) or _made(product, rules.fallback, line_id)
    return number if 0 < len(number) <= MAX_NUMBER else None


def own_number(product: ProductData, rules: PartNumber, line_id: str = "") -> str:
    """The number that the source gives, or that the tenant has made where it gives none; empty without either."""
    given = _value(product, rules.from_, line_id).strip()
    if given:
        return given
    made = ""
    if rules.generates("macro"):
        made = rules.macro or ""
    elif rules.generates("item_type"):
        table = rules.type_table
        made = table.get(folded(product.item_type or ""), table.get(_DEFAULT, ""))
    return _made(product, made, line_id)


def _made(product: ProductData, template: str, line_id: str) -> str:
    return filled(template, lambda name: _value(product, name, line_id).strip()).strip()


def _value(product: ProductData, field: str, line_id: str) -> str:
    if field == LINE_ID:
        return line_id
    custom = custom_key(field)
    if custom is not None:
        return product.custom.get(custom, "")
    return getattr(product, field) or ""
