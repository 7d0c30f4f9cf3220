"""What one request to Halo came to, with the lines that an audit needs."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from halo.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One data request as sent: query redacted, no bodies. `status` is None without an answer.

    A request that carried an array is told to each of its `elements`; it counts once, where `place` is 0.
    """

    method: str
    path: str
    status: int | None
    duration_ms: int
    outcome: Outcome
    elements: int = 1
    place: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of one request.

    `status` is None when no data answer came; together with UNAUTHORISED it means that the token itself was
    refused. `body` is Halo's JSON (floats as Decimal), `text` the error in Halo's or the network's words,
    free of secrets, empty when all is well. `lines` has one entry for each data request that was sent, a
    retry after 401 included.
    """

    outcome: Outcome
    status: int | None
    body: Any = field(default=None, repr=False)
    text: str = ""
    retry_after_s: float | None = None
    lines: tuple[RequestLine, ...] = ()

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.APPLIED

    @property
    def not_found(self) -> bool:
        return self.status == 404

    def as_ambiguous(self, why: str) -> Self:
        """The same reply, taken as one that does not tell whether Halo did what was asked."""
        last = replace(self.lines[-1], outcome=Outcome.AMBIGUOUS)
        return replace(self, outcome=Outcome.AMBIGUOUS, text=why, lines=(*self.lines[:-1], last))
