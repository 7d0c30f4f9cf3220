"""The access token of one connection, fetched by client credentials and kept in memory only.

Halo's "Client ID and Secret (Services)" method: a form post to `<authorization server>/token`, answered with
`access_token` and `expires_in` (3600 s). The OAuth error names are those of RFC 6749.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from halo import wire
from halo.connection import Connection
from halo.errors import AuthError, AuthRefused, AuthThrottled, AuthUnreachable, InvalidClient, InvalidScope
from halo.exchange import RawAnswer, exchange, retry_after_s
from halo.messages import error_text
from halo.redact import redact_text, redact_value
from halo.secret import Secret

MAX_TOKEN_BODY_BYTES = 256 * 1024
REFRESH_EARLY_S = 60.0
_LIFETIME_UNKNOWN_S = 300.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    refresh_at: float


class TokenSource:
    """Gives the connection's token and talks to the authorization server alone.

    Invariants:
    * at most one token call is under way; all who need a token then share its end, good or bad.
    * a token is given out only before its refresh time, which lies `REFRESH_EARLY_S` (or a tenth of a short
      life) before its expiry, counted from before the token call.
    * `invalidate` drops only the token it names, so many 401s of one token cause one refresh.
    """

    def __init__(
        self, connection: Connection, http: httpx.AsyncClient, *, clock: Callable[[], float], timeout_s: float
    ) -> None:
        self._connection = connection
        self._http = http
        self._clock = clock
        self._timeout_s = timeout_s
        self._token: _Token | None = None
        self._refresh: asyncio.Task[str] | None = None

    async def get(self) -> str:
        """The token to send now; raises `AuthError` when none can be had."""
        if self._token is not None and self._clock() < self._token.refresh_at:
            return self._token.value.reveal()
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._fetch())
            self._refresh.add_done_callback(self._refreshed)
        # A caller that is cancelled must not take the refresh away from the others.
        return await asyncio.shield(self._refresh)

    def invalidate(self, stale_token: str) -> None:
        """Forgets `stale_token`; a newer one stays."""
        if self._token is not None and self._token.value == Secret(stale_token):
            self._token = None

    def _refreshed(self, task: asyncio.Task[str]) -> None:
        self._refresh = None
        if not task.cancelled():
            # Read here, or asyncio reports it as lost when every waiter has gone.
            task.exception()

    async def _fetch(self) -> str:
        connection, asked_at = self._connection, self._clock()
        query = f"?{urlencode({'tenant': connection.tenant})}" if connection.tenant else ""
        form = {
            "grant_type": "client_credentials",
            "client_id": connection.client_id,
            "client_secret": connection.client_secret.reveal(),
            "scope": " ".join(connection.scopes),
        }
        answer = await exchange(
            self._http,
            "POST",
            f"{connection.authorization_server}/token{query}",
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            urlencode(form).encode(),
            timeout_s=self._timeout_s,
            max_body_bytes=MAX_TOKEN_BODY_BYTES,
        )
        value, lifetime_s = _read_token(answer, connection)
        early_s = min(REFRESH_EARLY_S, lifetime_s / 10)
        self._token = _Token(Secret(value), asked_at + lifetime_s - early_s)
        return value


def _read_token(answer: RawAnswer, connection: Connection) -> tuple[str, float]:
    """(token, lifetime in seconds), or raises the `AuthError` that the answer means."""
    if answer.status is None or answer.failure is not None:
        raise AuthUnreachable(answer.detail)
    try:
        body = wire.decode(answer.raw)
    except ValueError:
        body = None
    if answer.status == 200 and isinstance(body, dict):
        token = body.get("access_token")
        if isinstance(token, str) and token.strip():
            token = token.strip()
            if not token.isascii() or not token.isprintable() or " " in token:
                raise AuthRefused("its token has characters that no header can carry")
            return token, _lifetime_s(body.get("expires_in"))
    raise _refusal(answer, body, connection)


def _refusal(answer: RawAnswer, body: Any, connection: Connection) -> AuthError:
    status = answer.status or 0
    if status == 429:
        return AuthThrottled(retry_after_s(answer.headers))
    if status == 408 or status >= 500:
        return AuthUnreachable(f"status {status}")
    secrets = (connection.client_secret.reveal(),)
    words = error_text(redact_value(body, secrets)) if body is not None else ""
    detail = redact_text(f"status {status}" + (f", {words}" if words else ""), secrets)
    error = body.get("error") if isinstance(body, dict) else None
    if error == "invalid_scope":
        return InvalidScope(connection.scopes, detail)
    if error in ("invalid_client", "unauthorized_client") or status == 401:
        return InvalidClient(detail)
    if 300 <= status < 400:
        return AuthRefused(f"{detail}, a redirect: enter the address that it leads to")
    return AuthRefused(detail)


def _lifetime_s(expires_in: Any) -> float:
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return _LIFETIME_UNKNOWN_S
    return seconds if 0 < seconds < float("inf") else _LIFETIME_UNKNOWN_S
