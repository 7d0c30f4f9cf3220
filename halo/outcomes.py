"""What an exchange with Halo means for what was asked, as one table. Pure.

The question is never "did it work?" but "may it be sent again without looking?". Only a request that never
left, or that Halo refused before acting, may. Whatever the table does not name is AMBIGUOUS.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Outcome(StrEnum):
    """What is known after an exchange."""

    APPLIED = "applied"  # Halo did it and the answer is whole
    NOT_SENT = "not_sent"  # no byte of the request left: may be repeated
    REJECTED = "rejected"  # Halo refused it for what it says: repeating can't help
    UNAUTHORISED = "unauthorised"  # no login, or a right is missing (Halo answers 401 to both)
    DENIED = "denied"  # the right or the module is missing
    THROTTLED = "throttled"  # refused by the rate limit: wait out the window
    AMBIGUOUS = "ambiguous"  # may or may not have been done: look before repeating


class Failure(StrEnum):
    """How an exchange ended without a whole answer."""

    CONNECT_ERROR = "connect error"
    CONNECT_TIMEOUT = "connect timeout"
    POOL_TIMEOUT = "no free connection in time"
    WRITE_TIMEOUT = "write timeout"
    WRITE_ERROR = "write error"
    READ_TIMEOUT = "read timeout"
    READ_ERROR = "read error"
    PROTOCOL_ERROR = "protocol error"
    DEADLINE = "total deadline passed"
    OTHER = "network error"


class BodyState(StrEnum):
    """What came as the body of an answer."""

    JSON = "json"
    EMPTY = "empty"
    BROKEN = "broken"  # cut off, over the size limit, or not JSON


FAILURES: Mapping[Failure, Outcome] = MappingProxyType(
    {
        Failure.CONNECT_ERROR: Outcome.NOT_SENT,
        Failure.CONNECT_TIMEOUT: Outcome.NOT_SENT,
        Failure.POOL_TIMEOUT: Outcome.NOT_SENT,
        Failure.WRITE_TIMEOUT: Outcome.AMBIGUOUS,
        Failure.WRITE_ERROR: Outcome.AMBIGUOUS,
        Failure.READ_TIMEOUT: Outcome.AMBIGUOUS,
        Failure.READ_ERROR: Outcome.AMBIGUOUS,
        Failure.PROTOCOL_ERROR: Outcome.AMBIGUOUS,
        Failure.DEADLINE: Outcome.AMBIGUOUS,
        Failure.OTHER: Outcome.AMBIGUOUS,
    }
)

STATUSES: Mapping[int, Outcome] = MappingProxyType(
    {
        400: Outcome.REJECTED,
        401: Outcome.UNAUTHORISED,
        403: Outcome.DENIED,
        404: Outcome.REJECTED,
        413: Outcome.REJECTED,
        415: Outcome.REJECTED,
        429: Outcome.THROTTLED,
    }
)

# DELETE may answer 200 with nothing; a POST or GET without a body has told us nothing.
SUCCESS_BODIES: Mapping[tuple[str, BodyState], Outcome] = MappingProxyType(
    {
        ("GET", BodyState.JSON): Outcome.APPLIED,
        ("POST", BodyState.JSON): Outcome.APPLIED,
        ("DELETE", BodyState.JSON): Outcome.APPLIED,
        ("DELETE", BodyState.EMPTY): Outcome.APPLIED,
    }
)


def classify_failure(failure: Failure) -> Outcome:
    """The outcome of an exchange that brought no status line."""
    return FAILURES[failure]


def classify_answer(method: str, status: int, body: BodyState) -> Outcome:
    """The outcome of an exchange that brought at least a status line; the body counts for 2xx only."""
    if 200 <= status < 300:
        return SUCCESS_BODIES.get((method, body), Outcome.AMBIGUOUS)
    return STATUSES.get(status, Outcome.AMBIGUOUS)
