"""Fixtures that every test may ask for; no server starts before a test needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.kafka import KafkaServer
    from tests.support.postgres import PostgresServer

# How long an example takes says more of the machine than of the code.
settings.register_profile("hub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")

# Tables are looked into for words: in a narrow terminal these would be folded.
os.environ["COLUMNS"] = "200"

pytest_plugins = ["pytester", "tests.plugins.features"]


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """A real Kafka, one for the whole run: tests keep apart by their own topics and groups."""
    from tests.support.kafka import KafkaServer

    server = KafkaServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, one for the whole run: tests keep apart by their own databases."""
    from tests.support.postgres import PostgresServer

    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of an empty database; the test runs once on each of the two."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def free_port() -> int:
    """A TCP port on the loopback interface that nobody listens on."""
    from tests.support import processes

    return processes.free_port()
