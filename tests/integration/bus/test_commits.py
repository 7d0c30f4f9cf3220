"""Nothing is committed before it is finished, whether the group lets it, the process drains or Kafka refuses."""

import asyncio
from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from hub.bus.broker import make_broker
from hub.bus.consumer import Consumer
from tests.support.bus import (
    Collector,
    bus_settings,
    committed,
    make_topic,
    member,
    send,
    until_committed,
)
from tests.support.eventually import eventually


async def test_only_the_contiguous_prefix_is_committed(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"%d" % n for n in range(6)])
    got = Collector(finish=False)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: len(got.seen) == 6)
        for number in (0, 1, 3, 5):
            got.seen[number].done()
        await until_committed(settings, topic, 2)
        assert consumer.health().unsettled == 2
        got.seen[2].done()
        await until_committed(settings, topic, 4)
    again = Collector()
    async with member(settings, [topic], again):
        await eventually(lambda: again.values == [b"4", b"5"])


async def test_draining_waits_for_work_in_flight_and_commits_it(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap, shutdown_drain_s=120.0)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector(finish=False)
    async with member(settings, [topic], got, drain=False) as consumer:
        await eventually(lambda: len(got.seen) == 2)
        draining = asyncio.create_task(consumer.drain())
        await asyncio.sleep(0.1)
        await send(bootstrap, topic, [b"too late"])
        assert not draining.done()
        for delivery in got.seen:
            delivery.done()
        assert await draining
    assert got.values == [b"1", b"2"]
    assert await committed(settings, topic) == 2


async def test_draining_gives_up_in_time_and_commits_the_prefix(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector(finish=False)
    async with member(settings, [topic], got, drain=False) as consumer:
        await eventually(lambda: len(got.seen) == 2)
        got.seen[0].done()
        assert not await consumer.drain(timeout_s=0.2)
    assert await committed(settings, topic) == 1


async def test_a_broker_stopped_and_started_again_goes_on(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    got, broker = Collector(), make_broker(settings)
    consumer = Consumer(broker, settings, [topic], got)

    async def handed_out(count: int) -> None:
        await eventually(lambda: len(got.seen) == count)

    for number in range(2):
        await send(bootstrap, topic, [b"%d" % number])
        await broker.start()
        await handed_out(number + 1)
        assert await consumer.drain()
        await broker.stop()
    assert got.values == [b"0", b"1"]


@pytest.mark.fault("F23")
async def test_a_refused_commit_is_dropped_and_the_member_goes_on(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])
    got = Collector()
    refused: list[Mapping[TopicPartition, int]] = []

    async def refuse(self: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        refused.append(offsets)
        raise CommitFailedError("the group has rebalanced")

    with monkeypatch.context() as patched:
        patched.setattr("aiokafka.AIOKafkaConsumer.commit", refuse)
        async with member(settings, [topic], got, drain=False) as consumer:
            await eventually(lambda: refused)
            await send(bootstrap, topic, [b"2"])
            await eventually(lambda: len(got.seen) == 2)
            health = consumer.health()
            assert (health.commit_failures > 0, health.is_live(), health.failure) == (True, True, None)
            patched.undo()
            await until_committed(settings, topic, 2)
