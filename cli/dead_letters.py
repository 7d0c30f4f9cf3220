"""Dead letters as the log holds them: read, matched with their redrives, shown without what they say of people."""

import base64
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from halo.redact import is_sensitive, redact_text, redact_value
from hub.bus.records import Record
from schemas.control import RedriveRequested
from schemas.envelope import Envelope, EnvelopeInvalid, from_headers
from schemas.outcomes import DeadLetter
from schemas.registry import decode

REDRIVE_REQUESTED = "redrive.requested.v1"
HIDDEN = "***"
_PLAIN_HEADERS = frozenset({"content-type", "traceparent"})


class Letter(msgspec.Struct, frozen=True):
    """One dead letter and how often it was redriven."""

    id: str
    recorded_at_ms: int
    envelope: Envelope
    data: DeadLetter
    redriven: int = 0

    @property
    def tenant(self) -> str | None:
        return self.data.tenant


async def read_letters(letters: AsyncIterator[Record], control: AsyncIterator[Record]) -> list[Letter]:
    """Every dead letter in the order of recording; a repeated one once. Records that can't be read are passed over."""
    redriven: dict[str, int] = {}
    async for record in control:
        message = message_of(record)
        if message is not None and isinstance(message[1], RedriveRequested):
            redriven[message[1].dead_letter_id] = redriven.get(message[1].dead_letter_id, 0) + 1
    found: dict[str, Letter] = {}
    async for record in letters:
        message = message_of(record)
        if message is not None and isinstance(message[1], DeadLetter):
            envelope, data = message
            found.setdefault(
                envelope.id,
                Letter(envelope.id, record.timestamp_ms, envelope, data, redriven.get(envelope.id, 0)),
            )
    return sorted(found.values(), key=lambda letter: letter.recorded_at_ms)


def message_of(record: Record) -> tuple[Envelope, Any] | None:
    """The message in a record of one of the hub's own topics; None for what is none."""
    if record.value is None:
        return None
    try:
        envelope = from_headers(record.headers)
        return envelope, decode(envelope.type, record.value)
    except (EnvelopeInvalid, KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def select(letters: Iterable[Letter], *, tenant: str | None, reason: str | None) -> list[Letter]:
    """Those of a tenant and of a reason; None takes all."""
    return [
        letter
        for letter in letters
        if (tenant is None or letter.tenant == tenant) and (reason is None or letter.data.reason == reason)
    ]


def payload(data: DeadLetter, *, reveal: bool) -> Any:
    """The message that was set aside. Without `reveal` its shape alone: who bought what is nobody's business here.

    Values of keys that name a credential never show.
    """
    if data.value is None:
        return None
    raw = base64.b64decode(data.value)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return (
            redact_text(raw.decode(errors="backslashreplace"))
            if reveal
            else f"{HIDDEN} ({len(raw)} bytes that are no JSON)"
        )
    return redact_value(value) if reveal else _masked(value)


def headers(data: DeadLetter, *, reveal: bool = False) -> dict[str, str | None]:
    """The message's headers as text: those of the envelope, with `reveal` all, but credentials never."""
    shown: dict[str, str | None] = {}
    for name, value in data.headers:
        if value is None:
            shown[name] = None
        elif is_sensitive(name) or not (
            reveal or name.lower().startswith("ce_") or name.lower() in _PLAIN_HEADERS
        ):
            shown[name] = HIDDEN
        else:
            shown[name] = redact_text(base64.b64decode(value).decode(errors="backslashreplace"))
    return shown


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return HIDDEN if value is not None else None
