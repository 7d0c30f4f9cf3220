"""Dashboards are about metrics that there are, and are what the tool makes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import prometheus
from tests.support.promql import Checked
from tools import dashboards, metrics
from tools.dashboards import DIRECTORY
from tools.panels import DASHBOARDS

LEGEND = re.compile(r"\{\{(\w+)\}\}")
VARIABLE = re.compile(r"\$(\w+)")
FILES = sorted(DIRECTORY.glob("*.json"))


def panels(file: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]


QUERIES = [
    pytest.param(
        target["expr"], target["legendFormat"], id=f"{file.stem}: {panel['title']} {target['refId']}"
    )
    for file in FILES
    for panel in panels(file)
    for target in panel["targets"]
]


def plain(expr: str) -> str:
    """The expression with Grafana's variables filled in."""
    return expr.replace("$__rate_interval", "5m").replace("$tenant", "acme")


@pytest.mark.parametrize(("expr", "legend"), QUERIES)
def test_every_name_and_label_of_a_panel_exists(expr: str, legend: str) -> None:
    checked = Checked(plain(expr), metrics.catalogue())
    assert checked.faults == []
    assert checked.metrics
    assert checked.labels is not None
    assert set(LEGEND.findall(legend)) <= checked.labels


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": plain(str(one.values[0]))} for number, one in enumerate(QUERIES)
    ]
    for number, rule in enumerate(rules):
        rule["record"] = f"panel_{number}"
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = prometheus.run("check", "rules", tmp_path / "panels.yaml")
    assert done.returncode == 0, done.stdout


def test_the_files_are_those_that_the_tool_makes() -> None:
    assert {file.name for file in FILES} == {f"{one.name}.json" for one in DASHBOARDS}
    for one in DASHBOARDS:
        assert (DIRECTORY / f"{one.name}.json").read_text() == dashboards.text_of(one), (
            "python -m tools.dashboards"
        )


def test_the_page_of_metrics_is_the_one_that_the_tool_makes() -> None:
    assert metrics.PAGE.read_text() == metrics.page(), "python -m tools.metrics"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_lie_beside_each_other_and_name_only_variables_that_there_are(file: Path) -> None:
    whole = json.loads(file.read_text())
    known = {variable["name"] for variable in whole["templating"]["list"]} | {"__rate_interval"}
    taken: set[tuple[int, int]] = set()
    for panel in whole["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels(file):
        for target in panel["targets"]:
            assert set(VARIABLE.findall(target["expr"])) <= known
    assert len({panel["id"] for panel in whole["panels"]}) == len(whole["panels"])


def test_every_metric_is_on_some_panel() -> None:
    shown = {
        name for one in QUERIES for name in Checked(plain(str(one.values[0])), metrics.catalogue()).metrics
    }
    named = {metrics.catalogue()[series].name for series in shown - {"ALERTS", "up"}}
    ours = {metric.name for metric in metrics.catalogue().values() if metric.name.startswith("hub_")}
    assert ours - named == set()
