"""Reading a topic without a group: a range once, or everything and then on. No group's offsets are touched.

async for record in read_range(servers, "hub.dead-letters.v1"): ...

async with follow(servers, "hub.control.v1") as feed:
    task = asyncio.create_task(apply_all(feed))      # async for record in feed: ...
    await feed.caught_up.wait()
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream.security import BaseSecurity

from hub.bus.closing import close
from hub.bus.errors import TopicMissing
from hub.bus.records import Record
from hub.bus.salvage import rewind, salvage
from hub.bus.settings import client_options
from hub.bus.subscription import to_record
from hub.bus.topics import partition_counts

KeyFilter = Callable[[bytes | None], bool]

_POLL_MS = 500
_POLL_RECORDS = 1000


async def read_range(
    bootstrap_servers: str,
    topic: str,
    *,
    partitions: Collection[int] | None = None,
    start: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    key_filter: KeyFilter | None = None,
    security: BaseSecurity | None = None,
) -> AsyncIterator[Record]:
    """Yield the records of a topic up to the ends seen at the start, each partition in its order.

    `start` and `end` are offsets per partition (end exclusive), the earliest and the present end where
    absent.

    Raises:
        TopicMissing: the topic does not exist.
    """
    options = client_options(bootstrap_servers, security=security)
    async with _assigned(options, topic, partitions) as (consumer, assigned):
        first = await consumer.beginning_offsets(assigned)
        last = await consumer.end_offsets(assigned)
        remaining = {}
        for partition in assigned:
            begin = max(first[partition], (start or {}).get(partition.partition, 0))
            stop = min(last[partition], (end or {}).get(partition.partition, last[partition]))
            consumer.seek(partition, begin)
            if begin < stop:
                remaining[partition] = stop
            else:
                consumer.pause(partition)
        while remaining:
            for record in await _poll(consumer, options):
                partition = TopicPartition(record.topic, record.partition)
                if record.offset >= remaining.get(partition, 0):
                    continue
                if key_filter is None or key_filter(record.key):
                    yield record
            # The position, not the last record, tells the end: markers and compacted records have offsets too.
            for partition, stop in list(remaining.items()):
                if await consumer.position(partition) >= stop:
                    del remaining[partition]
                    consumer.pause(partition)


class Feed:
    """A topic from its earliest record on, endless; iterate it once.

    `caught_up` is set when the records up to the ends seen at the start were taken and finished, which is
    when the next one is asked for.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        options: Mapping[str, Any],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        self.caught_up = asyncio.Event()
        self._consumer = consumer
        self._options = options
        self._behind = {partition: end for partition, end in ends.items() if end > 0}

    async def __aiter__(self) -> AsyncIterator[Record]:
        while True:
            await self._note_progress()
            for record in await _poll(self._consumer, self._options):
                yield record

    async def _note_progress(self) -> None:
        for partition, end in list(self._behind.items()):
            if await self._consumer.position(partition) >= end:
                del self._behind[partition]
        if not self._behind:
            self.caught_up.set()


@asynccontextmanager
async def follow(
    bootstrap_servers: str, topic: str, *, security: BaseSecurity | None = None
) -> AsyncIterator[Feed]:
    """Give a feed of the whole topic, and of what comes after.

    Raises:
        TopicMissing: the topic does not exist.
    """
    options = client_options(bootstrap_servers, security=security)
    async with _assigned(options, topic, None) as (consumer, assigned):
        ends = await consumer.end_offsets(assigned)
        await consumer.seek_to_beginning(*assigned)
        yield Feed(consumer, options, ends)


@asynccontextmanager
async def _assigned(
    options: Mapping[str, Any], topic: str, partitions: Collection[int] | None
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    count = (await partition_counts(options, [topic]))[topic]
    if not count:
        raise TopicMissing([topic])
    assigned = [TopicPartition(topic, number) for number in sorted(partitions or range(count))]
    consumer = AIOKafkaConsumer(
        **options, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        consumer.assign(assigned)
        yield consumer, assigned
    finally:
        await close(consumer)


async def _poll(consumer: AIOKafkaConsumer, options: Mapping[str, Any]) -> list[Record]:
    before = {partition: await consumer.position(partition) for partition in consumer.assignment()}
    try:
        polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
    except UnicodeDecodeError:
        await rewind(consumer, before)
        polled = await salvage(consumer, options)
        for partition, records in polled.items():
            consumer.seek(partition, records[-1].offset + 1)
    return [to_record(record) for records in polled.values() for record in records]
