"""A group with a position store starts where it stopped, or not at all."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from hub.bus.consumer import Consumer, Handler
from hub.bus.errors import BusError, GroupInUse, StartPositionMismatch, StoreWentBack
from hub.bus.positions import PositionStore, check_start
from hub.bus.records import Partition
from hub.bus.rewind import Move, check_unused, planned, rewind
from hub.bus.settings import BusSettings
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


class MemoryPositions:
    def __init__(self) -> None:
        self.saved: dict[tuple[str, tuple[str, int]], int] = {}
        self.away = False

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        self._reached()
        return {partition: at for (of, partition), at in self.saved.items() if of == group}

    async def save(
        self,
        group: str,
        positions: Mapping[tuple[str, int], int],
        at_least: Mapping[tuple[str, int], int] | None = None,
    ) -> set[tuple[str, int]]:
        self._reached()
        stored = {at: self.saved.get((group, at), 0) for at in positions}
        refused = {at for at, position in stored.items() if position < (at_least or {}).get(at, 0)}
        self.saved |= {
            (group, at): max(position, stored[at]) for at, position in positions.items() if at not in refused
        }
        return refused

    async def replace(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        self.saved |= {(group, partition): at for partition, at in positions.items()}

    def _reached(self) -> None:
        if self.away:
            raise ConnectionError("the store can't be reached")


def checked(
    settings: BusSettings, topic: str, handler: Handler, store: PositionStore
) -> AbstractAsyncContextManager[Consumer]:
    return member(settings, [topic], handler, position_store=store, check_start=True)


async def test_a_group_starts_where_the_store_says_it_stopped_or_not_at_all(bootstrap: str) -> None:
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
    with pytest.raises(StoreWentBack, match=r"committed at 3, the store has 1.*hub store restored"):
        async with checked(settings, topic, got, store):
            pytest.fail("started")
    on_purpose = bus_settings(
        bootstrap, group=settings.group, position_distance=1, accept_start_position=True
    )
    async with checked(on_purpose, topic, got, store):
        pass
    assert await store.load(settings.group) == {(topic, 0): 3}


async def test_a_consumer_with_a_store_takes_nothing_before_its_start_was_checked(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])
    got = Collector()
    async with member(settings, [topic], got, position_store=MemoryPositions()) as consumer:
        await eventually(lambda: consumer.failure is not None)
    assert got.seen == []


async def test_the_store_has_a_position_before_kafka_has_it(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    store, got = MemoryPositions(), Collector()
    seen: list[tuple[int, int]] = []
    commit = AIOKafkaConsumer.commit

    async def look(self: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        ((partition, offset),) = offsets.items()
        seen.append((offset, store.saved[settings.group, Partition(*partition)]))
        await commit(self, offsets)

    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.commit", look)
    async with checked(settings, topic, got, store):
        for number in range(3):
            await send(bootstrap, topic, [b"%d" % number])
            await until_committed(settings, topic, number + 1)
    assert seen == [(1, 1), (2, 2), (3, 3)]


async def test_a_store_that_is_away_puts_commits_off_and_polling_goes_on(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1"])
    store, got = MemoryPositions(), Collector()
    async with checked(settings, topic, got, store) as consumer:
        await until_committed(settings, topic, 1)
        store.away = True
        await send(bootstrap, topic, [b"2"])
        await eventually(lambda: consumer.health().commit_failures)
        await send(bootstrap, topic, [b"3"])
        await eventually(lambda: len(got.seen) == 3)
        health = consumer.health()
        assert (health.is_live(), health.failure) == (True, None)
        assert await committed(settings, topic) == 1
        store.away = False
        await until_committed(settings, topic, 3)
    assert await store.load(settings.group) == {(topic, 0): 3}


async def test_while_kafka_refuses_the_store_is_ahead_by_one_commit_and_no_more(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    store, got = MemoryPositions(), Collector()

    async def refuse(self: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        raise CommitFailedError("the group has rebalanced")

    async with checked(settings, topic, got, store) as consumer:
        with monkeypatch.context() as patched:
            patched.setattr("aiokafka.AIOKafkaConsumer.commit", refuse)
            await send(bootstrap, topic, [b"1"])
            await eventually(lambda: consumer.health().commit_failures)
            await send(bootstrap, topic, [b"2", b"3"])
            refused = consumer.health().commit_failures
            await eventually(lambda: len(got.seen) == 3 and consumer.health().commit_failures > refused)
            assert await store.load(settings.group) == {(topic, 0): 1}
        await until_committed(settings, topic, 3)
    assert await store.load(settings.group) == {(topic, 0): 3}


@pytest.mark.parametrize("idle", [True, False])
async def test_a_store_that_goes_back_under_a_running_member_stops_it(bootstrap: str, idle: bool) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    store = MemoryPositions()
    failures: list[BusError] = []
    async with checked(settings, topic, Collector(), store):
        await until_committed(settings, topic, 2)
    # The member that notices has saved nothing itself.
    async with member(
        settings,
        [topic],
        Collector(),
        position_store=store,
        check_start=True,
        on_failure=failures.append,
        drain=False,
    ) as consumer:
        await eventually(lambda: consumer.health().is_ready())
        await store.replace(settings.group, {Partition(topic, 0): 1})
        if not idle:
            await send(bootstrap, topic, [b"3"])
        await eventually(lambda: bool(failures))
    assert isinstance(failures[0], StoreWentBack)
    assert "hub store restored" in str(failures[0])
    assert await committed(settings, topic) == 2
    assert await store.load(settings.group) == {(topic, 0): 1}


class WhileOthersWork(MemoryPositions):
    """Another member of the group goes on while this one looks where it stands: it saves, then it commits."""

    def __init__(self, settings: BusSettings, topic: str) -> None:
        super().__init__()
        self.settings, self.topic, self.offset = settings, topic, 0

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        seen = await super().load(group)
        self.offset += 1
        await self.save(group, {(self.topic, 0): self.offset})
        await commit_at(self.settings, self.topic, self.offset)
        return seen


async def test_a_member_that_starts_beside_one_that_works_takes_its_progress_for_no_loss(
    bootstrap: str,
) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"%d" % number for number in range(5)])
    store = WhileOthersWork(settings, topic)
    for _ in range(3):
        await check_start(settings, [topic], store)
    assert store.offset == 3


async def commit_at(settings: BusSettings, topic: str, offset: int) -> None:
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group, enable_auto_commit=False
    )
    await client.start()
    client.assign([TopicPartition(topic, 0)])
    await client.commit({TopicPartition(topic, 0): offset})
    await client.stop()


async def test_a_group_is_taken_back_to_where_the_store_says_it_was(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap, 3), bus_settings(bootstrap)
    for number in range(12):
        await send(bootstrap, topic, [b"1", b"2"], key=b"%d" % number)
    store, got = MemoryPositions(), Collector()
    async with checked(settings, topic, got, store):
        await eventually(lambda: len(got.seen) == 24)
        with pytest.raises(GroupInUse, match=f"{settings.group} .test at "):
            await check_unused(settings, [settings.group])
    ends = {Partition(*at): end for at, end in (await store.load(settings.group)).items()}
    whole, started, forgotten = sorted(ends)
    store.saved[settings.group, started] = 1
    del store.saved[settings.group, forgotten]
    with pytest.raises(StoreWentBack):
        async with checked(settings, topic, got, store):
            pytest.fail("started")

    await check_unused(settings, [settings.group, "nobody"])
    moves = await planned(settings, [topic], store)
    assert moves == sorted(
        [Move(started, ends[started], 1, 0), Move(forgotten, ends[forgotten], 0, 0)],
        key=lambda move: move.partition,
    )
    await rewind(settings, [topic], store, moves)
    assert await planned(settings, [topic], store) == []
    again = Collector()
    async with checked(settings, topic, again, store):
        await eventually(lambda: len(again.seen) == ends[started] - 1 + ends[forgotten])
    assert {delivery.record.partition for delivery in again.seen} == {
        started.partition,
        forgotten.partition,
    }
    assert await store.load(settings.group) == ends
    assert whole not in {move.partition for move in moves}


async def test_a_group_with_a_member_is_not_moved(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    store = MemoryPositions()
    async with checked(settings, topic, Collector(), store):
        await until_committed(settings, topic, 2)
        with pytest.raises(GroupInUse):
            await rewind(settings, [topic], MemoryPositions(), [Move(Partition(topic, 0), 2, 0, 0)])
        assert await committed(settings, topic) == 2
