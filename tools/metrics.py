"""All metrics of the hub as a list, and docs/metrics.md that is made from it.

python -m tools.metrics            write docs/metrics.md
python -m tools.metrics --check    only tell whether it is up to date
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from hub.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "metrics.md"
_HEAD = """# Metrics

Each process tells its own at `/metrics` on its health port (`HUB_HEALTH_PORT`), in Prometheus' text format.
`hub/telemetry/metrics.py` defines them, and this page is made from it. Alerts on them are in
`deploy/observability/rules/halo-hub.yaml`, each with a [runbook](runbooks/README.md); dashboards are in
`deploy/observability/dashboards/`.

* Counters begin with their first event: a series that is absent is a zero.
* A tenant's gauges are told by the writer that has its partition, and by no other.
* `tenant` is `unknown` where there is no such tenant. Histograms carry no tenant.

"""
_TAIL = """
The standard `process_*` metrics (memory, CPU seconds, open files) are there too.
"""


class Metric(NamedTuple):
    """One metric: its name as Prometheus has it, its type, its labels, what it is, and the names of its series."""

    name: str
    kind: str
    labels: tuple[str, ...]
    what: str
    series: tuple[str, ...]


def catalogue() -> dict[str, Metric]:
    """Every metric that a process of the hub may tell, by the name of each of its series."""
    metrics = Metrics(CollectorRegistry())
    found = [_ours(one) for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    processes = CollectorRegistry()
    ProcessCollector(registry=processes)
    for family in processes.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found.append(Metric(name, family.type, (), family.documentation, (name,)))
    return {series: metric for metric in found for series in metric.series}


def _ours(metric: MetricWrapperBase) -> Metric:
    family = next(iter(metric.describe()))
    name, kind = family.name, family.type
    series: tuple[str, ...] = (name,)
    if kind == "counter":
        name = f"{name}_total"
        series = (name,)
    elif isinstance(metric, Histogram):
        series = (f"{name}_bucket", f"{name}_sum", f"{name}_count")
    return Metric(name, kind, tuple(metric._labelnames), family.documentation, series)  # noqa: SLF001


def page() -> str:
    """docs/metrics.md as it should be."""
    rows = {metric.name: metric for metric in catalogue().values() if metric.name.startswith("hub_")}
    lines = ["| metric | type | labels | what it is |", "|---|---|---|---|"]
    for name, metric in sorted(rows.items()):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.what} |")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.metrics", description="Write docs/metrics.md.")
    parser.add_argument("--check", action="store_true", help="only tell whether it is up to date")
    if not parser.parse_args().check:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        print("docs/metrics.md is not up to date: python -m tools.metrics", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
