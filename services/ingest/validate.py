"""Judges the events of one request as one: all of them are right, or none is appended. Pure."""

import datetime as dt
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from schemas.envelope import Envelope, ahead_of
from schemas.faults import MAX_DEPTH, DataInvalid, decode_source, depth, too_deep
from services.ingest.content import Received
from services.ingest.problems import EventFault, Problem, of_attribute, of_data
from services.ingest.producers import Producer


class Accepted(msgspec.Struct, frozen=True):
    """An event that may be appended: a complete envelope and the data's bytes as they came."""

    envelope: Envelope
    data: bytes


def accept(received: Sequence[Received], producer: Producer, now: dt.datetime) -> list[Accepted]:
    """The events to append. Raises Problem: 403 when one is not the producer's to send, 400 when one is faulty.

    Either names every fault of every event, so that a producer corrects all in one go.
    """
    denied: list[EventFault] = []
    faulty: list[EventFault] = []
    accepted: list[Accepted] = []
    for event in received:
        faulty += [*event.faults, *_data_faults(event)]
        if event.envelope is None:
            continue
        denied += [of_attribute(fault, event.index) for fault in producer.denied(event.envelope)]
        ahead = ahead_of(event.envelope, now)
        if ahead is not None:
            faulty.append(of_attribute(ahead, event.index))
        accepted.append(Accepted(_complete(event.envelope), event.data or b""))
    if denied:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "not_allowed",
            f"{producer.name} may not publish this; nothing was accepted. producers.yaml says what it may",
            faults=tuple(denied + faulty),
        )
    if faulty:
        count = len({fault.index for fault in faulty})
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "event.invalid",
            f"{count} of {len(received)} events are faulty; nothing was accepted. Correct the faults and send again",
            faults=tuple(faulty),
        )
    return accepted


def _data_faults(event: Received) -> list[EventFault]:
    if event.type is None or event.data is None:
        return []
    try:
        if depth(event.data) > MAX_DEPTH:
            raise too_deep()
        decode_source(event.type, event.data)
    except DataInvalid as error:
        placed = of_attribute if error.reason == "type.unknown" else of_data
        return [placed(fault, event.index) for fault in error.faults]
    return []


def _complete(envelope: Envelope) -> Envelope:
    """All that one event leads to shares a correlation id: the producer's, or else the event's own id."""
    if envelope.correlationid is not None:
        return envelope
    return msgspec.structs.replace(envelope, correlationid=envelope.id)
