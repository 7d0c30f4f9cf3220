"""Dead letters of records that a stage can't process: the bytes as they came, and what a person has to know.

The same record set aside for the same reason is the same dead letter, however often it is delivered.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Sequence

import msgspec

from hub.bus.records import Outgoing, Record
from schemas.commands import Basis
from schemas.envelope import Envelope, Fault, headers_of
from schemas.identity import derived_id
from schemas.outcomes import DeadLetter, Stage
from schemas.registry import encode
from schemas.targets import Target
from schemas.topics import DEAD_LETTERS

TYPE = "dead_letter.recorded.v1"
UNKNOWN_TENANT = "unknown"
"""The tenant of a dead letter whose record doesn't say any."""
MAX_KEPT_BYTES = 1_200_000
"""Of the original's key, value and headers; a larger one is read where it came from, on its own topic."""
MAX_LETTER_BYTES = 1_800_000
"""Of the letter as it is written, where bytes and odd names take more room than they came in."""
_MAX_MESSAGE = 2_000
_MAX_FAULT = 500


def of_record(
    record: Record,
    stage: Stage,
    reason: str,
    message: str,
    *,
    envelope: Envelope | None = None,
    faults: Sequence[Fault] = (),
    fix: str | None = None,
    target: Target | None = None,
    basis: Basis | None = None,
) -> Outgoing:
    """The dead letter of one record, ready to publish. `reason` is a code, `message` says it to people."""
    letter = DeadLetter(
        stage=stage,
        reason=reason,
        message=message[:_MAX_MESSAGE],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        tenant=None if envelope is None else envelope.tenant,
        event_id=None if envelope is None else envelope.id,
        event_type=None if envelope is None else envelope.type,
        subject=None if envelope is None else envelope.subject,
        faults=tuple(Fault(fault.at[:_MAX_FAULT], fault.problem[:_MAX_FAULT]) for fault in faults),
        fix=fix,
        target=target,
        basis=basis,
    )
    at = dt.datetime.fromtimestamp(record.timestamp_ms / 1000, dt.UTC)
    tenant = UNKNOWN_TENANT if envelope is None else envelope.tenant
    about = Envelope(
        id=id_of(stage, reason, record),
        source=f"/hub/{stage}",
        type=TYPE,
        subject=f"{record.topic}/{record.partition}/{record.offset}"
        if envelope is None
        else envelope.subject,
        time=at if envelope is None else envelope.time,
        tenant=tenant,
        correlationid=None if envelope is None else envelope.correlationid or envelope.id,
        causationid=None if envelope is None else envelope.id,
    )
    return Outgoing(DEAD_LETTERS, tenant.encode(), _with_the_original(letter, record), headers_of(about))


def _with_the_original(letter: DeadLetter, record: Record) -> bytes:
    """The letter's JSON with the record's bytes; or saying where they are, when no message holds both."""
    if _size(record) <= MAX_KEPT_BYTES:
        whole = msgspec.structs.replace(
            letter,
            key=_text(record.key),
            value=_text(record.value),
            headers=tuple((_name(name), _text(value)) for name, value in record.headers),
        )
        value = encode(whole)
        if len(value) <= MAX_LETTER_BYTES:
            return value
    where = f"{record.topic}, partition {record.partition}, offset {record.offset}"
    message = f"{letter.message}; the record is too large to be kept here, it stays at {where}"
    return encode(msgspec.structs.replace(letter, message=message))


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def id_of(stage: Stage, reason: str, record: Record) -> str:
    """The id of the dead letter that a stage makes of a record for a reason: the same for the same content."""
    return derived_id("dead-letter", stage, reason, _digest(record))


def _digest(record: Record) -> str:
    """A hash of the content and nothing of its place: the log may be copied."""
    digest = hashlib.sha256()
    parts = [record.topic.encode(), record.key, record.value]
    for name, value in record.headers:
        parts += [name.encode("utf-8", "surrogateescape"), value]
    for part in parts:
        digest.update(b"-" if part is None else b"%d:" % len(part) + part)
    return digest.hexdigest()


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _name(name: str) -> str:
    """A header's name; one that is no UTF-8 shows its bytes, which JSON can't carry."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
