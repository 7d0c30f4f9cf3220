"""A folded quote as commands: what it embeds, its opportunity, and the Halo quote itself.

Two steps, both pure: `desired` maps the head and the lines (the same as long as they and the rules are), `commands`
adds the status, what winning brings, the order and the basis. Nothing here knows Halo's ids: references stay symbolic.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import assert_never

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from hub.tenants.quotes import Quotes
from schemas.commands import Basis, Command, CompleteOpportunity, Field, Named, UpsertQuote
from schemas.identity import group_hashes, state_hash_of
from schemas.ordering import Seq
from services.mapper.addresses import quote_address
from services.mapper.agents import owner_of
from services.mapper.client import client_target, ensure_client
from services.mapper.files import quote_files
from services.mapper.item import ensure_items
from services.mapper.lead import (
    Company,
    adopted,
    after_client,
    company_of,
    ensure_lead,
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
from services.mapper.scope import NO_BASIS, Scope, given, notices, scope_of
from services.mapper.site import ensure_site, site_target
from services.mapper.status import first_status, quote_status, status_hash, word_of
from services.mapper.user import ensure_user, user_target
from services.mapper.winning import NotWritten, Winning, winning_of
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


def desired(record: Record, rules: RuleSet) -> Desired | Waiting:
    """The quote's own state, status aside, by the rules of its producer. Raises MappingRejected with every fault."""
    head_group, lines_group = record.groups.get("head"), record.groups.get("lines")
    if head_group is None or lines_group is None:
        return Waiting()
    head = HEAD_DECODER.decode(head_group.data)
    lines = LINES_DECODER.decode(lines_group.data)
    link = link_of(record)
    quote = _quote(record.id, head, lines, link, scope_of(record, rules))
    return Desired(head, lines, link, quote, group_hashes(quote))


def commands(
    state: Desired, record: Record, rules: RuleSet, basis: Basis, touched: AbstractSet[GroupName]
) -> Mapped | NothingToWrite:
    """What one event that carries the groups `touched` comes to: the desired state with what status and winning add.

    The quote itself is always among the commands, what it embeds and its files only where `_is_whole` says so.
    """
    scope = scope_of(record, rules)
    winning = winning_of(record, state.link, scope)
    if winning.not_written is not None:
        return NothingToWrite(winning.not_written, winning.questions)
    company = company_of(winning.won, scope)
    quote = _of_company(_present(state, record, scope), company)
    made: list[Command] = [quote]
    if _is_whole(touched, company, basis, scope.quotes):
        files = quote_files(record.id, state.head, state.link, scope)
        made = [*_surroundings(state, record.id, company, scope), quote, *files]
    made += _steps(state, quote, record.id, winning, company, scope)
    seq = seq_of(record, basis.rule_sequence)
    return Mapped(tuple(_based(command, basis, seq) for command in made), winning.questions)


def _is_whole(touched: AbstractSet[GroupName], company: Company, basis: Basis, rules: Quotes) -> bool:
    """Whether what the quote embeds is wanted beside it: the event carries it, or is a redrive, which mends all of it.

    What was held back until the quote is won comes whole, too, whatever event has won it.
    """
    held_back = rules.push == "won" or company == "won_prospect"
    return held_back or bool(touched & WHOLE) or bool(basis.cause)


def _based(command: Command, basis: Basis, seq: Seq) -> Command:
    """The command as its event causes it, in the order of the record's commands; an ensure has no place in that.

    What a quote says of an opportunity that its producer publishes is older than anything said of that itself.
    """
    return replace(command, basis=basis, seq=() if command.ensure or is_published(command) else seq)


def _present(state: Desired, record: Record, scope: Scope) -> UpsertQuote:
    """The quote with its present status; its target is the Halo quote that `revisions` has for that."""
    rules = scope.quotes
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


def _of_company(quote: UpsertQuote, company: Company) -> UpsertQuote:
    """The quote, which refers to its company as what that is."""
    match company:
        case "client":
            return quote
        case "prospect":
            return quote_of_lead(quote)
        case "won_prospect":
            return quote_of_client(quote)
        case _:
            assert_never(company)


def _surroundings(state: Desired, quote_id: str, company: Company, scope: Scope) -> list[Command]:
    """What the quote refers to, in the order in which Halo needs it; its opportunity last."""
    head, lines = state.head, state.lines
    products = products_of(lines, state.quote, scope)
    items = (*ensure_items(lines.lines, scope), *products.items)
    opportunity = opportunity_of(quote_id, head, state.link, products, scope)
    opportunity = with_po_number(opportunity, state.quote, state.link)
    match company:
        case "client":
            return [*_customer(head, scope), *items, opportunity]
        case "prospect":
            opportunity = opportunity_of_lead(opportunity, head, scope)
            return [*_prospect(head, scope), *items, ensure_lead(head, scope), opportunity]
        case "won_prospect":
            return [*_customer(head, scope), *items, opportunity_of_client(opportunity, head)]
        case _:
            assert_never(company)


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


def _steps(
    state: Desired, quote: UpsertQuote, quote_id: str, winning: Winning, company: Company, scope: Scope
) -> Iterator[Command]:
    """The steps of a won quote; where its company may have been a lead, they wait for the client and win the lead."""
    steps = won_steps(quote_id, winning, quote, state.link, scope)
    if company != "won_prospect":
        yield from steps
        return
    for step in steps:
        yield after_client(step, quote) if isinstance(step, CompleteOpportunity) else step
    yield from won_lead(quote_id, state.head, scope)


def _quote(quote_id: str, head: QuoteHead, lines: QuoteLines, link: QuoteLink, scope: Scope) -> UpsertQuote:
    agent, notice = owner_of(head, scope.rules.agents)
    customer, contact = head.customer, head.contact
    mapped = map_lines(lines, scope)
    links, told = linked("quotes", scope, head)
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
        po_number=po_number_of(head, scope.quotes),
        lines=Field(value=mapped.lines),
        totals=Field(value=mapped.totals),
        carriage=given(mapped.carriage),
        sold_to=given(quote_address(head.sold_to, scope.rules.addresses)),
        ship_to=given(quote_address(head.ship_to, scope.rules.addresses)),
        links=field_of(links),
    )
    return as_revision(quote, scope.quotes)


def _currency(code: str | None, rules: RuleSet) -> Field[Named] | UnsetType:
    """The document's currency, else the tenant's, else Halo's own default: an amount is never re-labelled."""
    if code is not None:
        name = rules.currency_table.get(folded(code), code)
        return Field(value=Named(lookup="currency", name=name, setting="currencies"))
    if rules.currency is None:
        return UNSET
    name = rules.currency_table.get(folded(str(rules.currency)), rules.currency)
    return Field(value=Named(lookup="currency", name=name, setting="currency"))
