"""Opportunities: a quote's own, one that it names, one that its producer publishes; their status, type, team, value."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from hub.tenants.names import halo_names
from schemas.commands import Command, Field, Match, Named, UpsertOpportunity
from schemas.opportunities import Opportunity
from services.mapper.opportunity import map_opportunity
from tests.unit.mapper.build import BASIS, envelope, folded, line, mapped, quote, rules

UPSERTED = "opportunity.upserted.v1"


def opportunity(**changes: Any) -> Opportunity:
    content = {"title": "New office", "customer": {"name": "Contoso Ltd", "id": "c-1"}}
    return msgspec.convert(content | changes, Opportunity, strict=False)


def commands_of(*events: Opportunity, **sections: Any) -> tuple[Command, ...]:
    """What the events of one opportunity, in their order, map to at last."""
    numbered = [
        (envelope(number, UPSERTED, subject="O-77"), data) for number, data in enumerate(events, start=1)
    ]
    made = map_opportunity(folded(*numbered), rules(**sections), BASIS)
    assert isinstance(made, tuple)
    return made


def upserted(*events: Opportunity, **sections: Any) -> UpsertOpportunity:
    *_, last = commands_of(*events, **sections)
    assert isinstance(last, UpsertOpportunity)
    return last


def named(field: Any) -> Named:
    assert isinstance(field, Field)
    assert isinstance(field.value, Named)
    return field.value


# Which opportunity


@pytest.mark.feature("opp.attach_or_new", part="mapper")
def test_a_named_one_is_taken_by_its_id_and_another_name_is_another_opportunity() -> None:
    own = mapped(quote()).opportunity
    one = mapped(quote(opportunity={"halo_id": 5120})).opportunity
    other = mapped(quote(opportunity={"halo_id": 5121})).opportunity
    assert one.match == (Match(by="halo_id", value=5120),)
    assert len({own.target, one.target, other.target}) == 3
    assert {found.target.id for found in (own, one, other)} == {"Q-1"}


@pytest.mark.feature("opp.attach_or_new", part="mapper")
@pytest.mark.parametrize(
    "choices", [[{"halo_id": 5120}, None], [None, {"halo_id": 5120}, {"type": "renewal"}]]
)
def test_a_revision_that_names_none_stays_where_the_quote_is(choices: list[Any]) -> None:
    events = [(envelope(n), quote(opportunity=said)) for n, said in enumerate(choices, start=1)]
    made = mapped(folded(*events))
    assert made.opportunity.match == (Match(by="halo_id", value=5120),)
    assert made.quote.opportunity == Field(value=made.opportunity.target)
    assert mapped(folded(*reversed(events))).opportunity.target == made.opportunity.target


@pytest.mark.feature("opp.attach_or_new", part="mapper")
def test_new_is_one_of_the_quotes_own_however_often_it_is_said() -> None:
    own = mapped(quote()).opportunity.target
    moved = folded(
        (envelope(1), quote(opportunity={"halo_id": 5120})),
        (envelope(2), quote(opportunity={"new": True})),
        (envelope(3), quote(opportunity={"new": True}, title="Again")),
    )
    made = mapped(moved)
    assert made.opportunity.target == own
    assert made.opportunity.match == ()
    assert made.quote.opportunity == Field(value=own)


@pytest.mark.parametrize("other", [{"halo_id": 5}, {"id": "O-1"}])
def test_new_and_an_existing_one_are_not_both_meant(other: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="`new` asks for another opportunity"):
        quote(opportunity={"new": True} | other)


@pytest.mark.feature("opp.attach_or_new", part="mapper")
def test_a_quote_under_a_published_opportunity_only_sees_to_it_that_it_is_there() -> None:
    made = mapped(quote(opportunity={"id": "O-77"}), rules(opportunities={"lines": {"write": "detail"}}))
    found = made.opportunity
    assert found.target == upserted(opportunity()).target
    assert (found.ensure, found.seq) == (True, ())
    assert (found.value, found.lines) == (UNSET, UNSET)
    assert made.quote.opportunity == Field(value=found.target)
    assert "opportunity.lines_skipped" in [notice.code for notice in found.notices]
    assert mapped(quote(opportunity={"id": "O-77"})).opportunity.notices == ()


def test_a_published_opportunity_is_never_taken_for_that_of_a_quote_with_the_same_id() -> None:
    assert mapped(quote(opportunity={"id": "Q-1"})).opportunity.target != mapped(quote()).opportunity.target


# A producer's own


@pytest.mark.feature("opp.upsert", part="mapper")
def test_a_published_opportunity_is_brought_to_its_state_with_whom_it_is_for() -> None:
    data = opportunity(
        contact={"name": "Jo", "id": "p-1"},
        prepared_by={"username": "jd", "name": "Jane Doe"},
        note="Two floors",
        value="1200.50",
        halo_id=5120,
    )
    made = commands_of(data)
    assert [command.kind for command in made] == ["client", "site", "user", "opportunity"]
    assert [command.ensure for command in made] == [True, True, True, False]
    client, site, user, found = made
    assert isinstance(found, UpsertOpportunity)
    assert found.match == (Match(by="halo_id", value=5120),)
    assert (found.client, found.site) == (Field(value=client.target), Field(value=site.target))
    assert found.user == Field(value=user.target)
    assert found.title == Field(value="New office")
    assert found.note == Field(value="Two floors")
    assert found.value == Field(value=Decimal("1200.5"))
    assert named(found.agent).name == "Jane Doe"
    assert found.seq == (1, -1, -1, 7)


@pytest.mark.feature("opp.upsert", part="mapper")
def test_an_opportunity_is_the_same_target_in_each_of_its_events_and_rises_in_order() -> None:
    one, two = upserted(opportunity()), upserted(opportunity(), opportunity(title="Bigger office"))
    assert one.target == two.target
    assert two.seq > one.seq
    assert two.title == Field(value="Bigger office")


def test_a_tenant_without_opportunities_has_nothing_to_do_with_them() -> None:
    record = folded((envelope(1, UPSERTED, subject="O-77"), opportunity()))
    off = rules().model_copy(update={"opportunities": None, "quotes": None})
    assert map_opportunity(record, off, BASIS) == "switched_off"
    without_quotes = rules().model_copy(update={"quotes": None})
    assert isinstance(map_opportunity(record, without_quotes, BASIS), tuple)


# Status


@pytest.mark.feature("opp.status.out", part="mapper")
@pytest.mark.parametrize(
    ("word", "name"), [("proposal", "Quote Sent"), (" OPEN", "In Progress"), ("Qualified", "Qualified")]
)
def test_a_source_status_goes_by_the_table_or_by_its_own_name(word: str, name: str) -> None:
    table = {"open": "In Progress", "proposal": "Quote Sent"}
    found = upserted(opportunity(status=word), opportunities={"status": "New", "statuses": table}).status
    expected = Named(
        lookup="status",
        name=name,
        missing="leave",
        setting="opportunities.statuses",
        chosen=name != "Qualified",
    )
    assert found == Field(value=expected)


@pytest.mark.feature("opp.status.out", part="mapper")
def test_a_later_event_without_a_status_keeps_the_last_one_and_its_hash() -> None:
    said = upserted(opportunity(status="open"))
    later = upserted(opportunity(status="open"), opportunity(title="Other"))
    assert later.status == said.status


@pytest.mark.feature("opp.status.default", part="mapper")
def test_the_first_status_is_no_part_of_the_desired_state() -> None:
    with_one = upserted(opportunity(), opportunities={"status": "New"})
    assert named(with_one.status).name == "New"
    assert isinstance(with_one.status, Field)
    assert with_one.status.write == "on_create"
    assert with_one.state_hash == upserted(opportunity()).state_hash


# Ticket type and team


@pytest.mark.feature("opp.ticket_type", part="mapper")
def test_an_opportunity_without_a_type_gets_the_tenants_at_creation() -> None:
    found = upserted(opportunity(), opportunities={"ticket_type": "Sale"}).ticket_type
    assert found == Field(
        value=Named(lookup="ticket_type", name="Sale", setting="opportunities.ticket_type", chosen=True),
        write="on_create",
    )


@pytest.mark.feature("opp.fields", part="mapper")
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # Named in the file: it is that type, or a fault of the file.
        (
            "Renewal ",
            Named(lookup="ticket_type", name="Renewals", setting="opportunities.ticket_types", chosen=True),
        ),
        # Equal names need no entry, and what Halo has no name for is the tenant's one type for all.
        (
            "project",
            Named(
                lookup="ticket_type",
                name="project",
                fallback="Opportunity",
                setting="opportunities.ticket_types",
            ),
        ),
    ],
)
def test_a_source_type_goes_by_the_table_or_by_its_own_name(
    published: bool, said: str, expected: Named
) -> None:
    sections: Any = {"opportunities": {"ticket_types": {"renewal": "Renewals"}}}
    if published:
        found = upserted(opportunity(type=said), **sections)
    else:
        found = mapped(quote(opportunity={"type": said}), rules(**sections)).opportunity
    assert named(found.ticket_type) == expected
    assert named(found.ticket_type).missing == "reject"


@pytest.mark.feature("opp.fields", part="mapper")
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize(("said", "name"), [("EMEA", "Sales EMEA"), ("Sales", "Sales")])
def test_a_source_team_goes_by_the_table_or_by_its_own_name(published: bool, said: str, name: str) -> None:
    sections: Any = {"opportunities": {"teams": {"emea": "Sales EMEA"}}}
    if published:
        found = upserted(opportunity(team=said), **sections)
    else:
        found = mapped(quote(opportunity={"team": said}), rules(**sections)).opportunity
    # A team that Halo lacks is told and left alone: the sale goes on.
    assert found.team == Field(
        value=Named(
            lookup="team",
            name=name,
            missing="leave",
            setting="opportunities.teams",
            chosen=name == "Sales EMEA",
        )
    )


@pytest.mark.feature("opp.fields", part="mapper")
def test_without_type_and_team_nothing_is_said_of_a_team() -> None:
    assert upserted(opportunity()).team is UNSET
    assert mapped(quote()).opportunity.team is UNSET


@pytest.mark.feature("opp.ticket_type.list", part="mapper")
@pytest.mark.feature("opp.status.out", part="mapper")
def test_every_halo_name_of_the_section_is_checked_against_halos_lists() -> None:
    section = {
        "ticket_type": "Opportunity",
        "ticket_types": {"renewal": "Renewals"},
        "teams": {"emea": "Sales EMEA"},
        "status": "New",
        "statuses": {"won": "Won"},
    }
    found = {(name.lookup, name.name, name.key) for name in halo_names(rules(opportunities=section))}
    assert found >= {
        ("ticket_type", "Opportunity", "opportunities.ticket_type"),
        ("ticket_type", "Renewals", "opportunities.ticket_types.renewal"),
        ("team", "Sales EMEA", "opportunities.teams.emea"),
        ("status", "New", "opportunities.status"),
        ("status", "Won", "opportunities.statuses.won"),
    }


# Name


@pytest.mark.feature("opp.name", part="mapper")
@pytest.mark.parametrize("link", [{}, {"opportunity": {"halo_id": 5120}}])
def test_an_opportunity_is_renamed_with_its_document_only_where_the_tenant_says_so(link: Any) -> None:
    off = mapped(quote(**link)).opportunity.title
    on = mapped(quote(**link), rules(opportunities={"rename": True})).opportunity.title
    assert (off, on) == (Field(value="Laptops", write="on_create"), Field(value="Laptops"))


# Value


@pytest.mark.feature("opp.value", part="mapper")
def test_the_value_is_the_sale_after_discounts_or_the_profit() -> None:
    data = quote(
        lines=[line(1, price="100", cost="60", quantity="3"), line(2, price="50", cost="20.005")],
        discount={"amount": "50"},
    )
    assert mapped(data).opportunity.value == Field(value=Decimal(300))
    profit = mapped(data, rules(opportunities={"value": "profit"})).opportunity
    assert profit.value == Field(value=Decimal("99.99"))
    assert profit.notices == ()


@pytest.mark.feature("opp.value", part="mapper")
def test_a_missing_cost_counts_as_nothing_and_is_told_by_line() -> None:
    data = quote(lines=[line(1, cost="60"), line(2)])
    profit = mapped(data, rules(opportunities={"value": "profit"})).opportunity
    assert profit.value == Field(value=Decimal(140))
    (notice,) = profit.notices
    assert notice.code == "opportunity.cost_missing"
    assert "Product 2" in notice.message
    assert "Product 1" not in notice.message
    assert mapped(data).opportunity.notices == (), "the sale needs no costs"


@pytest.mark.feature("opp.value", part="mapper")
def test_a_published_opportunity_says_its_value_and_its_profit_itself() -> None:
    both = opportunity(value="1200", profit="300")
    assert upserted(both).value == Field(value=Decimal(1200))
    assert upserted(both, opportunities={"value": "profit"}).value == Field(value=Decimal(300))
    without = upserted(opportunity(value="1200"), opportunities={"value": "profit"})
    assert without.value is UNSET
    assert [notice.code for notice in without.notices] == ["opportunity.profit_missing"]
    assert upserted(opportunity(), opportunities={"value": "profit"}).notices == ()
