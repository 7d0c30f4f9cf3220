"""A broker of these tests' own: what they put on the hub's topics is nobody else's business."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kafka import KafkaServer


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()
