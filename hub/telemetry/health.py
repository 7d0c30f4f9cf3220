"""Liveness that means progress, readiness that means the service has its work and has caught up.

A loop that hangs keeps its port open and answers pings; so liveness asks each loop when it last went round.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.telemetry.logging import redacted
from hub.telemetry.metrics import Metrics


class Verdict(NamedTuple):
    """Whether all checks hold, and each check's own words."""

    ok: bool
    checks: dict[str, str]


class Progress:
    """One loop's sign of life: `tick()` at each round."""

    def __init__(self, max_age_s: float, clock: Callable[[], float]) -> None:
        self.max_age_s = max_age_s
        self._clock = clock
        self._last = clock()

    def tick(self) -> None:
        self._last = self._clock()

    @property
    def age_s(self) -> float:
        """Seconds since the last tick, or since registration."""
        return self._clock() - self._last


class Condition:
    """One thing that must hold before work may be sent here; at first it does not."""

    def __init__(self) -> None:
        self.ok = False
        self.why = "not yet"

    def holds(self) -> None:
        self.ok, self.why = True, "ok"

    def fails(self, why: str) -> None:
        self.ok, self.why = False, why


class Health:
    """The checks of one service. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._progress: dict[str, Progress] = {}
        self._conditions: dict[str, Condition] = {}

    def progress(self, name: str, *, max_age_s: float) -> Progress:
        """Registers a loop that must tick at least every `max_age_s`; the count starts now."""
        self._refuse_twice(name)
        self._progress[name] = Progress(max_age_s, self._clock)
        return self._progress[name]

    def condition(self, name: str) -> Condition:
        """Registers something that must hold for readiness, such as `assigned` or `caught_up`."""
        self._refuse_twice(name)
        self._conditions[name] = Condition()
        return self._conditions[name]

    def live(self) -> Verdict:
        """Whether every loop still goes round."""
        checks = {name: _age(progress) for name, progress in self._progress.items()}
        return Verdict(all(p.age_s <= p.max_age_s for p in self._progress.values()), checks)

    def ready(self) -> Verdict:
        """Whether the service is live and every condition holds; without any condition it never is."""
        live = self.live()
        held = bool(self._conditions) and all(condition.ok for condition in self._conditions.values())
        return Verdict(live.ok and held, live.checks | {name: c.why for name, c in self._conditions.items()})

    def checks(self) -> dict[str, bool]:
        """Whether each check holds."""
        progress = {name: one.age_s <= one.max_age_s for name, one in self._progress.items()}
        return progress | {name: condition.ok for name, condition in self._conditions.items()}

    def _refuse_twice(self, name: str) -> None:
        if name in self._progress or name in self._conditions:
            raise ValueError(f"health check {name!r} is registered already; give each its own name")


def _age(progress: Progress) -> str:
    age_s = progress.age_s
    if age_s <= progress.max_age_s:
        return "ok"
    return f"no progress for {age_s:.0f} s (limit {progress.max_age_s:g} s)"


def routes(health: Health, metrics: Metrics) -> list[Route]:
    """`/health/live` and `/health/ready` (200 or 503, each check named), and `/metrics`."""

    async def live(_request: Request) -> Response:
        return _answer(health.live())

    async def ready(_request: Request) -> Response:
        return _answer(health.ready())

    async def expose(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"content-type": content_type})

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", expose)]


def make_app(health: Health, metrics: Metrics) -> Starlette:
    """The routes as an ASGI application of their own."""
    return Starlette(routes=routes(health, metrics))


def _answer(verdict: Verdict) -> Response:
    checks = {name: redacted(said) for name, said in verdict.checks.items()}
    body = msgspec.json.encode({"status": "ok" if verdict.ok else "failing", "checks": checks})
    return Response(body, status_code=200 if verdict.ok else 503, media_type="application/json")
