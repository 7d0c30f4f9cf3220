"""A rebalance stops every tenant of the group, and none waits there for a request that another's Halo leaves open."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hub.bus.producer import partition_of
from hub.bus.records import Partition
from hub.telemetry.metrics import Metrics
from schemas.topics import COMMANDS
from services.halo_writer import writer as writing
from services.halo_writer.writer import Writer
from tests.support.eventually import eventually

PARTITIONS = 4
TENANT = "acme"
OURS = frozenset({Partition(COMMANDS, partition_of(TENANT.encode(), PARTITIONS))})


class LaneInHand:
    """A lane whose request is under way until it is answered; told to stop, it ends with that."""

    made: list[LaneInHand]

    def __init__(self, tenant: str, *_: object) -> None:
        self.tenant = tenant
        self.answered = asyncio.Event()
        self.running = self.stopped = self.ended = False
        self.waiting = 0
        LaneInHand.made.append(self)

    def stop(self) -> None:
        self.stopped = True

    async def run(self) -> None:
        if self.stopped:
            return
        self.running = True
        await self.answered.wait()
        self.ended = True


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    LaneInHand.made = []
    monkeypatch.setattr(writing, "Lane", LaneInHand)
    monkeypatch.setattr(writing, "_HAND_OVER_S", 0.05, raising=False)
    none: Any = None
    services: Any = SimpleNamespace()
    return Writer(services, none, none, Metrics(), none, partitions=PARTITIONS, request_timeout_s=1.0)


@pytest.mark.fault("F42")
@pytest.mark.invariant("INV-16")
async def test_a_rebalance_does_not_wait_for_a_request_that_hangs(writer: Writer) -> None:
    await writer.assigned(OURS)
    writer._lane(TENANT)
    await eventually(lambda: LaneInHand.made[0].running)
    async with asyncio.timeout(60):
        await writer.revoked(OURS)
    assert LaneInHand.made[0].stopped
    assert not LaneInHand.made[0].ended


async def test_a_tenant_that_comes_back_has_its_next_lane_when_the_one_before_has_ended(
    writer: Writer,
) -> None:
    await writer.assigned(OURS)
    writer._lane(TENANT)
    first = LaneInHand.made[0]
    await eventually(lambda: first.running)
    for _ in range(2):
        async with asyncio.timeout(60):
            await writer.revoked(OURS)
        await writer.assigned(OURS)
        writer._lane(TENANT)
    last = LaneInHand.made[-1]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not last.running
    first.answered.set()
    await eventually(lambda: last.running)
    assert [lane.running for lane in LaneInHand.made] == [True, False, True]
    last.answered.set()


async def test_a_lane_that_was_stopped_is_not_started_again_by_what_it_left(writer: Writer) -> None:
    await writer.assigned(OURS)
    writer._lane(TENANT)
    first = LaneInHand.made[0]
    await eventually(lambda: first.running)
    first.waiting = 1
    async with asyncio.timeout(60):
        await writer.revoked(OURS)
    await writer.assigned(OURS)
    writer._lane(TENANT)
    first.answered.set()
    await eventually(lambda: LaneInHand.made[1].running)
    running: object = writer._lanes[TENANT][0]
    assert running is LaneInHand.made[1]
    LaneInHand.made[1].answered.set()


async def test_a_process_that_ends_waits_for_what_a_rebalance_left_in_hand(writer: Writer) -> None:
    await writer.assigned(OURS)
    writer._lane(TENANT)
    await eventually(lambda: LaneInHand.made[0].running)
    async with asyncio.timeout(60):
        await writer.revoked(OURS)
    stopping = asyncio.create_task(writer.stop())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not stopping.done()
    LaneInHand.made[0].answered.set()
    await stopping
    assert LaneInHand.made[0].ended
