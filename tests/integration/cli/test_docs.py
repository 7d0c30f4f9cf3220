"""The guides' commands do what the guides say: every bash block runs, in order, against a running hub door."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.settings import Settings
from hub.store.engine import Store
from schemas.envelope import from_headers
from schemas.topics import CONTROL, QUOTES
from tests.docs.guides import ROOT, blocks, execute, put_hub_on_the_path
from tests.integration.cli.test_log_commands import Read
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET
from tests.support.eventually import eventually
from tests.support.processes import free_port, tail

pytestmark = pytest.mark.timeout(900)
TOKEN = "a-producers-token"
TENANT = """
tenant: acme
halo:
  resource_server: {sandbox}/api
  authorization_server: {sandbox}/auth
  client_id: {client_id}
  client_secret: env:SANDBOX_SECRET
  budget: {{requests: 3000, window: 300s}}
items: {{asset_group: Hardware}}
billing_periods: {{month: Monthly}}
opportunities: {{ticket_type: Opportunity}}
quotes: {{statuses: {{sent: Sent}}}}
"""


@pytest.fixture
def desk(broker: str, tmp_path: Path) -> dict[str, str]:
    """A reader's machine: `hub` on the path, and the settings that the guides mention."""
    commands = put_hub_on_the_path(tmp_path / "bin")
    (producers,) = (block for block in blocks("producing.md", "yaml") if "producers:" in block)
    token_hash = hashlib.sha256(TOKEN.encode()).hexdigest()
    (tmp_path / "producers.yaml").write_text(re.sub("<.*?>", token_hash, producers))
    store_url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    asyncio.run(migrated(store_url))
    return {
        **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HUB_BOOTSTRAP_SERVERS": broker,
        "HUB_STORE_URL": store_url,
        "HUB_PRODUCERS_FILE": str(tmp_path / "producers.yaml"),
        "HUB_TOKEN": TOKEN,
        "SANDBOX_SECRET": CLIENT_SECRET,
    }


async def migrated(store_url: str) -> None:
    store = await Store.open(store_url)
    await store.migrate()
    await store.close()


@pytest.fixture
def door(desk: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of a running ingest service."""
    port, health, log = free_port(), free_port(), tmp_path / "ingest.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", "from cli.main import main; main()", "run", "ingest"],
            env={**desk, "HUB_HTTP_PORT": str(port), "HUB_HEALTH_PORT": str(health)},
            cwd=ROOT,
            stderr=sink,
        )

    def ready() -> bool:
        assert process.poll() is None, tail(log)
        try:
            return httpx.get(f"http://127.0.0.1:{health}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    asyncio.run(eventually(ready, timeout_s=120))
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def tenant_file(desk: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A tenant file that leads to a Halo stand-in, started as a team would start it."""
    ready = tmp_path / "sandbox.address"
    process = subprocess.Popen(
        [f"{tmp_path}/bin/hub", "sandbox", "--port", "0", "--ready-file", str(ready)], env=desk, cwd=ROOT
    )
    asyncio.run(eventually(lambda: ready.exists() and ready.read_text().endswith("\n"), timeout_s=120))
    path = tmp_path / "acme.yaml"
    path.write_text(TENANT.format(sandbox=ready.read_text().strip(), client_id=CLIENT_ID))
    yield str(path)
    process.terminate()
    assert process.wait(60) == 0


@pytest.mark.feature("beyond.catalog", part="cli")
@pytest.mark.feature("beyond.catalog", part="docs")
def test_the_producers_guide_publishes_what_it_says(
    desk: dict[str, str], door: str, tenant_file: str, read: Read, tmp_path: Path
) -> None:
    environment = {**desk, "HUB_ADDRESS": door, "TENANT_FILE": tenant_file}
    shown = [execute(block, environment, tmp_path) for block in blocks("producing.md", "bash")]
    assert len(shown) == 5
    assert "upsert_quote.v1" in shown[-1]
    assert (tmp_path / "token.header").stat().st_mode & 0o077 == 0
    for number, program in enumerate(blocks("producing.md", "python")):
        (tmp_path / f"{number}.py").write_text(program)
        execute(f"python {number}.py", environment, tmp_path)
    found = [from_headers(r.headers) for r in read(QUOTES) if r.key == b"acme/quote/Q-1001"]
    made = json.loads((tmp_path / "event.json").read_text())["id"]
    status = json.loads((tmp_path / "status.json").read_text())["id"]
    assert [one.id for one in found] == [made, made, made, status, "status-1", "Q-1001-6", "Q-1001-7"]
    assert [one.revision for one in found] == [1, 1, 1, 3, 5, 6, 7], "each change after what it changes"


@pytest.mark.feature("beyond.gitops", part="cli")
def test_the_tenants_guides_pipeline_passes_good_files_and_stops_at_a_wrong_name(
    desk: dict[str, str], tenant_file: str, tmp_path: Path
) -> None:
    *_, save, pipeline = blocks("tenants.md", "bash")
    for directory in ("tenants", "events/acme"):
        (tmp_path / directory).mkdir(parents=True)
    file = tmp_path / "tenants" / "acme.yaml"
    text = Path(tenant_file).read_text()
    file.write_text(text)
    execute(save, desk, tmp_path)
    execute("hub event new quote.published.v1 > events/acme/quote.json", desk, tmp_path)
    apart = {name: value for name, value in desk.items() if name not in ("SANDBOX_SECRET", "HUB_STORE_URL")}
    apart["HUB_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    execute(pipeline, apart, tmp_path)
    assert json.loads((tmp_path / "acme.checked.json").read_text())["ok"] is True
    file.write_text(text.replace("Hardware", "Hardwear"))
    execute(f"! ( {pipeline} )", apart, tmp_path)
    answer = json.loads((tmp_path / "acme.checked.json").read_text())
    assert [check["fix"] for check in answer["checks"] if check["verdict"] == "failed"] == [
        "did you mean 'Hardware'?"
    ]


@pytest.mark.feature("beyond.simulate", part="cli")
def test_the_operators_guide_runs_on_a_tenant_in_a_sandbox(
    desk: dict[str, str], tenant_file: str, read: Read, tmp_path: Path
) -> None:
    environment = {**desk, "TENANT_FILE": tenant_file}
    for block in blocks("operating.md", "bash"):
        execute(block, environment, tmp_path)
    told = [from_headers(r.headers) for r in read(CONTROL) if r.key == b"acme"]
    assert [envelope.type for envelope in told] == [
        "connection.tested.v1",
        "connection.tested.v1",
        "connection.tested.v1",
        "sync.requested.v1",
    ], "what arrays do is told apart, so that an older reader still learns the rest"
    assert told[3].causationid in (told[1].id, told[2].id)


def test_the_operators_guide_names_settings_that_there_are() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    named = {name.lower() for name in re.findall(r"`HUB_([A-Z_]+)`", text)}
    assert named
    assert named <= set(Settings.model_fields)
