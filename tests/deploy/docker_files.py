"""The Dockerfile as instructions and the compose file as Compose reads it, without Docker."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}")


class Instruction(NamedTuple):
    """One instruction of a Dockerfile; `stage` is the number of its FROM, 0 before the first."""

    stage: int
    word: str
    rest: str


def dockerfile(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    found, stage = [], 0
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage += word == "FROM"
            found.append(Instruction(stage, word, " ".join(rest.split())))
    return found


@cache
def compose() -> dict[str, Any]:
    """docker-compose.yml with every variable at its default."""
    text = (ROOT / "docker-compose.yml").read_text()
    read: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda found: found["default"], text))
    return read


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def jobs() -> set[str]:
    """Services that others wait for until they have done their work and ended."""
    return {
        name
        for service in services().values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }


def hub_commands() -> dict[str, list[str]]:
    """Each service of the hub's own image that runs `hub`, with its arguments."""
    return {
        name: service["command"]
        for name, service in services().items()
        if service["image"].startswith("halo-hub") and "entrypoint" not in service
    }


def variables() -> set[str]:
    """The names of all variables that the compose file takes from outside."""
    return {found["name"] for found in _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}
