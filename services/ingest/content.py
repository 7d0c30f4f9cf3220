"""Takes CloudEvents out of one HTTP request: binary, structured or batched content mode. Pure.

The data's bytes are kept as they came: a number that went through a float would no longer be the same money.
"""

from collections.abc import Callable, Sequence
from email.message import Message
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from schemas import envelope as envelopes
from schemas.envelope import Envelope, EnvelopeInvalid, Fault
from schemas.faults import MAX_DEPTH, depth
from services.ingest.problems import EventFault, Problem, of_attribute

BINARY = "application/json"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_NO_ARRAY = f"the body is no JSON array of events; one event alone is sent as {STRUCTURED}"
_WRAPPER_LEVELS = 2
_IDENTIFYING = ("id", "source", "type", "subject", "tenant")
_MAX_NAME_SHOWN = 100
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class Received(msgspec.Struct, frozen=True):
    """One event of a request: its envelope (None when that has faults), its data's bytes and its place in a batch.

    `type` is what it says to be, so that its data can be judged even when its envelope is faulty. `data` is None when
    there is none to judge.
    """

    envelope: Envelope | None
    type: str | None
    data: bytes | None
    index: int | None = None
    faults: tuple[EventFault, ...] = ()


def mode_of(content_type: str) -> str:
    """The content mode that a Content-Type header names. Raises Problem 415."""
    header = Message()
    header["Content-Type"] = content_type
    media_type = header.get_content_type() if content_type else ""
    if media_type not in (BINARY, STRUCTURED, BATCH):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            f"send {BINARY} with ce-* headers, {STRUCTURED} or {BATCH}",
        )
    if str(header.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", "send UTF-8")
    return media_type


def events_of(
    mode: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, max_events: int
) -> list[Received]:
    """Every event of the request, each with its envelope or its faults. Raises Problem when there is none to judge."""
    told, unreadable = _attributes_of(headers)
    if mode == BINARY:
        return [_binary(told, unreadable, body)]
    if depth(body) > MAX_DEPTH + _WRAPPER_LEVELS:
        raise _bad_body("data.too_deep", f"the body is nested deeper than {MAX_DEPTH} levels of data")
    if mode == STRUCTURED:
        return [_structured(body, None, told)]
    try:
        elements = _ARRAY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_body("body.not_json", f"{_NO_ARRAY}: {error}") from None
    if not elements:
        raise _bad_body("batch.empty", "the batch has no event")
    if len(elements) > max_events:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "batch.too_large",
            f"the batch has {len(elements)} events; send at most {max_events} in one request",
        )
    return [_structured(bytes(element), index, told) for index, element in enumerate(elements)]


def _attributes_of(headers: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[Fault]]:
    """The attributes that the request's own headers carry, by header, and what is wrong with them."""
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if not name.startswith("ce-") and name != "traceparent":
            continue
        attribute = name.removeprefix("ce-")
        if name in values:
            faults.append(Fault(attribute, "is given twice"))
        try:
            # The HTTP binding percent-encodes what a header can't carry.
            values[name] = unquote_to_bytes(raw_value).decode()
        except UnicodeDecodeError:
            faults.append(Fault(attribute, "is not UTF-8"))
    return values, faults


def _binary(told: dict[str, str], faults: list[Fault], body: bytes) -> Received:
    return _checked(
        lambda: envelopes.from_http_headers(told),
        faults,
        type_=told.get("ce-type"),
        data=body,
        index=None,
    )


def _structured(raw: bytes, index: int | None, told: dict[str, str]) -> Received:
    try:
        members = _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        several = (
            f"; several events are sent as {BATCH}" if index is None and raw.lstrip()[:1] == b"[" else ""
        )
        problem = (
            f"is no JSON object with a CloudEvent: {error}"
            if raw.strip()
            else "is empty; send a CloudEvent as a JSON object"
        )
        fault = EventFault("", f"{problem}{several}", index)
        return Received(None, None, None, index, (fault,))
    data = members.pop("data", None)
    faults: list[Fault] = []
    if "data_base64" in members:
        faults.append(Fault("data_base64", "is not taken; send JSON as `data`"))
    elif data is None:
        faults.append(Fault("data", "is missing"))
    attributes: dict[str, Any] = {}
    for name, value in members.items():
        try:
            attributes[name] = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            faults.append(Fault(name[:_MAX_NAME_SHOWN], f"can't be read: {error}"))
    # Whoever stands before the hub may have judged the request by its headers.
    for name in _IDENTIFYING:
        header = told.get(f"ce-{name}")
        if header is not None and header != attributes.get(name):
            faults.append(Fault(name, f"is another than the header ce-{name} says; send one of them"))
    content_type = attributes.pop("datacontenttype", BINARY)
    if not _is_json_type(content_type):
        faults.append(Fault("datacontenttype", f"must be {BINARY!r}"))
    type_ = attributes.get("type")
    return _checked(
        lambda: envelopes.from_structured(attributes),
        faults,
        type_=type_ if isinstance(type_, str) else None,
        data=None if data is None else bytes(data),
        index=index,
    )


def _checked(
    make: Callable[[], Envelope],
    faults: list[Fault],
    *,
    type_: str | None,
    data: bytes | None,
    index: int | None,
) -> Received:
    envelope: Envelope | None = None
    try:
        envelope = make()
    except EnvelopeInvalid as error:
        faults = [*faults, *error.faults]
    found = tuple(of_attribute(fault, index) for fault in sorted(set(faults)))
    return Received(envelope, type_, data, index, found)


def _is_json_type(value: Any) -> bool:
    return isinstance(value, str) and value.partition(";")[0].strip().lower() == BINARY


def _bad_body(code: str, detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, code, detail)
