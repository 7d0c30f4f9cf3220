"""A group with a position store starts where it stopped, or not at all."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from hub.bus.consumer import Consumer, Handler
from hub.bus.errors import StartPositionMismatch
from hub.bus.positions import PositionStore
from hub.bus.records import Partition
from hub.bus.settings import BusSettings
from tests.support.bus import (
    Collector,
    bus_settings,
    make_topic,
    member,
    send,
)
from tests.support.eventually import eventually


class MemoryPositions:
    def __init__(self) -> None:
        self.saved: dict[tuple[str, tuple[str, int]], int] = {}

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        return {partition: at for (of, partition), at in self.saved.items() if of == group}

    async def save(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        self.saved |= {(group, partition): at for partition, at in positions.items()}


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
    with pytest.raises(StartPositionMismatch, match="accept_start_position"):
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
