"""PromQL against the metrics that there are: what of an expression can never be true, and the labels of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser as promql

from tools.metrics import Metric

TARGET = frozenset({"instance", "job"})
"""What Prometheus adds to every series."""
_OF_COUNTERS = {"rate", "irate", "increase", "resets"}
_KEEPING = {"topk", "bottomk"}
_TIME = {"time", "vector", "scalar", "absent", "absent_over_time"}
_ALERTS = Metric("ALERTS", "gauge", ("alertname", "alertstate", "severity"), "Prometheus' own", ("ALERTS",))
_UP = Metric("up", "gauge", (), "Prometheus' own", ("up",))


class Checked:
    """One expression: `faults` are what is wrong with it, `labels` those that its result has."""

    def __init__(self, expression: str, known: Mapping[str, Metric]) -> None:
        self._known = {"ALERTS": _ALERTS, "up": _UP, **known}
        self.faults: list[str] = []
        self.metrics: set[str] = set()
        self.values: set[tuple[str, str, str]] = set()
        """Each (series, label, value) that a matcher asks for."""
        try:
            tree = promql.parse(expression)
        except ValueError as error:
            self.faults.append(str(error))
            self.labels: frozenset[str] | None = frozenset()
        else:
            self.labels = self._of(tree)

    def _of(self, tree: Any, inside: str = "") -> frozenset[str] | None:
        """The labels of the result; None for a number."""
        match tree:
            case promql.NumberLiteral() | promql.StringLiteral():
                return None
            case promql.VectorSelector():
                return self._selected(tree, inside)
            case promql.MatrixSelector():
                return self._of(tree.vector_selector, inside)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                return self._of(tree.expr, inside)
            case promql.Call():
                return self._called(tree)
            case promql.AggregateExpr():
                return self._aggregated(tree)
            case promql.BinaryExpr():
                return self._combined(tree)
            case _:
                raise NotImplementedError(type(tree).__name__)

    def _selected(self, selector: Any, inside: str) -> frozenset[str]:
        metric = self._known.get(selector.name)
        if metric is None:
            self.faults.append(f"there is no metric {selector.name}")
            return TARGET
        self.metrics.add(selector.name)
        if inside in _OF_COUNTERS and metric.kind not in ("counter", "histogram"):
            self.faults.append(f"{inside} of {selector.name}, which is a {metric.kind}")
        labels = {*metric.labels, *(["le"] if selector.name.endswith("_bucket") else [])} | TARGET
        for matcher in _matchers(selector):
            if matcher.name not in labels:
                self.faults.append(f"{selector.name} has no label {matcher.name}")
            elif matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re):
                values = matcher.value.split("|") if matcher.op == promql.MatchOp.Re else [matcher.value]
                self.values |= {(selector.name, matcher.name, value) for value in values}
        return frozenset(labels)

    def _called(self, call: Any) -> frozenset[str] | None:
        name = call.func.name
        found = [self._of(argument, name) for argument in call.args]
        if name in _TIME:
            return None if name in ("time", "scalar") else frozenset()
        labels = next((one for one in reversed(found) if one is not None), frozenset())
        if name == "histogram_quantile":
            self._require(labels, {"le"}, name)
            return labels - {"le"}
        return labels

    def _aggregated(self, aggregate: Any) -> frozenset[str]:
        inner = self._of(aggregate.expr) or frozenset()
        modifier = aggregate.modifier
        if modifier is None:
            return inner if str(aggregate.op) in _KEEPING else frozenset()
        named = frozenset(modifier.labels)
        self._require(inner, named, "an aggregation")
        return named if modifier.type == promql.AggModifierType.By else inner - named

    def _combined(self, binary: Any) -> frozenset[str] | None:
        left, right = self._of(binary.lhs), self._of(binary.rhs)
        if left is None or right is None:
            return right if left is None else left
        matching = None if binary.modifier is None else binary.modifier.matching
        if matching is not None:
            self._require(left & right, set(matching.labels), "a matching")
            return left
        if left != right and left and right:
            self.faults.append(f"{sorted(left)} and {sorted(right)} never match: {binary.op}")
        return left

    def _require(self, there: frozenset[str], wanted: set[str] | frozenset[str], by: str) -> None:
        if missing := wanted - there:
            self.faults.append(f"{by} asks for {sorted(missing)}, there are {sorted(there)}")


def _matchers(selector: Any) -> Iterator[Any]:
    yield from selector.matchers.matchers
    for group in selector.matchers.or_matchers:
        yield from group
