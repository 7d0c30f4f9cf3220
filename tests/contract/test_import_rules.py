"""The import rules bite: a planted import breaks each contract of pyproject.toml, which holds without it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREE = {
    "schemas/__init__.py": "",
    "halo/__init__.py": "",
    "sandbox/__init__.py": "",
    "cli/__init__.py": "import hub, halo, sandbox, schemas, services.ingest.app",
    "hub/__init__.py": "import schemas",
    "hub/bus/__init__.py": "",
    "hub/bus/consumer.py": "import aiokafka, faststream",
    "services/__init__.py": "",
    "services/ingest/__init__.py": "",
    "services/ingest/app.py": "import faststream, halo, hub.bus.consumer, schemas",
    "services/mapper/__init__.py": "import hub.bus.consumer",
}
# What is planted, and the one contract that it breaks.
PLANTED = {
    "schemas/planted.py": ("import hub", "schemas imports nothing of ours"),
    "halo/planted.py": ("import schemas", "halo imports nothing of ours"),
    "sandbox/planted.py": ("import halo", "sandbox imports nothing of ours"),
    "hub/planted.py": ("import halo", "hub imports schemas only"),
    "services/planted.py": ("import sandbox", "services import hub, halo and schemas only"),
    "services/mapper/planted.py": ("import services.ingest", "no service imports another"),
    "services/mapper/reads_halo.py": ("import halo", "mapper never imports halo"),
    "hub/store.py": (
        "import aiokafka",
        "faststream and aiokafka stay in hub.bus and the services' app modules",
    ),
}


def verdicts(tree: Path, extra: dict[str, str]) -> dict[str, str]:
    for name, text in (TREE | extra).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text + "\n")
    (tree / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-cache",
    ]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    found = dict(re.findall(r"^(\S.*\S) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
    assert found, done.stdout + done.stderr
    return found


def test_a_tree_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    assert set(verdicts(tmp_path, {}).values()) == {"KEPT"}


def test_each_contract_is_broken_by_its_planted_import(tmp_path: Path) -> None:
    found = verdicts(tmp_path, {name: text for name, (text, _) in PLANTED.items()})

    assert set(found) == {contract for _, contract in PLANTED.values()}
    assert set(found.values()) == {"BROKEN"}


@pytest.mark.parametrize("line", ["import faststream._internal", "from faststream._internal.types import X"])
def test_faststreams_private_parts_are_out_of_bounds(line: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--stdin-filename", "hub/bus/planted.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=line + "\n", capture_output=True, text=True, check=False)

    assert "TID251" in done.stdout
