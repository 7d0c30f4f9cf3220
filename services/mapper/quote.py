"""A folded quote as commands: what it embeds, its opportunity, and the Halo quote itself.

Two steps, both pure: `desired` maps the head and the lines (the same as long as they and the rules are), `commands`
adds the status, what winning brings, the order and the basis. Nothing here knows Halo's ids: references stay symbolic.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from schemas.commands import Basis, Command, CompleteOpportunity, Field, Named, UpsertQuote
from schemas.identity import group_hashes, state_hash_of
from services.mapper.addresses import quote_address
from services.mapper.agents import owner_of
from services.mapper.client import client_target, ensure_client
from services.mapper.files import quote_files
from services.mapper.item import ensure_items
from services.mapper.lead import (
    adopted,
    after_client,
    ensure_lead,
    has_leads,
    opportunity_of_client,
    opportunity_of_lead,
    quote_of_client,
    quote_of_lead,
    under_client,
    won_lead,
)
from services.mapper.lines import map_lines
from services.mapper.links import field_of, linked
from services.mapper.opportunity import is_published, link_of, opportunity_of, opportunity_target
from services.mapper.opportunity_lines import products_of
from services.mapper.parts import (
    HEAD_DECODER,
    LINES_DECODER,
    WHOLE,
    GroupName,
    QuoteHead,
    QuoteLines,
    QuoteLink,
)
from services.mapper.po_number import po_number_of
from services.mapper.questions import Question
from services.mapper.record import seq_of
from services.mapper.revisions import as_revision, quote_target
from services.mapper.scope import NO_BASIS, MappingRejected, Scope, given, notices
from services.mapper.site import ensure_site, site_target
from services.mapper.status import first_status, quote_status, status_hash, word_of
from services.mapper.user import ensure_user, user_target
from services.mapper.winning import NotWritten, winning_of
from services.mapper.won import with_po_number, won_steps


class Waiting(msgspec.Struct, frozen=True):
    """The quote's base has not arrived: nothing can be written yet."""


class NothingToWrite(msgspec.Struct, frozen=True):
    """The rules or an open question let nothing of the quote be written; it is when that has changed."""

    why: NotWritten
    questions: tuple[Question, ...] = ()


class Mapped(msgspec.Struct, frozen=True):
    """The commands that bring Halo to the record's state, in the order in which they depend on each other.

    `questions` are what a person must answer before the steps that are left out can be made.
    """

    commands: tuple[Command, ...]
    questions: tuple[Question, ...] = ()


class Desired(msgspec.Struct, frozen=True):
    """What a quote's head and lines come to under one rule set. `hashes` are those of the quote's own groups.

    What the quote embeds is mapped from the head and the lines only where it is wanted: a status wants none of it.
    """

    head: QuoteHead
    lines: QuoteLines
    link: QuoteLink
    quote: UpsertQuote
    hashes: dict[str, str]


def map_quote(
    record: Record, rules: RuleSet, basis: Basis, touched: AbstractSet[GroupName]
) -> Mapped | NothingToWrite | Waiting:
    """What brings Halo to the record's state, whatever led to it.

    `rules` are those of the quote's producer; `touched` the groups whose commands are wanted: a status that wins
    nothing wants the quote's only. Raises MappingRejected with every fault.
    """
    state = desired(record, rules)
    return state if isinstance(state, Waiting) else commands(state, record, rules, basis, touched)


def desired(record: Record, rules: RuleSet) -> Desired | Waiting:
    """The quote's own state, status aside. Raises MappingRejected with every fault."""
    head_group, lines_group = record.groups.get("head"), record.groups.get("lines")
    if head_group is None or lines_group is None:
        return Waiting()
    scope = _scope(record, rules)
    head = HEAD_DECODER.decode(head_group.data)
    lines = LINES_DECODER.decode(lines_group.data)
    link = link_of(record)
    quote = _quote(record.id, head, lines, link, scope)
    _raise_faults(scope)
    return Desired(head, lines, link, quote, group_hashes(quote))


def commands(
    state: Desired, record: Record, rules: RuleSet, basis: Basis, touched: AbstractSet[GroupName]
) -> Mapped | NothingToWrite:
    """What one event comes to: the desired state with the present status and winning, in its order, for its basis.

    Raises MappingRejected with every fault of what the quote embeds.
    """
    assert rules.quotes is not None, "only a tenant with quotes maps a quote"
    scope = _scope(record, rules)
    winning = winning_of(record, state.link, scope)
    if winning.not_written is not None:
        return NothingToWrite(winning.not_written, winning.questions)
    seq = seq_of(record, basis.rule_sequence)
    quote = _present(state, record, scope)
    prospective = has_leads(scope) and not winning.won
    if has_leads(scope):
        quote = quote_of_lead(quote) if prospective else quote_of_client(quote)
    # What was held back until the quote is won comes whole, whatever has won it; and a redrive mends what all rely on.
    held_back = rules.quotes.push == "won" or (has_leads(scope) and winning.won)
    whole = bool(touched & WHOLE) or held_back or bool(basis.cause)
    made: list[Command] = _surroundings(state, record, scope, prospective) if whole else []
    made.append(quote)
    if whole:
        made += quote_files(record.id, state.head, state.link, scope)
    made += won_steps(record.id, winning, quote, state.link, scope)
    if has_leads(scope) and winning.won:
        made = [after_client(one, quote) if isinstance(one, CompleteOpportunity) else one for one in made]
        made += won_lead(record.id, state.head, scope)
    _raise_faults(scope)
    # What a quote says of an opportunity that its producer publishes is older than anything said of that itself.
    based = (replace(one, basis=basis, seq=() if one.ensure or is_published(one) else seq) for one in made)
    return Mapped(tuple(based), winning.questions)


