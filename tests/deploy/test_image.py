"""The image is built from what is named and pinned, runs as nobody in particular, and is the same in every build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hub.settings import Settings
from tests.deploy.docker_files import ROOT, Instruction, dockerfile

COMPILE = ROOT / "deploy" / "docker" / "compile.py"


@pytest.fixture(scope="module")
def instructions() -> list[Instruction]:
    return dockerfile()


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def last_stage(instructions: list[Instruction]) -> list[Instruction]:
    return [one for one in instructions if one.stage == instructions[-1].stage]


def rests(instructions: list[Instruction], word: str) -> list[str]:
    return [one.rest for one in instructions if one.word == word]


def test_it_runs_as_a_numbered_user_that_is_not_root(instructions: list[Instruction]) -> None:
    (user,) = rests(last_stage(instructions), "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)


def test_it_runs_any_command_of_hub(instructions: list[Instruction], project: dict[str, Any]) -> None:
    (entry,) = rests(last_stage(instructions), "ENTRYPOINT")
    assert entry == '["hub"]'
    assert "hub" in project["project"]["scripts"]


def test_the_base_is_one_release_and_can_be_chosen(instructions: list[Instruction]) -> None:
    (base,) = [one.rest for one in instructions if one.word == "ARG" and one.stage == 0]
    assert re.fullmatch(r"BASE=python:3\.11\.\d+-slim-\w+", base)
    assert {rest.split()[0] for rest in rests(instructions, "FROM")} == {"${BASE}", "scratch"}


def test_nothing_is_installed_but_by_hash_from_the_locks(instructions: list[Instruction]) -> None:
    steps = [step.strip() for rest in rests(instructions, "RUN") for step in rest.split("&&")]
    installs = [step for step in steps if re.search(r"-m pip |\b(apt-get|apk|curl|wget) ", step)]
    from_locks = [step for step in installs if "--require-hashes --only-binary :all:" in step]
    assert len(from_locks) == 2
    for step in from_locks:
        assert re.findall(r"-r (\S+)", step)
        assert all((ROOT / lock).is_file() for lock in re.findall(r"-r (\S+)", step))
    # What is left builds and installs the hub itself, and asks no index.
    rest = [step for step in installs if step not in from_locks]
    assert len(rest) == 2
    assert all("--no-deps" in step and re.search("--no-index|--no-build-isolation", step) for step in rest)


def test_only_what_is_needed_gets_into_a_build(
    instructions: list[Instruction], project: dict[str, Any]
) -> None:
    assert rests(instructions, "ADD") == []
    copies = [rest.split() for rest in rests(instructions, "COPY")]
    from_here = {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    locks = {f"requirements/{name}.txt" for name in ("build", "image", "runtime")}
    assert from_here == {*packages, *locks, "pyproject.toml", "README.md", "deploy/docker/compile.py"}
    assert all((ROOT / source).exists() for source in from_here)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    assert {line[1:].rstrip("/") for line in ignore if line.startswith("!")} == from_here


def test_the_last_stage_takes_nothing_but_the_finished_tree(instructions: list[Instruction]) -> None:
    stage = last_stage(instructions)
    assert rests(stage, "COPY") == ["--from=build /image /"]
    assert rests(stage, "RUN") == []


def test_no_secret_stays(instructions: list[Instruction]) -> None:
    for one in instructions:
        if one.word in ("ARG", "ENV", "LABEL"):
            assert not re.search(r"pass|secret|token", one.rest, re.IGNORECASE), one
    mounts = [rest for rest in rests(instructions, "RUN") if "--mount" in rest]
    assert all("type=secret" in mount for rest in mounts for mount in re.findall(r"--mount=(\S+)", rest))


def test_its_settings_are_the_hubs_and_its_version_is_the_projects(
    instructions: list[Instruction], project: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = dict(re.findall(r"(\w+)=(\S+)", " ".join(rests(last_stage(instructions), "ENV"))))
    for name, value in variables.items():
        if name.startswith("HUB_"):
            assert name.removeprefix("HUB_").lower() in Settings.model_fields
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.http_host, settings.health_host) == ("0.0.0.0", "0.0.0.0")
    ports = {str(settings.http_port), str(settings.health_port)}
    assert set(rests(last_stage(instructions), "EXPOSE")[0].split()) == ports
    assert f"VERSION={project['project']['version']}" in rests(last_stage(instructions), "ARG")


def test_it_lists_its_own_parts(instructions: list[Instruction]) -> None:
    steps = " ".join(rests(instructions, "RUN"))
    assert "cyclonedx-py environment" in steps
    assert "--output-reproducible --of JSON -o /opt/hub/sbom.cdx.json /opt/hub/bin/python" in steps
    assert "--from=build /image/opt/hub/sbom.cdx.json /" in rests(instructions, "COPY")


# The byte code ----------------------------------------------------------------------------------------------------


def compiled(directory: Path, seed: str) -> dict[str, bytes]:
    """The byte code of a package by file, made in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    subprocess.run([sys.executable, COMPILE, directory], check=True, capture_output=True, env=environment)
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*.pyc"))}


def test_the_same_sources_make_the_same_byte_code(tmp_path: Path) -> None:
    for name in ("settings.py", "runtime.py"):
        (tmp_path / name).write_bytes((ROOT / "hub" / name).read_bytes())
    (tmp_path / "sets.py").write_text("def f(x):\n    return x in {'a', 'b', None, 1.5, (1, 'c')}\n")
    first = compiled(tmp_path, "1")
    assert len(first) == 3
    for path in tmp_path.glob("*.py"):
        os.utime(path, (1, 1))
    assert compiled(tmp_path, "2") == first


def test_the_byte_code_is_what_runs(tmp_path: Path) -> None:
    """Else each process would compile hundreds of modules anew, since it can't write what it made."""
    (tmp_path / "broken.py").write_text("def :\n")
    (tmp_path / "told.py").write_text("WHAT = 'compiled'\n")
    compiled(tmp_path, "0")
    (tmp_path / "told.py").write_text("WHAT = 'source'\n")
    command = [sys.executable, "-c", "import told; print(told.WHAT)"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "compiled"
