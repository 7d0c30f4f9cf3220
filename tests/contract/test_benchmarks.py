"""The benchmarks run and say what they claim to say. Never how fast: that is for `make bench` on a quiet machine."""

import asyncio
import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from benchmarks import halo_requests, many_tenants, mapping, noops, outage, overhead, overload
from benchmarks.__main__ import LINES
from benchmarks.mapping import Round, Spent
from benchmarks.report import Figure, percentile, table
from tests.support.bus import make_topic, send
from tests.support.kafka import KafkaServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (0.5, 1), (99.5, 100)]
)
def test_a_percentile_is_a_measured_value(percent: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure(1, "few enough", 2, "requests", 2), True),
        (Figure(1, "too many", 3, "requests", 2), False),
        (Figure(5, "fast enough", 4, "x", 4, "at least"), True),
        (Figure(5, "too slow", 3.9, "x", 4, "at least"), False),
        (Figure(4, "without an aim", 7, "ms"), None),
    ],
)
def test_the_table_shows_value_aim_and_verdict(figure: Figure, met: bool | None) -> None:
    row = table([figure]).splitlines()[-1]

    assert figure.met is met
    assert f"{figure.value:g} {figure.unit}" in row
    assert ("NOT MET" in row) == (met is False)
    assert ("  met" in row) == (met is True)


def test_a_ratio_compares_within_its_round() -> None:
    def spent(per_cpu_s: float) -> Spent:
        return Spent(1_000, 1_000 / per_cpu_s, 1.0)

    slow_hour = Round(spent(100), spent(1), silent=spent(50), default=spent(1), acknowledged=spent(1))
    fast_hour = Round(spent(1_000), spent(1), silent=spent(500), default=spent(1), acknowledged=spent(1))

    ratio = mapping.figures([slow_hour, fast_hour])[0]

    assert ratio.value == pytest.approx(2.0)
    assert ratio.met is False


def test_every_line_with_a_benchmark_is_run_by_make_bench() -> None:
    lines = (halo_requests, overload, overhead, mapping, noops, many_tenants, outage)
    assert set(LINES) == {line.LINE for line in lines} == {1, 3, 4, 5, 6, 8, 9}


@pytest.mark.parametrize("mode", ["silent", "default", "acknowledged"])
async def test_the_baseline_handles_the_records_that_it_is_given(kafka: KafkaServer, mode: str) -> None:
    topic = await make_topic(kafka.bootstrap)
    await send(kafka.bootstrap, topic, [b'{"status": "approved"}'] * 30)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.baselines.faststream_pydantic"),
        *(mode, kafka.bootstrap, topic, uuid.uuid4().hex, "30"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    printed, _ = await asyncio.wait_for(running.communicate(), 60)

    spent = json.loads(printed.splitlines()[-1])

    assert spent["cpu_s"] > 0
    assert spent["wall_s"] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_quote_costs_no_more_requests_than_its_aim() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--line", "1", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    rows = [row for row in done.stdout.splitlines() if row.startswith("1 ")]
    assert len(rows) == 7
    assert sum(row.count("  met") for row in rows) == 6
    assert "NOT MET" not in done.stdout
