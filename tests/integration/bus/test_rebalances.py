"""Partitions change hands, by a join, a kill or a process that stood still, and no record is lost."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from faststream.kafka import KafkaMessage

from hub.bus.delivery import Delivery
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing, Partition
from tests.support.bus import (
    Collector,
    bus_settings,
    committed,
    kill_a_member,
    make_topic,
    member,
    send,
    until_committed,
)
from tests.support.eventually import eventually

_SESSION_MS = 10_000
"""Five times as long as a member takes to hear that another has come or gone."""


async def test_a_killed_members_unfinished_records_come_to_the_next(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"a", b"b", b"c"])
    assert await kill_a_member(settings, topic, 3) == [b"a", b"b", b"c"]
    assert await committed(settings, topic) is None
    second = Collector()
    async with member(settings, [topic], second):
        await eventually(lambda: second.values == [b"a", b"b", b"c"])
        await until_committed(settings, topic, 3)


async def test_a_rebalance_waits_for_work_in_flight_and_loses_nothing(bootstrap: str) -> None:
    topic = await make_topic(bootstrap, 4)
    settings = bus_settings(
        bootstrap, max_batch_records=20, revoke_drain_s=50.0, session_timeout_ms=_SESSION_MS
    )
    publisher = Publisher(settings)
    await publisher.start()
    sent = [b"%d" % n for n in range(400)]
    revoked: list[frozenset[Partition]] = []
    finished: list[tuple[bytes | None, bool]] = []
    deliveries: list[Delivery] = []

    async def note_revoked(partitions: frozenset[Partition]) -> None:
        revoked.append(partitions)

    async def finish_later(delivery: Delivery) -> None:
        await asyncio.sleep(0.05)
        finished.append((delivery.record.value, delivery.active))
        delivery.done()

    async def handler(batch: Sequence[Delivery]) -> None:
        deliveries.extend(batch)
        tasks.extend(asyncio.create_task(finish_later(delivery)) for delivery in batch)

    tasks: list[asyncio.Task[None]] = []
    async with member(settings, [topic], handler, on_revoked=note_revoked) as first:
        await publisher.publish([Outgoing(topic, value, value) for value in sent[:200]])
        await eventually(lambda: deliveries)
        async with member(settings, [topic], handler) as second:
            await publisher.publish([Outgoing(topic, value, value) for value in sent[200:]])
            await eventually(lambda: len(second.health().assigned) == 2 and len(first.health().assigned) == 2)
            assert len(revoked[-1]) == 4
            await eventually(lambda: {value for value, _ in finished} == set(sent))
            await asyncio.gather(*tasks)
        await eventually(lambda: len(first.health().assigned) == 4)
    await publisher.stop()
    assert len(finished) == len(sent), (
        "what was in flight finished before its partition moved, so none came twice"
    )
    assert all(active for _, active in finished)
    assert sum([await committed(settings, topic, number) or 0 for number in range(4)]) == len(sent)


async def test_work_unfinished_at_a_rebalance_comes_again_and_its_late_end_commits_nothing(
    bootstrap: str,
) -> None:
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, revoke_drain_s=0.2, session_timeout_ms=_SESSION_MS)
    await send(bootstrap, topic, [b"1", b"2", b"3"])
    first = Collector(finish=False)
    async with member(settings, [topic], first) as one:
        await eventually(lambda: len(first.seen) == 3)
        first.seen[0].done()
        async with member(settings, [topic], (second := Collector(finish=False))):
            await eventually(lambda: not first.seen[1].active)
            for delivery in first.seen:
                delivery.done()
            await eventually(lambda: len(first.seen) + len(second.seen) == 5)
            again = [delivery for delivery in first.seen[3:] + second.seen if delivery.active]
            assert [delivery.record.value for delivery in again] == [b"2", b"3"]
            assert one.health().unsettled + len(second.seen) == 2
            await asyncio.sleep(0.2)
            assert await committed(settings, topic) == 1


async def test_a_batch_overtaken_by_a_rebalance_on_its_way_to_the_handler_commits_nothing(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted to the new assignment, its end would be committed before the records in front of it were read."""
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, revoke_drain_s=0.1, session_timeout_ms=_SESSION_MS)
    await send(bootstrap, topic, [b"1", b"2", b"3"])
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow_decoder(message: KafkaMessage) -> None:
        under_way.set()
        await go_on.wait()

    calls: list[Sequence[Delivery]] = []

    async def finish_the_first_batch_only(batch: Sequence[Delivery]) -> None:
        calls.append(batch)
        if len(calls) == 1:
            for delivery in batch:
                delivery.done()

    with monkeypatch.context() as patched:
        patched.setattr("hub.bus.subscription.raw_decoder", slow_decoder)
        async with member(settings, [topic], finish_the_first_batch_only) as first:
            await under_way.wait()
            async with member(settings, [topic], Collector(finish=False)) as second:
                await eventually(lambda: len(first.health().assigned) + len(second.health().assigned) == 1)
                assert first.health().unsettled == 0
                go_on.set()
                await eventually(lambda: calls)
                assert [delivery.active for delivery in calls[0]] == [False] * 3
                await eventually(lambda: first.health().unsettled + second.health().unsettled == 3)
                await asyncio.sleep(0.2)
                assert await committed(settings, topic) is None


@pytest.mark.fault("F23")
async def test_a_member_that_the_group_threw_out_comes_back_and_loses_nothing(bootstrap: str) -> None:
    """The broker itself refuses: the session ran out while the process stood still."""
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, session_timeout_ms=600, rebalance_timeout_ms=2_000, revoke_drain_s=0.2)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector(finish=False)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: len(got.seen) >= 2)
        time.sleep(1.5)  # noqa: ASYNC251 - the whole process is to stand still, heartbeats included
        for delivery in got.seen:
            delivery.done()
        got.finish = True
        await until_committed(settings, topic, 2)
        assert consumer.health().is_live()
