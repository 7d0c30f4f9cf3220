"""One HTTP exchange, bounded in total time and size, that answers with a value instead of raising.

httpx restarts its read timeout with every chunk, so a slow trickle could hold a request for ever: the total
deadline is our own. Requests are built here and not by the shared client, because a client merges in its
cookies and headers, and one tenant's cookies must not travel with another tenant's request.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

from halo.outcomes import Failure

MAX_RETRY_AFTER_S = 3600.0

# The first match counts, so a subclass stands before its base.
_FAILURES: tuple[tuple[type[Exception], Failure], ...] = (
    (httpx.ConnectTimeout, Failure.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, Failure.POOL_TIMEOUT),
    (httpx.WriteTimeout, Failure.WRITE_TIMEOUT),
    (httpx.ReadTimeout, Failure.READ_TIMEOUT),
    (httpx.ConnectError, Failure.CONNECT_ERROR),
    (httpx.WriteError, Failure.WRITE_ERROR),
    (httpx.ReadError, Failure.READ_ERROR),
    (httpx.ProtocolError, Failure.PROTOCOL_ERROR),
    (TimeoutError, Failure.DEADLINE),
)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back: `status` is None when no status line did; `failure` is None when the body is whole."""

    status: int | None
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)
    failure: Failure | None
    detail: str


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None,
    *,
    timeout_s: float,
    max_body_bytes: int,
) -> RawAnswer:
    """Sends one request, follows no redirect, and is over after `timeout_s` whatever happens."""
    # Waiting for a connection must end before the total deadline: only then is it known that nothing left.
    timeout = httpx.Timeout(timeout_s, connect=timeout_s / 4, pool=timeout_s / 4)
    request = httpx.Request(
        method,
        url,
        headers={"Accept-Encoding": "gzip, deflate", **headers},
        content=content,
        extensions={"timeout": timeout.as_dict()},
    )
    status: int | None = None
    answered: Mapping[str, str] = {}
    raw = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            response = await http.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                status, answered = response.status_code, response.headers
                async for chunk in response.aiter_bytes():
                    raw += chunk
                    if len(raw) > max_body_bytes:
                        detail = f"the answer is larger than {max_body_bytes} bytes"
                        return RawAnswer(status, answered, b"", Failure.OTHER, detail)
            finally:
                await response.aclose()
    except (httpx.RequestError, OSError) as error:
        failure = failure_of(error)
        detail = failure.value if failure is Failure.DEADLINE else f"{failure.value}: {error}"
        return RawAnswer(status, answered, bytes(raw), failure, detail)
    return RawAnswer(status, answered, bytes(raw), None, "")


def failure_of(error: Exception) -> Failure:
    """The failure class of what httpx or the system raised; unknown ones are OTHER."""
    return next((failure for kind, failure in _FAILURES if isinstance(error, kind)), Failure.OTHER)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks to wait, between 0 and `MAX_RETRY_AFTER_S`; None when absent or
    unreadable.

    A date is read against the answer's own `Date`, so that no clock of ours comes into it.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        wait_s = (until - now).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
