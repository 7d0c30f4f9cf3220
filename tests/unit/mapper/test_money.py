"""Amounts add up to the cent, for any quote."""

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.quotes import Line, LineDiscount, Product
from services.mapper.money import Pricing, from_cents, price_lines, spread, to_cents

CENT = Decimal("0.01")


def line(
    quantity: str, price: str, percent: str | None = None, amount: str | None = None, line_id: str = "1"
) -> Line:
    discount = None
    if percent is not None or amount is not None:
        discount = LineDiscount(
            percent=None if percent is None else Decimal(percent),
            amount=None if amount is None else Decimal(amount),
        )
    return Line(
        id=line_id,
        product=Product(name="x"),
        quantity=Decimal(quantity),
        price=Decimal(price),
        discount=discount,
    )


def shown(lines: list[Line], pricing: Pricing) -> Decimal:
    """What Halo makes of the lines: each line's quantity times its price, rounded to cents, and added up."""
    with localcontext(prec=60):
        return sum(
            (
                (one.quantity * priced.price).quantize(CENT, ROUND_HALF_UP)
                for one, priced in zip(lines, pricing.lines, strict=True)
            ),
            Decimal(0),
        )


def test_a_line_without_discount_keeps_its_price() -> None:
    pricing = price_lines([line("3", "19.99")], None)
    assert pricing.lines[0].price == pricing.lines[0].base == Decimal("19.99")
    assert pricing.lines[0].discount_percent == 0
    assert pricing.net_cents == 5997


@pytest.mark.feature("money.discount", part="mapper")
def test_a_lines_own_percentage_goes_as_it_is() -> None:
    pricing = price_lines([line("3", "19.99", percent="12.5")], None)
    priced = pricing.lines[0]
    assert (priced.base, priced.discount_percent) == (Decimal("19.99"), Decimal("12.5"))
    assert priced.price == Decimal("17.49125")
    assert pricing.net_cents == 5247


@pytest.mark.feature("money.discount", part="mapper")
def test_a_lines_amount_becomes_a_price_that_gives_the_same_total() -> None:
    lines = [line("3", "10", amount="1")]
    pricing = price_lines(lines, None)
    assert pricing.net_cents == 2900
    assert shown(lines, pricing) == Decimal("29.00")
    assert pricing.lines[0].price == Decimal("9.666667")
    assert pricing.lines[0].discount_percent == Decimal("3.33333")


@pytest.mark.feature("money.discount", part="mapper")
def test_a_document_discount_is_spread_so_that_the_total_matches_to_the_cent() -> None:
    lines = [line("1", "10", line_id="1"), line("1", "10", line_id="2"), line("1", "10", line_id="3")]
    pricing = price_lines(lines, LineDiscount(amount=Decimal(10)))
    assert pricing.net_cents == 2000
    assert shown(lines, pricing) == Decimal(20)
    # The odd cents go to the first lines: the same for every run.
    assert [one.cents for one in pricing.lines] == [666, 667, 667]


@pytest.mark.feature("money.discount", part="mapper")
def test_line_and_document_discounts_add_up() -> None:
    lines = [line("2", "99.99", percent="10", line_id="1"), line("7", "3.33", amount="0.31", line_id="2")]
    pricing = price_lines(lines, LineDiscount(percent=Decimal("7.5")))
    # 179.98 + 23.00 = 202.98; less 7.5 % (15.22)
    assert pricing.net_cents == 18776
    assert shown(lines, pricing) == Decimal("187.76")


def test_a_discount_larger_than_what_it_is_on_is_told_with_its_line() -> None:
    lines = [
        line("1", "10", amount="10.01", line_id="A"),
        line("1", "-5", amount="1", line_id="B"),
        line("1", "5", amount="-1", line_id="C"),
    ]
    pricing = price_lines(lines, LineDiscount(amount=Decimal("10.01")))
    assert [fault.at for fault in pricing.faults] == [
        "lines[0].discount.amount",
        "lines[1].discount.amount",
        "lines[2].discount.amount",
        "discount.amount",
    ]
    assert "'A'" in pricing.faults[0].problem


def test_a_quantity_that_six_places_cannot_serve_lets_another_line_take_the_cents() -> None:
    lines = [line("3000000", "0.1", amount="0.01", line_id="1"), line("1", "100", line_id="2")]
    pricing = price_lines(lines, None)
    assert shown(lines, pricing) == from_cents(pricing.net_cents)
    assert pricing.notices == ()


def test_where_no_line_can_take_them_a_notice_says_so() -> None:
    lines = [line("3000000", "0.1", amount="0.01")]
    pricing = price_lines(lines, None)
    assert shown(lines, pricing) != from_cents(pricing.net_cents)
    assert [notice.code for notice in pricing.notices] == ["money.rounding"]
    assert "0.01" in pricing.notices[0].message


