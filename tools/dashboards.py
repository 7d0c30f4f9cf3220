"""The Grafana dashboards in deploy/observability/dashboards, made from tools/panels.py.

python -m tools.dashboards            write them
python -m tools.dashboards --check    only tell whether they are up to date
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools.panels import COLUMNS, DASHBOARDS, Dashboard, Panel

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "deploy" / "observability" / "dashboards"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def rendered(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(_heading(row.title, len(panels) + 1, top))
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + height
            height = 4 if panel.kind == "stat" else 8
            place = {"h": height, "w": panel.width, "x": left, "y": top}
            panels.append(_panel(panel, len(panels) + 1, place))
            left += panel.width
        top += height
    return {
        "uid": f"halo-hub-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["halo-hub"],
        "editable": True,
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [{"type": "dashboards", "title": "halo-hub", "tags": ["halo-hub"], "asDropdown": True}],
        "templating": {"list": [_source(), *(_variable(name, query) for name, query in dashboard.variables)]},
        "panels": panels,
    }


def text_of(dashboard: Dashboard) -> str:
    return json.dumps(rendered(dashboard), indent=1, ensure_ascii=False) + "\n"


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.kind == "timeseries":
        defaults |= {"min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}}
    if panel.red_from is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.red_from}]
        defaults |= {"decimals": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    targets = [
        {"refId": chr(ord("A") + place_), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
        for place_, (expr, legend) in enumerate(panel.queries)
    ]
    shown = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }
    if panel.kind == "stat":
        shown["options"] = {
            "colorMode": "background",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"]},
        }
    return shown


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.title(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "variable"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards", description="Write the dashboards.")
    parser.add_argument("--check", action="store_true", help="only tell whether they are up to date")
    check = parser.parse_args().check
    late = []
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        path, text = DIRECTORY / f"{dashboard.name}.json", text_of(dashboard)
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            late.append(path.name)
    if late:
        print(f"not up to date: {', '.join(late)}; run python -m tools.dashboards", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
