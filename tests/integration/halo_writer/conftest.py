"""One sandbox process for all tests of the writer's lanes; each test has an instance and a store of its own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.store.engine import Store
from tests.contract.halo_fields import RESOURCES, faults
from tests.integration.halo_writer.bench import Bench, MakeBench, template
from tests.sandbox.server import CLIENT_SECRET, Sandbox, SandboxProcess, start_sandbox


@pytest.fixture(scope="package")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture(scope="package")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("store"))


@pytest.fixture
def writer_store_url(request: pytest.FixtureRequest, empty_store: Path, tmp_path: Path) -> str:
    """A store of the test's own, on SQLite unless its parameter says "postgres"."""
    if getattr(request, "param", "sqlite") == "postgres":
        url: str = request.getfixturevalue("postgres").create_database()
        return url
    shutil.copy(empty_store, tmp_path / "store.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
async def make_bench(
    sandbox_process: SandboxProcess, writer_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeBench]:
    """Makes the test's bench; `halo` are settings of the sandbox, `read=False` leaves the catalogue unread."""
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    store = await Store.open(writer_store_url)
    await store.migrate()
    sandbox = Sandbox(sandbox_process.url, f"w{uuid.uuid4().hex[:10]}")
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:

        async def make(
            *,
            halo: dict[str, Any] | None = None,
            rows: dict[str, Any] | None = None,
            read: bool = True,
            **kw: Any,
        ) -> Bench:
            sandbox.configure(**{"budget": {"limit": 0, "window_s": 300}, **(halo or {})})
            if rows:
                sandbox.load(rows)
            bench = Bench(sandbox, store, http, **kw)
            if read:
                await bench.read_halo()
            return bench

        yield make
    posted = [line for line in sandbox.requests(method="POST") if line["path"].strip("/") in RESOURCES]
    strange = [fault for line in posted for element in line["body"] for fault in of_element(line, element)]
    sandbox.forget()
    sandbox.close()
    await store.close()
    assert strange == []


def of_element(line: dict[str, Any], element: dict[str, Any]) -> list[str]:
    return faults(line["path"].strip("/"), element)


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    """A tenant whose Halo is the packaged one and was read whole."""
    return await make_bench()
