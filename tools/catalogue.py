"""Reads what tests may prove: the rows and faults of docs/features.md, the invariants of ARCHITECTURE.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

REPORT_FILE = ".features.json"

_FEATURE = re.compile(r"^\| (?P<id>[a-z0-9_]+(?:\.[a-z0-9_]+)+) \| (?P<parts>[^|]+) \| (?P<line>[^|]+) \|$")
_FAULT = re.compile(r"^\| (?P<id>F\d+) \| (?P<line>[^|]+) \|$")
_INVARIANT = re.compile(r"^[#\-*\s]*\*\*(?P<id>INV-\d+)\*\*[\s:.]*(?P<line>.*)$")


class Feature(NamedTuple):
    """One row: its parts in the order of the table, and what it is."""

    parts: tuple[str, ...]
    line: str


class Mark(NamedTuple):
    """What one mark on a test claims; `part` is empty but for features."""

    kind: str
    id: str
    part: str


class Verdict(NamedTuple):
    """Where a row stands: `passing`, `partial`, `failing` or `none`, and the parts that pass."""

    word: str
    passing: tuple[str, ...]


def read_features(root: Path) -> dict[str, Feature]:
    """The rows by id, in order. Raises ValueError when an id stands twice."""
    found: dict[str, Feature] = {}
    for match in _matches(_FEATURE, root / "docs" / "features.md"):
        if match["id"] in found:
            raise ValueError(f"docs/features.md has {match['id']} twice")
        parts = tuple(part.strip() for part in match["parts"].split(","))
        found[match["id"]] = Feature(parts, match["line"])
    return found


def read_faults(root: Path) -> dict[str, str]:
    """The faults by id, in order."""
    return {match["id"]: match["line"] for match in _matches(_FAULT, root / "docs" / "features.md")}


def read_invariants(root: Path) -> dict[str, str]:
    """The invariants by id, in order; none when ARCHITECTURE.md is absent."""
    return {match["id"]: match["line"] for match in _matches(_INVARIANT, root / "ARCHITECTURE.md")}


def _matches(pattern: re.Pattern[str], path: Path) -> list[re.Match[str]]:
    if not path.exists():
        return []
    return [match for line in path.read_text().splitlines() if (match := pattern.match(line))]


def verdicts(features: Mapping[str, Feature], report: Mapping[str, Any]) -> dict[str, Verdict]:
    """Where every row stands by a saved report: one failing test outweighs any number of passing ones."""
    results: dict[tuple[str, str], set[str]] = {}
    for entry in report["tests"]:
        for kind, id_, part in entry["proves"]:
            if kind == "feature":
                results.setdefault((id_, part), set()).add(entry["result"])
    return {id_: _verdict(id_, feature, results) for id_, feature in features.items()}


def _verdict(id_: str, feature: Feature, results: Mapping[tuple[str, str], set[str]]) -> Verdict:
    by_part = {part: results.get((id_, part), set()) for part in feature.parts}
    passing = tuple(part for part, seen in by_part.items() if "passed" in seen and "failed" not in seen)
    if any("failed" in seen for seen in by_part.values()):
        return Verdict("failing", passing)
    if len(passing) == len(feature.parts):
        return Verdict("passing", passing)
    return Verdict("partial" if passing else "none", passing)


def count(table: Mapping[str, Verdict]) -> dict[str, int]:
    """How many rows stand where."""
    counts = Counter(verdict.word for verdict in table.values())
    return {word: counts[word] for word in ("passing", "partial", "failing", "none")}
