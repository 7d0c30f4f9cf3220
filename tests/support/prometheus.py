"""Prometheus' own tool for rules: whether they are valid, and which of them fire on given series.

PromtoolUnavailable    promtool is not there; says what installs it
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_REPOSITORY = Path(__file__).resolve().parents[2]
RULES = _REPOSITORY / "deploy" / "observability" / "rules" / "halo-hub.yaml"


class PromtoolUnavailable(RuntimeError):
    """promtool cannot be had here; the message holds the command that installs it."""


@cache
def promtool() -> str:
    """Where it is: what `HUB_PROMTOOL` names, on the path, or where tools/bootstrap.sh has put it."""
    cache_ = Path(os.environ.get("HUB_PROMETHEUS_CACHE", _REPOSITORY / ".cache" / "prometheus"))
    found = os.environ.get("HUB_PROMTOOL") or shutil.which("promtool") or shutil.which(cache_ / "promtool")
    if found is None:
        raise PromtoolUnavailable("promtool is needed: tools/bootstrap.sh system .venv/bin/python fetches it")
    return found


@cache
def rules() -> list[dict[str, Any]]:
    """Every alerting rule, as in the file."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [promtool(), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def firing(alert: str, at_min: float, *fires: Mapping[str, str]) -> dict[str, Any]:
    """What is expected of an alert at a time: these label sets fire, none when none is given."""
    samples = []
    for labels in fires:
        whole = {"alertname": alert, "alertstate": "firing", **labels}
        samples.append({"labels": series("ALERTS", whole), "value": 1})
    expr = series("ALERTS", {"alertname": alert, "alertstate": "firing"})
    return {"expr": expr, "eval_time": f"{round(at_min * 60)}s", "exp_samples": samples}


def series(name: str, labels: Mapping[str, str]) -> str:
    """A series as PromQL writes it."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    inside = ", ".join(f"{label}={quoted(value)}" for label, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name


def only(directory: Path, alert: str) -> Path:
    """A rules file with the rules of one alert: to try all of them takes longer."""
    path = directory / "rules.yaml"
    if not path.exists():
        found = [rule for rule in rules() if rule["alert"] == alert]
        path.write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": found}]}))
    return path


def document(
    input_series: Mapping[str, str], expected: Sequence[Mapping[str, Any]], of: Path = RULES
) -> dict[str, Any]:
    """A test for `promtool test rules`: values of each series by the minute, and what `firing` expects."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in input_series.items()],
        "promql_expr_test": list(expected),
    }
    return {"rule_files": [str(of)], "evaluation_interval": "1m", "tests": [test]}


def verdicts(directory: Path, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What promtool has against each of these tests, by name; "" when it is right."""
    for name, content in documents.items():
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    done = run("test", "rules", *(directory / f"{name}.yaml" for name in documents))
    sections = done.stdout.split("Unit Testing:  ")[1:]
    told = {Path(section.split("\n", 1)[0].strip()).stem: section for section in sections}
    assert told.keys() == documents.keys(), done.stdout
    return {name: "" if "SUCCESS" in section else section for name, section in told.items()}
