"""The consumer on a real Kafka: nothing skipped, nothing committed early, whatever a record or a rebalance does."""

import asyncio
import logging
import time

import pytest
from aiokafka.errors import CommitFailedError

from hub.bus.broker import make_broker
from hub.bus.consumer import Consumer
from hub.bus.errors import BatchLost, HandlerFailed, PollFailed, StartPositionMismatch
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
    send_bad_header_name,
)
from tests.support.eventually import eventually


@pytest.fixture
def bootstrap(kafka):
    return kafka.bootstrap


async def until_committed(settings, topic, offset):
    async def reached():
        return await committed(settings, topic) == offset

    await eventually(reached)


async def test_poison_bytes_reach_the_handler_as_they_are_and_the_partition_moves_on(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    values = [b'{"a":', b"\xff\xfe\x00", b"1", b'"x"', b"", b"good"]
    await send(bootstrap, topic, values)
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == len(values), timeout_s=5)
        await until_committed(settings, topic, len(values))
    assert got.values == values


@pytest.mark.fault("F12")
async def test_odd_headers_reach_the_handler_without_loss(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    odd = (("utf8", b"\xff\xfe"), ("null", None), ("twice", b"1"), ("twice", b"2"), ("", b""), ("ü", b"name"))
    await send(bootstrap, topic, [b"1"], headers=odd)
    await send(bootstrap, topic, [b"2"])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == 2)
    assert got.seen[0].record.headers == odd


@pytest.mark.fault("F12")
async def test_a_header_name_that_is_not_utf8_is_salvaged_in_order(bootstrap):
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


async def test_a_tombstone_is_none_and_an_empty_value_is_not(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [None, b""])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: len(got.seen) == 2)
    assert got.values == [None, b""]


@pytest.mark.fault("F34")
async def test_a_new_group_begins_with_the_earliest_record(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"old 1", b"old 2"])
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: got.values == [b"old 1", b"old 2"])
    assert [delivery.record.offset for delivery in got.seen] == [0, 1]


async def test_a_killed_members_unfinished_records_come_to_the_next(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"a", b"b", b"c"])
    assert await kill_a_member(settings, topic, 3) == [b"a", b"b", b"c"]
    assert await committed(settings, topic) is None
    second = Collector()
    async with member(settings, [topic], second):
        await eventually(lambda: second.values == [b"a", b"b", b"c"])
        await until_committed(settings, topic, 3)


async def test_only_the_contiguous_prefix_is_committed(bootstrap):
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


async def test_a_handler_that_raises_is_never_committed_past_and_fails_liveness(bootstrap, caplog):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap, max_batch_records=2)
    await send(bootstrap, topic, [b"%d" % n for n in range(6)])
    failures, calls = [], []

    async def handler(batch):
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


async def test_a_batch_that_the_framework_drops_fails_liveness_and_is_not_committed(bootstrap, monkeypatch):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])

    async def broken(message):
        raise ValueError("decoder broke")

    monkeypatch.setattr("hub.bus.subscription.raw_decoder", broken)
    got = Collector()
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: isinstance(consumer.failure, BatchLost))
    assert got.seen == []
    assert await committed(settings, topic) is None


async def test_a_failing_rebalance_hook_fails_liveness(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)

    async def hook(partitions):
        raise RuntimeError("no store")

    async with member(settings, [topic], Collector(), on_assigned=hook) as consumer:
        await eventually(lambda: consumer.failure is not None)
        assert "no store" in str(consumer.failure)


async def test_full_partitions_are_paused_and_go_on_below_half(bootstrap):
    topic = await make_topic(bootstrap, 2)
    settings = bus_settings(bootstrap, max_unsettled_per_partition=10, max_batch_records=5)
    await send(bootstrap, topic, [b"%d" % n for n in range(60)], key=b"one")
    got = Collector(finish=False)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: consumer.health().paused)
        await asyncio.sleep(0.3)
        taken = len(got.seen)
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


async def test_draining_waits_for_work_in_flight_and_commits_it(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
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


async def test_draining_gives_up_in_time_and_commits_the_prefix(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector(finish=False)
    async with member(settings, [topic], got, drain=False) as consumer:
        await eventually(lambda: len(got.seen) == 2)
        got.seen[0].done()
        assert not await consumer.drain(timeout_s=0.2)
    assert await committed(settings, topic) == 1


async def test_a_rebalance_waits_for_work_in_flight_and_loses_nothing(bootstrap):
    topic = await make_topic(bootstrap, 4)
    settings = bus_settings(bootstrap, max_batch_records=20)
    publisher = Publisher(settings)
    await publisher.start()
    sent = [b"%d" % n for n in range(400)]
    revoked, finished, deliveries = [], [], []

    async def note_revoked(partitions):
        revoked.append(partitions)

    async def finish_later(delivery):
        await asyncio.sleep(0.05)
        finished.append((delivery.record.value, delivery.active))
        delivery.done()

    async def handler(batch):
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


async def test_work_unfinished_at_a_rebalance_comes_again_and_its_late_end_commits_nothing(bootstrap):
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, revoke_drain_s=0.2)
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
    bootstrap, monkeypatch
):
    """Counted to the new assignment, its end would be committed before the records in front of it were read."""
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, revoke_drain_s=0.1)
    await send(bootstrap, topic, [b"1", b"2", b"3"])
    under_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow_decoder(message):
        under_way.set()
        await go_on.wait()

    calls = []

    async def finish_the_first_batch_only(batch):
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


