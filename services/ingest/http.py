"""`POST /v1/events`: answers 202 only when Kafka has acknowledged every event of the request.

Refusals are problem+json: 400 faults, 401 token, 403 rights, 408 slow body, 413 size, 415 media type, 431 headers,
503 when the log can't acknowledge (send again: the same ids are the same events). Each is counted by its code.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from hub.telemetry.metrics import Metrics
from hub.telemetry.server import MAX_HEAD_BYTES
from schemas.registry import SOURCE_TYPES
from services.ingest import content, validate
from services.ingest.content import Received
from services.ingest.problems import MEDIA_TYPE, Problem
from services.ingest.producers import Producer, ProducersFile
from services.ingest.validate import Accepted

_log = structlog.get_logger(__name__)
RETRY_AFTER_S = 5
MAX_HEADERS = 100
_SINGLE = ("authorization", "content-type", "content-encoding")


class LogUnavailable(Exception):
    """Kafka did not acknowledge in time; what was sent may or may not be in the log. Send the same events again."""


class MessageTooLarge(Exception):
    """Kafka refuses an event for its size; make it smaller."""


class EventLog(Protocol):
    """Where accepted events go."""

    async def append(self, events: Sequence[Accepted]) -> None:
        """Returns when all are acknowledged; else raises LogUnavailable or MessageTooLarge."""


@dataclass(frozen=True, slots=True)
class Limits:
    max_body_bytes: int
    max_events: int
    body_timeout_s: float


class Door:
    """Takes the events of one request, or says why not.

    Invariants:
    * nothing is appended unless every event of the request is valid and its producer's to send.
    * ids are answered only after `EventLog.append` returned.
    """

    def __init__(
        self,
        producers: ProducersFile,
        log: EventLog,
        limits: Limits,
        metrics: Metrics,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._producers = producers
        self._log = log
        self._limits = limits
        self._metrics = metrics
        self._now = now
        self._open = 0
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def take(self, request: Request) -> list[str]:
        """The ids of the accepted events. Raises Problem."""
        if self._draining:
            raise _unavailable("this instance is shutting down")
        self._open += 1
        self._empty.clear()
        try:
            return await self._take(request)
        finally:
            self._open -= 1
            if not self._open:
                self._empty.set()

    def answered(self, status: HTTPStatus) -> None:
        """Counts an answer."""
        self._metrics.http_answers.labels(status=str(status.value)).inc()

    async def drain(self) -> None:
        """Refuses what comes from now on, and returns when all that was under way is answered."""
        self._draining = True
        await self._empty.wait()

    async def _take(self, request: Request) -> list[str]:
        started = time.monotonic()
        producer, received = await self._receive(request)
        try:
            accepted = validate.accept(received, producer, self._now())
            await self._append(accepted)
        except Problem as problem:
            for event in received:
                label = event.type if event.type in SOURCE_TYPES else "unknown"
                self._metrics.events_rejected.labels(type=label, reason=problem.code).inc()
            _log.info(
                "events.refused", producer=producer.name, reason=problem.code, faults=len(problem.faults)
            )
            raise
        for envelope in (event.envelope for event in accepted):
            self._metrics.events_accepted.labels(type=envelope.type).inc()
        ids = [event.envelope.id for event in accepted]
        _log.info(
            "events.accepted",
            producer=producer.name,
            tenants=sorted({event.envelope.tenant for event in accepted}),
            events=len(ids),
            first_id=ids[0],
            ms=round((time.monotonic() - started) * 1000, 1),
        )
        return ids

    async def _receive(self, request: Request) -> tuple[Producer, list[Received]]:
        """Who sends what; whatever is refused before its events are known counts as one of an unknown type."""
        producer: Producer | None = None
        try:
            check_head(request)
            producer = self._authenticate(request.headers.get("authorization", ""))
            mode = content.mode_of(request.headers.get("content-type", ""))
            if request.headers.get("content-encoding", "identity").lower() != "identity":
                raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type", "send the body uncompressed")
            body = await read_body(request, self._limits)
            return producer, content.events_of(
                mode, request.headers.raw, body, max_events=self._limits.max_events
            )
        except Problem as problem:
            # What of the body has not been read is not read any more.
            problem.headers.setdefault("Connection", "close")
            self._metrics.events_rejected.labels(type="unknown", reason=problem.code).inc()
            _log.info("events.refused", producer=producer.name if producer else None, reason=problem.code)
            raise

    async def _append(self, accepted: Sequence[Accepted]) -> None:
        try:
            await self._log.append(accepted)
        except LogUnavailable as error:
            _log.warning("events.not_acknowledged", events=len(accepted), problem=str(error))
            raise _unavailable("the log did not acknowledge") from None
        except MessageTooLarge as error:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", str(error)) from None

    def _authenticate(self, authorization: str) -> Producer:
        scheme, _, token = authorization.partition(" ")
        found = self._producers.current().of_token(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "unauthenticated",
                "send `Authorization: Bearer <token>` with a token whose SHA-256 is in producers.yaml",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found


def check_head(request: Request) -> None:
    """Raises Problem 431 for too many or too large headers, 400 for one of which two could be meant."""
    headers = request.headers.raw
    size = len(request.scope.get("raw_path") or b"") + len(request.scope["query_string"])
    if (
        len(headers) > MAX_HEADERS
        or size + sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES
    ):
        raise Problem(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers.too_large",
            f"send at most {MAX_HEADERS} headers, of {MAX_HEAD_BYTES} bytes together with the address",
        )
    for name in _SINGLE:
        if len(request.headers.getlist(name)) > 1:
            raise Problem(
                HTTPStatus.BAD_REQUEST, "header.twice", f"the header {name} is there twice; send one"
            )


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, of which never more than the limit is held. Raises Problem 413 or 408."""
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and int(told) > limits.max_body_bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limits.max_body_bytes:
                    raise _too_large(limits)
                body += chunk
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            "body.slow",
            f"the body took more than {limits.body_timeout_s:g} s; send it faster or in smaller requests",
        ) from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "body.cut_off", "the body ended before its end") from None
    return bytes(body)


