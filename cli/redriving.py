"""Runs dead letters again: each becomes a `redrive.requested`, then its source event is published once more.

The event keeps its id, key and bytes; only its cause is new, so that what follows from it is told apart from the
first run. Doing it twice leads to the same state: the writer finds nothing to change.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from cli.dead_letters import REDRIVE_REQUESTED, Letter
from cli.messages import action
from hub.bus.producer import record_size
from hub.bus.records import Outgoing, Record
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.dead_letters import id_of
from schemas.control import REDRIVE_ID, RedriveRequested
from schemas.envelope import EnvelopeInvalid, from_headers, kind_of
from schemas.topics import SOURCE_TOPICS, key_on

UNKNOWN_TENANT = "unknown"
_CAUSE = "ce_causationid"


class ReadTopic(Protocol):
    def __call__(
        self, topic: str, key_filter: Callable[[bytes | None], bool] | None = None
    ) -> AsyncIterator[Record]: ...


class Redriven(msgspec.Struct, frozen=True):
    """What a redrive did: letters asked for, events published, and the letters whose event could not be found, or is
    larger than what the hub publishes."""

    letters: int
    events: int
    lost: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()


class _Source(msgspec.Struct, frozen=True):
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


async def redrive(
    letters: Sequence[Letter],
    read: ReadTopic,
    publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
    by: str,
) -> Redriven:
    """Publishes the requests, then the events; both are acknowledged when it returns."""
    sources: dict[str, _Source | None] = {letter.id: _own(letter) for letter in letters}
    sources |= await _by_basis([letter for letter in letters if letter.data.basis is not None], read)
    sources |= await _by_place([letter for letter in letters if _left_behind(letter)], read)
    requests: list[Outgoing] = []
    events: dict[_Source, Outgoing] = {}
    too_large: list[str] = []
    for letter in letters:
        source = sources[letter.id]
        if source is None:
            continue
        asked = RedriveRequested(
            dead_letter_id=letter.id, by=by, origin=source.topic, event_id=_event_id(letter)
        )
        tenant = letter.tenant or UNKNOWN_TENANT
        cause, request = action(
            REDRIVE_REQUESTED,
            tenant,
            letter.envelope.subject,
            asked,
            causationid=letter.id,
            id_begins=REDRIVE_ID,
        )
        event = Outgoing(source.topic, source.key, source.value, _caused_by(cause, source.headers))
        if record_size(event) > DEFAULT_MAX_RECORD_BYTES:
            # Found out by the publisher it would stop the others, which are told as redriven by then.
            too_large.append(letter.id)
            continue
        requests.append(request)
        # Several commands of one event are mended by running the event once.
        events[source] = event
    await publish(requests)
    await publish(list(events.values()))
    lost = tuple(letter.id for letter in letters if sources[letter.id] is None)
    return Redriven(len(requests), len(events), lost, tuple(too_large))


def _own(letter: Letter) -> _Source | None:
    """The message of the letter itself: right for a source event, not for a command, whose event must run again."""
    data = letter.data
    if data.topic not in SOURCE_TOPICS or (data.key is None and data.value is None):
        return None
    headers = tuple((name, base64.b64decode(value)) for name, value in data.headers if value is not None)
    return _Source(data.topic, _bytes(data.key), _bytes(data.value), headers)


async def _by_basis(letters: Sequence[Letter], read: ReadTopic) -> dict[str, _Source | None]:
    """The newest record of each letter's source event; one pass over each origin topic."""
    found: dict[str, _Source | None] = {letter.id: None for letter in letters}
    for origin in sorted({letter.data.basis.origin for letter in letters if letter.data.basis is not None}):
        wanted: dict[bytes, list[Letter]] = {}
        for letter in letters:
            basis = letter.data.basis
            if basis is not None and basis.origin == origin:
                entity = f"{letter.tenant}/{kind_of(basis.event_type)}/{basis.subject}".encode()
                key = key_on(origin, letter.tenant or UNKNOWN_TENANT, entity)
                wanted.setdefault(key, []).append(letter)
        async for record in read(origin, key_filter=wanted.__contains__):
            event_id = _id_of(record)
            for letter in wanted.get(record.key or b"", ()):
                if letter.data.basis is not None and letter.data.basis.event_id == event_id:
                    headers = tuple((name, value) for name, value in record.headers if value is not None)
                    found[letter.id] = _Source(record.topic, record.key, record.value, headers)
    return found


def _left_behind(letter: Letter) -> bool:
    """Whether the letter's source event was too large to be kept in it, and stays where it came from."""
    data = letter.data
    kept = data.key is not None or data.value is not None
    return data.topic in SOURCE_TOPICS and data.basis is None and not kept and data.offset is not None


async def _by_place(letters: Sequence[Letter], read: ReadTopic) -> dict[str, _Source | None]:
    """The record at each letter's place, if it is still the one of the letter; one pass over each topic.

    A topic that was made anew has others at the same places, perhaps another tenant's.
    """
    found: dict[str, _Source | None] = {letter.id: None for letter in letters}
    for topic in sorted({letter.data.topic for letter in letters}):
        wanted: dict[tuple[int | None, int | None], list[Letter]] = {}
        for letter in letters:
            if letter.data.topic == topic:
                wanted.setdefault((letter.data.partition, letter.data.offset), []).append(letter)
        async for record in read(topic):
            for letter in wanted.get((record.partition, record.offset), ()):
                if id_of(letter.data.stage, letter.data.reason, record) == letter.id:
                    headers = tuple((name, value) for name, value in record.headers if value is not None)
                    found[letter.id] = _Source(record.topic, record.key, record.value, headers)
    return found


def _event_id(letter: Letter) -> str | None:
    return letter.data.basis.event_id if letter.data.basis is not None else letter.data.event_id


def _id_of(record: Record) -> str | None:
    try:
        return from_headers(record.headers).id
    except EnvelopeInvalid:
        return None


def _caused_by(cause: str, headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    kept = tuple((name, value) for name, value in headers if name.lower() != _CAUSE)
    return (*kept, (_CAUSE, cause.encode()))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
