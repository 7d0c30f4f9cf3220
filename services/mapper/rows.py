"""What waits in the mapper, as rows of the store: for an entity's base, a tenant's rules, or a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.bus.records import Outgoing, Record
from hub.store.pending import DECISION, Pending
from hub.store.records import RecordKey
from schemas.envelope import Envelope
from schemas.registry import encode
from services.mapper.emit import event_again, question_event
from services.mapper.intake import Event
from services.mapper.questions import Question, as_notice

BASE = "base"
SETTINGS = "settings"


def waiting_key(key: RecordKey) -> str:
    """The row of an entity whose base has not arrived: one for the entity."""
    return f"{key.source}/{key.kind}/{key.id}"


def parked_key(record: Record) -> str:
    """The row of an event whose tenant has no rules yet: one for the record, so that none replaces another.

    The event that is published again has a place of its own on the log, so removing this row never removes the
    one that a mapper without the rules may make of it.
    """
    return f"event/{record.topic}/{record.partition}/{record.offset}"


def question_key(key: RecordKey) -> str:
    """The row that shows what is asked about an entity, while its present state asks it."""
    return f"question/{key.source}/{key.kind}/{key.id}"


def waiting_row(key: RecordKey, event: Event, at: float, orphan_of: RecordKey | None) -> Pending:
    """`event` waits for its entity's base, or a file (`orphan_of`) for its quote's."""
    waits_for = None if orphan_of is None else waiting_key(orphan_of)
    return _event_row(waiting_key(key), BASE, event, at, waits_for)


def parked_row(event: Event, at: float) -> Pending:
    """`event` waits for its tenant's rules."""
    return _event_row(parked_key(event.record), SETTINGS, event, at, None)


def question_row(key: RecordKey, event: Event, questions: Sequence[Question], at: float) -> Pending:
    """All that a person is asked about an entity. Nothing runs when it is due: an answer is an event."""
    envelope, asked = question_event(questions[0], event.envelope)
    return Pending(
        tenant=key.tenant,
        stage="mapper",
        target_key=question_key(key),
        message_id=envelope.id,
        message_type=envelope.type,
        headers=msgspec.json.encode(envelope),
        value=encode(asked),
        reason=DECISION,
        not_before=at,
        since=at,
        note="; ".join(as_notice(question).message for question in questions),
    )


def quote_waited_for(row: Pending) -> RecordKey:
    """The quote whose key is in `waits_for`: one of the same tenant and producer."""
    envelope = _envelope(row)
    quote_id = str(row.waits_for).removeprefix(f"{envelope.producer}/quote/")
    return RecordKey(envelope.tenant, envelope.producer, "quote", quote_id)


def published_again(row: Pending) -> Outgoing:
    """The event that waits, as it came."""
    return event_again(_envelope(row), row.value)


def _event_row(target_key: str, reason: str, event: Event, at: float, waits_for: str | None) -> Pending:
    return Pending(
        tenant=event.envelope.tenant,
        stage="mapper",
        target_key=target_key,
        message_id=event.envelope.id,
        message_type=event.envelope.type,
        headers=msgspec.json.encode(event.envelope),
        value=event.record.value or b"",
        reason=reason,
        waits_for=waits_for,
        not_before=at,
        since=at,
    )


def _envelope(row: Pending) -> Envelope:
    return msgspec.json.decode(row.headers, type=Envelope)
