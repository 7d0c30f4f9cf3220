"""A real Kafka with the hub's topics, and `hub` run as a person runs it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cli.main import run
from hub.bus.connect import bus_settings
from hub.bus.producer import Publisher
from hub.bus.reader import read_range
from hub.bus.records import Outgoing, Record
from hub.settings import Settings
from tests.support.kafka import KafkaServer


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of these tests' own: what they put on the hub's topics is nobody else's business."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def broker(kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The bootstrap servers, with every topic of the hub there."""
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", kafka.bootstrap)
    assert run(["topics", "apply", "--json"]) == 0
    capsys.readouterr()
    return kafka.bootstrap


@pytest.fixture
def publish(broker: str) -> Callable[[Sequence[Outgoing]], None]:
    async def send(records: Sequence[Outgoing]) -> None:
        publisher = Publisher(bus_settings(Settings(bootstrap_servers=broker), client_id="test"))
        await publisher.start()
        await publisher.publish(records)
        await publisher.stop()

    return lambda records: asyncio.run(send(records))


@pytest.fixture
def read(broker: str) -> Callable[[str], list[Record]]:
    async def all_of(topic: str) -> list[Record]:
        return [record async for record in read_range(broker, topic)]

    return lambda topic: asyncio.run(all_of(topic))


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command that must succeed and gives its JSON."""

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        code = run([*arguments, "--json"])
        captured = capsys.readouterr()
        assert code == 0, captured.err + captured.out
        return json.loads(captured.out)

    return call


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid.uuid4().hex[:10]}"
