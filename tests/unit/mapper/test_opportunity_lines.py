"""A document's lines as products on its opportunity: all of them, their sum, bundles, part numbers, costs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from schemas.commands import Field, Match, OpportunityLine
from services.mapper.money import to_cents
from tests.unit.mapper.build import line, mapped, quote, rules

NUMBER = "QUOTE-TOTAL"
BUNDLE = [
    line(1, price="100", cost="70", quantity="2", product={"manufacturer_part_number": "SRV"}),
    line(2, price="10.005", cost="4", quantity="3", bundle="1"),
    line(3, price="0", bundle="1", tax="1.50"),
    line(4, price="55", cost="50"),
]


def products(data: Any, items: Any = None, **lines: Any) -> Sequence[OpportunityLine]:
    opportunity = mapped(data, rules(opportunities={"lines": lines}, items=items or {})).opportunity
    assert isinstance(opportunity.lines, Field)
    return opportunity.lines.value


def amount(lines: Sequence[OpportunityLine]) -> Decimal:
    return Decimal(sum(to_cents(line.quantity * line.price) for line in lines)) / 100


@pytest.mark.feature("opp.lines", part="mapper")
def test_without_the_setting_a_documents_lines_are_the_quotes_alone() -> None:
    made = mapped(quote(lines=BUNDLE))
    assert made.opportunity.lines is UNSET
    assert len(made.lines) == 4


@pytest.mark.feature("opp.lines.detail", part="mapper")
def test_each_line_is_a_product_with_its_item_amounts_and_order() -> None:
    data = quote(
        lines=[
            line(7, price="20", quantity="3.50", cost="12.5", tax="14", discount={"percent": "10"}),
            line(2, price="5", product={"manufacturer_part_number": "MPN"}),
        ]
    )
    made = mapped(data, rules(opportunities={"lines": {"write": "detail"}}))
    assert made.opportunity.lines == Field(
        value=(
            OpportunityLine(
                id="7",
                item=made.lines[0].item,
                name="Product 7",
                part_number="Product 7",
                quantity=Decimal("3.5"),
                price=Decimal(18),
                cost=Decimal("12.5"),
                tax=Decimal(14),
            ),
            OpportunityLine(
                id="2",
                item=made.lines[1].item,
                name="Product 2",
                part_number="MPN",
                quantity=Decimal(1),
                price=Decimal(5),
                tax=Decimal(0),
            ),
        )
    )


@pytest.mark.feature("opp.lines.detail", part="mapper")
def test_a_shipping_product_is_a_line_of_the_opportunity_too() -> None:
    found = products(quote(shipping="25"), items={"shipping": "Freight"}, write="detail")
    assert [(line.name, line.price, line.item) for line in found[1:]] == [("Freight", Decimal(25), None)]
    assert found[1].halo_item is not None


@pytest.mark.feature("opp.lines.summary", part="mapper")
def test_the_summary_is_one_product_with_the_sums_of_the_document() -> None:
    data = quote(
        lines=[line(1, price="100", cost="60", quantity="3"), line(2, price="50", cost="20.005", tax="9")],
        discount={"amount": "50"},
        shipping="12.50",
    )
    (found,) = products(data, write="summary", summary_part_number=NUMBER)
    assert (found.quantity, found.price, found.cost, found.tax) == tuple(
        map(Decimal, ("1", "312.5", "200.01", "9"))
    )


@pytest.mark.feature("opp.lines.summary", part="mapper")
def test_of_costs_that_are_missing_the_sum_is_of_those_given_and_that_is_told() -> None:
    data = quote(lines=[line(1, cost="60"), line(2)])
    with_rules = rules(opportunities={"lines": {"write": "summary", "summary_part_number": NUMBER}})
    made = mapped(data, with_rules).opportunity
    assert isinstance(made.lines, Field)
    assert made.lines.value[0].cost == 60
    assert [notice.code for notice in made.notices] == ["opportunity.cost_missing"]


@pytest.mark.feature("opp.lines.summary.part", part="mapper")
def test_the_summary_goes_under_its_part_number_as_an_item_that_is_there_for_it() -> None:
    with_rules = rules(opportunities={"lines": {"write": "summary", "summary_part_number": NUMBER}})
    made = mapped(quote(), with_rules)
    assert isinstance(made.opportunity.lines, Field)
    (found,) = made.opportunity.lines.value
    assert (found.part_number, found.name) == (NUMBER, NUMBER)
    assert found.price == made.quote.totals.value.net
    item = made.items[-1]
    assert found.item == item.target
    assert item.ensure
    assert item.match == (Match(by="sku", value=NUMBER), Match(by="name", value=NUMBER))
    assert item.part_number == Field(value=NUMBER)
    # The next document's summary is a line of the same product.
    assert mapped(quote(title="Other"), with_rules).items[-1] == item


@pytest.mark.feature("opp.lines.number", part="mapper")
@pytest.mark.parametrize(
    ("part_number", "expected"),
    [
        ({}, ["MPN-1", "Product 2"]),
        ({"fallback": "LINE-{source_line_id}"}, ["MPN-1", "LINE-2"]),
        ({"from": "custom_text_03", "if_missing": "macro", "macro": "NW-{vendor}"}, ["CT-1", "NW-Acme"]),
    ],
)
def test_each_product_has_a_number_by_the_tenants_rules(part_number: Any, expected: list[str]) -> None:
    data = quote(
        lines=[
            line(1, product={"manufacturer_part_number": "MPN-1", "custom": {"custom_text_03": "CT-1"}}),
            line(2, product={"vendor": "Acme"}),
        ]
    )
    found = products(data, items={"part_number": part_number}, write="detail")
    assert [line.part_number for line in found] == expected


@pytest.mark.feature("opp.lines.cost", part="mapper")
@pytest.mark.parametrize("mode", [{"write": "detail"}, {"write": "summary", "summary_part_number": NUMBER}])
def test_hidden_costs_are_on_no_product_not_even_the_summary(mode: Any) -> None:
    data = quote(lines=BUNDLE)
    assert any(line.cost is not None for line in products(data, **mode))
    assert all(line.cost is None for line in products(data, cost=False, **mode))
    bundled = products(data, cost=False, write="detail", bundles="summary")
    assert all(line.cost is None for line in bundled)
    # The quote's own lines are another matter.
    made = mapped(data, rules(opportunities={"lines": {"cost": False} | mode}))
    assert made.lines[0].cost == 70


@pytest.mark.feature("opp.lines.bundle", part="mapper")
def test_a_bundle_is_one_product_with_its_totals_and_its_members_are_not_written() -> None:
    bundle, single = products(quote(lines=BUNDLE), write="detail", bundles="summary")
    assert (bundle.id, bundle.name, bundle.part_number) == ("1", "Product 1", "SRV")
    assert (bundle.quantity, bundle.price, bundle.cost) == tuple(map(Decimal, ("1", "230.02", "152")))
    assert bundle.tax == Decimal("1.5")
    assert (single.id, single.price) == ("4", Decimal(55))


@pytest.mark.feature("opp.lines.bundle", part="mapper")
def test_a_bundle_stands_where_its_first_line_does_also_when_its_head_comes_later() -> None:
    found = products(quote(lines=[BUNDLE[3], *reversed(BUNDLE[:3])]), write="detail", bundles="summary")
    assert [line.id for line in found] == ["4", "1"]


@pytest.mark.feature("opp.lines.bundle", part="mapper")
def test_expanded_a_bundle_is_its_members() -> None:
    found = products(quote(lines=BUNDLE), write="detail", bundles="expand")
    assert [line.id for line in found] == ["1", "2", "3", "4"]
    assert found == products(quote(lines=BUNDLE), write="detail")


AMOUNTS = st.decimals(min_value=0, max_value=2_000, places=3).map(str)
LINES = st.lists(
    st.tuples(AMOUNTS, st.decimals(0, 50, places=2).map(str), st.none() | AMOUNTS, st.booleans()),
    min_size=1,
    max_size=8,
)


@pytest.mark.feature("opp.lines.bundle", part="mapper")
@pytest.mark.feature("opp.lines.summary", part="mapper")
@pytest.mark.invariant("INV-13")
@given(drawn=LINES, percent=st.decimals(0, 100, places=2).map(str))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_however_the_products_are_written_they_add_up_to_the_document(
    drawn: list[tuple[str, str, str | None, bool]], percent: str
) -> None:
    content = [
        line(place, price=price, quantity=quantity, cost=cost, bundle="0" if place and member else None)
        for place, (price, quantity, cost, member) in enumerate(drawn)
    ]
    data = quote(lines=content, discount={"percent": percent})
    net = mapped(data).quote.totals.value.net
    modes: tuple[dict[str, Any], ...] = (
        {"write": "detail"},
        {"write": "detail", "bundles": "summary"},
        {"write": "summary", "summary_part_number": NUMBER},
    )
    found = [products(data, **mode) for mode in modes]
    assert {amount(lines) for lines in found} == {net}
    costs = {sum(to_cents(line.quantity * line.cost) for line in lines if line.cost) for lines in found}
    assert len(costs) == 1
