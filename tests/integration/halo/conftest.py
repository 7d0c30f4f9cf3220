"""A sandbox process of these tests' own; each test has a fresh instance in it and an HTTP client to share."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import httpx
import pytest

from tests.sandbox.server import Sandbox, SandboxProcess, start_sandbox

_numbers = count(1)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    started = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield started
    started.stop()


@pytest.fixture
def sandbox(process: SandboxProcess) -> Iterator[Sandbox]:
    with Sandbox(process.url, f"halo-{next(_numbers)}") as instance:
        instance.configure()
        yield instance
        instance.disarm()
        instance.forget()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client
