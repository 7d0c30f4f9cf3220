"""The quote itself and its opportunity: fields, status, lines, money, and which commands an event asks for."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from schemas.commands import Field, Match, Named, Totals
from services.mapper.scope import MappingRejected
from tests.unit.mapper.build import line, mapped, quote, rules

STATUSES = {
    "draft": "Draft",
    "sent": "Sent",
    "approved": "Accepted",
    "declined": "Rejected",
    "expired": "Expired",
}


# The opportunity


@pytest.mark.feature("opp.upsert", part="mapper")
def test_a_quote_has_an_opportunity_of_its_own_under_its_own_id() -> None:
    made = mapped(quote())
    opportunity = made.opportunity
    assert (opportunity.target.kind, opportunity.target.id) == ("opportunity", "Q-1")
    assert not opportunity.ensure
    assert opportunity.match == ()
    assert opportunity.client == Field(value=made.client.target)
    assert opportunity.title == Field(value="Laptops", write="on_create")
    assert made.quote.opportunity == Field(value=opportunity.target)


@pytest.mark.feature("opp.upsert", part="mapper")
def test_an_opportunity_that_was_picked_is_taken_by_its_id_and_stays_whose_it_is() -> None:
    opportunity = mapped(quote(opportunity={"halo_id": 5120})).opportunity
    assert opportunity.match == (Match(by="halo_id", value=5120),)
    assert opportunity.client is not UNSET
    assert opportunity.client.write == "on_create"


@pytest.mark.feature("opp.ticket_type", part="mapper")
def test_the_ticket_type_is_the_tenants_and_for_new_opportunities() -> None:
    opportunity = mapped(quote(), rules(opportunities={"ticket_type": "Sale"})).opportunity
    named = Named(lookup="ticket_type", name="Sale", setting="opportunities.ticket_type", chosen=True)
    assert opportunity.ticket_type == Field(value=named, write="on_create")


@pytest.mark.feature("opp.status.default", part="mapper")
def test_the_first_status_is_given_once_and_never_again() -> None:
    assert mapped(quote()).opportunity.status is UNSET
    opportunity = mapped(quote(), rules(opportunities={"status": "New"})).opportunity
    assert opportunity.status is not UNSET
    assert opportunity.status.write == "on_create"
    assert opportunity.status.value.name == "New"
    assert opportunity.status.value.setting == "opportunities.status"


# The quote's head


@pytest.mark.feature("quote.upsert", part="mapper")
def test_the_quote_carries_all_that_the_document_says() -> None:
    data = quote(
        date="2025-03-01",
        expiry_date="2025-03-31",
        note="Terms",
        contact={"name": "Jo", "id": "p-1"},
        status="draft",
    )
    made = mapped(data, rules(quotes={"statuses": STATUSES}))
    found = made.quote
    assert found.target.id == "Q-1"
    assert found.title == Field(value="Laptops")
    assert found.client == Field(value=made.client.target)
    assert found.user == Field(value=made.user.target)
    assert str(found.date.value) == "2025-03-01"
    assert str(found.expiry_date.value) == "2025-03-31"
    assert found.note == Field(value="Terms")
    assert found.status.value.name == "Draft"
    assert made.kinds[-2:] == ["opportunity", "quote"]


@pytest.mark.feature("quote.status", part="mapper")
@pytest.mark.parametrize(
    ("word", "name"), [*STATUSES.items(), (" SENT", "Sent"), ("on hold", "on hold"), ("Accepted", "Accepted")]
)
def test_a_status_goes_by_the_tenants_table_or_by_its_own_name(word: str, name: str) -> None:
    found = mapped(quote(status=word), rules(quotes={"statuses": STATUSES})).quote.status
    # `leave`: a status that Halo doesn't have stays as it is there, with a warning that names the setting.
    assert found == Field(
        value=Named(lookup="quote_status", name=name, missing="leave", setting="quotes.statuses")
    )


@pytest.mark.feature("money.currency", part="mapper")
@pytest.mark.parametrize(
    ("document", "sections", "expected"),
    [
        ("GBP", {"currencies": {"gbp": "Pound Sterling"}}, ("Pound Sterling", "currencies")),
        ("GBP", {}, ("GBP", "currencies")),
        ("GBP", {"currency": "EUR"}, ("GBP", "currencies")),
        (None, {"currency": "EUR"}, ("EUR", "currency")),
        (None, {"currency": "EUR", "currencies": {"EUR": "Euro"}}, ("Euro", "currency")),
        (None, {}, None),
    ],
)
def test_the_documents_currency_else_the_tenants_else_halos_default(
    document: str | None, sections: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    found = mapped(quote(currency=document), rules(**sections)).quote.currency
    if expected is None:
        assert found is UNSET
    else:
        # `reject`: amounts are never shown in another currency than theirs.
        named = Named(lookup="currency", name=expected[0], missing="reject", setting=expected[1])
        assert found == Field(value=named)


# Lines


@pytest.mark.feature("quote.lines.write", part="mapper")
def test_recurring_and_one_time_lines_go_in_order_with_all_they_have() -> None:
    content = [
        line(
            2,
            quantity="3.50",
            price="20.00",
            cost="12.5",
            tax="14",
            description="Own words",
            supplier={"name": "Ingram"},
        ),
        line(1, frequency="month", product={"manufacturer_part_number": "MPN", "description": "Its words"}),
    ]
    made = mapped(quote(lines=content), rules(billing_periods={"month": "Monthly"}))
    first, second = made.lines
    assert [first.id, second.id] == ["2", "1"]
    assert (first.name, first.quantity, first.base_price, first.price) == (
        "Product 2",
        Decimal("3.5"),
        20,
        20,
    )
    assert (first.cost, first.tax, first.description) == (Decimal("12.5"), 14, "Own words")
    assert first.supplier == Named(lookup="supplier", name="Ingram", missing="leave")
    assert (first.recurring, first.billing_period, first.product_code) == (False, None, None)
    assert (second.recurring, second.product_code, second.description) == (True, "MPN", "Its words")
    assert second.billing_period == Named(lookup="billing_period", name="Monthly", setting="billing_periods")
    assert made.quote.totals == Field(value=Totals(net=Decimal(170), tax=Decimal(14)))


@pytest.mark.feature("quote.lines.write", part="mapper")
def test_a_recurring_line_stays_recurring_whatever_its_item_is() -> None:
    """The item may be one that Halo has as a one-time one: that is told, and the line never sold as one-time."""
    content = [
        line(1, product={"name": "x"}),
        line(2, product={"name": "x", "halo_id": 7}, frequency="month"),
    ]
    made = mapped(quote(lines=content))
    assert [one.recurring for one in made.lines] == [False, True]


@pytest.mark.feature("period.map.out", part="mapper")
@pytest.mark.parametrize(
    ("frequency", "name"),
    [("month", "Monthly"), (" MONTH ", "Monthly"), ("fortnight", "fortnight"), ("year", 7)],
)
def test_a_frequency_is_a_billing_period_or_rejected_but_never_one_off(
    frequency: str, name: str | int
) -> None:
    with_rules = rules(billing_periods={"month": "Monthly", "one_time": None, "year": 7})
    made = mapped(quote(lines=[line(frequency=frequency)]), with_rules)
    named = Named(lookup="billing_period", name=name, missing="reject", setting="billing_periods")
    assert made.lines[0].billing_period == named
    assert made.lines[0].recurring
    assert made.items[0].billing_period == Field(value=named)


@pytest.mark.feature("period.map.out", part="mapper")
@pytest.mark.parametrize("frequency", ["one_time", "One_Time", "", None])
def test_one_time_is_what_the_table_says_is_null_or_no_frequency(frequency: str | None) -> None:
    with_rules = rules(billing_periods={"one_time": None})
    made = mapped(quote(lines=[line(frequency=frequency)]), with_rules)
    assert (made.lines[0].recurring, made.lines[0].billing_period) == (False, None)


@pytest.mark.feature("money.discount", part="mapper")
def test_discounts_show_on_the_lines_and_in_the_expected_total() -> None:
    content = [line(1, price="100", discount={"percent": "10"}), line(2, price="50", quantity="2")]
    made = mapped(quote(lines=content, discount={"amount": "19"}))
    assert made.quote.totals == Field(value=Totals(net=Decimal(171)))
    assert [(one.base_price, one.price, one.discount_percent) for one in made.lines] == [
        (100, 81, 19),
        (50, 45, 10),
    ]


def test_every_fault_of_a_quote_is_told_at_once() -> None:
    content = [line(1, discount={"amount": "101"}), line(2), line(3, discount={"amount": "-1"})]
    with pytest.raises(MappingRejected) as caught:
        mapped(quote(lines=content, discount={"amount": "1000"}))
    assert [fault.at for fault in caught.value.faults] == [
        "discount.amount",
        "lines[0].discount.amount",
        "lines[2].discount.amount",
    ]


# Taxes


def taxed(*taxes: tuple[str, str, str | None], **changes: Any) -> Any:
    content = [{"name": name, "amount": amount, "calculator": by} for name, amount, by in taxes]
    return quote(taxes=content, **changes)


@pytest.mark.feature("money.tax", part="mapper")
def test_taxes_of_lines_go_as_given() -> None:
    made = mapped(quote(lines=[line(1, tax="20.005"), line(2)]))
    assert [one.tax for one in made.lines] == [Decimal("20.005"), 0]
    assert made.quote.totals.value.tax == Decimal("20.005")


@pytest.mark.feature("money.tax", part="mapper")
@pytest.mark.parametrize(("document", "told"), [("2.5", None), ("1", None), ("6.5", "4 of the tax")])
def test_what_the_document_names_beyond_its_lines_taxes_is_told(document: str, told: str | None) -> None:
    made = mapped(taxed(("VAT", document, None), lines=[line(1, tax="2.5"), line(2)])).quote
    assert made.totals == Field(value=Totals(net=Decimal(200), tax=Decimal("2.5")))
    assert [(one.code, told in one.message) for one in made.notices if told] == [
        ("tax.left_out", True)
    ] * bool(told)
    assert len(made.notices) == bool(told)


@pytest.mark.feature("money.tax", part="mapper")
def test_taxes_of_the_document_are_spread_to_the_cent() -> None:
    data = taxed(("VAT", "10.01", None), ("Levy", "0.99", "own"), lines=[line(1), line(2), line(3)])
    made = mapped(data)
    assert [one.tax for one in made.lines] == [Decimal("3.67"), Decimal("3.67"), Decimal("3.66")]
    assert made.quote.totals.value.tax == 11


@pytest.mark.feature("money.tax", part="mapper")
@pytest.mark.parametrize("by_line", [True, False])
def test_a_tenant_that_pushes_no_taxes_sends_none(by_line: bool) -> None:
    data = taxed(("VAT", "10", None), lines=[line(tax="10" if by_line else None)])
    made = mapped(data, rules(quotes={"taxes": {"push": False}}))
    assert made.lines[0].tax is None
    assert made.quote.totals.value.tax is None


@pytest.mark.feature("money.tax", part="mapper")
@pytest.mark.feature("money.tax.external", part="mapper")
def test_what_a_skipped_calculator_made_is_not_sent_and_told() -> None:
    made = mapped(taxed(("US sales tax", "8.25", " Avalara"), lines=[line(tax="8.25")]))
    assert made.lines[0].tax is None
    assert [notice.code for notice in made.quote.notices] == ["tax.skipped", "tax.left_out"]
    assert "US sales tax" in made.quote.notices[0].message
    both = mapped(taxed(("US", "8", "avalara"), ("VAT", "20", "quoter"), lines=[line(1, tax="28"), line(2)]))
    # Lines don't say which calculator their tax is of, so the rest is spread anew.
    assert [one.tax for one in both.lines] == [10, 10]
    assert mapped(taxed(("US", "8", "avalara")), rules(quotes={"taxes": {"skip": []}})).lines[0].tax == 8


@pytest.mark.feature("gotcha.avalara", part="mapper")
@pytest.mark.parametrize(
    ("taxes", "on_line", "gap", "reckoned"),
    [
        ([("US", "8.25", "avalara")], None, "8.25", True),
        ([("US", "8.25", "avalara"), ("VAT", "20", None)], None, "8.25", False),
        # The line carries tax that no entry of the document accounts for: all of it is missing in Halo.
        ([("US", "8", "avalara")], "28", "28", True),
        ([("US", "8", "avalara"), ("VAT", "20", None)], "5", "8", False),
        ([("Credit", "-8.25", "avalara")], None, "-8.25", True),
    ],
)
def test_what_external_taxes_leave_out_of_halos_total_is_told_as_an_amount(
    taxes: list[tuple[str, str, str | None]], on_line: str | None, gap: str, reckoned: bool
) -> None:
    """A producer's total is never silently another one in Halo."""
    made = mapped(taxed(*taxes, lines=[line(tax=on_line)])).quote
    (told,) = [notice.message for notice in made.notices if notice.code == "tax.left_out"]
    assert told.startswith(f"{gap} of the tax")
    assert ("reckons itself" in told) is reckoned


@pytest.mark.feature("gotcha.avalara", part="mapper")
@pytest.mark.parametrize(
    ("amount", "taxes"),
    [("0", {}), ("8.25", {"skip": []}), ("8.25", {"push": False})],
)
def test_without_a_gap_none_is_told(amount: str, taxes: dict[str, Any]) -> None:
    """Nor where the tenant's own file says that no tax is sent at all."""
    made = mapped(taxed(("US", amount, "avalara")), rules(quotes={"taxes": taxes})).quote
    assert "tax.left_out" not in [notice.code for notice in made.notices]


def test_a_quote_without_taxes_says_nothing_of_them() -> None:
    made = mapped(quote())
    assert made.lines[0].tax is None
    assert made.quote.totals == Field(value=Totals(net=Decimal(100)))
