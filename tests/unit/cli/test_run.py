"""`hub run`: when a start is tried anew, when a process ends, and with what code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli import run as run_command
from cli.main import run
from hub.bus.connect import KafkaError
from hub.bus.errors import TopicMissing
from hub.runtime import Service
from hub.settings import Settings
from hub.store.errors import StoreUnavailable
from tests.support.process_logging import own_logging

App = Callable[[Settings, Service], Awaitable[None]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[App], int]]:
    """Runs an app as the mapper's, on a Kafka and a store that are there; the exit code."""

    async def there(*_: object) -> dict[str, int]:
        return {}

    monkeypatch.setenv("HUB_STORE_URL", f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}")
    monkeypatch.setenv("HUB_HEALTH_PORT", "0")
    monkeypatch.setattr(run_command, "partition_counts", there)
    monkeypatch.setattr(run_command, "_AGAIN_S", 0.01)

    def call(app: App) -> int:
        monkeypatch.setitem(sys.modules, "services.mapper.app", SimpleNamespace(run=app))
        return run(["run", "mapper"])

    with own_logging():
        yield call


@pytest.mark.parametrize("error", [StoreUnavailable("away"), KafkaError("away")])
def test_a_start_in_which_something_goes_away_is_tried_anew(
    error: Exception, serve: Callable[[App], int]
) -> None:
    starts = 0

    async def app(_: Settings, service: Service) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise error
        os.kill(os.getpid(), signal.SIGTERM)
        await service.until_stopped()

    assert serve(app) == 0
    assert starts == 3


def test_a_drain_that_can_not_reach_the_store_ends_in_0(
    serve: Callable[[App], int], capsys: pytest.CaptureFixture[str]
) -> None:
    async def app(_: Settings, service: Service) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await service.until_stopped()
        raise StoreUnavailable("away")

    assert serve(app) == 0
    captured = capsys.readouterr()
    assert "service.drain_cut_short" in captured.out + captured.err


def test_a_loop_that_fails_ends_the_process_with_1(
    serve: Callable[[App], int], capsys: pytest.CaptureFixture[str]
) -> None:
    async def loop() -> None:
        raise RuntimeError("the loop's own fault")

    async def app(_: Settings, service: Service) -> None:
        service.run(loop(), "loop")
        await service.until_stopped()

    assert serve(app) == 1
    assert "error: mapper stopped: mapper: the loop's own fault" in capsys.readouterr().err


def test_what_no_waiting_mends_is_not_tried_anew(
    serve: Callable[[App], int], capsys: pytest.CaptureFixture[str]
) -> None:
    starts = 0

    async def app(_settings: Settings, _service: Service) -> None:
        nonlocal starts
        starts += 1
        raise TopicMissing(["hub.quotes.v1"])

    assert serve(app) == 1
    assert starts == 1
    assert "hub.quotes.v1" in capsys.readouterr().err
