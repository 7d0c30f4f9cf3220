"""What an operator does to a running hub, and sees of it."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid

import httpx

from cli.dead_letters import Letter
from schemas.commands import Command
from schemas.registry import decode
from schemas.topics import COMMANDS
from tests.faults.conftest import KNOWN
from tests.faults.on_the_log import records
from tests.support.hub import ROOT, Hub, Process, eventually, quote_event


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
    """Edit the tenant file as its owner would, and wait until the mapper maps by the new revision."""
    path = hub.directory / "tenants" / "acme.yaml"
    before = _revisions(hub)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    newest = eventually(lambda: _revisions(hub)[len(before) :], what="the new rules")[-1]
    eventually(lambda: _rules_in_force(hub) >= newest, what="the mapper that maps by them")


def _revisions(hub: Hub) -> list[int]:
    """The sequences that this mapper has published."""
    lines = hub.processes["mapper"].lines()
    return [line["sequence"] for line in lines if line["event"] == "settings.published"]


def _rules_in_force(hub: Hub) -> int:
    """The sequence of the rules by which a quote is mapped that is published now: the mapper reads them from the log
    as everybody does, a while after they are there.
    """
    name = f"by-which-rules-{uuid.uuid4().hex[:8]}"
    hub.publish(quote_event(name, 1, customer=KNOWN))

    def sequence() -> int | None:
        for record in records(hub, COMMANDS):
            headers = dict(record.headers)
            if headers.get("ce_subject") == name.encode():
                command: Command = decode((headers["ce_type"] or b"").decode(), record.value or b"")
                return command.basis.rule_sequence
        return None

    found: int = eventually(sequence, what="a command of the quote")
    return found


def metric(process: Process, sample: str) -> float:
    """One sample of a service's metrics; 0 while it was never told."""
    text = httpx.get(f"http://127.0.0.1:{process.health_port}/metrics", trust_env=False, timeout=60.0).text
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample)), 0.0)
