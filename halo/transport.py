"""One data request at a time: token, gate, exchange, outcome. Raises for nothing that Halo or the network
does.

The gate is asked after the token is in hand and right before each send, so what it allows happens at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx

from halo import wire
from halo.auth import TokenSource
from halo.connection import Connection
from halo.errors import AuthError, AuthThrottled, AuthUnreachable
from halo.exchange import RawAnswer, exchange, retry_after_s
from halo.messages import error_text
from halo.outcomes import BodyState, Outcome, classify_answer, classify_failure
from halo.redact import redact_query, redact_text, redact_value
from halo.reply import Reply, RequestLine

MAX_BODY_BYTES = 64 * 1024 * 1024
# Words that explain a refusal are short; what is longer is a page, of which the beginning will do.
_MAX_WORDS_BYTES = 128 * 1024


class Gate(Protocol):
    """The caller's say over each data request: budget, lease, circuit."""

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        """Returns when the request may be sent now and take `timeout_s`; else raises `GateClosed`."""

    def throttled(self, retry_after_s: float | None) -> None:
        """Halo said 429, and asked to wait `retry_after_s` if it said so."""


class HaloTransport:
    """Sends data requests of one connection to its resource server and nowhere else."""

    def __init__(
        self,
        connection: Connection,
        http: httpx.AsyncClient,
        gate: Gate,
        *,
        clock: Callable[[], float],
        timeout_s: float,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._connection = connection
        self._http = http
        self._gate = gate
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._tokens = TokenSource(connection, http, clock=clock, timeout_s=timeout_s)

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Reply:
        """The reply to one request; a 401 is tried once more with a fresh token. Raises `GateClosed` only.

        `path` is absolute below the resource server and already quoted.
        """
        target = path + (f"?{urlencode(query)}" if query else "")
        first = await self._attempt(method, target, content)
        if first.status != 401:
            return first
        second = await self._attempt(method, target, content)
        return replace(second, lines=first.lines + second.lines)

    async def _attempt(self, method: str, target: str, content: bytes | None) -> Reply:
        try:
            token = await self._tokens.get()
        except AuthError as error:
            return self._without_token(error)
        shown = self._shown(target, token)
        await self._gate.admit(method, shown, self._timeout_s)
        started = self._clock()
        answer = await exchange(
            self._http,
            method,
            self._connection.resource_server + target,
            _headers(token, content),
            content,
            timeout_s=self._timeout_s,
            max_body_bytes=self._max_body_bytes,
        )
        duration_ms = round((self._clock() - started) * 1000)
        reply = self._reply(method, answer, token)
        if reply.status == 401:
            self._tokens.invalidate(token)
        if reply.outcome is Outcome.THROTTLED:
            self._gate.throttled(reply.retry_after_s)
        return replace(reply, lines=(RequestLine(method, shown, reply.status, duration_ms, reply.outcome),))

    def _reply(self, method: str, answer: RawAnswer, token: str) -> Reply:
        if answer.status is None:
            outcome = classify_failure(answer.failure) if answer.failure else Outcome.AMBIGUOUS
            return Reply(outcome, None, text=self._clean(answer.detail, token))
        state, body, problem = _read_body(answer)
        outcome = classify_answer(method, answer.status, state)
        text = ""
        if outcome is not Outcome.APPLIED:
            said = self._words(answer, state, body, token)
            # A refusal is often empty or a page; only where it leaves a doubt does that matter.
            parts = (problem, said) if outcome is Outcome.AMBIGUOUS else (said,)
            text = self._clean("; ".join(filter(None, parts)), token)
        return Reply(outcome, answer.status, body, text, retry_after_s(answer.headers))

    def _words(self, answer: RawAnswer, state: BodyState, body: Any, token: str) -> str:
        """Halo's words, redacted while they are whole: what shortens a text could cut a secret in two."""
        if state is BodyState.JSON and len(answer.raw) <= _MAX_WORDS_BYTES:
            return error_text(redact_value(body, (self._connection.client_secret.reveal(), token)))
        text = answer.raw[:_MAX_WORDS_BYTES].decode(errors="replace")
        if len(answer.raw) > _MAX_WORDS_BYTES:
            text = text[: -_MAX_WORDS_BYTES // 16]
        return error_text(self._clean(text, token))

    def _without_token(self, error: AuthError) -> Reply:
        match error:
            case AuthThrottled():
                self._gate.throttled(error.retry_after_s)
                return Reply(Outcome.THROTTLED, None, text=str(error), retry_after_s=error.retry_after_s)
            case AuthUnreachable():
                return Reply(Outcome.NOT_SENT, None, text=self._clean(str(error)))
            case _:
                return Reply(Outcome.UNAUTHORISED, None, text=self._clean(str(error)))

    def _clean(self, text: str, *tokens: str) -> str:
        return redact_text(text, (self._connection.client_secret.reveal(), *tokens))

    def _shown(self, target: str, token: str) -> str:
        path, _, query = target.partition("?")
        secrets = (self._connection.client_secret.reveal(), token)
        shown = redact_text(path, secrets)
        return f"{shown}?{redact_query(query, secrets)}" if query else shown


def _headers(token: str, content: bytes | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    if content is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _read_body(answer: RawAnswer) -> tuple[BodyState, Any, str]:
    """(state, decoded body, what is wrong with it)."""
    if answer.failure is not None:
        return BodyState.BROKEN, None, f"the answer was cut off ({answer.detail})"
    if not answer.raw.strip():
        return BodyState.EMPTY, None, "the answer is empty"
    try:
        return BodyState.JSON, wire.decode(answer.raw), ""
    except ValueError:
        return BodyState.BROKEN, None, "the answer is no JSON"
