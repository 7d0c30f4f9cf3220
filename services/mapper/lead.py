"""A company that Halo doesn't have, as a lead until a quote of it is won. Pure.

Which companies Halo has is not the mapping's to know. So a quote that isn't won is mapped for both: its client is
adopted where Halo has it; where it hasn't, the lead is made in its place, and what refers to the client goes without.
A quote that is won refers to the client as any other does: it is made, and what was written without it is repointed,
the lead too.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from schemas.commands import (
    Command,
    CompleteOpportunity,
    Field,
    Missing,
    Named,
    UpsertClient,
    UpsertOpportunity,
    UpsertQuote,
)
from schemas.identity import state_hash
from schemas.targets import LEAD, Target
from services.mapper.client import client_target
from services.mapper.parts import Parties
from services.mapper.refs import bounded
from services.mapper.scope import NO_BASIS, Scope, given, sealed
from services.mapper.site import site_target

C = TypeVar("C", bound=Command)
_UNDER_A_CLIENT = ("client", "site", "user")
Company = Literal["client", "prospect", "won_prospect"]
"""What a quote's company is in Halo: a client, made where there is none; with leads, a client only where there is one
(`prospect`); and once the quote is won a client, who may have been a lead (`won_prospect`)."""


def has_leads(scope: Scope) -> bool:
    return scope.rules.clients.lead_ticket_type is not None


def company_of(won: bool, scope: Scope) -> Company:
    """What the company of a quote is; `won` says whether the quote is."""
    if not has_leads(scope):
        return "client"
    return "won_prospect" if won else "prospect"


def lead_target(head: Parties, scope: Scope) -> Target:
    """One for the company, whichever of its quotes comes first."""
    return scope.target("opportunity", client_target(head.customer, scope).id, LEAD)


def ensure_lead(head: Parties, scope: Scope) -> UpsertOpportunity:
    """The lead of the company, where Halo has no such client."""
    ticket_type = scope.rules.clients.lead_ticket_type
    assert ticket_type is not None, "only a tenant with leads maps one"
    customer = head.customer
    return sealed(
        UpsertOpportunity(
            target=lead_target(head, scope),
            basis=NO_BASIS,
            ensure=True,
            client=Field(value=client_target(customer, scope), missing="instead"),
            title=Field(value=customer.name),
            ticket_type=Field(
                value=Named(
                    lookup="ticket_type", name=ticket_type, setting="clients.lead_ticket_type", chosen=True
                )
            ),
            **_company(head),
        )
    )


def adopted(client: UpsertClient) -> UpsertClient:
    """The client where Halo has it; it is not made."""
    return replace(client, adopt_only=True)


def under_client(command: C) -> C:
    """A site or a person of the client, made where Halo has the client."""
    return sealed(_referring(command, "skip"))


def opportunity_of_lead(command: UpsertOpportunity, head: Parties, scope: Scope) -> UpsertOpportunity:
    """The quote's opportunity: the client's where Halo has it, else that of the lead."""
    lead = Field(value=lead_target(head, scope), missing="leave")
    return sealed(replace(_referring(command, "leave"), lead=lead, **_company(head)))


def with_company(command: UpsertOpportunity, head: Parties) -> UpsertOpportunity:
    """The opportunity of a company that may have been a lead: by its name it is looked for, whoever's it is by now."""
    return sealed(replace(command, **_company(head)))


def opportunity_of_client(command: UpsertOpportunity, head: Parties) -> UpsertOpportunity:
    """The opportunity of a won quote, moved to the client that its company is now.

    Of one that is only seen to be there, since its producer publishes it, nothing else is changed.
    """
    moved = with_company(command, head)
    if not command.ensure:
        return moved
    others = {name: getattr(moved, name) for name in moved.state_fields() if name not in _UNDER_A_CLIENT}
    once = {name: replace(one, write="on_create") for name, one in others.items() if isinstance(one, Field)}
    return sealed(replace(moved, ensure=False, **once))


def quote_of_lead(command: UpsertQuote) -> UpsertQuote:
    """The quote, without a client where Halo doesn't have it."""
    made = _referring(command, "leave")
    return replace(made, state_hash=state_hash(made))


def quote_of_client(command: UpsertQuote) -> UpsertQuote:
    """The quote, moved to its client whatever else of it a revision may write: it may have been made without one."""
    owned = {name: getattr(command, name) for name in _UNDER_A_CLIENT}
    moved = {name: replace(one, write="always") for name, one in owned.items() if isinstance(one, Field)}
    made = replace(command, **moved)
    return replace(made, state_hash=state_hash(made))


def after_client(step: CompleteOpportunity, quote: UpsertQuote) -> CompleteOpportunity:
    """The step, which waits for the client that the company becomes, and leaves it to the opportunity to move there."""
    assert isinstance(quote.client, Field), "a quote that is won has its client"
    return replace(step, client=replace(quote.client, write="on_create"))


def won_lead(quote_id: str, head: Parties, scope: Scope) -> tuple[Command, ...]:
    """The lead of the company of a won quote, if there is one, moved to the client that the company is now.

    None is made in that client's place: the ensure only tells whether there is one.
    """
    lead = lead_target(head, scope)
    moved = CompleteOpportunity(
        target=scope.target("won", quote_id, bounded(f"{lead.id}:{lead.scope}")),
        basis=NO_BASIS,
        opportunity=Field(value=lead, missing="skip"),
        client=Field(value=client_target(head.customer, scope)),
        site=Field(value=site_target(head.customer, scope)),
        status=given(_won_status(scope)),
    )
    return ensure_lead(head, scope), sealed(moved)


def _won_status(scope: Scope) -> Named | None:
    name = scope.rules.clients.lead_won_status
    if name is None:
        return None
    return Named(lookup="status", name=name, missing="leave", setting="clients.lead_won_status", chosen=True)


def _company(head: Parties) -> dict[str, Any]:
    contact = head.contact
    return {
        "company": Field(value=head.customer.name),
        "contact_name": given(None if contact is None else contact.name),
        "contact_email": given(None if contact is None else contact.email),
    }


def _referring(command: C, missing: Missing) -> C:
    fields = {name: getattr(command, name, UNSET) for name in _UNDER_A_CLIENT}
    return replace(
        command,
        **{
            name: replace(field, missing=missing)
            for name, field in fields.items()
            if isinstance(field, Field)
        },
    )
