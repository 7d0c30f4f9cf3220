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
from benchmarks.settled import settled
from hub.bus.producer import partition_of
from hub.bus.reader import read_range
from hub.bus.records import Record
from hub.tenants.load import accept, from_text
from schemas.topics import COMMANDS
from services.halo_writer.intake import read_command
from tests.support.bus import make_topic, send
from tests.support.kafka import KafkaServer

MINIMAL = """
tenant: acme
halo: {url: https://acme.halopsa.com, client_id: id, client_secret: env:SECRET}
items: {asset_group: Hardware}
opportunities: {ticket_type: Opportunity}
quotes: {}
"""
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


async def test_the_bare_loop_answers_each_record_that_it_is_given(kafka: KafkaServer) -> None:
    topic, answers = await make_topic(kafka.bootstrap), await make_topic(kafka.bootstrap)
    await send(kafka.bootstrap, topic, [b'{"a": 1}'] * 30)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.baselines.consume_produce"),
        *(kafka.bootstrap, topic, uuid.uuid4().hex, "30", answers, "700", "9"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    printed, _ = await asyncio.wait_for(running.communicate(), 60)

    answered = [record async for record in read_range(kafka.bootstrap, answers)]

    assert json.loads(printed.splitlines()[-1])["wall_s"] > 0
    assert [len(record.value or b"") for record in answered] == [700] * 30
    assert {len(record.headers) for record in answered} == {9}


@pytest.mark.parametrize(
    ("times", "most"),
    [([], 0), ([1.0], 1), ([0.0, 5.0, 9.9], 3), ([0.0, 10.0], 1), ([0.0, 1.0, 10.5, 10.6, 10.7], 4)],
)
def test_the_busiest_window_is_found_wherever_it_begins(times: list[float], most: int) -> None:
    assert overload.busiest(times, 10.0) == most


def test_refusals_of_both_phases_count() -> None:
    def phase(refused: int) -> overload.Phase:
        return overload.Phase(seconds=10.0, times=(1.0, 2.0, 3.0), refused=refused, written=2, owners=1)

    assert overload.figures(phase(0), phase(0))[0].met is True
    assert overload.figures(phase(1), phase(0))[0].met is False
    assert overload.figures(phase(0), phase(1))[0].met is False
    assert phase(0).used == pytest.approx(3 / 60)


def test_the_noisy_tenant_has_neighbours_in_its_partition_and_strangers_elsewhere() -> None:
    tenants = outage.tenants_around(outage.NOISY)
    partitions = {name: partition_of(name.encode(), 24) for name in (*tenants.others, outage.NOISY)}

    assert len(tenants.neighbours) == 3
    assert len(tenants.strangers) == 5
    assert {partitions[name] for name in tenants.neighbours} == {partitions[outage.NOISY]}
    assert partitions[outage.NOISY] not in {partitions[name] for name in tenants.strangers}


def test_the_outage_is_held_against_the_time_without_it() -> None:
    def phase(took_s: float) -> outage.Phase:
        return outage.Phase({"near": [took_s] * 100, "far": [0.01] * 100}, 5, 5)

    tenants = outage.Tenants(("near",), ("far",))
    well = phase(0.02).and_then(phase(0.02))
    ratio, near, far, *_ = outage.figures(tenants, well, phase(0.05), 1.0)

    assert ratio.value == near.value == pytest.approx(2.5)
    assert far.value == pytest.approx(1.0)
    assert ratio.met is False


def test_settled_commands_come_again_as_later_ones_of_the_same_state() -> None:
    rules = from_text(accept(MINIMAL.encode()).text)
    own, everything = settled([rules], 3, "own"), settled([rules], 3, "all")

    assert (len(own.made), own.ensures) == (3, 0)
    assert (len(everything.made), everything.ensures) == (30, 24)
    (first, *_), (second, *_) = own.again(2), own.again(3)
    one, other = (
        read_command(Record(COMMANDS, 0, 0, 0, b"acme", out.value, out.headers)) for out in (first, second)
    )
    state = next(own.states())
    assert one.command.state_hash == other.command.state_hash == state.state_hash
    assert one.command_id != other.command_id
    assert state.seq < one.command.seq < other.command.seq


@pytest.mark.slow
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
    assert len(rows) == 17
    assert sum(row.count("  met") for row in rows) == 12
    assert "NOT MET" not in done.stdout
