"""Lines and totals of a quote, recomputed at every save.

price = baseprice less discount_perc, unless a price is sent; revenue = sum of quantity * price; a line's
tax is its tax code's rate, or the amount given when `ignoretaxcalc`; without a site the quote bears no tax.
Not in Halo's documentation, so this sandbox's reading: `lines` in an update is the whole new list. A sent
line with a known id keeps it and its unsent fields, one without an id is new, a line left out is gone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.errors import rule_error

Line = Mapping[str, Any]
Values = Mapping[str, Any]
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Taxing:
    """What decides a line's tax. `percent_of` a tax code; None = no such code."""

    has_site: bool
    default_code: int
    percent_of: Callable[[int], float | None]


def merged_lines(
    before: Sequence[Line], sent: Sequence[Line], new_id: Callable[[], int]
) -> list[dict[str, Any]]:
    known = {line["id"]: line for line in before}
    merged = []
    for index, line in enumerate(sent):
        line_id = line.get("id") or 0
        if line_id and line_id not in known:
            raise rule_error(f"Quotation line {line_id} does not exist on this quotation")
        old = known.get(line_id, {})
        new = {"sort_seq": index + 1, **old, **line, "id": line_id or new_id()}
        new.pop("new_external_link", None)
        repriced = "price" not in line and line.keys() & {"baseprice", "discount_perc"}
        if repriced or "price" not in new:
            new["price"] = discounted(new)
        merged.append(new)
    return merged


def discounted(line: Line) -> float:
    base = decimal(line.get("baseprice"))
    return float(base * (1 - decimal(line.get("discount_perc")) / 100))


def check_recurring(lines: Sequence[Line], item: Callable[[int], Values | None]) -> None:
    """Raises a rule error that names the first recurring line without a recurring item."""
    for index, line in enumerate(lines):
        if not (line.get("item_recurring") or (line.get("billingperiod") or 0) > 0):
            continue
        sold = item(line.get("item_id") or 0)
        if sold is None or not sold.get("isrecurringitem"):
            name = line.get("name") or line.get("description") or ""
            raise rule_error(f"Line {index + 1} '{name}' is recurring but its item is not a recurring item")


def check_discounts(lines: Sequence[Line], item: Callable[[int], Values | None]) -> None:
    """Raises a rule error that names the first line with a higher discount than its item allows; 0 allows any."""
    for index, line in enumerate(lines):
        sold = item(line.get("item_id") or 0) or {}
        most = decimal(sold.get("maxitemdiscount"))
        if 0 < most < decimal(line.get("discount_perc")):
            name = line.get("name") or line.get("description") or ""
            raise rule_error(
                f"Line {index + 1} '{name}': the maximum discount for this item is {float(most):g}%"
            )


def settled(values: Values, taxing: Taxing) -> dict[str, Any]:
    """`values` with every computed field of the header and its lines."""
    lines = [priced(line, taxing) for line in values.get("lines", ())]
    revenue = total(lines, "total_price")
    cost = total(lines, "total_costprice")
    tax = total(lines, "total_tax")
    profit = revenue - cost
    return {
        **values,
        "lines": lines,
        "revenue": float(revenue),
        "cost": float(cost),
        "profit": float(profit),
        "margin": float((profit / revenue * 100).quantize(CENT, ROUND_HALF_UP)) if revenue else 0.0,
        "tax_total": float(tax),
        "total": float(revenue + tax + decimal(values.get("carriage_price"))),
    }


def priced(line: Line, taxing: Taxing) -> dict[str, Any]:
    quantity = decimal(line.get("quantity"))
    price = cents(quantity * decimal(line.get("price")))
    cost = cents(quantity * decimal(line.get("costprice")))
    rate = decimal(tax_rate(line, taxing))
    if line.get("ignoretaxcalc"):
        tax = decimal(line.get("tax"))
        own = {"tax": float(tax)}
    else:
        tax = cents(price * rate / 100)
        own = {"tax": float(tax), "tax_rate": float(rate)}
    return {
        **line,
        **own,
        "total_price": float(price),
        "net_total": float(price),
        "total_costprice": float(cost),
        "profit": float(price - cost),
        "total_tax": float(tax if taxing.has_site else Decimal(0)),
    }


def tax_rate(line: Line, taxing: Taxing) -> float:
    """Percent; codes of 0 and -1 stand for the default."""
    if not taxing.has_site or line.get("item_taxable") is False:
        return 0.0
    codes = (line.get("override_tax_code"), line.get("item_tax_code"), taxing.default_code)
    code = next((code for code in codes if code and code > 0), 0)
    return taxing.percent_of(code) or 0.0


def total(lines: Sequence[Line], field: str) -> Decimal:
    return sum((decimal(line[field]) for line in lines), Decimal(0))


def decimal(value: Any) -> Decimal:
    return Decimal(str(value or 0))


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)
