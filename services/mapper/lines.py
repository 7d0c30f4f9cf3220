"""A quote's lines, in order, with prices, discounts and taxes that add up to the document's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from hub.tenants.model import RuleSet
from schemas.commands import Linked, Named, Notice, QuoteLine, Totals
from schemas.envelope import Fault
from schemas.quotes import Line
from services.mapper.item import item_target
from services.mapper.links import linked
from services.mapper.money import LinePrice, from_cents, price_lines, to_cents
from services.mapper.part_numbers import own_number, part_number
from services.mapper.parts import QuoteLines
from services.mapper.periods import billing_period
from services.mapper.scope import MappingRejected, Scope, plain
from services.mapper.taxes import LineTaxes, left_out, line_taxes


class LinesMapped(msgspec.Struct, frozen=True):
    """`carriage` is the quote's own shipping charge; None where the source says nothing of one."""

    lines: tuple[QuoteLine, ...]
    totals: Totals
    notices: tuple[Notice, ...]
    carriage: Decimal | None = None


def map_lines(source: QuoteLines, scope: Scope) -> LinesMapped:
    """The lines of the Halo quote, in the source's order, and what they come to.

    A shipping charge counts once: in a last line where the tenant has a product for it, else in `carriage`.
    Raises MappingRejected with every fault of the lines.
    """
    pricing = price_lines(source.lines, source.discount)
    faults = (*pricing.faults, *_unnumbered(source.lines, scope.rules))
    if faults:
        raise MappingRejected(faults)
    taxes = line_taxes(source, [price.cents for price in pricing.lines], scope.quotes.taxes)
    links = [linked("lines", scope, line, line.product) for line in source.lines]
    lines = tuple(
        _line(line, price, tax, values, scope)
        for line, price, tax, (values, _) in zip(
            source.lines, pricing.lines, taxes.on_lines, links, strict=True
        )
    )
    charge_cents = _charge_cents(source, scope)
    if charge_cents:
        lines = (*lines, _shipping_line(source, charge_cents, taxes, scope))
    unfit = dict.fromkeys(notice for _, told in links for notice in told)
    unplaced = Decimal(0) if charge_cents else taxes.unplaced
    return LinesMapped(
        lines,
        _totals(pricing.net_cents + charge_cents, lines),
        (*pricing.notices, *taxes.notices, *unfit, *left_out(unplaced)),
        _carriage(source, scope),
    )


def _unnumbered(lines: Sequence[Line], rules: RuleSet) -> Iterator[Fault]:
    """The lines whose product the rules give no part number."""
    for place, line in enumerate(lines):
        if part_number(line, rules) is None:
            problem = f"line {line.id!r} ({line.product.name!r}) has no part number: set `items.part_number.fallback`"
            yield Fault(f"lines[{place}].product", problem)


def _line(
    line: Line, price: LinePrice, tax: Decimal | None, links: tuple[Linked, ...], scope: Scope
) -> QuoteLine:
    product, supplier = line.product, line.supplier
    period = billing_period(line.frequency, scope.rules)
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
        links=links,
    )


def _charge_cents(source: QuoteLines, scope: Scope) -> int:
    """What of the shipping charge is a line: all of it or nothing."""
    if source.shipping is None or scope.rules.items.shipping is None:
        return 0
    return to_cents(source.shipping)


def _carriage(source: QuoteLines, scope: Scope) -> Decimal | None:
    """The charge that is no line. 0 where it is one, since what an earlier revision wrote here would count twice."""
    if source.shipping is None:
        return None
    return from_cents(to_cents(source.shipping) - _charge_cents(source, scope))


def _shipping_line(source: QuoteLines, charge_cents: int, taxes: LineTaxes, scope: Scope) -> QuoteLine:
    """The shipping charge as a line of the tenant's product for it."""
    product, charge = scope.rules.items.shipping, from_cents(charge_cents)
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
        tax=_shipping_tax(taxes),
    )


def _shipping_tax(taxes: LineTaxes) -> Decimal | None:
    """The source's taxes are those of its own lines; of a document without any they are the charge's."""
    if not taxes.on_lines:
        return taxes.unplaced or None
    return None if taxes.on_lines[0] is None else Decimal(0)


def _totals(net_cents: int, lines: Sequence[QuoteLine]) -> Totals:
    """`tax` is the sum of what is sent; None where none is, so that Halo reckons its own."""
    sent = [line.tax for line in lines if line.tax is not None]
    return Totals(net=from_cents(net_cents), tax=plain(sum(sent, Decimal(0))) if sent else None)
