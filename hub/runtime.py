"""What every service process does beside its work: signals, health and metrics, background loops that may not die.

A loop that raises is a dead service that still answers pings; so a failed one makes the process unhealthy and ends
it with exit code 1, for its supervisor to start anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from prometheus_client import ProcessCollector

from hub.bus.health import ConsumerHealth
from hub.telemetry.health import Condition, Health, make_app
from hub.telemetry.metrics import Metrics
from hub.telemetry.server import AsgiServer

_log = structlog.get_logger(__name__)
_WATCH_S = 0.5
_AWAY_S = 1.0
_LIVE_S = 10.0
_COLLECT_EVERY = (20_000, 20, 50)
_LOOK_UPS_AT_ONCE = 64
"""Of names. Each takes a thread until the system gives it up, half a minute or more where no name server answers, also
when nobody waits for it any more. Python has six on two cores, for all tenants' Halos, Kafka and the store together."""


class ServiceFailed(Exception):
    """A loop of the service ended by itself; the process must end too and be started anew."""


class Service:
    """One service process, from start to drain."""

    def __init__(self, name: str, metrics: Metrics, health: Health) -> None:
        self.name = name
        self.metrics = metrics
        self.health = health
        self._stop = asyncio.Event()
        self._started = False
        self._failure: BaseException | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._consumers: dict[str, tuple[Callable[[], ConsumerHealth], Condition]] = {}
        self._alive = health.progress(f"{name} loop", max_age_s=_LIVE_S)

    def run(self, loop: Coroutine[Any, Any, None], what: str) -> None:
        """Run a loop in the background until the service stops; its end before that fails the service."""
        task = asyncio.create_task(loop, name=f"{self.name} {what}")
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def failed(self, error: BaseException) -> None:
        """The service can't go on; `until_stopped` raises ServiceFailed."""
        if self._failure is None:
            self._failure = error
            _log.error("service.failed", what=self.name, error=str(error))
        self._stop.set()

    def watch(self, group: str, health: Callable[[], ConsumerHealth]) -> None:
        """Follow a consumer: liveness while it polls, readiness once the group has answered, its lag as metrics."""
        self._consumers[group] = (health, self.health.condition(f"assigned {group}"))

    @property
    def stopping(self) -> bool:
        """Whether the service was told to stop, or has failed."""
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the service is told to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def host(self, run: Coroutine[Any, Any, None]) -> None:
        """Run the service from its start to its drain; one that is told to stop while it starts is cancelled.

        Raises what `run` raises, and ServiceFailed when a loop failed.
        """
        running, stopped = asyncio.ensure_future(run), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
            if running.done() or self._started:
                await running
        finally:
            running.cancel()
            stopped.cancel()
            await asyncio.gather(running, stopped, return_exceptions=True)
            self._raise_failure()

    async def wait_for(
        self, what: str, attempt: Callable[[], Awaitable[object]], missing: type[Exception]
    ) -> bool:
        """Return True once `attempt` went through, however often it raised `missing`; False when told to stop first.

        Until then the process is alive and not ready, and says why.
        """
        condition = self.health.condition(what)
        while not self._stop.is_set():
            try:
                if not await self._unless_stopped(attempt()):
                    return False
            except missing as error:
                if condition.why == "not yet":
                    _log.warning("service.waiting", what=what, error=str(error))
                condition.fails(f"not reachable: {error}")
            else:
                condition.holds()
                return True
            await self.pause(_AWAY_S)
        return False

    async def _unless_stopped(self, attempt: Awaitable[object]) -> bool:
        """Whether the attempt ended before the service was told to stop; raises what it raised."""
        trying, stopped = asyncio.ensure_future(attempt), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((trying, stopped), return_when=asyncio.FIRST_COMPLETED)
            if trying.done():
                trying.result()
            return trying.done()
        finally:
            trying.cancel()
            stopped.cancel()
            await asyncio.gather(trying, stopped, return_exceptions=True)

    async def until_stopped(self) -> None:
        """The start is over: return when SIGTERM or SIGINT came.

        Raises ServiceFailed when a loop or a consumer failed.
        """
        self._started = True
        await self._stop.wait()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise ServiceFailed(f"{self.name}: {self._failure}") from self._failure

    def stop(self) -> None:
        self._stop.set()

    async def close(self) -> None:
        """Cancel the background loops."""
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        self.failed(error or ServiceFailed(f"{task.get_name()} ended by itself"))

    async def observe(self) -> None:
        """For ever: turn what consumers say of themselves into liveness, readiness and metrics."""
        while True:
            healthy = True
            for group, (look, assigned) in self._consumers.items():
                seen = look()
                healthy = healthy and seen.is_live()
                if seen.is_ready():
                    assigned.holds()
                else:
                    assigned.fails(seen.failure or seen.poll_error or seen.phase)
                self.metrics.poll_age.labels(group=group).set(seen.tick_age_s)
                self.metrics.unsettled_age.labels(group=group).set(seen.oldest_unsettled_age_s or 0.0)
                lags = {(at.topic, str(at.partition)): lag for at, lag in seen.lag.items()}
                self.metrics.set_lags(group, lags)
            if healthy:
                self._alive.tick()
            self.tell_health()
            await asyncio.sleep(_WATCH_S)

    def tell_health(self) -> None:
        """Each check, and readiness as a whole, as metrics."""
        self.metrics.ready.labels(component=self.name).set(self.health.ready().ok)
        for check, ok in self.health.checks().items():
            self.metrics.check_ok.labels(check=check).set(ok)


@contextlib.asynccontextmanager
async def serving(name: str, *, host: str, port: int) -> AsyncIterator[Service]:
    """A service with its signals caught and its health port open; on exit its background loops are cancelled."""
    service = Service(name, Metrics(), Health())
    service.metrics.start_time.labels(component=name).set(time.time())
    service.tell_health()
    ProcessCollector(registry=service.metrics.registry)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_LOOK_UPS_AT_ONCE, thread_name_prefix="names"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    async with AsgiServer(make_app(service.health, service.metrics), host=host, port=port):
        service.run(service.observe(), "observer")
        with _collecting_seldom():
            try:
                yield service
            finally:
                await service.close()


@contextlib.contextmanager
def _collecting_seldom() -> Iterator[None]:
    """The garbage collector looks less often, and never at what was there at the start.

    A batch is thousands of objects that all go when it is done, without its help: looking through them for each 700
    new ones took a quarter of the writer's time.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
