"""The repository's habits: nothing ties it to a machine, nothing is undocumented or out of step."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import audit, catalogue

ROOT = Path(__file__).resolve().parents[2]
MAX_PYTHON_LINES = 400
# Path to reason: what is long because splitting it would hide something.
LONG_FILES: dict[str, str] = {}
TARGETS = {"help", "demo", "test", "lint", "fmt", "features", "bench", "soak"}
RECORDING_LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/wheels)/")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|repo1?\.maven\.|registry\.npmjs|-{2}(?:extra-)?index-url|-{2}find-links|-{2}trusted-host"
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s#]+)(?:#[^)]*)?\)")


@cache
def files() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


@cache
def texts() -> dict[str, str]:
    found = {}
    for path in files():
        try:
            found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def hits(pattern: re.Pattern[str]) -> Iterator[str]:
    for name, text in texts().items():
        if name != str(Path(__file__).relative_to(ROOT)):
            yield from (f"{name}: {found[0]}" for found in pattern.finditer(text))


def test_no_file_names_a_path_of_one_machine() -> None:
    assert list(hits(MACHINE_PATH)) == []


def test_no_file_names_a_package_registry() -> None:
    assert list(hits(REGISTRY)) == []


@pytest.mark.parametrize(
    "line",
    # In pieces: this file, too, may name neither.
    ["see /" + "work/hub", "cd /" + "home/me/hub", "--" + "index-url=x", "https://" + "pypi" + ".org/x"],
)
def test_the_two_checks_above_bite(line: str) -> None:
    assert MACHINE_PATH.search(line + "/") or REGISTRY.search(line)


def test_no_lock_records_where_a_package_came_from() -> None:
    assert [path for path in files() if path.name in RECORDING_LOCKS] == []


@pytest.mark.parametrize("lock", audit.LOCKS)
def test_locks_pin_every_package_by_hash(lock: str) -> None:
    assert audit.pin_faults(lock, (ROOT / "requirements" / lock).read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "ruff==1.0",
        "ruff>=1.0 --hash=sha256:0",
        "-" + "-index-url x",
        "-e .",
        "ruff @ file.whl --hash=sha256:0",
    ],
)
def test_the_lock_check_bites(line: str) -> None:
    assert audit.pin_faults("lock", f"{line}\n") != []


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text()
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_locks_are_in_step_with_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = {
        "runtime.txt": project["project"]["dependencies"],
        "dev.txt": project["project"]["dependencies"] + groups["dev"],
        "build.txt": groups["build"],
        "image.txt": groups["image"],
    }
    for lock, requirements in wanted.items():
        pinned = pins(lock)
        for requirement in map(Requirement, requirements):
            version = pinned.get(canonicalize_name(requirement.name), "missing")
            assert version != "missing", f"{lock} lacks {requirement}: make lock"
            assert requirement.specifier.contains(version), (
                f"{lock} has {version} for {requirement}: make lock"
            )


def test_the_demo_and_the_tests_run_on_the_same_versions() -> None:
    assert pins("runtime.txt").items() <= pins("dev.txt").items()


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()

    assert "make demo" in readme
    assert "make test" in readme


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for name, text in texts().items():
        if name.endswith(".md"):
            for link in LINK.finditer(text):
                to = link["to"]
                if not re.match(r"[a-z]+:", to) and not ((ROOT / name).parent / to).exists():
                    broken.append(f"{name}: {to}")
    assert broken == []


def test_every_path_in_the_readme_exists() -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:md|toml|yml))`", (ROOT / "README.md").read_text())

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_make_target_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    helped = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))

    assert helped == set(phony.split())
    assert helped >= TARGETS


def test_python_files_stay_small() -> None:
    long = {
        name for name, text in texts().items() if name.endswith(".py") and text.count("\n") > MAX_PYTHON_LINES
    }

    assert long == set(LONG_FILES)


def test_ci_runs_lint_and_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    commands = script.read_text().splitlines()

    assert script.stat().st_mode & 0o100
    assert commands.index("make lint") < commands.index("make test")


def test_every_decision_record_says_when_to_revisit_it() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    numbers = [record.name[:4] for record in records]

    assert len(set(numbers)) == len(records) > 1
    for record in records:
        headings = re.findall(r"^## (.*)$", record.read_text(), re.MULTILINE)
        assert headings[-1] == "Revisit when", record.name


def cited_invariants(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="invariant"), args=[ast.Constant(value=str(id_))]):
                yield id_


def test_every_invariant_is_cited_by_a_test_and_no_other_is() -> None:
    cited: set[str] = set()
    for name, text in texts().items():
        if name.startswith("tests/") and name.endswith(".py"):
            cited |= set(cited_invariants(text))
    known = set(catalogue.read_invariants(ROOT))

    assert known
    assert cited == known
