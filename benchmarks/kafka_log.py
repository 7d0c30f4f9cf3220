"""The benchmarks' own hands on Kafka: publish events, see how far topics are, set a group's start."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition

from benchmarks.quotes import Event
from hub.bus.positions import committed_and_end
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.bus.settings import BusSettings
from schemas.envelope import from_structured, headers_of
from schemas.topics import BY_NAME, QUOTES

Positions = dict[TopicPartition, int]
_LOOK_EVERY_S = 0.02


class KafkaLog:
    """One connection to a broker that has the hub's topics."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._publisher = Publisher(BusSettings(bootstrap_servers=bootstrap, client_id="benchmark"))
        self._reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)

    async def start(self) -> None:
        await self._publisher.start()
        await self._reader.start()

    async def stop(self) -> None:
        await self._reader.stop()
        await self._publisher.stop()

    async def publish(self, events: Sequence[Event]) -> None:
        """Put quote events on the log, as a producer with Kafka access would."""
        await self.append([_record(event) for event in events])

    async def append(self, records: Sequence[Outgoing]) -> None:
        """Return when all of them are acknowledged."""
        await self._publisher.publish(records)

    async def ends(self, topic: str) -> Positions:
        """How many records each partition has."""
        partitions = [TopicPartition(topic, number) for number in range(BY_NAME[topic].partitions)]
        found: Positions = await self._reader.end_offsets(partitions)
        return found

    async def count(self, topic: str) -> int:
        return sum((await self.ends(topic)).values())

    async def grown(self, topic: str, records: int, patience_s: float) -> None:
        """Return when the topic has that many records."""
        deadline = time.perf_counter() + patience_s
        while (count := await self.count(topic)) < records:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{topic} has {count} of {records} records after {patience_s:.0f} s")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def finished(self, group: str, topic: str, patience_s: float = 300.0) -> None:
        """Return when the group has finished and committed everything that the topic has."""
        settings = BusSettings(bootstrap_servers=self._bootstrap, client_id="benchmark", group=group)
        deadline = time.perf_counter() + patience_s
        while True:
            committed, ends = await committed_and_end(settings, [topic])
            if all((committed[at] or 0) == end for at, end in ends.items()):
                return
            if time.perf_counter() > deadline:
                raise TimeoutError(
                    f"{group} has not finished {topic} in {patience_s:.0f} s: {committed}, {ends}"
                )
            await asyncio.sleep(0.2)

    async def committed(self, group: str, at_least: Mapping[TopicPartition, int], patience_s: float) -> None:
        """Return within milliseconds of the group's having committed these positions."""
        looker = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=group, enable_auto_commit=False)
        await looker.start()
        try:
            looker.assign(list(at_least))
            deadline = time.perf_counter() + patience_s
            missing = list(at_least)
            while missing:
                if time.perf_counter() > deadline:
                    raise TimeoutError(f"{group} has not committed {missing} in {patience_s:.0f} s")
                await asyncio.sleep(_LOOK_EVERY_S)
                missing = [at for at in missing if (await looker.committed(at) or 0) < at_least[at]]
        finally:
            await looker.stop()

    async def begin_at(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Commit these positions for a group that has no member."""
        member = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=group, enable_auto_commit=False)
        await member.start()
        try:
            member.assign(list(positions))
            await member.commit({at: OffsetAndMetadata(offset, "") for at, offset in positions.items()})
        finally:
            await member.stop()


def _record(event: Event) -> Outgoing:
    envelope = from_structured(event)
    return Outgoing(QUOTES, envelope.key, json.dumps(event["data"]).encode(), headers_of(envelope))
