"""A quote's lines, in order, with prices, discounts and taxes that add up to the document's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from hub.tenants.names import folded
from hub.tenants.quotes import Taxes
from schemas.commands import Named, Notice, QuoteLine, Totals
from schemas.quotes import Line, Tax
from services.mapper.item import item_target
from services.mapper.links import linked
from services.mapper.money import LinePrice, from_cents, price_lines, spread, to_cents
from services.mapper.part_numbers import own_number, part_number
from services.mapper.parts import QuoteLines
from services.mapper.periods import billing_period
from services.mapper.scope import Scope, plain


class LinesMapped(msgspec.Struct, frozen=True):
    """`carriage` is the quote's own shipping charge; None where the source says nothing of one."""

    lines: tuple[QuoteLine, ...]
    totals: Totals
    notices: tuple[Notice, ...]
    carriage: Decimal | None = None


def map_lines(source: QuoteLines, scope: Scope) -> LinesMapped:
    """The lines of the Halo quote and what they come to. Faults of amounts go to `scope`."""
    pricing = price_lines(source.lines, source.discount)
    scope.faults.extend(pricing.faults)
    assert scope.rules.quotes is not None, "only a tenant with quotes maps lines"
    taxes, loose, notices = _taxes(source, pricing.lines, scope.rules.quotes.taxes)
    lines = tuple(
        _line(place, line, price, tax, scope)
        for place, (line, price, tax) in enumerate(zip(source.lines, pricing.lines, taxes, strict=True))
    )
    if scope.rules.fields.lines:
        links = [linked("lines", scope, line, line.product) for line in source.lines]
        lines = tuple(replace(line, links=values) for line, (values, _) in zip(lines, links, strict=True))
        notices = (*notices, *dict.fromkeys(notice for _, told in links for notice in told))
    told = (*pricing.notices, *notices)
    if source.shipping is None or scope.rules.items.shipping is None:
        carriage = None if source.shipping is None else from_cents(to_cents(source.shipping))
        return LinesMapped(lines, _totals(pricing.net_cents, lines), (*told, *_left_out(loose)), carriage)
    charge = to_cents(source.shipping)
    if charge:
        # The source's taxes are those of its own lines; without any they are the charge's.
        tax = (loose or None) if not lines else None if lines[0].tax is None else Decimal(0)
        lines = (*lines, _shipping_line(source, from_cents(charge), tax, scope))
        loose = Decimal(0)
    # What an earlier revision may have had as its carriage would count twice.
    totals = _totals(pricing.net_cents + charge, lines)
    return LinesMapped(lines, totals, (*told, *_left_out(loose)), Decimal(0))


def _totals(net_cents: int, lines: Sequence[QuoteLine]) -> Totals:
    pushed = [line.tax for line in lines if line.tax is not None]
    return Totals(net=from_cents(net_cents), tax=plain(sum(pushed, Decimal(0))) if pushed else None)


def _shipping_line(source: QuoteLines, charge: Decimal, tax: Decimal | None, scope: Scope) -> QuoteLine:
    """The shipping charge as a line of the tenant's product for it."""
    product = scope.rules.items.shipping
    assert product is not None, "only a tenant with a shipping product has such a line"
    line_id, taken = "shipping", {line.id for line in source.lines}
    while line_id in taken:
        line_id += "."
    return QuoteLine(
        id=line_id,
        halo_item=Named(lookup="item", name=product, setting="items.shipping", chosen=True),
        name=product if isinstance(product, str) else "Shipping",
        quantity=Decimal(1),
        base_price=charge,
        price=charge,
        discount_percent=Decimal(0),
        tax=tax,
    )


def _line(place: int, line: Line, price: LinePrice, tax: Decimal | None, scope: Scope) -> QuoteLine:
    product = line.product
    if part_number(line, scope.rules) is None:
        problem = f"line {line.id!r} ({product.name!r}) has no part number: set `items.part_number.fallback`"
        scope.fault(f"lines[{place}].product", problem)
    period = billing_period(line.frequency, scope.rules)
    supplier = line.supplier
    return QuoteLine(
        id=line.id,
        name=product.name,
        item=item_target(product, scope),
        quantity=plain(line.quantity),
        base_price=price.base,
        price=price.price,
        discount_percent=price.discount_percent,
        cost=None if line.cost is None else plain(line.cost),
        tax=tax,
        product_code=own_number(product, scope.rules.items.part_number, line.id) or None,
        description=line.description if line.description is not None else product.description,
        recurring=period is not None,
        billing_period=period,
        supplier=None if supplier is None else Named(lookup="supplier", name=supplier.name, missing="leave"),
    )


def _taxes(
    source: QuoteLines, prices: Sequence[LinePrice], rules: Taxes
) -> tuple[list[Decimal | None], Decimal, tuple[Notice, ...]]:
    """Each line's tax: as the source gives it, or its share of the document's taxes. None where none is pushed.

    Beside them what of the document's taxes has no line to be on.
    A line's tax doesn't say who calculated it, so lines count only where no calculator of the document is skipped.
    """
    none: list[Decimal | None] = [None] * len(source.lines)
    if not rules.push:
        return none, Decimal(0), ()
    skipped = [tax for tax in source.taxes if tax.calculator and folded(tax.calculator) in rules.skipped]
    kept = [tax for tax in source.taxes if tax not in skipped]
    on_lines = [line.tax for line in source.lines if line.tax is not None]
    by_line = sum(on_lines, Decimal(0))
    whole = max(by_line, sum((tax.amount for tax in source.taxes), Decimal(0)), key=abs)
    if on_lines and not skipped:
        # The document may name more, a delivery's for example.
        given = [Decimal(0) if line.tax is None else plain(line.tax) for line in source.lines]
        return [*given], Decimal(0), _left_out(whole - by_line, any_sent=True)
    sent = sum((tax.amount for tax in kept), Decimal(0))
    told = (*map(_skipped, skipped), *_left_out(whole - sent, any_sent=bool(kept)))
    if not kept or not source.lines:
        return none, plain(sent), told
    shares = spread(to_cents(sent), [price.cents for price in prices])
    return [from_cents(share) for share in shares], Decimal(0), told


def _skipped(tax: Tax) -> Notice:
    message = f"the tax {tax.name!r} of {tax.amount} is not sent: {tax.calculator} is in quotes.taxes.skip"
    return Notice(code="tax.skipped", message=message)


def _left_out(amount: Decimal, *, any_sent: bool = False) -> tuple[Notice, ...]:
    """What Halo's total lacks: lines may carry more tax than those that the document names."""
    if not amount:
        return ()
    shown = "" if any_sent else "; what tax Halo shows it reckons itself"
    message = f"{plain(amount)} of the tax at its source is not in the quote's total in Halo{shown}"
    return (Notice(code="tax.left_out", message=message),)
