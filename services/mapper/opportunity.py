"""The Halo opportunity that a quote lives under: one that the quote names by its Halo id, else the quote's own."""

from __future__ import annotations

from hub.tenants.opportunities import Opportunities
from schemas.commands import Field, Match, Named, UpsertOpportunity, Write
from schemas.targets import Target
from services.mapper.agents import owner_of
from services.mapper.client import client_target
from services.mapper.parts import QuoteHead
from services.mapper.scope import NO_BASIS, Scope, given, notices, sealed
from services.mapper.site import site_target
from services.mapper.user import user_target


def opportunity_target(quote_id: str, scope: Scope) -> Target:
    return scope.target("opportunity", quote_id)


def opportunity_of(quote_id: str, head: QuoteHead, scope: Scope) -> UpsertOpportunity:
    """Its title and status are given at creation only: a person's later change in Halo stands."""
    rules = scope.rules.opportunities
    assert rules is not None, "a tenant file with quotes has opportunities"
    link = None if head.opportunity is None else head.opportunity.halo_id
    agent, notice = owner_of(head, scope.rules.agents)
    ticket_type = Named(lookup="ticket_type", name=rules.ticket_type, setting="opportunities.ticket_type")
    customer, contact = head.customer, head.contact
    user = None if contact is None else user_target(contact, customer, scope)
    # Whose opportunity it is stays with the person who picked an existing one.
    write: Write = "always" if link is None else "on_create"
    return sealed(
        UpsertOpportunity(
            target=opportunity_target(quote_id, scope),
            basis=NO_BASIS,
            match=() if link is None else (Match(by="halo_id", value=link),),
            notices=notices(notice),
            client=Field(value=client_target(customer, scope), write=write),
            site=Field(value=site_target(customer, scope), write=write),
            user=given(user, write),
            title=Field(value=head.title, write="on_create"),
            ticket_type=Field(value=ticket_type, write="on_create"),
            status=given(_status(rules), "on_create"),
            agent=agent,
        )
    )


def _status(rules: Opportunities) -> Named | None:
    if rules.status is None:
        return None
    return Named(lookup="status", name=rules.status, missing="leave", setting="opportunities.status")
