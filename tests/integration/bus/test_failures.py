"""What breaks between Kafka and the handler stops the intake and fails liveness; nothing is committed past it."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer
from faststream.kafka import KafkaMessage

from hub.bus.delivery import Delivery
from hub.bus.errors import BatchLost, BusError, HandlerFailed, PollFailed
from hub.bus.records import Partition
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


async def test_a_handler_that_raises_is_never_committed_past_and_fails_liveness(
    bootstrap: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap, max_batch_records=2)
    await send(bootstrap, topic, [b"%d" % n for n in range(6)])
    failures: list[BusError] = []
    calls: list[list[bytes | None]] = []

    async def handler(batch: Sequence[Delivery]) -> None:
        calls.append([delivery.record.value for delivery in batch])
        for delivery in batch:
            if delivery.record.value == b"3":
                raise RuntimeError("boom")
            delivery.done()

    with caplog.at_level(logging.CRITICAL):
        async with member(settings, [topic], handler, on_failure=failures.append) as consumer:
            await eventually(lambda: failures)
            await until_committed(settings, topic, 3)
            await asyncio.sleep(0.3)
            assert calls == [[b"0", b"1"], [b"2", b"3"]], "intake stops at the failure"
            assert not consumer.health().is_live()
            assert isinstance(consumer.failure, HandlerFailed)
            assert "boom" in str(consumer.failure)
    assert await committed(settings, topic) == 3
    again = Collector()
    async with member(settings, [topic], again):
        await eventually(lambda: again.values == [b"3", b"4", b"5"])


async def test_a_batch_that_the_framework_drops_fails_liveness_and_is_not_committed(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])

    async def broken(message: KafkaMessage) -> None:
        raise ValueError("decoder broke")

    monkeypatch.setattr("hub.bus.subscription.raw_decoder", broken)
    got = Collector()
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: isinstance(consumer.failure, BatchLost))
    assert got.seen == []
    assert await committed(settings, topic) is None


async def test_a_failing_rebalance_hook_fails_liveness(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)

    async def hook(partitions: frozenset[Partition]) -> None:
        raise RuntimeError("no store")

    async with member(settings, [topic], Collector(), on_assigned=hook) as consumer:
        await eventually(lambda: consumer.failure is not None)
        assert "no store" in str(consumer.failure)


async def test_a_poll_that_breaks_fails_liveness_instead_of_spinning(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)

    async def broken(self: AIOKafkaConsumer, **_: object) -> None:
        raise RuntimeError("broken client")

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", broken)
    async with member(settings, [topic], Collector()) as consumer:
        await eventually(lambda: isinstance(consumer.failure, PollFailed))
        assert not consumer.health().is_live()
