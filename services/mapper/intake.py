"""Judges what came over Kafka as strictly as what comes over HTTP: an event, or why it is none. Pure."""

from __future__ import annotations

import datetime as dt

import msgspec

from hub.bus.records import Outgoing, Record
from hub.dead_letters import of_record
from hub.store.records import RecordKey
from schemas.answers import QuestionAnswered, fits
from schemas.control import DecisionAnswered
from schemas.envelope import Envelope, EnvelopeInvalid, Fault, ahead_of, from_headers, kind_of
from schemas.faults import MAX_DEPTH, DataInvalid, decode_source, depth, too_deep
from schemas.registry import SOURCE_TYPES, TYPES, decode
from schemas.topics import CONTROL, is_keyed_by
from services.mapper.answers import quote_asked_about
from services.mapper.parts import SourceDocument
from services.mapper.refs import MAX_ID

MAX_FAULTS_SAID = 5
DECISION_ANSWERED = "decision.answered.v1"
_FIXES = {
    "envelope.invalid": "let the producer correct its headers, and publish the event again",
    "key.mismatch": "let the producer publish the event again under this key",
    "data.invalid": "let the producer correct the data, and publish the event again",
    "data.not_json": "let the producer send the data as JSON, and publish the event again",
    "data.too_deep": "let the producer send the data less deep, and publish the event again",
    "type.unknown": "if a newer release reads this type, upgrade the hub and redrive this dead letter; "
    "else let the producer send a type that is listed",
    "topic.mismatch": "let the producer publish the event again, on the topic that the fault names",
    "time.ahead": "correct the clock that is wrong, the producer's or the hub's; then redrive this dead letter",
    "data.too_large": "split the document, and publish its parts",
    "revision.conflict": "let the producer raise the revision with every change, then publish the event again",
    "ordering.mixed": "let the producer send a revision with every event of an entity, or with none",
    "mapping.rejected": "mend the tenant's rules or the quote, then redrive this dead letter",
    "mapper.failed": "this is a fault of the hub: report it with this dead letter, and redrive it after the repair",
    "command.too_large": "split the quote: its command is larger than a message may be",
}
"""What to do about a dead letter, by its reason."""


class Event(msgspec.Struct, frozen=True):
    """A valid event: its record on the log, envelope, data, and the entity that it is about."""

    record: Record
    envelope: Envelope
    data: SourceDocument | DecisionAnswered | QuestionAnswered
    key: RecordKey


class Refused(msgspec.Struct, frozen=True):
    """A record that is no valid event, or can't be mapped, as the dead letter to publish. `reason` is its code."""

    record: Record
    envelope: Envelope | None
    reason: str
    letter: Outgoing


class Tombstone(msgspec.Struct, frozen=True):
    """A record without a value: nothing is said, so there is nothing to do."""

    record: Record


class NotOurs(msgspec.Struct, frozen=True):
    """A record of the control topic that changes no mapping; `problem` says if it can't be read."""

    problem: str | None = None


def read(record: Record, now: dt.datetime) -> Event | Refused | Tombstone | NotOurs:
    """What a record of the log is. A refusal names all faults of the envelope or, if that has none, all of the data."""
    if record.topic == CONTROL:
        return _answer(record)
    if not record.value:
        return Tombstone(record)
    try:
        envelope = from_headers(record.headers)
    except EnvelopeInvalid as error:
        return refused(record, None, "envelope.invalid", error.faults)
    misplaced = _misplaced(record, envelope)
    if misplaced is not None:
        return refused(record, envelope, f"{misplaced.at}.mismatch", (misplaced,))
    if len(envelope.subject) > MAX_ID:
        fault = Fault("subject", f"is longer than {MAX_ID} characters")
        return refused(record, envelope, "envelope.invalid", (fault,))
    ahead = ahead_of(envelope, now)
    if ahead is not None:
        return refused(record, envelope, "time.ahead", (ahead,))
    try:
        data = _data(envelope, record.value)
    except DataInvalid as error:
        return refused(record, envelope, error.reason, error.faults)
    key = RecordKey(envelope.tenant, envelope.producer, kind_of(envelope.type), envelope.subject)
    return Event(record, envelope, data, key)


def _answer(record: Record) -> Event | NotOurs:
    """A person's answer that a mapping depends on. The topic is the hub's own: what can't be read is passed over."""
    try:
        envelope = from_headers(record.headers)
        if envelope.type != DECISION_ANSWERED:
            return NotOurs()
        answered: DecisionAnswered = decode(envelope.type, record.value or b"")
    except (EnvelopeInvalid, msgspec.DecodeError) as error:
        return NotOurs(str(error))
    key = quote_asked_about(answered)
    if key is None:
        return NotOurs()
    if key.tenant != envelope.tenant or not is_keyed_by(CONTROL, record.key, envelope.tenant):
        return NotOurs(f"it is about a record of tenant {key.tenant!r}, and written for {envelope.tenant!r}")
    if not fits(answered.question, answered.choice):
        return NotOurs(f"{answered.choice!r} is no answer to {answered.question}")
    return Event(record, envelope, answered, key)


def refused(record: Record, envelope: Envelope | None, reason: str, faults: tuple[Fault, ...]) -> Refused:
    """The dead letter of a record, with its faults."""
    said = "; ".join(map(str, faults[:MAX_FAULTS_SAID]))
    if len(faults) > MAX_FAULTS_SAID:
        said = f"{said}; and {len(faults) - MAX_FAULTS_SAID} more"
    letter = of_record(record, "mapper", reason, said, envelope=envelope, faults=faults, fix=_FIXES[reason])
    return Refused(record, envelope, reason, letter)


def unforeseen(record: Record, error: Exception) -> Refused:
    """The dead letter of a record that `read` itself fell over, which names no tenant: it was not understood."""
    fault = Fault("", f"the hub can't read it: {type(error).__name__}")
    return refused(record, None, "mapper.failed", (fault,))


def _misplaced(record: Record, envelope: Envelope) -> Fault | None:
    """The fault of an event under another key or on another topic: its entity's order would not hold.

    Who may write one topic may not write another.
    """
    if record.key != envelope.key:
        found = "none" if record.key is None else repr(record.key[:100].decode("utf-8", "backslashreplace"))
        return Fault("key", f"must be {envelope.key.decode()!r} (tenant/kind/subject); it is {found}")
    if envelope.type in SOURCE_TYPES and record.topic != TYPES[envelope.type].topic:
        return Fault(
            "topic", f"must be {TYPES[envelope.type].topic} for {envelope.type}; it is {record.topic}"
        )
    return None


def _data(envelope: Envelope, value: bytes) -> SourceDocument | QuestionAnswered:
    # Only what has that many brackets can be that deep; counting them is far cheaper than pairing them.
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise too_deep()
    data: SourceDocument | QuestionAnswered = decode_source(envelope.type, value)
    return data