async def test_the_lag_is_known_before_the_first_record(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector()
    async with member(settings, [topic], got):
        await until_committed(settings, topic, 2)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: consumer.health().lag == {(topic, 0): 0})
    assert len(got.seen) == 2


async def test_a_poll_that_breaks_fails_liveness_instead_of_spinning(bootstrap, monkeypatch):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)

    async def broken(self, **_):
        raise RuntimeError("broken client")

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", broken)
    async with member(settings, [topic], Collector()) as consumer:
        await eventually(lambda: isinstance(consumer.failure, PollFailed))
        assert not consumer.health().is_live()


async def test_a_broker_stopped_and_started_again_goes_on(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    got, broker = Collector(), make_broker(settings)
    consumer = Consumer(broker, settings, [topic], got)
    for number in range(2):
        await send(bootstrap, topic, [b"%d" % number])
        await broker.start()
        await eventually(lambda expected=number + 1: len(got.seen) == expected)
        assert await consumer.drain()
        await broker.stop()
    assert got.values == [b"0", b"1"]


@pytest.mark.fault("F23")
async def test_a_refused_commit_is_dropped_and_the_member_goes_on(bootstrap, monkeypatch):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])
    got = Collector()
    refused = []

    async def refuse(self, offsets):
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


@pytest.mark.fault("F23")
async def test_a_member_that_the_group_threw_out_comes_back_and_loses_nothing(bootstrap):
    """The broker itself refuses: the session ran out while the process stood still."""
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, session_timeout_ms=600, rebalance_timeout_ms=2_000, revoke_drain_s=0.2)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector(finish=False)
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: len(got.seen) == 2)
        time.sleep(1.5)  # noqa: ASYNC251 - the whole process is to stand still, heartbeats included
        for delivery in got.seen:
            delivery.done()
        got.finish = True
        await until_committed(settings, topic, 2)
        assert consumer.health().is_live()


class MemoryPositions:
    def __init__(self):
        self.saved = {}

    async def load(self, group):
        return {partition: at for (of, partition), at in self.saved.items() if of == group}

    async def save(self, group, positions):
        self.saved |= {(group, partition): at for partition, at in positions.items()}


async def test_a_group_starts_where_the_store_says_it_stopped_or_not_at_all(bootstrap):
    topic = await make_topic(bootstrap)
    settings = bus_settings(bootstrap, position_distance=1)
    await send(bootstrap, topic, [b"1", b"2", b"3"])
    store, got = MemoryPositions(), Collector()
    async with checked(settings, topic, got, store):
        await eventually(lambda: len(got.seen) == 3)
    assert await store.load(settings.group) == {(topic, 0): 3}
    async with checked(settings, topic, got, store):
        pass
    other = bus_settings(bootstrap, position_distance=1)
    store.saved[other.group, Partition(topic, 0)] = 3
    with pytest.raises(StartPositionMismatch, match="no committed offset, the store has 3"):
        async with checked(other, topic, got, store):
            pytest.fail("started")
    store.saved[settings.group, Partition(topic, 0)] = 1
    with pytest.raises(StartPositionMismatch, match="accept_start_position"):
        async with checked(settings, topic, got, store):
            pytest.fail("started")
    on_purpose = bus_settings(
        bootstrap, group=settings.group, position_distance=1, accept_start_position=True
    )
    async with checked(on_purpose, topic, got, store):
        pass
    assert await store.load(settings.group) == {(topic, 0): 3}


def checked(settings, topic, handler, store):
    return member(settings, [topic], handler, position_store=store, check_start=True)


async def test_a_consumer_with_a_store_takes_nothing_before_its_start_was_checked(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])
    got = Collector()
    async with member(settings, [topic], got, position_store=MemoryPositions()) as consumer:
        await eventually(lambda: consumer.failure is not None)
    assert got.seen == []


async def test_a_record_larger_than_a_fetch_is_read(bootstrap):
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


async def test_an_idle_consumer_hands_a_record_on_at_once(bootstrap):
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    publisher = Publisher(settings)
    await publisher.start()
    loop, arrivals = asyncio.get_running_loop(), []

    async def handler(batch):
        arrivals.append(loop.time())
        for delivery in batch:
            delivery.done()

    async with member(settings, [topic], handler) as consumer:
        await eventually(lambda: consumer.health().is_ready())
        delays = []
        for _ in range(3):
            await asyncio.sleep(0.6)  # longer than one poll waits
            sent_at = loop.time()
            await publisher.publish([Outgoing(topic, b"k", b"v")])
            await eventually(lambda: len(arrivals) > len(delays), every_s=0.005)
            delays.append(arrivals[-1] - sent_at)
    await publisher.stop()
    assert max(delays) < 0.2, delays
