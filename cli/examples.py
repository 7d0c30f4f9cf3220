"""Correct examples of every message, as the contract's golden files hold them."""

import datetime as dt
import uuid
from typing import Any

import msgspec

from cli.errors import BadInput
from schemas.documents import GOLDEN
from schemas.registry import SOURCE_TYPES, TYPES


def known(event_type: str) -> str:
    """The type, if the contract has it. Raises BadInput, which names those there are."""
    if event_type not in TYPES:
        raise BadInput(f"there is no message type {event_type!r}; there are: {', '.join(sorted(TYPES))}")
    return event_type


def example_data(event_type: str) -> Any:
    """The data of the type's example."""
    return msgspec.json.decode(raw_example(event_type))


def raw_example(event_type: str) -> bytes:
    """The data's JSON bytes. Raises BadInput for a type without an example."""
    path = GOLDEN / f"{known(event_type)}.json"
    if not path.exists():
        raise BadInput(f"the contract has no example of {event_type}")
    return path.read_bytes()


def example_event(event_type: str, *, tenant: str, source: str, now: dt.datetime) -> dict[str, Any]:
    """A correct structured-mode CloudEvent of a source event's type, made now. Raises BadInput."""
    if known(event_type) not in SOURCE_TYPES:
        raise BadInput(
            f"{event_type} is not a producer's to send; these are: {', '.join(sorted(SOURCE_TYPES))}"
        )
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/{source}",
        "type": event_type,
        "subject": "Q-1001",
        "time": now.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        "tenant": tenant,
        "revision": 1,
        "datacontenttype": "application/json",
        "data": example_data(event_type),
    }
