"""What a document comes to on its opportunity: the value, and the lines as products.

Invariants:

* The products add up to the document to the cent, whether lines or their sum, bundles or their members; a shipping
  charge that is no line of the quote is in the sum alone.
* Where costs are hidden no product shows one.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

import msgspec
from msgspec import UNSET

from hub.tenants.opportunities import Opportunities, OpportunityLines
from schemas.commands import (
    Command,
    Field,
    Match,
    Named,
    Notice,
    OpportunityLine,
    QuoteLine,
    UpsertItem,
    UpsertQuote,
)
from schemas.quotes import Line
from schemas.targets import Target
from services.mapper.money import from_cents, to_cents
from services.mapper.part_numbers import part_number
from services.mapper.parts import QuoteLines
from services.mapper.refs import bounded
from services.mapper.scope import NO_BASIS, Scope, plain, sealed

SUMMARY = "summary"
_MAX_NAMED = 5


class Products(msgspec.Struct, frozen=True):
    """The opportunity's value, its products (None: they are not written) and the items that only it needs."""

    value: Decimal
    lines: tuple[OpportunityLine, ...] | None = None
    items: tuple[Command, ...] = ()
    notices: tuple[Notice, ...] = ()


def products_of(source: QuoteLines, quote: UpsertQuote, scope: Scope) -> Products:
    """What a quote, its lines as published in `source` and as mapped in `quote`, comes to on the opportunity."""
    rules = scope.opportunities
    lines, net, tax = _whole(quote)
    own = {line.id for line in source.lines}
    sold = [line for line in lines if line.id in own]
    written: tuple[OpportunityLine, ...] | None
    items: tuple[Command, ...] = ()
    match rules.lines.write:
        case "none":
            written = None
        case "summary":
            item = _summary_item(rules.lines, scope)
            cost = _cost(sold) if rules.lines.cost else None
            written, items = (_summary(net, cost, tax, rules.lines, item.target),), (item,)
        case "detail":
            written = _detail(source.lines, lines, rules.lines, scope)
        case _:
            assert_never(rules.lines.write)
    value = _price(sold) - _cost(sold) if rules.value == "profit" else net
    return Products(plain(value), written, items, _missing(sold) if _needs_costs(rules) else ())


def _whole(quote: UpsertQuote) -> tuple[Sequence[QuoteLine], Decimal, Decimal | None]:
    """The mapped lines, and what the document comes to with its shipping charge: before tax, and the tax."""
    assert quote.lines is not UNSET, "a quote is mapped whole"
    assert quote.totals is not UNSET, "a quote is mapped whole"
    totals = quote.totals.value
    carriage = Decimal(0) if quote.carriage is UNSET else quote.carriage.value
    return quote.lines.value, plain(totals.net + carriage), totals.tax


def _needs_costs(rules: Opportunities) -> bool:
    return rules.value == "profit" or (rules.lines.write == "summary" and rules.lines.cost)


def _price(lines: Sequence[QuoteLine]) -> Decimal:
    """Halo's own sum: each line rounded by itself."""
    return from_cents(sum(to_cents(line.quantity * line.price) for line in lines))


def _cost(lines: Sequence[QuoteLine]) -> Decimal:
    """The same for costs. A line that says none counts as 0."""
    return from_cents(sum(to_cents(line.quantity * line.cost) for line in lines if line.cost is not None))


def _missing(lines: Sequence[QuoteLine]) -> tuple[Notice, ...]:
    without = [line.name for line in lines if line.cost is None and line.quantity]
    if not without:
        return ()
    named = ", ".join(without[:_MAX_NAMED]) + (" and more" if len(without) > _MAX_NAMED else "")
    message = f"{len(without)} of {len(lines)} lines say no cost, which counts as 0: {named}"
    return (Notice(code="opportunity.cost_missing", message=message),)


def _summary(
    net: Decimal, cost: Decimal | None, tax: Decimal | None, rules: OpportunityLines, item: Target
) -> OpportunityLine:
    number = _summary_number(rules)
    return OpportunityLine(
        id=SUMMARY,
        item=item,
        name=number,
        part_number=number,
        quantity=Decimal(1),
        price=net,
        cost=cost,
        tax=tax,
    )


def _summary_number(rules: OpportunityLines) -> str:
    assert rules.summary_part_number is not None, "a tenant file with the summary has its part number"
    return rules.summary_part_number


def _summary_item(rules: OpportunityLines, scope: Scope) -> UpsertItem:
    """The product that carries the sum: a part number is that of an item."""
    number, group = _summary_number(rules), scope.rules.items.asset_group
    assert group is not None, "a tenant file with quotes has a default group"
    return sealed(
        UpsertItem(
            target=scope.target("item", bounded(f"sku:{number}")),
            basis=NO_BASIS,
            ensure=True,
            match=(Match(by="sku", value=number), Match(by="name", value=number)),
            name=Field(value=number),
            group=Field(
                value=Named(lookup="asset_group", name=group, setting="items.asset_group", chosen=True)
            ),
            recurring=Field(value=False),
            part_number=Field(value=number),
        )
    )


def _detail(
    source: Sequence[Line], lines: Sequence[QuoteLine], rules: OpportunityLines, scope: Scope
) -> tuple[OpportunityLine, ...]:
    published = {line.id: line for line in source}
    bundled = rules.bundles == "summary"
    groups: dict[str, list[QuoteLine]] = {}
    for line in lines:
        own = published.get(line.id)
        head = own.bundle if bundled and own is not None and own.bundle is not None else line.id
        groups.setdefault(head, []).append(line)
    heads = {line.bundle for line in source} if bundled else set()
    written = [
        _bundle(published[head], group, scope)
        if head in heads
        else _one(group[0], published.get(head), scope)
        for head, group in groups.items()
    ]
    return tuple(one if rules.cost else msgspec.structs.replace(one, cost=None) for one in written)


def _one(line: QuoteLine, source: Line | None, scope: Scope) -> OpportunityLine:
    """A line that the hub adds to the document's goes by its code or name."""
    number = (line.product_code or line.name) if source is None else _number(source, scope)
    return OpportunityLine(
        id=line.id,
        item=line.item,
        halo_item=line.halo_item,
        name=line.name,
        part_number=number,
        quantity=line.quantity,
        price=line.price,
        cost=line.cost,
        tax=line.tax,
    )


def _bundle(head: Line, lines: Sequence[QuoteLine], scope: Scope) -> OpportunityLine:
    """One product with the bundle's totals: its head's, unless the head itself is no line of the quote."""
    own = next((line for line in lines if line.id == head.id), None)
    taxes = [line.tax for line in lines if line.tax is not None]
    return OpportunityLine(
        id=head.id,
        item=(own or lines[0]).item,
        name=head.product.name if own is None else own.name,
        part_number=_number(head, scope),
        quantity=Decimal(1),
        price=_price(lines),
        cost=_cost(lines) if any(line.cost is not None for line in lines) else None,
        tax=plain(sum(taxes, Decimal(0))) if taxes else None,
    )


def _number(line: Line, scope: Scope) -> str:
    number = part_number(line, scope.rules)
    assert number is not None, "a line without a part number is a fault of its quote"
    return number
