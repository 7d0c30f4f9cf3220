"""A guide's blocks, and a shell to run them in as a reader would."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def text_of(guide: str) -> str:
    return (DOCS / guide).read_text()


def blocks(guide: str, language: str) -> list[str]:
    """The fenced blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(guide), re.MULTILINE | re.DOTALL)


def put_hub_on_the_path(directory: Path) -> str:
    """A PATH entry whose `hub` is this tree's, and whose `python` has what the tests have."""
    directory.mkdir()
    for name, command in (("hub", '-c "from cli.main import main; main()"'), ("python", "")):
        script = directory / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {command} "$@"\n')
        script.chmod(0o755)
    return str(directory)


def execute(block: str, environment: Mapping[str, str], directory: Path, *, timeout_s: float = 240) -> str:
    """What the block prints; it must end well."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=dict(environment),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout
