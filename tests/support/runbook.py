"""Runbooks as an operator uses them: their blocks are run, section by section, beside the alert that led there.

The commands of `hub` run in this process, since starting an interpreter for each takes longer than all else; every
other line runs in bash.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import string
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from cli.main import run as run_hub
from tests.support import prometheus
from tests.support.hub import eventually
from tests.support.promql import Checked
from tools.metrics import catalogue

DIRECTORY = Path(__file__).parents[2] / "docs" / "runbooks"
SECTIONS = ("Look", "Fix", "Verify")
_BEFORE_MIN, _AFTER_MIN = 70, 90
"""Longer than any window that an alert looks back."""
_UNIT_MIN = {"s": 1 / 60, "m": 1, "h": 60}

Samples = dict[str, float]
Labels = Mapping[str, str]


class Runbook:
    """One page: its blocks by section, and what they print."""

    def __init__(self, name: str) -> None:
        self.name = name
        text = (DIRECTORY / f"{name}.md").read_text()
        parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)
        self.sections = dict(zip(parts[1::2], parts[2::2], strict=True))
        self.blocks = {
            title: re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
            for title, section in self.sections.items()
        }

    def run(self, section: str, environment: Mapping[str, str], directory: Path) -> str:
        """What the blocks of a section print; fails as a block does."""
        return "".join(_run_block(block, environment, directory) for block in self.blocks[section])


def _run_block(block: str, environment: Mapping[str, str], directory: Path) -> str:
    printed = ""
    for line in block.replace("\\\n", " ").splitlines():
        negated, command = line.startswith("! "), line.removeprefix("! ").strip()
        if command.startswith("hub "):
            filled = string.Template(command).substitute(environment)
            code, said = _hub(shlex.split(filled)[1:], environment)
        else:
            code, said = _bash(command, environment, directory)
        assert (code != 0) == negated, f"{line}: ended with {code}\n{said}"
        printed += said
    return printed


def _hub(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    said = io.StringIO()
    before = dict(os.environ)
    try:
        os.environ.update(environment)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = run_hub(arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return code, said.getvalue()


def _bash(command: str, environment: Mapping[str, str], directory: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


class Alert(NamedTuple):
    """The alert of a runbook, one of its rules; `labels` say for whom it fires."""

    name: str
    wait_min: float
    metrics: frozenset[str]
    labels: Labels

    @classmethod
    def of(cls, runbook: str, labels: Labels) -> Alert:
        url = f"docs/runbooks/{runbook}.md"
        found = [rule for rule in prometheus.rules() if rule["annotations"]["runbook_url"] == url]
        metrics = {metric for rule in found for metric in Checked(rule["expr"], catalogue()).metrics}
        wait = str(found[0].get("for", "0s"))
        return cls(
            found[0]["alert"],
            float(wait[:-1]) * _UNIT_MIN[wait[-1]],
            frozenset(metrics | {"hub_start_time_seconds"}),
            labels,
        )

    def fires(self, before: Samples, during: Sequence[Samples]) -> bool:
        """Whether it fires when what was scraped goes on for as long as it waits, and did not before."""
        return self._judged(before, during, None) == ""

    def is_over(self, before: Samples, during: Sequence[Samples], after: Samples) -> str:
        """What is against it that it fired, and is over some time after what was scraped last; "" when nothing is."""
        return self._judged(before, during, after)

    def _judged(self, before: Samples, during: Sequence[Samples], after: Samples | None) -> str:
        # As many minutes of each scrape, the last for as long as the alert waits and a little more.
        last_min = int(self.wait_min) + 6
        phases = [(before, _BEFORE_MIN), *((one, 1) for one in during[:-1]), (during[-1], last_min)]
        if after is not None:
            phases.append((after, _AFTER_MIN))
        fires_at = _BEFORE_MIN + len(during) - 1 + self.wait_min + 4
        expected = [self._expected(_BEFORE_MIN - 1, fires=False), self._expected(fires_at, fires=True)]
        if after is not None:
            expected.append(self._expected(sum(minutes for _, minutes in phases) - 1, fires=False))
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            series = _timeline(phases, self.metrics, len(during))
            document = prometheus.document(series, expected, prometheus.only(directory, self.name))
            return prometheus.verdicts(directory, {"alert": document})["alert"]

    def _expected(self, at_min: float, *, fires: bool) -> dict[str, object]:
        labels = {"alertname": self.name, "alertstate": "firing", **self.labels}
        expr = f"count({prometheus.series('ALERTS', labels)}) > bool 0"
        samples = [{"labels": "{}", "value": 1}] if fires else []
        return {"expr": expr, "eval_time": f"{round(at_min * 60)}s", "exp_samples": samples}


def _timeline(phases: Sequence[tuple[Samples, int]], metrics: frozenset[str], during: int) -> dict[str, str]:
    """Each series by the minute. What was counted while something was wrong goes on being counted as long as it is."""
    names = {name for samples, _ in phases for name in samples if name.partition("{")[0] in metrics}
    found = {}
    for name in sorted(names):
        values: list[str] = []
        last: float | None = None
        for place, (samples, minutes) in enumerate(phases):
            value = samples.get(name)
            grows = name.partition("{")[0].endswith("_total") and 0 < place <= during
            if value is None:
                values += ["stale" if last is not None else "_", *["_"] * (minutes - 1)]
            elif grows:
                step = value - (last or 0.0)
                values += [repr(value + step * minute) for minute in range(minutes)]
                value += step * (minutes - 1)
            else:
                value = max(value, last or 0.0) if name.partition("{")[0].endswith("_total") else value
                values += [repr(value)] * minutes
            last = value
        found[name] = " ".join(values)
    return found


def samples_of(text: str, instance: str, metrics: Collection[str]) -> Samples:
    """What a process exposes of these metrics, as Prometheus stores it."""
    # Most of a page is histograms, and parsing it all takes longer than all else.
    wanted = [line for line in text.splitlines() if re.split(r"[{ ]", line, maxsplit=1)[0] in metrics]
    return {
        prometheus.series(sample.name, {**sample.labels, "instance": instance, "job": "hub"}): sample.value
        for family in text_string_to_metric_families("\n".join(wanted) + "\n")
        for sample in family.samples
    }


class Case:
    """A runbook in use. `scrape` gives what all processes expose now."""

    def __init__(
        self,
        name: str,
        scrape: Callable[[Collection[str]], Samples],
        environment: Mapping[str, str],
        directory: Path,
        **labels: str,
    ) -> None:
        self.book = Runbook(name)
        self._alert = Alert.of(name, labels)
        self._source = scrape
        self.environment = dict(environment)
        self._directory = directory
        self._before = self._scrape()
        self._during: list[Samples] = []
        self._judged = False

    def _scrape(self) -> Samples:
        return self._source(self._alert.metrics)

    def fires(self, patience_s: float = 120.0) -> None:
        """Return once what is scraped would make the alert fire."""

        def fired() -> bool:
            last, self._during = self._during, [self._scrape()]
            return self._during not in (last, [self._before]) and self._alert.fires(
                self._before, self._during
            )

        eventually(fired, patience_s, every_s=0.3, what=f"{self._alert.name} to fire")

    def fires_after(self, scrapes: Sequence[Samples]) -> None:
        """As `fires`, when it is known what was scraped, a minute each."""
        self._during = list(scrapes)
        assert self._alert.fires(self._before, self._during), self._alert.name

    def hub(self, *arguments: str) -> str:
        """What a command prints that the page tells to fill in, and so is in no block."""
        code, said = _hub(arguments, self.environment)
        assert code == 0, said
        return said

    def run(self, section: str) -> str:
        """What the section's blocks print."""
        return self.book.run(section, self.environment, self._directory)

    def verify(self, patience_s: float = 120.0) -> str:
        """What the last section prints, once its blocks go through and the alert is over."""
        problem, last = "nothing was scraped", self._during[-1]

        def over() -> bool:
            nonlocal problem, last
            before, last = last, self._scrape()
            if last != before or not self._judged:
                self._judged = True
                problem = self._alert.is_over(self._before, self._during, last)
            return problem == ""

        try:
            eventually(over, patience_s, every_s=0.3, what=f"the end of {self._alert.name}")
        except AssertionError as error:
            raise AssertionError(problem) from error
        return self.in_the_end("Verify", lambda _: True, patience_s)

    def in_the_end(self, section: str, holds: Callable[[str], bool], patience_s: float = 120.0) -> str:
        """What the section prints, once its blocks go through and what they print holds."""
        deadline = time.monotonic() + patience_s
        while True:
            problem: AssertionError | None = None
            try:
                said = self.run(section)
                if holds(said):
                    return said
            except AssertionError as error:
                problem = error
            if time.monotonic() > deadline:
                raise problem or AssertionError(f"{section} never printed what it should")
            time.sleep(0.3)


@contextlib.contextmanager
def used(case: Case, patience_s: float = 120.0) -> Iterator[Case]:
    """The alert fires, what the page says to look at is looked at; the body mends it; then it is over."""
    case.fires(patience_s)
    case.run("Look")
    yield case
    case.verify(patience_s)
