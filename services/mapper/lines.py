"""A quote's lines, in order, with prices, discounts and taxes that add up to the document's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from hub.tenants.model import Taxes
from hub.tenants.names import folded
from schemas.commands import Named, Notice, QuoteLine, Totals
from schemas.quotes import Line, Tax
from services.mapper.item import item_target
from services.mapper.money import LinePrice, from_cents, price_lines, spread, to_cents
from services.mapper.parts import QuoteLines
from services.mapper.periods import billing_period
from services.mapper.scope import Scope, plain


class LinesMapped(msgspec.Struct, frozen=True):
    lines: tuple[QuoteLine, ...]
    totals: Totals
    notices: tuple[Notice, ...]


def map_lines(source: QuoteLines, scope: Scope) -> LinesMapped:
    """The lines of the Halo quote and what they come to. Faults of amounts go to `scope`."""
    pricing = price_lines(source.lines, source.discount)
    scope.faults.extend(pricing.faults)
    assert scope.rules.quotes is not None, "only a tenant with quotes maps lines"
    taxes, notices = _taxes(source, pricing.lines, scope.rules.quotes.taxes)
    lines = tuple(
        _line(line, price, tax, scope)
        for line, price, tax in zip(source.lines, pricing.lines, taxes, strict=True)
    )
    pushed = [tax for tax in taxes if tax is not None]
    totals = Totals(net=from_cents(pricing.net_cents), tax=plain(sum(pushed, Decimal(0))) if pushed else None)
    return LinesMapped(lines, totals, (*pricing.notices, *notices))


def _line(line: Line, price: LinePrice, tax: Decimal | None, scope: Scope) -> QuoteLine:
    product = line.product
    period = billing_period(line.frequency, scope.rules)
    supplier = line.supplier
    return QuoteLine(
        id=line.id,
        item=item_target(product, scope),
        name=product.name,
        quantity=plain(line.quantity),
        base_price=price.base,
        price=price.price,
        discount_percent=price.discount_percent,
        cost=None if line.cost is None else plain(line.cost),
        tax=tax,
        product_code=product.manufacturer_part_number or None,
        description=line.description if line.description is not None else product.description,
        recurring=period is not None,
        billing_period=period,
        supplier=None if supplier is None else Named(lookup="supplier", name=supplier.name, missing="leave"),
    )


def _taxes(
    source: QuoteLines, prices: Sequence[LinePrice], rules: Taxes
) -> tuple[list[Decimal | None], tuple[Notice, ...]]:
    """Each line's tax: as the source gives it, or its share of the document's taxes. None where none is pushed.

    A line's tax doesn't say who calculated it, so lines count only where no calculator of the document is skipped.
    """
    none: list[Decimal | None] = [None] * len(source.lines)
    if not rules.push:
        return none, ()
    skipped = [tax for tax in source.taxes if tax.calculator and folded(tax.calculator) in rules.skipped]
    kept = [tax for tax in source.taxes if tax not in skipped]
    told = tuple(_skipped(tax) for tax in skipped)
    on_lines = any(line.tax is not None for line in source.lines)
    if on_lines and not skipped:
        return [Decimal(0) if line.tax is None else plain(line.tax) for line in source.lines], told
    if not kept:
        return none, told
    shares = spread(
        to_cents(sum((tax.amount for tax in kept), Decimal(0))), [price.cents for price in prices]
    )
    return [from_cents(share) for share in shares], told


def _skipped(tax: Tax) -> Notice:
    message = f"the tax {tax.name!r} of {tax.amount} is not sent: {tax.calculator} is in quotes.taxes.skip"
    return Notice(code="tax.skipped", message=message)
