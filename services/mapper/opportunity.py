"""The Halo opportunity that a quote lives under, and the one that a producer publishes itself.

A quote names an existing one by its Halo id, or one of its producer's by its id there, or has one of its own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import UnsetType
from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from hub.tenants.opportunities import Opportunities
from schemas.answers import GONE, NEW
from schemas.commands import Basis, Command, Field, Match, Named, Notice, UpsertOpportunity, Write
from schemas.opportunities import Opportunity
from schemas.targets import PICKED, Target
from services.mapper.agents import owner_of
from services.mapper.answers import answer_to
from services.mapper.client import client_target, ensure_client
from services.mapper.lead import has_leads, with_company
from services.mapper.links import field_of, linked
from services.mapper.opportunity_lines import Products
from services.mapper.parts import (
    LINK_DECODER,
    OPPORTUNITY_DECODER,
    OWN_OPPORTUNITY,
    STATUS_DECODER,
    QuoteHead,
    QuoteLink,
)
from services.mapper.record import seq_of
from services.mapper.scope import NO_BASIS, Scope, given, notices, plain, scope_of, sealed
from services.mapper.site import ensure_site, site_target
from services.mapper.user import ensure_user, user_target

PUBLISHED = "published"
"""The scope of an opportunity that its producer publishes: its id may be that of a quote, which has one of its own."""


def link_of(record: Record) -> QuoteLink:
    """Which opportunity the quote was last said to belong under: a later revision need not say it again.

    One that is gone from Halo is none, once a person has said that the quote gets one of its own.
    """
    group = record.groups.get("link")
    link = OWN_OPPORTUNITY if group is None else LINK_DECODER.decode(group.data)
    gone = link.halo_id is not None and answer_to(record, GONE, f"{PICKED}{link.halo_id}") == NEW
    return OWN_OPPORTUNITY if gone else link


def opportunity_target(quote_id: str, link: QuoteLink, scope: Scope) -> Target:
    """The opportunity that a quote was last said to belong under, or its own."""
    if link.id is not None:
        return scope.target("opportunity", link.id, PUBLISHED)
    if link.halo_id is not None:
        return scope.target("opportunity", quote_id, f"{PICKED}{link.halo_id}")
    return scope.target("opportunity", quote_id)


def is_published(command: Command) -> bool:
    """Whether this is about an opportunity that its producer publishes itself."""
    return command.target.kind == "opportunity" and command.target.scope == PUBLISHED


def opportunity_of(
    quote_id: str, head: QuoteHead, link: QuoteLink, products: Products, scope: Scope
) -> UpsertOpportunity:
    """The quote's opportunity. One that the producer publishes itself is only seen to be there: it has its own events.

    Its status, and unless the tenant renames its title, are given at creation only: a person's later change stands.
    """
    rules = scope.opportunities
    agent, notice = owner_of(head, scope.rules.agents)
    customer, contact, said = head.customer, head.contact, head.opportunity
    published = link.id is not None
    links, told = ((), ()) if published else linked("opportunities", scope, head)
    # Whose opportunity it is stays with the person who picked an existing one.
    write: Write = "always" if link.halo_id is None else "on_create"
    title: Write = "always" if rules.rename else "on_create"
    return sealed(
        UpsertOpportunity(
            target=opportunity_target(quote_id, link, scope),
            basis=NO_BASIS,
            ensure=published,
            match=_picked(link.halo_id),
            notices=notices(notice, _not_written(rules) if published else None, *products.notices, *told),
            client=Field(value=client_target(customer, scope), write=write),
            site=Field(value=site_target(customer, scope), write=write),
            user=given(None if contact is None else user_target(contact, customer, scope), write),
            title=Field(value=head.title, write=title),
            ticket_type=Field(value=_ticket_type(said.type if said else None, rules), write="on_create"),
            team=given(_team(said.team if said else None, rules), write),
            status=given(_first_status(rules), "on_create"),
            agent=agent,
            value=given(None if published else products.value),
            lines=given(None if published else products.lines),
            links=field_of(links),
        )
    )


def map_opportunity(
    record: Record, rules: RuleSet, basis: Basis
) -> tuple[Command, ...] | Literal["switched_off"]:
    """The commands that bring Halo to the state of an opportunity that its producer publishes."""
    if rules.opportunities is None:
        return "switched_off"
    scope = scope_of(record, rules)
    data = OPPORTUNITY_DECODER.decode(record.groups["head"].data)
    embedded: list[Command] = [ensure_client(data, scope), ensure_site(data.customer, scope)]
    if data.contact is not None:
        embedded.append(ensure_user(data.contact, data.customer, scope))
    opportunity = _published(record, data, scope)
    if has_leads(scope):
        # A quote may have made it while its company was none of Halo's clients.
        opportunity = with_company(opportunity, data)
    seq = seq_of(record, basis.rule_sequence)
    return (
        *(replace(command, basis=basis) for command in embedded),
        replace(opportunity, basis=basis, seq=seq),
    )


def _published(record: Record, data: Opportunity, scope: Scope) -> UpsertOpportunity:
    rules = scope.opportunities
    agent, notice = owner_of(data, scope.rules.agents)
    value, unknown = _value(data, rules)
    links, told = linked("opportunities", scope, data)
    customer, contact = data.customer, data.contact
    ticket_type: Write = "always" if data.type else "on_create"
    return sealed(
        UpsertOpportunity(
            target=scope.target("opportunity", record.id, PUBLISHED),
            basis=NO_BASIS,
            match=_picked(data.halo_id),
            notices=notices(notice, unknown, *told),
            client=Field(value=client_target(customer, scope)),
            site=Field(value=site_target(customer, scope)),
            user=given(None if contact is None else user_target(contact, customer, scope)),
            title=Field(value=data.title),
            ticket_type=Field(value=_ticket_type(data.type, rules), write=ticket_type),
            team=given(_team(data.team, rules)),
            agent=agent,
            note=given(data.note),
            status=_status(record, rules),
            value=given(value),
            links=field_of(links),
        )
    )


def _picked(halo_id: int | None) -> tuple[Match, ...]:
    return () if halo_id is None else (Match(by="halo_id", value=halo_id),)


def _ticket_type(said: str | None, rules: Opportunities) -> Named:
    """The tenant's type for the source's, or the type of that very name, or the tenant's one for all.

    A type that the tenant's file names and Halo lacks is rejected: an opportunity of another type is another process.
    """
    if not said:
        return Named(
            lookup="ticket_type", name=rules.ticket_type, setting="opportunities.ticket_type", chosen=True
        )
    mapped = rules.ticket_type_table.get(folded(said))
    if mapped is not None:
        return Named(lookup="ticket_type", name=mapped, setting="opportunities.ticket_types", chosen=True)
    return Named(
        lookup="ticket_type", name=said, fallback=rules.ticket_type, setting="opportunities.ticket_types"
    )


def _team(said: str | None, rules: Opportunities) -> Named | None:
    if not said:
        return None
    mapped = rules.team_table.get(folded(said))
    return Named(
        lookup="team",
        name=said if mapped is None else mapped,
        missing="leave",
        setting="opportunities.teams",
        chosen=mapped is not None,
    )


def _first_status(rules: Opportunities) -> Named | None:
    if rules.status is None:
        return None
    return Named(
        lookup="status", name=rules.status, missing="leave", setting="opportunities.status", chosen=True
    )


def _status(record: Record, rules: Opportunities) -> Field[Named] | UnsetType:
    """The source's status in Halo's word; where it never said one, the tenant's first status for a new one."""
    group = record.groups.get("status")
    if group is None:
        return given(_first_status(rules), "on_create")
    word = STATUS_DECODER.decode(group.data).status
    mapped = rules.status_table.get(folded(word))
    return Field(
        value=Named(
            lookup="status",
            name=word if mapped is None else mapped,
            missing="leave",
            setting="opportunities.statuses",
            chosen=mapped is not None,
        )
    )


def _value(data: Opportunity, rules: Opportunities) -> tuple[Decimal | None, Notice | None]:
    amount = data.value if rules.value == "sale" else data.profit
    if amount is not None:
        return plain(amount), None
    if rules.value == "sale" or data.value is None:
        return None, None
    message = "the opportunity says no profit, and opportunities.value is profit: its value is left alone"
    return None, Notice(code="opportunity.profit_missing", message=message)


def _not_written(rules: Opportunities) -> Notice | None:
    if rules.lines.write == "none":
        return None
    message = (
        "the quote belongs under an opportunity that its producer publishes itself: "
        "no products are written onto that (opportunities.lines)"
    )
    return Notice(code="opportunity.lines_skipped", message=message)
