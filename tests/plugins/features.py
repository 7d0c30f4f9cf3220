"""Collects which tests prove which rows of docs/features.md.

A mark that names an unknown row, part, fault or invariant stops the run before the first test: a misspelt
mark would otherwise prove nothing, silently. After a run of the whole suite the results are saved for
`make features`; a run of a part of it leaves the last report alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import catalogue

_PROVES = "proves"
REPORT = pytest.StashKey["Report"]()


class Report:
    """What each marked test came to, by what it proves."""

    def __init__(self, root: Path) -> None:
        self.features = catalogue.read_features(root)
        self.faults = catalogue.read_faults(root)
        self.invariants = catalogue.read_invariants(root)
        self.marks: dict[str, list[catalogue.Mark]] = {}
        self.results: dict[str, str] = {}

    def collect(self, item: pytest.Item) -> Iterator[str]:
        """Notes what the test proves; yields a line for each mark that names something unknown."""
        marks = []
        for kind in ("feature", "fault", "invariant"):
            for mark in item.iter_markers(kind):
                try:
                    marks.append(self._check(kind, mark))
                except ValueError as fault:
                    yield f"{item.nodeid}: {fault}"
        if marks:
            # They travel with the results: where several processes run the tests, another one counts them.
            item.user_properties.append((_PROVES, [list(mark) for mark in marks]))

    def _check(self, kind: str, mark: pytest.Mark) -> catalogue.Mark:
        id_ = mark.args[0] if len(mark.args) == 1 else None
        if not isinstance(id_, str):
            raise ValueError(f"@pytest.mark.{kind} takes one id")
        if kind == "feature":
            part = mark.kwargs.get("part")
            if id_ not in self.features:
                raise ValueError(f"docs/features.md has no row {id_!r}")
            if part not in self.features[id_].parts:
                known = ", ".join(self.features[id_].parts)
                raise ValueError(f"row {id_} has no part {part!r}; it has: {known}")
            return catalogue.Mark(kind, id_, str(part))
        known_ids = self.faults if kind == "fault" else self.invariants
        if known_ids and id_ not in known_ids:
            raise ValueError(f"there is no {kind} {id_!r}")
        return catalogue.Mark(kind, id_, "")

    def note(self, report: pytest.TestReport) -> None:
        """Keeps what the test proves and the worst of its phases: a failed teardown is a failed test."""
        for name, marks in report.user_properties:
            if name == _PROVES and isinstance(marks, list):
                self.marks[report.nodeid] = [catalogue.Mark(*mark) for mark in marks]
        if report.failed:
            self.results[report.nodeid] = "failed"
        elif report.when == "call" or report.skipped:
            self.results.setdefault(report.nodeid, report.outcome)

    def as_json(self) -> dict[str, Any]:
        """The saved form: one entry for each marked test that ran."""
        return {
            "tests": [
                {
                    "test": test,
                    "result": self.results.get(test, "none"),
                    "proves": [list(mark) for mark in marks],
                }
                for test, marks in sorted(self.marks.items())
            ]
        }


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report(config.rootpath)
    config.pluginmanager.register(_Listener(config.stash[REPORT]), "features-listener")


class _Listener:
    def __init__(self, report: Report) -> None:
        self._report = report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._report.note(report)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    faults = [fault for item in items for fault in config.stash[REPORT].collect(item)]
    if faults:
        raise pytest.UsageError("marks that prove nothing:\n  " + "\n  ".join(faults))


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    report = config.stash[REPORT]
    # A worker knows its own tests alone; the process that hands them out tells of all.
    if hasattr(config, "workerinput") or not _whole_suite(config):
        return
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    (config.rootpath / catalogue.REPORT_FILE).write_text(json.dumps(report.as_json(), indent=1))
    table = catalogue.verdicts(report.features, report.as_json())
    counts = catalogue.count(table)
    terminalreporter.write_line(
        "features: " + ", ".join(f"{number} {word}" for word, number in counts.items())
    )


def _whole_suite(config: pytest.Config) -> bool:
    option = config.option
    narrowed = option.keyword or option.markexpr or option.deselect or option.maxfail or option.collectonly
    narrowed = narrowed or getattr(option, "lf", False) or getattr(option, "stepwise", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed
