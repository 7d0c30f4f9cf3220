"""Correct examples of every message, as the contract's golden files hold them."""

import datetime as dt
import uuid
from typing import Any

import msgspec

from cli.errors import BadInput, unknown
from schemas.documents import GOLDEN
from schemas.envelope import EnvelopeInvalid, from_structured
from schemas.registry import SOURCE_TYPES, TYPES


def known(event_type: str) -> str:
    """The type, if the contract has it. Raises BadInput, which names those that were probably meant."""
    if event_type not in TYPES:
        raise unknown("message type", event_type, TYPES, "`hub catalog list --all` shows those there are")
    return event_type


def example(event_type: str) -> dict[str, Any]:
    """A structured-mode CloudEvent of the type with every field filled in. Raises BadInput for an unknown type."""
    read: dict[str, Any] = msgspec.json.decode((GOLDEN / f"{known(event_type)}.json").read_bytes())
    return read


def new_event(event_type: str, *, tenant: str, source: str, now: dt.datetime) -> dict[str, Any]:
    """A correct event to begin from, made now, that names no record of any one Halo and no file. Raises BadInput."""
    if known(event_type) not in SOURCE_TYPES:
        raise BadInput(
            f"{event_type} is not a producer's to send; these are: {', '.join(sorted(SOURCE_TYPES))}"
        )
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/{source.removeprefix('/')}",
        "type": event_type,
        "subject": "Q-1001",
        "time": now.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        "tenant": tenant,
        "revision": _REVISIONS.get(event_type, 1),
        "datacontenttype": "application/json",
        "data": _of_any_halo(example(event_type)["data"]),
    }
    try:
        from_structured(
            {name: value for name, value in event.items() if name not in ("data", "datacontenttype")}
        )
    except EnvelopeInvalid as error:
        raise BadInput("; ".join(f"{fault.at}: {fault.problem}" for fault in error.faults)) from None
    return event


_REVISIONS = {"quote.updated.v1": 2, "quote.status_changed.v1": 3, "quote.converted.v1": 4}
"""A change of what another new event tells: sent after it, each is a change of its own."""
_MADE_UP = frozenset({"halo_id", "pdf", "files"})


def _of_any_halo(value: Any) -> Any:
    """Without ids of records of one Halo, which mean something else in another, and files that lie nowhere."""
    if isinstance(value, dict):
        return {name: _of_any_halo(inner) for name, inner in value.items() if name not in _MADE_UP}
    if isinstance(value, list):
        return [_of_any_halo(inner) for inner in value]
    return value