@pytest.mark.feature("money.discount", part="mapper")
def test_no_discount_is_less_than_nothing_or_more_than_all() -> None:
    """Half a cent that is rounded up is not a discount of -100 %."""
    (nothing,) = price_lines([line("1", "0.005", amount="0")], None).lines
    assert (nothing.price, nothing.discount_percent, nothing.cents) == (Decimal("0.005"), Decimal(0), 1)
    (whole,) = price_lines([line("2", "0.004", amount="0.001")], None).lines
    assert (whole.discount_percent, whole.cents) == (Decimal(0), 1)


def test_cents_that_a_line_cannot_take_without_turning_are_told() -> None:
    lines = [line("1", "0.01", line_id="1"), line("99999999", "949", amount="0.1", line_id="2")]
    pricing = price_lines(lines, None)
    assert pricing.lines[0].price == Decimal("0.01")
    assert [notice.code for notice in pricing.notices] == ["money.rounding"]


def test_nothing_comes_to_nothing() -> None:
    pricing = price_lines([line("0", "10", percent="5"), line("5", "0", line_id="2")], None)
    assert pricing.net_cents == 0
    assert price_lines([], LineDiscount(percent=Decimal(5))).net_cents == 0


amounts = st.decimals(min_value="0", max_value="99999", places=2) | st.decimals("0", "999", places=6)
quantities = (
    st.integers(1, 50).map(Decimal)
    | st.decimals("0.01", "999", places=2)
    | st.integers(1, 10_000).map(Decimal)
    | st.just(Decimal(0))
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[list[Line], LineDiscount | None]:
    lines = []
    for number in range(draw(st.integers(1, 8))):
        quantity, price = draw(quantities), draw(amounts)
        kind = draw(st.sampled_from(["none", "percent", "amount"]))
        discount = None
        if kind == "percent":
            discount = LineDiscount(percent=draw(st.decimals("0", "100", places=3)))
        elif kind == "amount":
            share = draw(st.integers(0, 100))
            discount = LineDiscount(amount=(quantity * price * share / 100).quantize(CENT, "ROUND_DOWN"))
        lines.append(
            Line(id=str(number), product=Product(name="x"), quantity=quantity, price=price, discount=discount)
        )
    kind = draw(st.sampled_from(["none", "percent", "amount"]))
    if kind == "none":
        return lines, None
    if kind == "percent":
        return lines, LineDiscount(percent=draw(st.decimals("0", "100", places=2)))
    net = price_lines(lines, None).net_cents
    return lines, LineDiscount(amount=from_cents(draw(st.integers(0, net))))


@pytest.mark.feature("money.discount", part="mapper")
@pytest.mark.invariant("INV-13")
def test_any_document_adds_up_to_the_cent_with_prices_of_six_places() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None)
    @given(documents())
    def check(document: tuple[list[Line], LineDiscount | None]) -> None:
        lines, discount = document
        pricing = price_lines(lines, discount)
        assert pricing.faults == ()
        assert pricing.notices == ()
        assert shown(lines, pricing) == from_cents(pricing.net_cents)
        before = price_lines(lines, None).net_cents
        taken = before - pricing.net_cents
        if discount is None:
            assert taken == 0
        elif discount.amount is not None:
            assert taken == to_cents(discount.amount)
        else:
            assert discount.percent is not None
            with localcontext(prec=60):
                assert taken == to_cents(from_cents(before) * discount.percent / 100)
        for one, priced in zip(lines, pricing.lines, strict=True):
            for value in (priced.price, priced.discount_percent):
                assert -value.as_tuple().exponent <= 6  # type: ignore[operator]
            assert priced.base == one.price
        assert price_lines(lines, discount) == pricing
        seen["all"] += 1
        seen["document discount"] += discount is not None
        seen["line discount"] += any(one.discount is not None for one in lines)
        seen["fractional quantity"] += any(one.quantity % 1 != 0 for one in lines)
        seen["several lines"] += len(lines) > 1

    check()
    print(dict(seen))
    for interesting in seen.keys() - {"all"}:
        assert seen[interesting] >= 0.05 * seen["all"], seen


@given(st.integers(-10_000, 10_000), st.lists(st.integers(-500, 500), min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_what_is_spread_is_whole_and_nobody_is_a_cent_off_its_share(total: int, weights: list[int]) -> None:
    shares = spread(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        if whole:
            assert abs(share - Decimal(total) * weight / whole) < 1


def test_spreading_is_by_remainder_then_by_position() -> None:
    assert spread(100, [1, 1, 1]) == [34, 33, 33]
    assert spread(100, [1, 2, 3]) == [17, 33, 50]
    assert spread(5, [0, 0]) == [3, 2]
    assert spread(0, [1, 2]) == [0, 0]
    assert spread(5, []) == []
