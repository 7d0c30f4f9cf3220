"""The wall clock of the hub's machines jumps by an hour, there and back, while quotes flow.

libfaketime gives a service a wall clock of its own, read from a file; its monotonic clock stays the machine's.
Nothing may be timed by the wall: tokens are renewed no later and no earlier, the budget and leases run on as before.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.bus.topics import create_topics
from schemas.topics import TOPICS
from tests.faults.conftest import all_commands_ended, prove, quotes_titled
from tests.support.hub import PRODUCER_TOKEN, Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
_BUDGET = 12
_WINDOW_S = 4
_TOKEN_TTL_S = 12
"""A tenth of it is what a request may take to reach Halo after it was given its token."""
LIBRARY_VARIABLE = "HUB_FAKETIME_LIB"
"""Where libfaketime is, when it isn't where Debian has it."""


def library() -> str:
    """The path of libfaketime; fails, saying how to have it, where there is none."""
    named = os.environ.get(LIBRARY_VARIABLE)
    found = [named] if named else [str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
    assert found, f"libfaketime is needed: apt-get install faketime, or name it in {LIBRARY_VARIABLE}"
    return found[0]


class WallClock:
    """The wall clock of the services that were started with `environment`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.is_off_by("+0")
        self.environment = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def is_off_by(self, span: str) -> None:
        """Jump to this far from the machine's clock; at once, for all of them."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{span}\n")
        new.replace(self._file)


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("clock") / "faketime")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, wall: WallClock) -> Iterator[Hub]:
    """Every service runs by this clock, with a budget and tokens so small that any mistake in time shows at Halo."""
    directory: Path = tmp_path_factory.mktemp("hub")
    kafka = KafkaServer(directory / "kafka")
    kafka.start()
    try:
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(directory, kafka.bootstrap, postgres.create_database()) as running:
            running.environment.update(wall.environment)
            running.sandbox.configure(token_ttl_s=_TOKEN_TTL_S)
            running.start_all()
            prove(running)
            running.publish(quote_event("warm-up", 1, customer=_KNOWN))
            in_halo_once(running, ["warm-up"])
            path = directory / "tenants" / "acme.yaml"
            small = f"budget: {{requests: {_BUDGET}, window: {_WINDOW_S}s}}"
            path.write_text(path.read_text().replace("budget: {requests: 100000, window: 10s}", small))
            eventually(lambda: _revisions(running) == 2, what="the small budget")
            running.sandbox.configure(budget={"limit": _BUDGET, "window_s": _WINDOW_S})
            yield running
            assert [process.stop() for process in running.processes.values()] == [0] * len(running.processes)
    finally:
        kafka.stop()


def _revisions(hub: Hub) -> int:
    return sum(line["event"] == "settings.published" for line in hub.processes["mapper"].lines())


def told_time(hub: Hub, service: str) -> dt.datetime:
    """The wall clock as the service sees it: its newest log line's."""
    return dt.datetime.fromisoformat(hub.processes[service].lines()[-1]["time"])


def in_halo_once(hub: Hub, quotes: list[str]) -> None:
    titles = sorted(f"Quote {quote}" for quote in quotes)

    def there() -> list[str]:
        return sorted(str(row["title"]) for row in quotes_titled(hub, *titles))

    eventually(lambda: set(there()) >= set(titles), _PATIENCE_S, what=f"{titles} in Halo")
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    assert there() == titles


@pytest.mark.fault("F33")
def test_a_wall_clock_that_jumps_an_hour_and_back_is_noticed_by_nobody(hub: Hub, wall: WallClock) -> None:
    since, began = hub.sandbox.last_request(), time.monotonic()
    published: list[str] = []
    for span in ("+1h", "-1h", "+0"):
        wall.is_off_by(span)
        # Two such rounds are more than a window's budget.
        quotes = [f"at{span}-{number}" for number in range(4)]
        published += quotes
        hub.publish(*(quote_event(quote, 1, customer=_KNOWN) for quote in quotes))
        in_halo_once(hub, quotes)
        offset = told_time(hub, "writer") - dt.datetime.now(dt.UTC)
        expected = dt.timedelta(hours={"+": 1, "-": -1}[span[0]] * int(span[1]))
        assert abs(offset - expected) < dt.timedelta(minutes=10), "the writer did not see the jump"
    wall.is_off_by("-1h")
    hub.processes["writer"].kill()
    hub.publish(quote_event("inherited", 1, customer=_KNOWN))
    wall.is_off_by("+1h")
    hub.start("writer")
    in_halo_once(hub, [*published, "inherited"])
    statuses = [row["status"] for row in hub.sandbox.requests(since=since)]
    assert statuses.count(401) == 0, "a token was used past its end"
    assert statuses.count(429) == 0, "the budget was overspent"
    lives = (time.monotonic() - began) / (_TOKEN_TTL_S * 0.9)
    assert len(hub.sandbox.requests(since=since, kind="token")) <= 2 * (lives + 2), "renewed out of turn"
    assert [name for name, process in hub.processes.items() if process.popen.poll() is not None] == []


@pytest.mark.fault("F33")
def test_a_hub_whose_clock_is_behind_refuses_what_seems_to_come_from_the_future_and_loses_nothing(
    hub: Hub, wall: WallClock
) -> None:
    """Whose clock is wrong can't be told: the producer hears of it at once, and its event passes when it is mended."""
    now = dt.datetime.now(dt.UTC).isoformat()
    event = {**quote_event("by-the-clock", 1, customer=_KNOWN), "time": now}
    wall.is_off_by("-1h")
    answer = _publish(hub, event)
    assert answer.status_code == 400
    assert [fault["at"] for fault in answer.json()["faults"]] == ["time"]
    wall.is_off_by("+1h")
    assert _publish(hub, event).status_code == 202
    wall.is_off_by("+0")
    in_halo_once(hub, ["by-the-clock"])


def _publish(hub: Hub, event: dict[str, Any]) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{hub.http_port}/v1/events",
        json=event,
        headers={
            "content-type": "application/cloudevents+json",
            "authorization": f"Bearer {PRODUCER_TOKEN}",
        },
        trust_env=False,
        timeout=20.0,
    )