def make_app(door: Door) -> FastAPI:
    """The HTTP application; every answer that is not 202 is problem+json, those of the framework included."""
    # A redirect is no problem+json, and few clients send the events again where it points.
    app = FastAPI(title="halo-hub ingest", version="1", docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.post(
        "/v1/events",
        status_code=HTTPStatus.ACCEPTED,
        summary="Publish one event or a batch",
        responses={
            status: {"content": {MEDIA_TYPE: {}}} for status in (400, 401, 403, 408, 413, 415, 431, 503)
        },
    )
    async def publish(request: Request) -> Response:
        ids = await door.take(request)
        door.answered(HTTPStatus.ACCEPTED)
        return Response(msgspec.json.encode({"ids": ids}), HTTPStatus.ACCEPTED, media_type="application/json")

    async def refuse(request: Request, error: Exception) -> Response:
        problem = _problem_of(request, error)
        door.answered(problem.status)
        return Response(problem.body(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)

    for kind in (Problem, HTTPException, Exception):
        app.add_exception_handler(kind, refuse)
    return app


def _problem_of(request: Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _http_problem(request, error)
    _log.error("request.failed", path=request.url.path, exc_info=error)
    detail = "an error of this service; nothing is known to be accepted. Send the same events again"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


def _http_problem(request: Request, error: HTTPException) -> Problem:
    status = HTTPStatus(error.status_code)
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}; events go to POST /v1/events",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not taken here; use POST",
    }
    return Problem(
        status, status.name.lower(), details.get(status, str(error.detail)), headers=dict(error.headers or {})
    )


def _too_large(limits: Limits) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the body is over {limits.max_body_bytes} bytes; send fewer events in one request",
    )


def _unavailable(why: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "not_acknowledged",
        f"{why}; send the same events again, with the same ids",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )
