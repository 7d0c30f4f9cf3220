"""An operator's desk: what the processes of a hub tell, the settings for its commands, and a process of one's own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from prometheus_client import generate_latest

from hub.runtime import Service
from hub.telemetry.health import Health, make_app
from hub.telemetry.metrics import Metrics
from hub.telemetry.server import AsgiServer
from tests.support.hub import Hub
from tests.support.runbook import Case, Samples, samples_of

T = TypeVar("T")


def scraped(hub: Hub, metrics: Collection[str]) -> Samples:
    """What all processes of the hub that run expose of these metrics now."""
    found: Samples = {}
    for name, process in hub.processes.items():
        if process.is_running():
            address = f"http://127.0.0.1:{process.health_port}/metrics"
            found |= samples_of(httpx.get(address, trust_env=False, timeout=120.0).text, name, metrics)
    return found


class Desk:
    """For one running hub; `name` is the process whose health port the pages mean."""

    def __init__(self, hub: Hub, directory: Path) -> None:
        self.hub = hub
        self.directory = directory

    def health(self, process: str) -> str:
        return f"http://127.0.0.1:{self.hub.processes[process].health_port}"

    def case(
        self, runbook: str, *, process: str = "writer", more: Mapping[str, str] | None = None, **labels: str
    ) -> Case:
        """A page in use for an alert with these labels; `more` are variables that it speaks of."""
        tenant = labels.get("tenant", "acme")
        environment = {
            **self.hub.environment,
            "TENANT": tenant,
            "TENANT_FILE": str(self.hub.directory / "tenants" / f"{tenant}.yaml"),
            "HEALTH": self.health(process),
            "REASON": labels.get("reason", ""),
            **(more or {}),
        }
        return Case(runbook, functools.partial(scraped, self.hub), environment, self.directory, **labels)


class Here:
    """A process of the hub inside this one: its health port, its metrics, and a loop for what it does."""

    def __init__(self, name: str, directory: Path, **environment: str) -> None:
        self.service = Service(name, Metrics(), Health())
        self.metrics = self.service.metrics
        self._directory = directory
        self.environment = environment
        self._tasks: list[asyncio.Task[Any]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = AsgiServer(make_app(self.service.health, self.metrics), host="127.0.0.1", port=0)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, done in this process's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60.0)

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Have the work done beside all else; it is cancelled at the end."""
        task = self.do(_begun(work))
        self._tasks.append(task)
        return task

    def scrape(self, metrics: Collection[str]) -> Samples:
        self.service.tell_health()
        return samples_of(generate_latest(self.metrics.registry).decode(), "here", metrics)

    def case(self, runbook: str, **labels: str) -> Case:
        environment = {"HEALTH": f"http://127.0.0.1:{self._server.port}", **self.environment}
        return Case(runbook, self.scrape, environment, self._directory, **labels)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._server.start())
        self.begin(self.service.observe())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(_ended(self._server))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


async def _begun(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    return asyncio.create_task(work)


async def _ended(server: AsgiServer) -> None:
    await server.stop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
