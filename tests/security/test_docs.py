"""The guide on security says what the code does: its commands run, and its numbers and names are those in force."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hub.settings import Settings
from hub.telemetry.server import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from hub.tenants.scopes import QUOTING
from schemas.base import MAX_LINES
from schemas.faults import MAX_DEPTH
from schemas.topics import SOURCE_TOPICS, TOPICS
from services.halo_writer.fetch import Patience
from services.halo_writer.files import FileLimits
from services.ingest.http import MAX_HEADERS

ROOT = Path(__file__).parents[2]
FILES = FileLimits()
GUIDE = (ROOT / "docs" / "security.md").read_text()


def test_the_guides_commands_make_a_token_and_its_hash(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```bash\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "hub"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from cli.main import main; main()" "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=tmp_path,
        env={"PATH": path, "PYTHONPATH": str(ROOT), "HUB_TOKEN": "another"},
        capture_output=True,
        text=True,
        check=True,
    )
    token = (tmp_path / "quoter.token").read_text()
    assert len(token) == 43
    assert (tmp_path / "quoter.token").stat().st_mode & 0o077 == 0
    assert done.stdout.strip() == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize(
    "said",
    [
        f"{MAX_HEAD_BYTES // 1024} KiB, {MAX_HEADERS} headers, {HEAD_TIMEOUT_S:g} s",
        f"{Settings.model_fields['body_timeout_s'].default:g} s to arrive",
        f"depth of data | {MAX_DEPTH} levels",
        f"lines of a quote | {MAX_LINES}",
        ", ".join(f"`{scope}`" for scope in QUOTING),
        f"{FILES.max_bytes >> 20} MiB at most, never more",
        f"whole within {Patience.total_s:g} s, no read longer than {Patience.read_s:g} s",
        f"at most {FILES.at_once} files of a tenant at a time, {FILES.of_one_host} of them from one host;",
        f"from one host; {FILES.memory_bytes >> 20} MiB for all",
    ],
)
def test_its_limits_and_rights_are_those_in_force(said: str) -> None:
    assert said in " ".join(GUIDE.split())


def test_its_table_of_rights_names_every_topic_and_no_other() -> None:
    named = set(re.findall(r"`(hub\.[a-z-]+\.v1)`", GUIDE))
    assert named == {topic.name for topic in TOPICS}
    assert set(SOURCE_TOPICS) <= named


def test_its_settings_exist() -> None:
    named = {name.lower() for name in re.findall(r"`HUB_([A-Z_]+)`", GUIDE)} - {"token"}
    assert named <= set(Settings.model_fields)
    assert named
