"""The envelope: CloudEvents 1.0 in Kafka's binary content mode, and the same over HTTP.

On Kafka each attribute is a header `ce_<name>` (UTF-8) and the value is the JSON data. Over HTTP, binary mode uses
`ce-<name>` headers, structured mode one JSON object, batched mode an array of such objects. The version of the
data's schema is the last part of `type`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
MAX_AHEAD = dt.timedelta(minutes=5)
# What many languages call the time that nobody has set is older. Changes without a revision are put in order by their
# times, counted from here.
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CONTROL = re.compile(r"[\x00-\x1f]")
_TENANT = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")
_SOURCE = re.compile(r"^/[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
_MAX_ATTRIBUTE = 512


class Fault(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One thing wrong with a message: where (a JSON pointer or an attribute's name) and what."""

    at: str
    """Where: a path, or an attribute's name."""
    problem: str
    """What is wrong."""

    def __str__(self) -> str:
        return f"{self.at}: {self.problem}" if self.at else self.problem


_NO_ATTRIBUTES = Fault(
    "",
    "has no header that begins with ce_: each attribute is a header of its own, and the value is the data alone",
)


class EnvelopeInvalid(Exception):
    """The attributes don't make a CloudEvent of ours; `faults` lists all that is wrong."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(map(str, self.faults)))


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The attributes of one message. `source` is `/<producer>`, `subject` the id of the entity at its source.

    `revision` counts every change of the entity. `correlationid` is shared by all that one source event leads to,
    `causationid` is the id of the message that directly caused this one.
    """

    id: str
    source: str
    type: str
    subject: str
    time: dt.datetime
    tenant: str
    correlationid: str | None = None
    causationid: str | None = None
    revision: int | None = None
    keyid: str | None = None
    traceparent: str | None = None

    @property
    def producer(self) -> str:
        """The name of the producer: `source` without its slash."""
        return self.source[1:]

    @property
    def key(self) -> bytes:
        """The Kafka key of an entity's events: `tenant/kind/id`."""
        return f"{self.tenant}/{kind_of(self.type)}/{self.subject}".encode()


def is_producer(name: str) -> bool:
    """Whether a producer can have this name, which is its `source` without the slash."""
    return _SOURCE.fullmatch(f"/{name}") is not None


def kind_of(event_type: str) -> str:
    """`quote.status_changed.v1` is about a `quote`, `halo.client.changed.v1` about a `client`."""
    parts = event_type.split(".")
    return parts[1] if parts[0] == "halo" and len(parts) > 2 else parts[0]


def headers_of(envelope: Envelope) -> tuple[tuple[str, bytes], ...]:
    """The Kafka headers of binary content mode; absent attributes have none."""
    pairs = [("content-type", CONTENT_TYPE.encode()), ("ce_specversion", SPEC_VERSION.encode())]
    for name in Envelope.__struct_fields__:
        value = getattr(envelope, name)
        if value is not None:
            header = name if name == "traceparent" else f"ce_{name}"
            pairs.append((header, _text(value).encode()))
    return tuple(pairs)


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """The envelope in Kafka headers. Raises EnvelopeInvalid with every fault (bad bytes and doubles included)."""
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for name, raw in headers:
        lowered = name.lower()
        if not lowered.startswith("ce_") and lowered != "traceparent":
            continue
        attribute = lowered.removeprefix("ce_")
        if attribute in values:
            faults.append(Fault(attribute, "is given twice"))
        elif raw is None:
            faults.append(Fault(attribute, "has a null header"))
        else:
            try:
                values[attribute] = raw.decode()
            except UnicodeDecodeError:
                faults.append(Fault(attribute, "is not UTF-8"))
    if not values and not faults:
        faults.append(_NO_ATTRIBUTES)
    return _build(values, faults)


