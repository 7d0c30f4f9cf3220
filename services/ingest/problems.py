"""Answers that say what is wrong: `application/problem+json` (RFC 9457). Pure.

`faults` is our extension member: each has `at` (an attribute, or a path below `data`), `problem`, and in a batch the
`index` of its event.
"""

from http import HTTPStatus

import msgspec

from schemas.envelope import Fault

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 1_000
_TYPE_PREFIX = "urn:halo-hub:problem:"


class EventFault(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """One fault of one event; `index` is its place in the batch."""

    at: str
    problem: str
    index: int | None = None


class Problem(Exception):
    """A request that is refused. `code` is stable for scripts, `detail` says what to do next."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        faults: tuple[EventFault, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}

    def body(self) -> bytes:
        """The JSON of the answer; of very many faults the first `MAX_FAULTS`, and how many more there are."""
        document: dict[str, object] = {
            "type": _TYPE_PREFIX + self.code,
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.faults:
            document["faults"] = self.faults[:MAX_FAULTS]
        if len(self.faults) > MAX_FAULTS:
            document["more_faults"] = len(self.faults) - MAX_FAULTS
        return msgspec.json.encode(document)


def of_data(fault: Fault, index: int | None) -> EventFault:
    """A fault of an event's data, whose path starts below `data`."""
    below = fault.at if not fault.at or fault.at.startswith("[") else f".{fault.at}"
    return EventFault(f"data{below}", fault.problem, index)


def of_attribute(fault: Fault, index: int | None) -> EventFault:
    return EventFault(fault.at, fault.problem, index)
