"""What `fields` of the tenant file links, and where it stands in the commands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from schemas.commands import Linked, Named, UpsertOpportunity, UpsertQuote
from schemas.identity import group_hashes
from schemas.opportunities import Opportunity
from schemas.quotes import Quote
from services.mapper.opportunity import map_opportunity
from tests.unit.mapper.build import BASIS, envelope, folded, line, mapped, quote, rules

ADDRESS = {"street": "1 High St", "city": "Bath", "postcode": "BA1", "region": "Somerset", "country": "GB"}


def custom(name: str, value: str, setting: str) -> Linked:
    named = Named(lookup="custom_field", name=name, missing="leave", setting=setting, chosen=True)
    return Linked(custom_field=named, value=value)


def values(field: Any) -> tuple[Linked, ...]:
    assert field is not UNSET
    return tuple(field.value)


@pytest.mark.feature("field.links", part="mapper")
@pytest.mark.feature("field.links.write", part="mapper")
def test_each_record_takes_what_its_section_links() -> None:
    made = mapped(
        quote(
            customer={"name": "Contoso", "id": "c-1", "custom": {"industry": "Food"}},
            contact={"name": "Nina Park", "custom": {"mobile": "+44 7"}},
            expiry_date="2026-04-01",
            custom={"margin": "17", "campaign": "Spring"},
            lines=[line(product={"vendor": "Ingram"}, custom={"room": "12"})],
        ),
        rules(
            fields={
                "clients": {"custom.industry": "customfields.CFIndustry"},
                "users": {"custom.mobile": "mobilenumber"},
                "opportunities": {"expiry_date": "targetdate", "custom.campaign": "oppreason"},
                "quotes": {"custom.margin": {"halo": "customfields.CFMargin", "direction": "to_halo"}},
                "lines": {"vendor": "customfields.CFVendor", "custom.room": "note"},
            }
        ),
    )
    assert values(made.client.links) == (custom("CFIndustry", "Food", "fields.clients.custom.industry"),)
    assert values(made.user.links) == (Linked(field="mobilenumber", value="+44 7"),)
    assert values(made.opportunity.links) == (
        Linked(field="targetdate", value="2026-04-01", type="date"),
        Linked(field="oppreason", value="Spring"),
    )
    assert values(made.quote.links) == (custom("CFMargin", "17", "fields.quotes.custom.margin"),)
    assert made.lines[0].links == (
        custom("CFVendor", "Ingram", "fields.lines.vendor"),
        Linked(field="note", value="12"),
    )


@pytest.mark.feature("field.links.write", part="mapper")
def test_what_is_linked_from_halo_only_is_not_written() -> None:
    links = {"custom.a": {"halo": "risk", "direction": "from_halo"}}
    assert mapped(quote(custom={"a": "x"}), rules(fields={"quotes": links})).quote.links is UNSET


@pytest.mark.feature("field.links.write", part="mapper")
def test_a_value_that_the_source_does_not_say_is_left_and_an_empty_text_clears() -> None:
    linked = rules(
        fields={
            "quotes": {"custom.a": "risk", "custom.b": "auth_by"},
            "opportunities": {"custom.a": "targetdate"},
        }
    )
    made = mapped(quote(custom={"a": ""}), linked)
    assert values(made.quote.links) == (Linked(field="risk", value=""),)
    assert made.opportunity.links is UNSET
    assert mapped(quote(), linked).quote.links is UNSET


@pytest.mark.feature("field.links.write", part="mapper")
@pytest.mark.parametrize(
    ("halo", "text", "written"),
    [
        ("targetdate", "2026-04-01", "2026-04-01"),
        ("targetdate", "2026-04-01T10:00:00Z", "2026-04-01"),
        ("targetdate", "2026-04-01 10:00", "2026-04-01"),
        ("targetdate", "1 April", None),
        ("targetdate", "2026-04-011", None),
        ("oppvalue_monthly", " 12.50 ", "12.5"),
        ("oppvalue_monthly", "12,50", None),
        ("oppvalue_monthly", "NaN", None),
        # A text of few letters that is a number of a million digits, and one that no arithmetic takes.
        ("oppvalue_monthly", "1e999999", None),
        ("oppvalue_monthly", "1e99999999", None),
        ("oppvalue_monthly", "0e99999999", None),
        ("oppvalue_monthly", "1e-99999999", None),
    ],
)
def test_a_date_or_a_number_is_written_as_one_or_left_with_a_warning(
    halo: str, text: str, written: str | None
) -> None:
    made = mapped(quote(custom={"a": text}), rules(fields={"opportunities": {"custom.a": halo}})).opportunity
    if written is not None:
        assert [link.value for link in values(made.links)] == [written]
        assert made.notices == ()
        return
    assert made.links is UNSET
    (notice,) = made.notices
    assert notice.code == "link.unfit"
    assert "'custom.a'" in notice.message
    assert halo in notice.message


@pytest.mark.feature("field.links.write", part="mapper")
def test_linked_values_are_a_group_of_their_own() -> None:
    linked = rules(fields={"quotes": {"custom.a": "risk"}, "opportunities": {"custom.a": "oppreason"}})
    one = mapped(quote(custom={"a": "x"}), linked)
    other = mapped(quote(custom={"a": "y"}), linked)
    kinds: tuple[tuple[UpsertQuote | UpsertOpportunity, UpsertQuote | UpsertOpportunity], ...] = (
        (one.quote, other.quote),
        (one.opportunity, other.opportunity),
    )
    for first, second in kinds:
        before, after = group_hashes(first), group_hashes(second)
        assert {group for group in before if before[group] != after[group]} == {"links"}
        assert first.state_hash != second.state_hash


@pytest.mark.feature("field.links", part="mapper")
def test_a_field_of_the_line_goes_before_that_of_its_product() -> None:
    linked = rules(fields={"lines": {"description": "customfields.CFText", "custom.a": "note"}})
    product = {"description": "of the product", "custom": {"a": "of the product"}}
    both, own = line(1, product=product), line(2, product=product, description="own", custom={"a": "own"})
    lines = mapped(quote(lines=[both, own]), linked).lines
    assert [[link.value for link in one.links] for one in lines] == [
        ["of the product", "of the product"],
        ["own", "own"],
    ]


@pytest.mark.feature("field.links.write", part="mapper")
def test_an_opportunity_that_its_producer_publishes_takes_its_own_fields_alone() -> None:
    linked = rules(fields={"opportunities": {"expected_close": "targetdate", "expiry_date": "deadlinedate"}})
    content = {"title": "New office", "customer": {"name": "Contoso"}, "expected_close": "2026-05-01"}
    record = folded(
        (envelope(1, "opportunity.upserted.v1"), msgspec.convert(content, Opportunity, strict=False))
    )
    made = map_opportunity(record, linked, BASIS)
    assert not isinstance(made, str)
    (opportunity,) = [one for one in made if isinstance(one, UpsertOpportunity)]
    assert values(opportunity.links) == (Linked(field="targetdate", value="2026-05-01", type="date"),)


@pytest.mark.feature("field.links.write", part="mapper")
def test_a_quotes_link_to_a_published_opportunity_writes_nothing_onto_that() -> None:
    linked = rules(fields={"opportunities": {"custom.a": "oppreason"}})
    made = mapped(quote(custom={"a": "x"}, opportunity={"id": "o-1"}), linked)
    assert made.opportunity.ensure
    assert made.opportunity.links is UNSET


@pytest.mark.feature("field.links.write", part="mapper")
def test_under_first_only_linked_values_and_addresses_are_those_of_the_first_revision() -> None:
    linked = rules(fields={"quotes": {"custom.a": "risk"}}, quotes={"revisions": "first_only"})
    made = mapped(quote(custom={"a": "x"}, sold_to=ADDRESS), linked).quote
    assert made.links is not UNSET
    assert made.links.write == "on_create"
    assert made.sold_to is not UNSET
    assert made.sold_to.write == "on_create"


@pytest.mark.feature("field.links.write", part="mapper")
def test_what_is_linked_to_a_quotes_line_is_not_sent_with_the_sales_order() -> None:
    linked = rules(fields={"lines": {"vendor": "note"}}, quotes={"sales_order": True})
    won = quote(status="approved", lines=[line(product={"vendor": "Ingram"})])
    made = mapped(won, linked)
    (order,) = [command for command in made.commands if command.kind == "sales_order"]
    assert made.lines[0].links
    assert [one.links for one in order.lines.value.lines] == [()]  # type: ignore[attr-defined]


@pytest.mark.feature("extra.addresses", part="mapper")
def test_sold_to_and_ship_to_fill_the_quotes_addresses_line_by_line_as_the_table_says() -> None:
    with_rules = rules(addresses={"line1": "street", "line2": None, "line3": "city", "line4": "custom.unit"})
    data: Quote = quote(sold_to=ADDRESS, ship_to={"street": "Dock 2", "custom": {"unit": "4"}})
    made = mapped(data, with_rules).quote
    assert made.sold_to is not UNSET
    assert made.ship_to is not UNSET
    sold_to, ship_to = made.sold_to.value, made.ship_to.value
    assert (sold_to.line1, sold_to.line2, sold_to.line3, sold_to.line4) == ("1 High St", UNSET, "Bath", "")
    assert (ship_to.line1, ship_to.line3, ship_to.line4, ship_to.postcode) == ("Dock 2", "", "4", "")
    # Region and country are a site's in Halo; a quote's address has no field for them.
    assert (sold_to.region, sold_to.country) == (UNSET, UNSET)


@pytest.mark.feature("extra.addresses", part="mapper")
def test_a_quote_that_says_no_addresses_leaves_those_in_halo_and_they_have_a_hash_of_their_own() -> None:
    without, with_one = mapped(quote()).quote, mapped(quote(ship_to=ADDRESS)).quote
    assert without.sold_to is without.ship_to is UNSET
    before, after = group_hashes(without), group_hashes(with_one)
    assert {group for group in after if before.get(group) != after[group]} == {"addresses"}
