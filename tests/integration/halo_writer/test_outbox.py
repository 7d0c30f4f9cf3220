"""What Kafka can't carry stays in the outbox, is told, and keeps nothing else back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.bus.producer import check_record
from hub.bus.records import Outgoing
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.store import outbox
from schemas.topics import OUTCOMES, TARGETS
from tests.integration.halo_writer.bench import Bench, Recorder
from tests.unit.halo_writer.build import TENANT


class Limited(Recorder):
    """Takes what a topic takes."""

    limit_bytes = DEFAULT_MAX_RECORD_BYTES

    async def publish(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            check_record(record, self.limit_bytes)
        await super().publish(records)


@pytest.mark.fault("F29")
async def test_a_message_that_kafka_cannot_carry_stays_in_the_outbox_and_keeps_back_nothing_else(
    bench: Bench,
) -> None:
    async with bench.store.write() as conn:
        await outbox.add(conn, TENANT, [(OUTCOMES, b"acme", (), b"x" * (DEFAULT_MAX_RECORD_BYTES + 1))])
    bench.publisher = Limited()
    item = bench.tool.item("SH-1U", "Rack Shelf")
    await bench.settle(item)
    await bench.settle(item)
    assert bench.outcome(item).status == "applied"
    async with bench.store.read() as conn:
        assert [len(row.value) for row in await outbox.of_tenant(conn, TENANT, 10)] == [
            DEFAULT_MAX_RECORD_BYTES + 1
        ]


@pytest.mark.fault("F29")
async def test_no_state_of_a_target_passes_an_older_one_that_kafka_cannot_carry(bench: Bench) -> None:
    """The topic is compacted: what comes last of a key is what stays of it."""
    too_large = b"x" * (DEFAULT_MAX_RECORD_BYTES + 1)
    async with bench.store.write() as conn:
        rows = [(b"one", too_large), (b"one", b"newer"), (b"other", b"{}")]
        await outbox.add(conn, TENANT, [(TARGETS, key, (), value) for key, value in rows])
    bench.publisher = Limited()
    await bench.settle(bench.tool.item("SH-1U", "Rack Shelf"))
    async with bench.store.read() as conn:
        left = [row.value for row in await outbox.of_tenant(conn, TENANT, 10)]
    assert left == [too_large, b"newer"]


@pytest.mark.fault("F26")
async def test_a_lane_that_never_rests_tries_a_refused_message_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.store.write() as conn:
        await outbox.add(conn, TENANT, [(OUTCOMES, b"acme", (), b"x" * (DEFAULT_MAX_RECORD_BYTES + 1))])
    publisher = bench.publisher = Limited()
    async with bench.lane() as lane:
        await bench.submit(lane, [bench.tool.item("SH-1U", "Rack Shelf")])
        publisher.limit_bytes *= 2
        await bench.submit(lane, [bench.tool.item("SH-2U", "Rack Shelf 2U")])
        assert await _left(bench) == 1, "not tried with each command"
        monkeypatch.setattr("services.halo_writer.lane._REFUSED_S", 0.0)
        await bench.submit(lane, [bench.tool.item("SH-3U", "Rack Shelf 3U")])
    assert await _left(bench) == 0


async def _left(bench: Bench) -> int:
    async with bench.store.read() as conn:
        return len(await outbox.of_tenant(conn, TENANT, 10))
