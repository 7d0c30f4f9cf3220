"""What an operator does to a running hub, and sees of it."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx

from cli.dead_letters import Letter
from tests.support.hub import ROOT, Hub, Process, eventually


def redrive(hub: Hub, letter: Letter) -> None:
    """What an operator types once the cause is mended."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "dlq", "redrive", letter.id, "--json"],
        env={"PATH": "", **hub.environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"] == 1


def change_rules(hub: Hub, old: str, new: str) -> None:
    """Edit the tenant file as its owner would, and wait until the new revision is published."""
    path = hub.directory / "tenants" / "acme.yaml"
    before = _revisions(hub)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    eventually(lambda: _revisions(hub) > before, what="the new rules")


def _revisions(hub: Hub) -> int:
    return sum(line["event"] == "settings.published" for line in hub.processes["mapper"].lines())


def metric(process: Process, sample: str) -> float:
    """One sample of a service's metrics; 0 while it was never told."""
    text = httpx.get(f"http://127.0.0.1:{process.health_port}/metrics", trust_env=False).text
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample)), 0.0)
