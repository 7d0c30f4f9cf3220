"""A recorded history: a folder with the tenant file and the events in, and what came of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("histories")
WIDTH = 120


@dataclass(frozen=True)
class History:
    """`tenant.yaml` and `events.json` are written by people; `commands.json` and `requests.json` are recorded."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def tenant_file(self) -> Path:
        return self.folder / "tenant.yaml"

    @property
    def events_file(self) -> Path:
        return self.folder / "events.json"

    def recorded(self, what: str) -> str:
        path = self.folder / f"{what}.json"
        return path.read_text() if path.exists() else ""

    def record(self, what: str, text: str) -> None:
        (self.folder / f"{what}.json").write_text(text)


def histories() -> list[History]:
    return [History(path) for path in sorted(FOLDER.iterdir()) if (path / "events.json").exists()]


def tidy(value: Any) -> str:
    """JSON that a comparison of two versions can be read in: what fits on a line stands on one."""
    return _tidy(value, "") + "\n"


def _tidy(value: Any, indent: str, before: int = 0) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or len(indent) + before + len(flat) <= WIDTH:
        return flat
    deeper = indent + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(deeper + _tidy(one, deeper) for one in value) + f"\n{indent}]"
    names = {name: f"{json.dumps(name)}: " for name in value}
    inner = (
        f"{deeper}{names[name]}{_tidy(one, deeper, len(names[name]) + 1)}" for name, one in value.items()
    )
    return "{\n" + ",\n".join(inner) + f"\n{indent}" + "}"
