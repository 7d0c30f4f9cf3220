"""One sandbox process for the run; each test has an instance of its own in it."""

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.sandbox.server import Sandbox, SandboxProcess, start_sandbox

_numbers = count(1)


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> Iterator[Sandbox]:
    """A fresh instance that starts with the packaged fixture."""
    with Sandbox(sandbox_process.url, f"test-{next(_numbers)}") as instance:
        instance.configure()
        yield instance
        for armed in instance.faults():
            if armed["rule"].get("instance") == instance.instance:
                instance.disarm(armed["id"])
        instance.forget()


@pytest.fixture
def halo(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the instance's API with full rights."""
    with sandbox.client() as client:
        yield client
