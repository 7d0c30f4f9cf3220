"""Companies that Halo doesn't have: a lead while nothing of theirs is won, the client with the first quote that is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from hub.tenants.model import RuleSet
from schemas.commands import (
    Command,
    CompleteOpportunity,
    Field,
    Named,
    UpsertClient,
    UpsertOpportunity,
    UpsertQuote,
    UpsertSite,
)
from schemas.identity import id_of
from schemas.quotes import QuoteConversion, QuoteStatus
from services.mapper.quote import Mapped
from tests.unit.mapper.build import ALL, BASIS, envelope, folded, map_quote, quote, rules, status
from tests.unit.mapper.test_revisions import Sent

CONTACT = {"name": "Jo Roe", "email": "jo@contoso.example"}
DRAFT: Sent = (envelope(1), quote(status="draft", contact=CONTACT))
WON: Sent = (status(2), QuoteStatus(status="accepted"))


def led(**sections: Any) -> RuleSet:
    return rules(clients={"lead_ticket_type": "Lead"}, **sections)


def commands(*events: Sent, with_rules: RuleSet | None = None, touched: Any = ALL) -> tuple[Command, ...]:
    made = map_quote(folded(*events), with_rules or led(), BASIS, touched)
    assert isinstance(made, Mapped)
    return made.commands


def lead_of(made: tuple[Command, ...]) -> UpsertOpportunity | None:
    found = [one for one in made if one.target.scope == "lead"]
    assert len(found) <= 1
    return found[0] if found else None  # type: ignore[return-value]


def moved(made: tuple[Command, ...]) -> CompleteOpportunity | None:
    """The step that takes the lead along to the client."""
    found = [
        one for one in made if isinstance(one, CompleteOpportunity) and one.target.scope.endswith(":lead")
    ]
    assert len(found) <= 1
    return found[0] if found else None


def without_lead(made: tuple[Command, ...]) -> list[Command]:
    return [one for one in made if one.target.scope != "lead" and one is not moved(made)]


def only(made: tuple[Command, ...], kind: type[Any]) -> Any:
    (found,) = [one for one in made if isinstance(one, kind) and one.target.scope != "lead"]
    return found


@pytest.mark.feature("org.lead", part="mapper")
def test_a_quote_that_is_not_won_adopts_its_client_and_else_makes_a_lead() -> None:
    made = commands(DRAFT)
    client, lead = only(made, UpsertClient), lead_of(made)
    assert client.adopt_only
    assert lead is not None
    assert lead.ensure
    assert lead.client == Field(value=client.target, missing="instead")
    assert lead.ticket_type == Field(
        value=Named(lookup="ticket_type", name="Lead", setting="clients.lead_ticket_type", chosen=True)
    )
    said = (lead.company, lead.contact_name, lead.contact_email)
    assert said == (Field(value="Contoso Ltd"), Field(value="Jo Roe"), Field(value="jo@contoso.example"))
    opportunity, quoted = only(made, UpsertOpportunity), only(made, UpsertQuote)
    assert opportunity.lead == Field(value=lead.target, missing="leave")
    for command in (opportunity, quoted):
        assert {command.client.missing, command.site.missing, command.user.missing} == {"leave"}


@pytest.mark.feature("org.lead", part="mapper")
def test_a_second_quote_of_the_company_names_the_same_lead() -> None:
    first = lead_of(commands(DRAFT))
    second = lead_of(commands((envelope(1, subject="Q-2"), quote(title="More", contact=CONTACT))))
    assert first is not None
    assert second is not None
    assert (first.target, first.state_hash) == (second.target, second.state_hash)


@pytest.mark.feature("org.lead", part="mapper")
def test_without_a_ticket_type_for_leads_there_are_none() -> None:
    made = commands(DRAFT, with_rules=rules())
    assert lead_of(made) is None
    assert not only(made, UpsertClient).adopt_only
    assert only(made, UpsertOpportunity).company is UNSET
    assert only(made, UpsertQuote).client.missing == "wait"


@pytest.mark.feature("extra.site", part="mapper")
def test_sites_are_for_clients_and_none_is_made_for_a_lead() -> None:
    assert only(commands(DRAFT), UpsertSite).client.missing == "skip"
    assert only(commands(DRAFT, WON), UpsertSite).client.missing == "wait"


@pytest.mark.feature("org.lead.convert", part="mapper")
@pytest.mark.feature("won.client", part="mapper")
@pytest.mark.parametrize("touched", [ALL, frozenset({"status"})])
def test_a_won_quote_makes_the_client_and_refers_to_it_whatever_has_won_it(touched: Any) -> None:
    made = commands(DRAFT, WON, touched=touched)
    without_leads = commands(DRAFT, WON, with_rules=rules())
    lead = lead_of(made)
    assert lead is not None
    assert lead.client.missing == "instead", "none is made where the client is"  # type: ignore[union-attr]
    assert [one.target for one in without_lead(made)] == [one.target for one in without_leads]
    others = [one.state_hash for one in without_lead(made) if one.kind != "opportunity"]
    assert others == [one.state_hash for one in without_leads if one.kind != "opportunity"]
    won = only(made, UpsertOpportunity)
    assert (won.client, won.lead) == (only(without_leads, UpsertOpportunity).client, UNSET)
    assert won.company == Field(value="Contoso Ltd"), "by it the opportunity is found again"
    assert [one.kind for one in made].index("client") < [one.kind for one in made].index("opportunity")


@pytest.mark.feature("org.lead.convert", part="mapper")
@pytest.mark.parametrize("status", [None, "Closed"])
def test_the_lead_goes_along_to_the_client_and_ends_in_the_status_that_the_tenant_names(
    status: str | None,
) -> None:
    clients = {"lead_ticket_type": "Lead"} | ({} if status is None else {"lead_won_status": status})
    made = commands(DRAFT, WON, with_rules=rules(clients=clients))
    step, lead = moved(made), lead_of(made)
    assert step is not None
    assert lead is not None
    assert step.opportunity == Field(value=lead.target, missing="skip"), (
        "a company that was none has none to be moved"
    )
    assert (step.client, step.site) == (only(made, UpsertQuote).client, only(made, UpsertQuote).site)
    named = Named(
        lookup="status", name="Closed", missing="leave", setting="clients.lead_won_status", chosen=True
    )
    assert step.status == (UNSET if status is None else Field(value=named))
    assert step.seq == only(made, UpsertQuote).seq
    assert moved(commands(DRAFT, with_rules=rules(clients=clients))) is None
    assert moved(commands(DRAFT, WON, with_rules=rules())) is None


@pytest.mark.feature("org.lead.convert", part="mapper")
def test_each_won_quote_of_a_company_has_a_step_of_its_own() -> None:
    """Sequences of two quotes say nothing of each other."""
    first = moved(commands(DRAFT, WON))
    second = moved(
        commands((envelope(1, subject="Q-2"), quote(contact=CONTACT)), (status(2, subject="Q-2"), WON[1]))
    )
    assert first is not None
    assert second is not None
    assert first.target != second.target
    assert (first.opportunity, first.state_hash) == (second.opportunity, second.state_hash)


@pytest.mark.feature("org.lead.convert", part="mapper")
def test_a_quote_that_takes_no_revision_is_moved_to_its_client_all_the_same() -> None:
    once = led(quotes={"revisions": "first_only"})
    before, after = commands(DRAFT, with_rules=once), commands(DRAFT, WON, with_rules=once)
    assert only(before, UpsertQuote).client.write == "on_create"
    won = only(after, UpsertQuote)
    assert {won.client.write, won.site.write, won.user.write} == {"always"}
    assert won.title.write == "on_create"


@pytest.mark.feature("org.lead.convert", part="mapper")
def test_a_conversion_wins_the_client_too() -> None:
    sold = (envelope(2, "quote.converted.v1"), QuoteConversion(to="order"))
    assert not only(commands(DRAFT, sold, touched=frozenset({"conversion"})), UpsertClient).adopt_only


@pytest.mark.feature("org.lead.convert", part="mapper")
def test_what_was_written_without_the_client_is_another_state_once_it_is_won() -> None:
    before, after = commands(DRAFT), commands(DRAFT, WON)
    for kind in (UpsertOpportunity, UpsertQuote):
        assert only(before, kind).target == only(after, kind).target
        assert only(before, kind).state_hash != only(after, kind).state_hash
    adopting, making = only(before, UpsertClient), only(after, UpsertClient)
    assert adopting.target == making.target
    assert id_of(adopting) != id_of(making)


PUBLISHED_ITSELF: Sent = (
    envelope(1),
    quote(status="draft", contact=CONTACT, opportunity={"id": "O-1", "type": "Renewal"}),
)


@pytest.mark.feature("org.lead", part="mapper")
def test_an_opportunity_that_its_producer_has_not_published_yet_is_made_under_the_lead() -> None:
    made = commands(PUBLISHED_ITSELF)
    opportunity, lead = only(made, UpsertOpportunity), lead_of(made)
    assert lead is not None
    assert opportunity.ensure
    assert opportunity.lead == Field(value=lead.target, missing="leave")
    assert (opportunity.client.missing, opportunity.company.value) == ("leave", "Contoso Ltd")


@pytest.mark.feature("org.lead.convert", part="mapper")
def test_it_is_moved_to_the_client_of_a_won_quote_and_whatever_its_producer_says_of_it_is_newer() -> None:
    made = commands(PUBLISHED_ITSELF, WON)
    moved_there = only(made, UpsertOpportunity)
    assert (moved_there.ensure, moved_there.seq) == (False, ())
    always = {
        name
        for name in moved_there.state_fields()
        if isinstance(one := getattr(moved_there, name), Field) and one.write == "always"
    }
    assert always == {"client", "site", "user"}, "all else of it is its producer's to say"
    assert only(commands(PUBLISHED_ITSELF, WON, with_rules=rules()), UpsertOpportunity).ensure


def test_a_status_that_wins_nothing_still_asks_for_the_quote_alone() -> None:
    made = commands(DRAFT, (status(2), QuoteStatus(status="sent")), touched=frozenset({"status"}))
    assert [one.kind for one in made] == ["quote"]
    whole = only(commands(DRAFT, (status(2), QuoteStatus(status="sent"))), UpsertQuote)
    assert made[0].state_hash == whole.state_hash