def _present(state: Desired, record: Record, scope: Scope) -> UpsertQuote:
    """The quote in its present status, and the Halo quote which that is."""
    rules = scope.rules.quotes
    assert rules is not None, "only a tenant with quotes maps a quote"
    word = word_of(record)
    status = quote_status(word, rules)
    hashes = state.hashes if status is UNSET else {**state.hashes, "status": status_hash(status)}
    return replace(
        state.quote,
        target=quote_target(record, state.head, word, scope),
        first_status=first_status(word, rules),
        status=status,
        state_hash=state_hash_of(hashes),
    )


def _scope(record: Record, rules: RuleSet) -> Scope:
    return Scope(tenant=record.tenant, source=record.source, rules=rules)


def _raise_faults(scope: Scope) -> None:
    if scope.faults:
        raise MappingRejected(tuple(sorted(set(scope.faults))))


def _surroundings(state: Desired, record: Record, scope: Scope, prospective: bool) -> list[Command]:
    """What the quote refers to, in the order in which Halo needs it; its opportunity last."""
    head, lines = state.head, state.lines
    products = products_of(lines, state.quote, scope)
    opportunity = opportunity_of(record.id, head, state.link, products, scope)
    opportunity = with_po_number(opportunity, state.quote, state.link)
    items = (*ensure_items(lines.lines, scope), *products.items)
    if has_leads(scope):
        opportunity = (
            opportunity_of_lead(opportunity, head, scope)
            if prospective
            else opportunity_of_client(opportunity, head)
        )
    if prospective:
        return [*_prospect(head, scope), *items, ensure_lead(head, scope), opportunity]
    return [*_customer(head, scope), *items, opportunity]


def _customer(head: QuoteHead, scope: Scope) -> Iterator[Command]:
    yield ensure_client(head, scope)
    yield ensure_site(head.customer, scope)
    if head.contact is not None:
        yield ensure_user(head.contact, head.customer, scope)


def _prospect(head: QuoteHead, scope: Scope) -> Iterator[Command]:
    """A company that is made a client only when its quote is won."""
    yield adopted(ensure_client(head, scope))
    yield under_client(ensure_site(head.customer, scope))
    if head.contact is not None:
        yield under_client(ensure_user(head.contact, head.customer, scope))


def _quote(quote_id: str, head: QuoteHead, lines: QuoteLines, link: QuoteLink, scope: Scope) -> UpsertQuote:
    agent, notice = owner_of(head, scope.rules.agents)
    customer, contact = head.customer, head.contact
    mapped = map_lines(lines, scope)
    links, told = linked("quotes", scope, head)
    rules = scope.rules.quotes
    assert rules is not None, "only a tenant with quotes maps a quote"
    quote = UpsertQuote(
        target=scope.target("quote", quote_id),
        basis=NO_BASIS,
        notices=(*notices(notice), *mapped.notices, *told),
        opportunity=Field(value=opportunity_target(quote_id, link, scope)),
        client=Field(value=client_target(customer, scope)),
        site=Field(value=site_target(customer, scope)),
        user=UNSET if contact is None else Field(value=user_target(contact, customer, scope)),
        title=Field(value=head.title),
        date=given(head.date),
        expiry_date=given(head.expiry_date),
        agent=agent,
        currency=_currency(head.currency, scope.rules),
        note=given(head.note),
        description=given(head.description),
        po_number=po_number_of(head, rules),
        lines=Field(value=mapped.lines),
        totals=Field(value=mapped.totals),
        carriage=given(mapped.carriage),
        sold_to=given(quote_address(head.sold_to, scope.rules.addresses)),
        ship_to=given(quote_address(head.ship_to, scope.rules.addresses)),
        links=field_of(links),
    )
    return as_revision(quote, rules)


def _currency(code: str | None, rules: RuleSet) -> Field[Named] | UnsetType:
    """The document's currency, else the tenant's, else Halo's own default: an amount is never re-labelled."""
    if code is not None:
        name = rules.currency_table.get(folded(code), code)
        return Field(value=Named(lookup="currency", name=name, setting="currencies"))
    if rules.currency is None:
        return UNSET
    name = rules.currency_table.get(folded(str(rules.currency)), rules.currency)
    return Field(value=Named(lookup="currency", name=name, setting="currency"))
