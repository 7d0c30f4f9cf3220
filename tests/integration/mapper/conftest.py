"""A Kafka of its own, since the mapper's topics and group have fixed names."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.bus.topics import create_topics
from schemas.topics import TOPICS
from tests.integration.mapper.harness import Mappers
from tests.support.kafka import KafkaServer


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[str]:
    server = KafkaServer()
    server.start()
    asyncio.run(create_topics(server.bootstrap, TOPICS))
    yield server.bootstrap
    server.stop()


@pytest.fixture
def mappers(own_kafka: str, store_url: str, tmp_path: Path) -> Iterator[Mappers]:
    made = Mappers(own_kafka, store_url, tmp_path)
    yield made
    made.end()
