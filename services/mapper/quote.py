"""A folded quote as commands: what it embeds, its opportunity, and the Halo quote itself.

Two steps, both pure: `desired` maps the head and the lines (the same as long as they and the rules are), `commands`
adds the status, the order and the basis. Nothing here knows Halo's ids: references stay symbolic.
"""

from __future__ import annotations

import functools
from collections.abc import Set as AbstractSet

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from schemas.commands import Basis, Command, Field, Named, UpsertQuote
from schemas.identity import content_hash, group_hashes, state_hash_of
from schemas.quotes import QuoteStatus
from services.mapper.agents import owner_of
from services.mapper.client import client_target, ensure_client
from services.mapper.files import quote_files
from services.mapper.item import ensure_items
from services.mapper.lines import map_lines
from services.mapper.opportunity import opportunity_of, opportunity_target
from services.mapper.opportunity_lines import products_of
from services.mapper.parts import (
    HEAD_DECODER,
    LINES_DECODER,
    LINK_DECODER,
    OWN_OPPORTUNITY,
    STATUS_DECODER,
    GroupName,
    QuoteHead,
    QuoteLines,
    QuoteLink,
)
from services.mapper.record import seq_of
from services.mapper.scope import NO_BASIS, MappingRejected, Scope, given, notices
from services.mapper.site import ensure_site, site_target
from services.mapper.user import ensure_user, user_target


class Waiting(msgspec.Struct, frozen=True):
    """The quote's base has not arrived: nothing can be written yet."""


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
) -> tuple[Command, ...] | Waiting:
    """The commands that bring Halo to the record's state, in the order in which they depend on each other.

    `rules` are those of the quote's producer; `touched` the groups whose commands are wanted: a status alone
    wants the quote's only. Raises MappingRejected with every fault.
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
) -> tuple[Command, ...]:
    """The commands of one event: the desired state with the present status, in its order and for its basis.

    Raises MappingRejected with every fault of what the quote embeds.
    """
    seq = seq_of(record, basis.rule_sequence)
    status = _status(record, rules)
    hashes = state.hashes
    if status is not UNSET:
        hashes = {**hashes, "status": _status_hash(status)}
    quote = replace(state.quote, basis=basis, seq=seq, status=status, state_hash=state_hash_of(hashes))
    if not touched & {"head", "lines"}:
        return (quote,)
    scope = _scope(record, rules)
    products = products_of(state.lines, state.quote, scope)
    embedded = [*_embedded(state, scope), *products.items]
    opportunity = opportunity_of(record.id, state.head, state.link, products, scope)
    _raise_faults(scope)
    return (
        *(replace(command, basis=basis) for command in embedded),
        replace(opportunity, basis=basis, seq=() if opportunity.ensure else seq),
        quote,
        *(replace(command, basis=basis) for command in quote_files(record.id, state.head, state.link, scope)),
    )


def _scope(record: Record, rules: RuleSet) -> Scope:
    return Scope(tenant=record.tenant, source=record.source, rules=rules)


def _raise_faults(scope: Scope) -> None:
    if scope.faults:
        raise MappingRejected(tuple(sorted(set(scope.faults))))


def _embedded(state: Desired, scope: Scope) -> list[Command]:
    """What the quote refers to, in the order in which Halo needs it."""
    head, lines = state.head, state.lines
    embedded: list[Command] = [ensure_client(head, scope), ensure_site(head.customer, scope)]
    if head.contact is not None:
        embedded.append(ensure_user(head.contact, head.customer, scope))
    return [*embedded, *ensure_items(lines.lines, scope)]


def link_of(record: Record) -> QuoteLink:
    """Which opportunity the quote was last said to belong under: a later revision need not say it again."""
    group = record.groups.get("link")
    return OWN_OPPORTUNITY if group is None else LINK_DECODER.decode(group.data)


def _quote(quote_id: str, head: QuoteHead, lines: QuoteLines, link: QuoteLink, scope: Scope) -> UpsertQuote:
    agent, notice = owner_of(head, scope.rules.agents)
    customer, contact = head.customer, head.contact
    mapped = map_lines(lines, scope)
    return UpsertQuote(
        target=scope.target("quote", quote_id),
        basis=NO_BASIS,
        notices=(*notices(notice), *mapped.notices),
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
        lines=Field(value=mapped.lines),
        totals=Field(value=mapped.totals),
        carriage=given(mapped.carriage),
    )


def _status(record: Record, rules: RuleSet) -> Field[Named] | UnsetType:
    """The quote's status in Halo's word; one that Halo doesn't have leaves the status there as it is."""
    group = record.groups.get("status")
    if group is None:
        return UNSET
    status: QuoteStatus = STATUS_DECODER.decode(group.data)
    assert rules.quotes is not None, "only a tenant with quotes maps a status"
    name = rules.quotes.status_table.get(folded(status.status), status.status)
    named = Named(lookup="quote_status", name=name, missing="leave", setting="quotes.statuses")
    return Field(value=named)


@functools.lru_cache(maxsize=1_024)
def _status_hash(status: Field[Named]) -> str:
    return content_hash({"status": status})


def _currency(code: str | None, rules: RuleSet) -> Field[Named] | UnsetType:
    """The document's currency, else the tenant's, else Halo's own default: an amount is never re-labelled."""
    if code is not None:
        name = rules.currency_table.get(folded(code), code)
        return Field(value=Named(lookup="currency", name=name, setting="currencies"))
    if rules.currency is None:
        return UNSET
    name = rules.currency_table.get(folded(str(rules.currency)), rules.currency)
    return Field(value=Named(lookup="currency", name=name, setting="currency"))
