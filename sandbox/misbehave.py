"""Carries a fault out on one request: applies it or not, now or later, and breaks the answer."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

from starlette.requests import Request
from starlette.responses import Response

from sandbox.config import Budget
from sandbox.errors import HTML, JSON, TEXT, Answer, json_answer
from sandbox.faults import Manner, Met
from sandbox.limits import throttled
from sandbox.log import Entry
from sandbox.wire import Dropped, Hung, Trickled, Truncated, response

Apply = Callable[[], Answer]

LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head>"
    '<body><form method="post" action="/login"><input name="user"></form></body></html>'
)
GATEWAY_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>"
REASONS = {502: "502 Bad Gateway", 503: "503 Service Temporarily Unavailable", 504: "504 Gateway Time-out"}


class Misbehaviour:
    """Answers requests that a fault meets; holds the stores that are still to come."""

    def __init__(self) -> None:
        self._late: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Forgets the stores that were still to come."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def answer(
        self, met: Met, budget: Budget, request: Request, entry: Entry, apply: Apply
    ) -> Response:
        """What the caller gets of `met`; `apply` carries the request out and writes that into `entry`."""
        entry.fault, how = met.action, met.how
        match met.action:
            case "store_then_drop" | "drop_then_store" | "drop" | "hang":
                self.unanswered(met, apply)
                return Hung() if met.action == "hang" else Dropped()
            case "error_after_store" | "error" | "html" | "throttle":
                return finished(entry, self.instead(met, budget, apply))
            case "slow":
                return await slow(request, entry, how, apply)
            case "trickle":
                return trickle(request, entry, how, apply)
            case "truncate":
                whole = finished(entry, apply())
                return Truncated(whole.body, whole.status_code, dict(whole.headers))
            case "cut":
                said = apply()
                return finished(entry, replace(said, body=half(said.body)))

    def unanswered(self, met: Met, apply: Apply) -> None:
        """Applies a request that gets no answer: now, later or never."""
        match met.action:
            case "store_then_drop":
                apply()
            case "drop_then_store":
                self.later(met.how.delay_s, apply)
            case "hang":
                self.aside(met.how, apply)

    def instead(self, met: Met, budget: Budget, apply: Apply) -> Answer:
        """The answer that takes the place of the right one."""
        how = met.how
        match met.action:
            case "throttle":
                return throttled(budget, how.retry_after_s)
            case "html":
                self.aside(how, apply)
                return page(how)
            case "error_after_store":
                apply()
        return given(how)

    def aside(self, how: Manner, apply: Apply) -> None:
        """Applies as `how.apply` says: not at all when it says nothing."""
        if how.apply == "first":
            apply()
        elif how.apply == "after":
            self.later(how.delay_s, apply)

    def later(self, delay_s: float, apply: Apply) -> None:
        async def wait_and_apply() -> None:
            await asyncio.sleep(delay_s)
            apply()

        task = asyncio.create_task(wait_and_apply())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def slow(request: Request, entry: Entry, how: Manner, apply: Apply) -> Response:
    if how.apply == "after":
        await asyncio.sleep(how.delay_s)
        answer = apply()
    else:
        answer = apply()
        await asyncio.sleep(how.delay_s)
    if await request.is_disconnected():
        return Dropped()
    return finished(entry, answer)


def trickle(request: Request, entry: Entry, how: Manner, apply: Apply) -> Response:
    if how.apply == "after":
        entry.status = 201 if request.method == "POST" else 200
        return Trickled(repeat(b" "), entry.status, {"content-type": JSON}, how.delay_s, on_gone=apply)
    whole = finished(entry, apply())
    pieces = (bytes([byte]) for byte in whole.body)
    return Trickled(pieces, whole.status_code, dict(whole.headers), how.delay_s)


def finished(entry: Entry, answer: Answer) -> Response:
    entry.status = answer.status
    return response(answer)


def half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def given(how: Manner) -> Answer:
    """The answer that an `error` rule names: nothing, a text as it is, or JSON."""
    status = how.status or 500
    if how.answer is None:
        return Answer(status)
    if isinstance(how.answer, str):
        return Answer(status, how.answer.encode(), TEXT)
    return json_answer(status, how.answer)


def page(how: Manner) -> Answer:
    """The page given; else a login page, or a gateway's page when an error status is asked for."""
    if how.status is None:
        return Answer(200, (how.answer or LOGIN_PAGE).encode(), HTML)
    own = GATEWAY_PAGE.format(REASONS.get(how.status, how.status))
    return Answer(how.status, (how.answer or own).encode(), HTML)
