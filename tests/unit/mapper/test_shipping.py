"""The shipping charge: a line of the tenant's product for it, or the quote's own carriage; in the totals once."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from schemas.commands import Field, Named, Totals
from tests.unit.mapper.build import Mapped, line, mapped, quote, rules

FREIGHT = {"items": {"shipping": "Freight"}}


def shipped(charge: str | None, sections: dict[str, Any], **changes: Any) -> Mapped:
    return mapped(quote(shipping=charge, **changes), rules(**sections))


@pytest.mark.feature("item.shipping", part="mapper")
def test_with_a_shipping_product_the_charge_is_its_line_and_nothing_is_left_as_carriage() -> None:
    made = shipped("12.505", FREIGHT, lines=[line(1), line(2)])
    *sold, freight = made.lines
    assert [one.id for one in sold] == ["1", "2"]
    assert freight.halo_item == Named(lookup="item", name="Freight", setting="items.shipping", chosen=True)
    assert freight.item is None
    assert (freight.name, freight.quantity, freight.price, freight.base_price) == (
        "Freight",
        1,
        Decimal("12.51"),
        Decimal("12.51"),
    )
    assert made.quote.totals == Field(value=Totals(net=Decimal("212.51")))
    assert made.quote.carriage == Field(value=Decimal(0))
    assert [item.target.id for item in made.items] == ["name:Product 1", "name:Product 2"], (
        "Halo has it already"
    )


@pytest.mark.feature("item.shipping", part="mapper")
def test_the_product_may_be_given_by_its_halo_id() -> None:
    freight = shipped("5", {"items": {"shipping": 58}}).lines[-1]
    assert freight.halo_item is not None
    assert (freight.halo_item.name, freight.name) == (58, "Shipping")


@pytest.mark.feature("item.shipping", part="mapper")
def test_without_a_shipping_product_the_charge_is_the_quotes_carriage() -> None:
    assert shipped("12.345", {}).quote.carriage == Field(value=Decimal("12.35")), "to the cent, as a line is"
    made = shipped("12.50", {})
    assert len(made.lines) == 1
    assert made.quote.carriage == Field(value=Decimal("12.5"))
    assert made.quote.totals == Field(value=Totals(net=Decimal(100))), "carriage is no revenue of the lines"


@pytest.mark.feature("item.shipping", part="mapper")
@pytest.mark.parametrize("sections", [{}, FREIGHT])
def test_a_quote_that_says_nothing_of_shipping_leaves_it_alone_and_one_without_charge_has_no_line(
    sections: dict[str, Any],
) -> None:
    assert shipped(None, sections).quote.carriage is UNSET
    free = shipped("0", sections)
    assert len(free.lines) == 1
    assert free.quote.carriage == Field(value=Decimal(0))


@pytest.mark.feature("item.shipping", part="mapper")
def test_neither_the_documents_discount_nor_its_taxes_fall_on_shipping() -> None:
    taxes = [{"name": "VAT", "amount": "18"}]
    made = shipped("10", FREIGHT, discount={"percent": "10"}, taxes=taxes)
    sold, freight = made.lines
    assert (sold.price, sold.tax) == (90, 18)
    assert (freight.price, freight.tax) == (10, 0)
    assert made.quote.totals == Field(value=Totals(net=Decimal(100), tax=Decimal(18)))
    # Where no taxes are pushed, Halo's own hold for shipping too.
    assert shipped("10", FREIGHT).lines[-1].tax is None


@pytest.mark.feature("item.shipping", part="mapper")
def test_a_line_of_the_source_with_the_same_id_stays_itself() -> None:
    made = shipped("10", FREIGHT, lines=[line(1) | {"id": "shipping"}, line(2) | {"id": "shipping."}])
    assert [one.id for one in made.lines] == ["shipping", "shipping.", "shipping.."]


@pytest.mark.feature("money.tax", part="mapper")
def test_taxes_of_a_quote_without_lines_are_on_its_charge_or_told() -> None:
    taxes = [{"name": "VAT", "amount": "2.4"}, {"name": "US", "amount": "1", "calculator": "avalara"}]
    made = shipped("12", FREIGHT, lines=[], taxes=taxes)
    assert [(one.name, one.tax) for one in made.lines] == [("Freight", Decimal("2.4"))]
    assert made.quote.totals == Field(value=Totals(net=Decimal(12), tax=Decimal("2.4")))
    assert [notice.code for notice in made.quote.notices] == ["tax.skipped", "tax.left_out"]
    for charge, sections in (("12", {}), (None, FREIGHT), ("0", FREIGHT)):
        lost = shipped(charge, sections, lines=[], taxes=taxes[:1]).quote
        (notice,) = lost.notices
        assert (notice.code, "2.4" in notice.message) == ("tax.left_out", True)
        assert lost.totals == Field(value=Totals(net=Decimal(0)))
