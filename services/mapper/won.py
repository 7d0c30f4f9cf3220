"""The steps of a won quote: its opportunity completed, the customer's PO number on it, its sales order. Pure.

Completing is a target of its own, one for each quote and opportunity: an opportunity may belong to another quote, to
its producer's own events or to a person, and none of them takes the step back or repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from msgspec.structs import replace

from schemas.commands import (
    Command,
    CompleteOpportunity,
    Field,
    Named,
    UpsertOpportunity,
    UpsertQuote,
)
from schemas.targets import Target
from services.mapper.opportunity import opportunity_target
from services.mapper.parts import OWN_OPPORTUNITY, QuoteLink
from services.mapper.questions import as_notice
from services.mapper.refs import bounded
from services.mapper.sales_order import sales_order_of
from services.mapper.scope import NO_BASIS, Scope, sealed
from services.mapper.winning import Winning


def with_po_number(opportunity: UpsertOpportunity, quote: UpsertQuote, link: QuoteLink) -> UpsertOpportunity:
    """The quote's own opportunity has the customer's PO number as early as the quote has it."""
    if link != OWN_OPPORTUNITY or quote.po_number is UNSET:
        return opportunity
    return sealed(replace(opportunity, po_number=Field(value=quote.po_number.value)))


def won_steps(
    quote_id: str, winning: Winning, quote: UpsertQuote, link: QuoteLink, scope: Scope
) -> Iterator[Command]:
    """What is to be done of a won quote beside writing it; nothing of a quote that isn't."""
    number = quote.po_number if winning.won and link != OWN_OPPORTUNITY else UNSET
    if winning.completes or winning.questions or number is not UNSET:
        opportunity = opportunity_target(quote_id, link, scope)
        yield sealed(
            CompleteOpportunity(
                target=_step_target(quote_id, opportunity, scope),
                basis=NO_BASIS,
                notices=tuple(map(as_notice, winning.questions)),
                opportunity=Field(value=opportunity),
                status=Field(value=_won_status(scope)) if winning.completes else UNSET,
                po_number=number if number is UNSET else Field(value=number.value),
            )
        )
    if winning.won and scope.quotes.sales_order:
        yield sales_order_of(quote_id, quote, scope)


def _step_target(quote_id: str, opportunity: Target, scope: Scope) -> Target:
    """A quote that is moved to another opportunity completes that one too."""
    return scope.target("won", quote_id, bounded(f"{opportunity.id}:{opportunity.scope}"))


def _won_status(scope: Scope) -> Named:
    """By name: where Halo has none of it the step is rejected, for who wants it made must hear that it isn't."""
    rules = scope.opportunities
    return Named(
        lookup="status",
        name=rules.won_status,
        setting="opportunities.statuses",
        chosen="won" in rules.status_table,
    )
