"""Prints where each row of docs/features.md stands, and which tests name which fault and which invariant.

python -m tools.features [--all] [--json]    the tables of the last whole run of the tests
python -m tools.features --fresh             exit 0 when that run saw the code as it is now, else 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tools import catalogue

ROOT = Path(__file__).resolve().parent.parent
COLOUR = {"passing": "green", "partial": "yellow", "failing": "red", "none": "dim"}


def main() -> int:
    options = _options()
    path = ROOT / catalogue.REPORT_FILE
    if options.fresh:
        return 0 if _is_fresh(path) else 1
    if not path.exists():
        print("no report yet: run make test", file=sys.stderr)
        return 1
    report = json.loads(path.read_text())
    features = catalogue.read_features(ROOT)
    table = catalogue.verdicts(features, report)
    if options.json:
        print(json.dumps({id_: verdict.word for id_, verdict in table.items()}, indent=1))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 140)
    _print_features(console, features, table, every_row=options.all)
    _print_cited(console, "fault", catalogue.read_faults(ROOT), report, every_row=options.all)
    _print_cited(console, "invariant", catalogue.read_invariants(ROOT), report, every_row=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make features", description="Where each feature stands.")
    parser.add_argument("--fresh", action="store_true", help="only tell whether the last report still holds")
    parser.add_argument("--all", action="store_true", help="also list what no test names yet")
    parser.add_argument("--json", action="store_true", help="print id and result as JSON")
    return parser.parse_args()


def _is_fresh(report: Path) -> bool:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    newest = max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
    return report.exists() and report.stat().st_mtime > newest


def _print_features(
    console: Console,
    features: dict[str, catalogue.Feature],
    table: dict[str, catalogue.Verdict],
    *,
    every_row: bool,
) -> None:
    grid = Table(title="Features", title_justify="left")
    for heading in ("row", "parts needed", "parts passing", "result"):
        grid.add_column(heading, overflow="fold")
    for id_, verdict in table.items():
        if every_row or verdict.word != "none":
            result = f"[{COLOUR[verdict.word]}]{verdict.word}[/]"
            grid.add_row(id_, ", ".join(features[id_].parts), ", ".join(verdict.passing), result)
    console.print(grid)
    counts = catalogue.count(table)
    console.print(f"{len(table)} rows: " + ", ".join(f"{number} {word}" for word, number in counts.items()))
    if not every_row:
        console.print("Rows that no test names are left out; `python -m tools.features --all` lists them.\n")


def _print_cited(
    console: Console, kind: str, known: dict[str, str], report: dict[str, Any], *, every_row: bool
) -> None:
    cited: dict[str, list[str]] = {}
    for entry in report["tests"]:
        for mark in entry["proves"]:
            if mark[0] == kind:
                cited.setdefault(mark[1], []).append(f"{entry['result']:<7} {entry['test']}")
    grid = Table(title=f"{kind.title()}s", title_justify="left")
    grid.add_column("id")
    grid.add_column("what", overflow="fold", max_width=44)
    grid.add_column("tests", overflow="fold")
    for id_ in [*known, *(extra for extra in cited if extra not in known)]:
        if every_row or id_ in cited:
            grid.add_row(id_, known.get(id_, ""), "\n".join(cited.get(id_, ["none"])))
    console.print(grid)


if __name__ == "__main__":
    sys.exit(main())