def from_http_headers(headers: Mapping[str, str]) -> Envelope:
    """The envelope of HTTP's binary content mode (`ce-<name>` headers). Raises EnvelopeInvalid."""
    values = {
        name.lower().removeprefix("ce-"): value
        for name, value in headers.items()
        if name.lower().startswith("ce-") or name.lower() == "traceparent"
    }
    return _build(values, [])


def from_structured(event: Mapping[str, Any]) -> Envelope:
    """The envelope of one structured-mode JSON object (its `data` is the caller's). Raises EnvelopeInvalid."""
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for name, value in event.items():
        if name in ("data", "datacontenttype", "dataschema", "data_base64"):
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            faults.append(Fault(name, "must be a text or a whole number"))
        else:
            values[name] = str(value)
    return _build(values, faults)


def to_structured(envelope: Envelope, data: Any) -> dict[str, Any]:
    """One structured-mode JSON object."""
    attributes = {name: getattr(envelope, name) for name in Envelope.__struct_fields__}
    present = {name: value for name, value in attributes.items() if value is not None}
    present["time"] = _text(envelope.time)
    return {"specversion": SPEC_VERSION, "datacontenttype": CONTENT_TYPE, **present, "data": data}


def ahead_of(envelope: Envelope, now: dt.datetime) -> Fault | None:
    """The fault of an event from the future (more than five minutes): it would outrank all that really follows."""
    if envelope.time - now > MAX_AHEAD:
        return Fault("time", "is more than 5 minutes ahead; check the producer's clock")
    return None


def _build(values: dict[str, str], faults: list[Fault]) -> Envelope:
    def text(name: str, *, needed: bool = True) -> str | None:
        value = values.get(name)
        if value is None or value == "":
            if needed:
                faults.append(Fault(name, "is missing"))
            return None
        if _CONTROL.search(value):
            faults.append(Fault(name, "has control characters"))
            return None
        if len(value) > _MAX_ATTRIBUTE:
            faults.append(Fault(name, f"is longer than {_MAX_ATTRIBUTE} characters"))
            return None
        return value

    def shaped(name: str, pattern: re.Pattern[str], shape: str, *, needed: bool = True) -> str | None:
        value = text(name, needed=needed)
        if value is not None and not pattern.match(value):
            faults.append(Fault(name, shape))
        return value

    if values.get("specversion") != SPEC_VERSION:
        faults.append(Fault("specversion", f"must be {SPEC_VERSION!r}"))
    attributes: dict[str, Any] = {
        "id": text("id"),
        "source": shaped("source", _SOURCE, "must be '/' and the producer's name"),
        "type": text("type"),
        "subject": text("subject"),
        "time": _time(text("time"), faults),
        "tenant": shaped("tenant", _TENANT, "must be a tenant's name (lower case, digits, - and _)"),
        "correlationid": text("correlationid", needed=False),
        "causationid": text("causationid", needed=False),
        "revision": _revision(values.get("revision"), faults),
        "keyid": text("keyid", needed=False),
        "traceparent": values.get("traceparent")
        if _TRACEPARENT.fullmatch(values.get("traceparent", ""))
        else None,
    }
    if faults:
        raise EnvelopeInvalid(sorted(set(faults)))
    return Envelope(**attributes)


def _time(value: str | None, faults: list[Fault]) -> dt.datetime | None:
    if value is None:
        return None
    try:
        parsed = msgspec.convert(value, dt.datetime)
        # In UTC the first and the last day of all may lie outside of what there is.
        in_utc = parsed.astimezone(dt.UTC) if parsed.tzinfo is not None else None
    except (msgspec.ValidationError, OverflowError):
        in_utc = None
    if in_utc is None:
        faults.append(Fault("time", "must be an RFC 3339 time with a zone"))
    elif in_utc < _EPOCH:
        faults.append(Fault("time", "is before 1970; it must be the time of the change"))
    return in_utc


def _revision(value: str | None, faults: list[Fault]) -> int | None:
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        faults.append(Fault("revision", "must be a whole number from 0, of at most 15 digits"))
        return None
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    return str(value)
