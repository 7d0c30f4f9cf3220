"""Amounts that add up: discounts and taxes spread over lines to the cent, unit prices that Halo multiplies back.

Everything is exact decimal arithmetic; nothing here rounds twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext

import msgspec

from schemas.commands import Notice
from schemas.envelope import Fault
from schemas.quotes import Line, LineDiscount
from services.mapper.scope import plain

PLACES = Decimal("0.000001")
_PRECISION = 60
_ALWAYS_REACHABLE = 10_000
"""Up to this quantity a price of six places reaches every cent of a line's total."""


class LinePrice(msgspec.Struct, frozen=True):
    """A line's unit price before and after discount, the discount in percent, and its total in cents."""

    base: Decimal
    price: Decimal
    discount_percent: Decimal
    cents: int


class Pricing(msgspec.Struct, frozen=True):
    """All lines' prices. `net_cents` is what the document comes to at its source."""

    lines: tuple[LinePrice, ...]
    net_cents: int
    faults: tuple[Fault, ...] = ()
    notices: tuple[Notice, ...] = ()


def price_lines(lines: Sequence[Line], discount: LineDiscount | None) -> Pricing:
    """Prices after each line's own discount and its share of the document's.

    The sum over lines of round(quantity * price, 2) equals the document's net to the cent. Where six places can't
    reach a line's cents (quantities above 10,000), another line takes the rest; failing that, a notice says so.
    """
    with localcontext(prec=_PRECISION):
        faults: list[Fault] = []
        nets = [_line_net(index, line, faults) for index, line in enumerate(lines)]
        shares = spread(_document_discount(sum(nets), discount, faults), nets)
        wanted = [net - share for net, share in zip(nets, shares, strict=True)]
        priced = [
            _priced(line, cents, share == 0) for line, cents, share in zip(lines, wanted, shares, strict=True)
        ]
        net = sum(wanted)
        priced = _made_up(net, lines, priced)
        rest = _lacking(net, priced)
        return Pricing(tuple(priced), net, tuple(faults), (_unreachable(rest),) if rest else ())


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """`total` cents shared in proportion to `weights`: exact, and the same for the same input.

    Cents left over go to the largest remainders, the earlier line first. Without any weight to go by, all lines
    weigh the same.
    """
    if total == 0 or not weights:
        return [0] * len(weights)
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    if whole < 0:
        weights, whole = [-weight for weight in weights], -whole
    shares = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return shares


def to_cents(amount: Decimal) -> int:
    """Whole cents, halves away from zero."""
    return int((amount * 100).to_integral_value(ROUND_HALF_UP))


def from_cents(cents: int) -> Decimal:
    return plain(Decimal(cents).scaleb(-2))


def _line_net(index: int, line: Line, faults: list[Fault]) -> int:
    gross = line.quantity * line.price
    discount = line.discount
    if discount is None:
        return to_cents(gross)
    if discount.percent is not None:
        return to_cents(gross * (100 - discount.percent) / 100)
    assert discount.amount is not None
    if not 0 <= discount.amount <= max(gross, Decimal(0)):
        problem = f"a discount of {discount.amount} does not fit line {line.id!r}, which comes to {gross}"
        faults.append(Fault(f"lines[{index}].discount.amount", problem))
        return to_cents(gross)
    return to_cents(gross - discount.amount)


def _document_discount(net: int, discount: LineDiscount | None, faults: list[Fault]) -> int:
    if discount is None:
        return 0
    if discount.percent is not None:
        return to_cents(from_cents(net) * discount.percent / 100)
    assert discount.amount is not None
    cents = to_cents(discount.amount)
    if not 0 <= cents <= max(net, 0):
        problem = f"a discount of {discount.amount} does not fit a document of {from_cents(net)}"
        faults.append(Fault("discount.amount", problem))
        return 0
    return cents


def _priced(line: Line, cents: int, undiscounted_by_document: bool) -> LinePrice:
    """The line's price such that quantity * price rounds to `cents`, as near as six places allow."""
    base = plain(line.price)
    own = None if line.discount is None or line.discount.amount == 0 else line.discount
    if line.quantity == 0 or (own is None and undiscounted_by_document):
        return LinePrice(base, base, Decimal(0), to_cents(line.quantity * base))
    if own is not None and own.percent is not None and undiscounted_by_document:
        price = plain((line.price * (100 - own.percent) / 100).quantize(PLACES, ROUND_HALF_UP))
        if to_cents(line.quantity * price) == cents:
            return LinePrice(base, price, plain(own.percent), cents)
    return _at(line, cents)


def _at(line: Line, cents: int) -> LinePrice:
    """The price nearest to `cents`, with the discount that it comes to."""
    price = plain((Decimal(cents) / 100 / line.quantity).quantize(PLACES, ROUND_HALF_UP))
    percent = Decimal(0)
    if line.price != 0:
        # A cent more or less of a line that comes to a few is no discount that Halo could show.
        share = (line.price - price) * 100 / line.price
        percent = plain(min(max(share, Decimal(0)), Decimal(100)).quantize(PLACES, ROUND_HALF_UP))
    return LinePrice(plain(line.price), price, percent, to_cents(line.quantity * price))


def _made_up(net: int, lines: Sequence[Line], prices: list[LinePrice]) -> list[LinePrice]:
    """The prices, of which the largest that can be moved by any cent takes what they lack of `net`.

    Only a price of more than that is taken: the cents that are lacking must not turn a line into its opposite.
    """
    rest = _lacking(net, prices)
    if not rest:
        return prices
    able = [
        index
        for index, line in enumerate(lines)
        if 0 < abs(line.quantity) <= _ALWAYS_REACHABLE and abs(prices[index].cents) > abs(rest)
    ]
    if not able:
        return prices
    index = max(able, key=lambda index: (abs(prices[index].cents), -index))
    return [*prices[:index], _at(lines[index], prices[index].cents + rest), *prices[index + 1 :]]


def _lacking(net: int, prices: Sequence[LinePrice]) -> int:
    return net - sum(price.cents for price in prices)


def _unreachable(rest: int) -> Notice:
    message = (
        f"the quote will show {from_cents(abs(rest))} {'less' if rest > 0 else 'more'} than its source: "
        "a unit price has six decimal places, too few for a discount on so large a quantity"
    )
    return Notice(code="money.rounding", message=message)
