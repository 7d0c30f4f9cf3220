"""Whether a quote is won, and what that makes of its opportunity. Pure.

Winning is a part of the desired state, never a thing that was done: it follows from the folded status and conversion
and from the rules alone, so that the steps of a won quote are the same state each time they are mapped.

* A status that is in `quotes.won` wins the quote; so does a conversion, except one to an order under
  `opportunities.won.when: invoice`. An invoice is past an order.
* The opportunity is completed by a conversion alone, unless `when` is never.
* An opportunity is there when the quote names one, or when the quote was written before it was converted: with
  `quotes.push: published`, or because its status had won it. Only with `quotes.push: won` can it be missing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hub.store.records import Record
from hub.tenants.names import folded
from hub.tenants.opportunities import Opportunities
from hub.tenants.quotes import Quotes
from schemas.answers import ANSWERS, EXISTS, MISSING
from schemas.quotes import Answers
from schemas.targets import Target
from services.mapper.answers import answer_to
from services.mapper.parts import (
    ANSWERS_DECODER,
    CONVERSION_DECODER,
    OWN_OPPORTUNITY,
    STATUS_DECODER,
    Conversion,
    QuoteLink,
)
from services.mapper.questions import Question
from services.mapper.scope import Scope

NotWritten = Literal["not_won", "unanswered", "no_opportunity"]
"""Why nothing of a quote is written: it isn't won yet; a person must say; or the rules want no opportunity for it."""


class Winning(msgspec.Struct, frozen=True):
    """What a folded quote comes to: whether it is won, whether that completes its opportunity, and what must be asked.

    `not_written` says why nothing of it may be written, if so.
    """

    won: bool = False
    completes: bool = False
    questions: tuple[Question, ...] = ()
    not_written: NotWritten | None = None


def winning_of(record: Record, link: QuoteLink, scope: Scope) -> Winning:
    """How far the quote is won under the rules in `scope`."""
    opportunities, quotes = scope.opportunities, scope.quotes
    by_status = _has_won_status(record, quotes)
    sold = _is_sold(_conversion(record), opportunities)
    if quotes.push == "won" and not (by_status or sold):
        return Winning(not_written="not_won")
    if not sold or opportunities.won.when == "never":
        return Winning(won=by_status or sold)
    named = link != OWN_OPPORTUNITY
    answers, target = _answers(record), scope.target("quote", record.id)
    exists = _said("convert", answers.opportunity_exists, answer_to(record, EXISTS))
    missing = _said("create", answers.opportunity_missing, answer_to(record, MISSING))
    if named or quotes.push == "published":
        return _existing(exists, opportunities, target)
    if by_status:
        # One that was asked for as a won one is there because of that answer, whatever status came after it.
        return _existing(exists or ("convert" if missing == "create" else None), opportunities, target)
    return _missing(missing, opportunities, target)


def _said(acts: str, brought: str | None, answered: str | None) -> str | None:
    """What was answered, by the producer's event and by a person, of whom nobody knows who was later.

    Where one said that it is to be done it is: a later no undoes nothing.
    """
    return acts if acts in (brought, answered) else brought or answered


def _has_won_status(record: Record, rules: Quotes) -> bool:
    group = record.groups.get("status")
    return group is not None and folded(STATUS_DECODER.decode(group.data).status) in rules.winning


def _conversion(record: Record) -> Conversion | None:
    group = record.groups.get("conversion")
    return None if group is None else CONVERSION_DECODER.decode(group.data)


def _is_sold(conversion: Conversion | None, rules: Opportunities) -> bool:
    return conversion is not None and (conversion.to == "invoice" or rules.won.when != "invoice")


def _answers(record: Record) -> Answers:
    group = record.groups.get("answers")
    return Answers() if group is None else ANSWERS_DECODER.decode(group.data)


def _existing(answer: str | None, rules: Opportunities, target: Target) -> Winning:
    """An unanswered question leaves out this step alone."""
    said = answer or rules.won.if_exists
    if said != "ask":
        return Winning(won=True, completes=said == "convert")
    question = Question(
        id=EXISTS,
        target=target,
        message="the quote was converted: shall its opportunity be completed as Won?",
        choices=ANSWERS[EXISTS],
    )
    return Winning(won=True, questions=(question,))


def _missing(answer: str | None, rules: Opportunities, target: Target) -> Winning:
    """Without an opportunity nothing can be written: a Halo quote and its order live under one."""
    match answer or rules.won.if_none:
        case "create":
            return Winning(won=True, completes=True)
        case "skip":
            return Winning(won=True, not_written="no_opportunity")
    question = Question(
        id=MISSING,
        target=target,
        message="the quote was converted and has no opportunity: shall a won one be created?",
        choices=ANSWERS[MISSING],
    )
    return Winning(won=True, questions=(question,), not_written="unanswered")
