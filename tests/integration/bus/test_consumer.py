"""A consumer on a real Kafka hands every record on as it is, in order, from the earliest on."""

import asyncio

import pytest

from hub.bus.producer import Publisher, partition_of
from hub.bus.records import Outgoing
from tests.support.bus import (
    Collector,
    bus_settings,
    make_topic,
    member,
    send,
    send_bad_header_name,
    until_committed,
)
from tests.support.eventually import eventually


async def test_poison_bytes_reach_the_handler_as_they_are_and_the_partition_moves_on(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    values = [b'{"a":', b"\xff\xfe\x00", b"1", b'"x"', b"", b"good"]
    await send(bootstrap, topic, values)
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == len(values))
        await until_committed(settings, topic, len(values))
    assert got.values == values


@pytest.mark.fault("F12")
async def test_odd_headers_reach_the_handler_without_loss(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    odd = (("utf8", b"\xff\xfe"), ("null", None), ("twice", b"1"), ("twice", b"2"), ("", b""), ("ü", b"name"))
    await send(bootstrap, topic, [b"1"], headers=odd)
    await send(bootstrap, topic, [b"2"])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == 2)
    assert got.seen[0].record.headers == odd


@pytest.mark.fault("F12")
async def test_a_header_name_that_is_not_utf8_is_salvaged_in_order(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap, max_batch_records=2)
    await send(bootstrap, topic, [b"before"])
    await send_bad_header_name(bootstrap, topic, [b"0", b"1", b"2", b"3"], bad=2)
    await send(bootstrap, topic, [b"after"])
    got = Collector()
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: len(got.seen) == 6)
        await until_committed(settings, topic, 6)
        assert consumer.health().failure is None
    assert got.values == [b"before", b"0", b"1", b"2", b"3", b"after"]
    names = [(name.encode("utf-8", "surrogateescape"), value) for name, value in got.seen[3].record.headers]
    assert names == [(b"\xff\xfe", b"odd"), (b"fine", b"1")]


async def test_a_header_name_that_is_not_utf8_costs_no_record_of_other_partitions(bootstrap: str) -> None:
    """aiokafka takes several partitions' records off its buffers in one call, and raises for one of them."""
    topic, settings = await make_topic(bootstrap, 6), bus_settings(bootstrap)
    keys = [
        next(key for key in map(b"%d".__mod__, range(99)) if partition_of(key, 6) == n) for n in range(1, 6)
    ]
    for key in keys:
        await send(bootstrap, topic, [b"1", b"2"], key=key)
    await send_bad_header_name(bootstrap, topic, [b"bad"], bad=0)
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: b"bad" in got.values)
        await send(bootstrap, topic, [b"3"], key=keys[0])
        await send_bad_header_name(bootstrap, topic, [b"bad too"], bad=0)
        await eventually(lambda: {b"3", b"bad too"} <= set(got.values))
        for key in keys:
            values = [one.record.value for one in got.seen if one.record.key == key]
            assert values[:2] == [b"1", b"2"], partition_of(key, 6)


async def test_a_tombstone_is_none_and_an_empty_value_is_not(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [None, b""])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == 2)
    assert got.values == [None, b""]


@pytest.mark.fault("F34")
async def test_a_new_group_begins_with_the_earliest_record(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"old 1", b"old 2"])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: got.values == [b"old 1", b"old 2"])
    assert [delivery.record.offset for delivery in got.seen] == [0, 1]


async def test_a_record_larger_than_a_fetch_is_read(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    publisher = Publisher(settings)
    await publisher.start()
    large = b"x" * 1_900_000
    await publisher.publish([Outgoing(topic, b"k", large), Outgoing(topic, b"k", b"small")])
    await publisher.stop()
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == 2)
    assert got.values == [large, b"small"]


async def test_an_idle_consumer_hands_a_record_on_at_once(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastStream sleeps for as long as a poll waits when one returns nothing: here, for ever."""
    monkeypatch.setattr("hub.bus.subscription.TICK_MS", 3_600_000)
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    publisher = Publisher(settings)
    await publisher.start()
    got = Collector()
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: consumer.health().is_ready())
        for value in (b"1", b"2"):
            await asyncio.sleep(0.6)  # longer than one poll waits
            await publisher.publish([Outgoing(topic, b"k", value)])
            await until_committed(settings, topic, int(value))
    await publisher.stop()
    assert got.values == [b"1", b"2"]


async def test_the_lag_is_known_before_the_first_record(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector()
    async with member(settings, [topic], got):
        await until_committed(settings, topic, 2)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: consumer.health().lag == {(topic, 0): 0})
    assert len(got.seen) == 2


async def test_full_partitions_are_paused_and_go_on_below_half(bootstrap: str) -> None:
    topic = await make_topic(bootstrap, 2)
    settings = bus_settings(bootstrap, max_unsettled_per_partition=10, max_batch_records=5)
    await send(bootstrap, topic, [b"%d" % n for n in range(60)], key=b"one")
    got = Collector(finish=False)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: consumer.health().paused)
        await eventually(lambda: len(got.seen) == consumer.health().unsettled)
        taken = len(got.seen)
        await asyncio.sleep(0.3)
        assert len(got.seen) == taken
        assert 10 < taken <= 15
        (full,) = consumer.health().paused
        assert consumer.health().lag[full] == 60 - taken
        got.finish = True
        for delivery in got.seen[: taken // 2 - 1]:
            delivery.done()
        await asyncio.sleep(0.1)
        assert consumer.health().paused, "still over half"
        for delivery in list(got.seen):
            delivery.done()
        await eventually(lambda: len(got.seen) == 60)
        assert not consumer.health().paused
    assert got.values == [b"%d" % n for n in range(60)]
