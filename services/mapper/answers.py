"""What people have answered about a quote, as a part of its record: mapping stays pure, and a replay still knows it.

An answer is no event of the quote's producer, so it has an order of its own: of two to one question the later counts.
"""

from __future__ import annotations

import msgspec

from hub.store.records import Group, Record, RecordKey
from schemas.answers import EXISTS, GONE, MISSING, fits
from schemas.control import DecisionAnswered
from schemas.envelope import Envelope
from schemas.identity import content_hash, version_of
from schemas.targets import PICKED


class Answer(msgspec.Struct, frozen=True):
    """One answer, and its place in the order of the answers to its question."""

    choice: str
    version: int


Answered = dict[str, Answer]
_DECODER = msgspec.json.Decoder(Answered)


def quote_asked_about(answered: DecisionAnswered) -> RecordKey | None:
    """The quote that an answer is about; None when it is not the mapper's to take up."""
    target = answered.target
    about_quote = answered.question in (EXISTS, MISSING) and target.kind == "quote"
    about_picked = answered.question == GONE and target.scope.startswith(PICKED)
    return (
        RecordKey(target.tenant, target.source, "quote", target.id) if about_quote or about_picked else None
    )


def with_answer(group: Group | None, envelope: Envelope, answered: DecisionAnswered) -> Group:
    """The group of answers with one more; the same group if it says nothing new."""
    known = {} if group is None else _DECODER.decode(group.data)
    name = _name(answered.question, answered.target.scope)
    answer = Answer(answered.choice, version_of(None, envelope.time, envelope.id))
    before = known.get(name)
    if group is not None and before is not None and before.version >= answer.version:
        return group
    merged = {**known, name: answer}
    return Group(
        version=max(one.version for one in merged.values()),
        event_id=envelope.id,
        event_type=envelope.type,
        hash=content_hash(merged),
        data=msgspec.Raw(msgspec.json.encode(merged)),
    )


def answer_to(record: Record, question: str, scope: str = "") -> str | None:
    """What was answered to a question about this quote, or about one opportunity that it named."""
    group = record.groups.get("answered")
    found = None if group is None else _DECODER.decode(group.data).get(_name(question, scope))
    return None if found is None or not fits(question, found.choice) else found.choice


def _name(question: str, scope: str) -> str:
    return f"{question}/{scope}" if question == GONE else question
