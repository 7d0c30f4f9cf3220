"""Writes the alerts as the Prometheus Operator's resource: `python -m tools.prometheus_rule`.

They come from `deploy/observability/rules`, where a Prometheus without the operator reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "deploy" / "observability" / "rules" / "halo-hub.yaml"
TARGET = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "rules.yaml"
_HEAD = "# Written by `python -m tools.prometheus_rule`; to change it, change deploy/observability/rules.\n"


def text() -> str:
    """What the generated file holds."""
    resource: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "halo-hub", "labels": {"app.kubernetes.io/name": "halo-hub"}},
        "spec": yaml.safe_load(RULES.read_text()),
    }
    return _HEAD + yaml.dump(resource, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Without anchors: whoever reads the file finds each alert whole."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def main() -> None:
    TARGET.write_text(text())
    print(TARGET.relative_to(ROOT))


if __name__ == "__main__":
    main()
