"""Judges the events of one request as one: all of them are right, or none is appended. Pure."""

import datetime as dt
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from schemas.envelope import Envelope, ahead_of
from schemas.faults import MAX_DEPTH, DataInvalid, decode_source, depth, too_deep
from schemas.registry import SOURCE_TYPES
from services.ingest.content import Received
from services.ingest.problems import MAX_FAULTS, EventFault, Problem, of_attribute, of_data
from services.ingest.producers import Producer


class Accepted(msgspec.Struct, frozen=True):
    """An event that may be appended: a complete envelope and the data's bytes as they came."""

    envelope: Envelope
    data: bytes


class Judged(msgspec.Struct, frozen=True):
    """The events of a request whose envelopes can be read, and every fault of every event."""

    events: tuple[Accepted, ...]
    faults: tuple[EventFault, ...]


def judge(received: Sequence[Received], now: dt.datetime) -> Judged:
    """Checks envelopes, times and data; whose they are is not asked.

    Once there are more faults than an answer holds, data are no longer looked at: each look takes its time.
    """
    faults: list[EventFault] = []
    events: list[Accepted] = []
    for event in received:
        faults += event.faults
        if len(faults) <= MAX_FAULTS:
            faults += _data_faults(event)
        if event.envelope is None:
            continue
        ahead = ahead_of(event.envelope, now)
        if ahead is not None:
            faults.append(of_attribute(ahead, event.index))
        events.append(Accepted(_complete(event.envelope), event.data or b""))
    return Judged(tuple(events), tuple(faults))


def accept(received: Sequence[Received], producer: Producer, now: dt.datetime) -> tuple[Accepted, ...]:
    """The events to append. Raises Problem: 403 when one is not the producer's to send, 400 when one is faulty.

    Either names every fault of every event, so that a producer corrects all in one go.
    """
    judged = judge(received, now)
    denied = tuple(
        of_attribute(fault, event.index)
        for event in received
        if event.envelope is not None
        for fault in producer.denied(event.envelope)
    )
    if denied:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "not_allowed",
            f"{producer.name} may not publish this; nothing was accepted. producers.yaml says what it may",
            faults=denied + judged.faults,
        )
    if judged.faults:
        count = len({fault.index for fault in judged.faults})
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "event.invalid",
            f"{count} of {len(received)} events are faulty; nothing was accepted. Correct the faults and send again",
            faults=judged.faults,
        )
    return judged.events


def _data_faults(event: Received) -> list[EventFault]:
    if event.type is None or (event.data is None and event.type in SOURCE_TYPES):
        return []
    data = event.data or b""
    try:
        if depth(data) > MAX_DEPTH:
            raise too_deep()
        decode_source(event.type, data)
    except DataInvalid as error:
        placed = of_attribute if error.reason == "type.unknown" else of_data
        return [placed(fault, event.index) for fault in error.faults]
    return []


def _complete(envelope: Envelope) -> Envelope:
    """All that one event leads to shares a correlation id: the producer's, or else the event's own id."""
    if envelope.correlationid is not None:
        return envelope
    return msgspec.structs.replace(envelope, correlationid=envelope.id)
