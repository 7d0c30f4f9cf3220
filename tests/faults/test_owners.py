"""Several writers, and a tenant's work that goes from one to another: by a deploy, a rebalance, a process that stood
still. Whoever sends, each record is in Halo once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import warm_hub
from tests.faults.tenants import (
    PATIENCE_S,
    assigned,
    each_once,
    is_quiet,
    owner_among,
    partition,
    posts,
    publish_quotes,
)
from tests.support.hub import Hub, Process, eventually
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_TENANTS = ("north", "east", "south", "west")
_LONG = {"HUB_REQUEST_TIMEOUT_S": "60", "HUB_LEASE_TTL_S": "120"}
"""A lease that outlasts a session by far: what changes hands meanwhile was handed over."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Hub]:
    with warm_hub(tmp_path_factory.mktemp("hub"), postgres, *_TENANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def no_writers_left(hub: Hub) -> Iterator[None]:
    yield
    hub.sandbox.disarm()
    for tenant in _TENANTS:
        hub.halo(tenant).configure(latency_s=0.0)
    running = [name for name, process in hub.processes.items() if process.is_running()]
    for name in set(running) - {"mapper", "ingest"}:
        hub.processes[name].thaw()
        hub.wait_ready(name)
        assert hub.processes[name].stop() == 0


def publish_for_all(hub: Hub, prefix: str, count: int) -> dict[str, list[str]]:
    """So many quotes of every tenant."""
    names = [f"{prefix}-{number}" for number in range(count)]
    return {tenant: publish_quotes(hub, tenant, names) for tenant in _TENANTS}


@pytest.mark.feature("hub.k8s", part="all")
@pytest.mark.fault("F9")
def test_two_writers_that_both_hold_a_partition_write_once(hub: Hub) -> None:
    """The slow request's owner misses its session, not its lease: the other writer waits for it."""
    for name in ("one", "two"):
        hub.start("writer", name, **_LONG)
    hub.wait_ready("one", "two")
    tenant = _TENANTS[0]
    slow = owner_among(hub, tenant, "one", "two")
    other = "two" if slow == "one" else "one"
    fault = hub.halo(tenant).arm("slow", method="POST", path="^/Quotation$", delay_s=6.0, apply="after")
    publish_quotes(hub, tenant, ["both"])
    began = eventually(lambda: posts(hub, tenant, "^/Quotation$"), PATIENCE_S, what="the slow request")[-1]
    hub.processes[slow].freeze()
    eventually(lambda: partition(tenant) in assigned(hub.processes[other]), PATIENCE_S, what="a rebalance")
    hub.processes[slow].thaw()
    publish_quotes(hub, tenant, ["both"], revision=2, status="approved")
    each_once(hub, tenant, ["both"], status=3)
    hub.sandbox.disarm(fault)
    after = hub.halo(tenant).requests(since=began["n"])
    assert [(entry["method"], entry["path"]) for entry in after] == [
        ("POST", "/Opportunities"),
        ("POST", "/Quotation"),
    ], "whoever took over found the first revision settled: nothing to look up, and its status to send"


@pytest.mark.fault("F10")
def test_a_writer_that_was_frozen_past_its_session_and_its_lease_sends_nothing_more(
    hub: Hub, tmp_path: Path
) -> None:
    tenant, mark = _TENANTS[1], tmp_path / "mark"
    stale = hub.start(
        "writer",
        "stale",
        HUB_STOP_AT="before_send:4",
        HUB_STOP_MARK=str(mark),
        HUB_STOP_SIGNAL="STOP",
    )
    hub.wait_ready("stale")
    quotes = publish_quotes(hub, tenant, [f"stale-{number}" for number in range(6)])
    eventually(mark.exists, PATIENCE_S, what="the freeze")
    hub.start("writer", "fresh")
    each_once(hub, tenant, quotes)
    assert stale.is_frozen()
    thawed_at = hub.sandbox.last_request()
    stale.thaw()
    eventually(lambda: overtaken(stale, tenant), PATIENCE_S, what="the stale writer's refusal")
    eventually(lambda: is_quiet(hub, tenant), PATIENCE_S, what="quiet")
    assert hub.halo(tenant).requests(since=thawed_at) == []
    each_once(hub, tenant, quotes)


def overtaken(process: Process, tenant: str) -> bool:
    lines = process.lines()
    return any(line["event"] == "lane.overtaken" and line["tenant"] == tenant for line in lines)


@pytest.mark.fault("F25")
def test_a_rolling_deploy_of_three_writers_hands_everything_over(hub: Hub) -> None:
    """Nothing is sent twice, looked up or left to time out: what a deploy adds is its rebalances and no more."""
    old, new = [f"old-{number}" for number in range(3)], [f"new-{number}" for number in range(3)]
    for tenant in _TENANTS:
        hub.halo(tenant).configure(latency_s=0.15)
    for name in old:
        hub.start("writer", name, **_LONG)
    hub.wait_ready(*old)
    began = hub.sandbox.last_request()
    waves = [publish_for_all(hub, "deploy-before", 4)]
    for number, (leaving, coming) in enumerate(zip(old, new, strict=True)):
        hub.start("writer", coming, **_LONG)
        waves.append(publish_for_all(hub, f"deploy-joins-{number}", 3))
        hub.wait_ready(coming)
        waves.append(publish_for_all(hub, f"deploy-leaves-{number}", 3))
        assert hub.processes[leaving].stop() == 0
    waves.append(publish_for_all(hub, "deploy-after", 2))
    for tenant in _TENANTS:
        quotes = list(itertools.chain.from_iterable(wave[tenant] for wave in waves))
        each_once(hub, tenant, quotes)
        sent = hub.halo(tenant).requests(since=began)
        assert [entry["path"] for entry in sent if entry["method"] != "POST"] == [], "something was looked up"
        assert len(sent) == 2 * len(quotes)
    for name in (*old, *new):
        lost = [
            line for line in hub.processes[name].lines() if line["event"] in ("lease.lost", "lane.overtaken")
        ]
        assert lost == []


@pytest.mark.fault("F25")
def test_writers_that_come_and_go_while_requests_run_write_each_record_once(hub: Hub) -> None:
    """A rebalance every few seconds, by a join, an end or a kill, while every request takes most of its time limit."""
    for tenant in _TENANTS:
        hub.halo(tenant).configure(latency_s=0.6)
    hub.start("writer", "steady")
    waves = [publish_for_all(hub, "storm", 3)]
    hub.wait_ready("steady")
    for number in range(3):
        visitor = hub.start("writer", f"visitor-{number}")
        waves.append(publish_for_all(hub, f"storm-join-{number}", 1))
        eventually(lambda visitor=visitor: assigned(visitor), PATIENCE_S, what="a rebalance")
        posted = sum(len(posts(hub, tenant)) for tenant in _TENANTS)
        waves.append(publish_for_all(hub, f"storm-leave-{number}", 2))
        eventually(
            lambda posted=posted: sum(len(posts(hub, tenant)) for tenant in _TENANTS) > posted + 2,
            PATIENCE_S,
            what="requests under way",
        )
        if number % 2:
            visitor.kill()
        else:
            assert visitor.stop() == 0
    for tenant in _TENANTS:
        hub.halo(tenant).configure(latency_s=0.0)
    for tenant in _TENANTS:
        each_once(hub, tenant, itertools.chain.from_iterable(wave[tenant] for wave in waves))
    eventually(lambda: is_quiet(hub, *_TENANTS), PATIENCE_S, what="quiet")
    for tenant in _TENANTS:
        each_once(hub, tenant, itertools.chain.from_iterable(wave[tenant] for wave in waves))
