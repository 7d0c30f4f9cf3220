"""Figures with their aims, and the table that shows them. Pure."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Sense = Literal["at most", "at least"]


@dataclass(frozen=True)
class Figure:
    """One measured value. `line` is the benchmark it belongs to; a figure without an aim only explains another."""

    line: int
    what: str
    value: float
    unit: str
    aim: float | None = None
    sense: Sense = "at most"
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value keeps the aim; None without one."""
        if self.aim is None:
            return None
        return self.value <= self.aim if self.sense == "at most" else self.value >= self.aim


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of them don't exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no values, no percentile")
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text, one a row."""
    rows = [("line", "what", "value", "aim", "", ""), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join((*cells, row[5])).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on, as far as it matters for comparing them."""
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    return f"{cores} cores, Python {platform.python_version()}, {platform.machine()}, load average {load:.1f}"


def _row(figure: Figure) -> tuple[str, ...]:
    aim = "" if figure.aim is None else f"{figure.sense} {_number(figure.aim)} {figure.unit}".rstrip()
    verdict = {True: "met", False: "NOT MET", None: ""}[figure.met]
    value = f"{_number(figure.value)} {figure.unit}".rstrip()
    return str(figure.line), figure.what, value, aim, verdict, figure.detail


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    if 0 < value < 1:
        return f"{value:.2f}"
    return f"{value:.1f}".removesuffix(".0")
