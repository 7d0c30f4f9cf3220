"""What waits for one producer, by partition: whatever comes while a partition's batch is away leaves in its next one.

aiokafka takes one waiting batch a partition. Fifty tenants that publish at the same time would each send a small
batch of their own, one after the other; and those that wait for the one place would be told that their time is up
when it is not (it subtracts the time since the beginning once for every batch that went before).
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from hub.bus.records import Outgoing

Place = tuple[str, int]
"""A topic and one of its partitions."""


class Batch:
    """Records of one partition, of any number of callers. `done` is set once Kafka has all of them or has none."""

    __slots__ = ("_builder", "_callers", "_queue", "done", "error")

    def __init__(self, builder: Any, queue: deque["Batch"]) -> None:
        self._builder = builder
        self._queue = queue
        self._callers = 0
        self.done = asyncio.Event()
        self.error: BaseException | None = None

    def append(self, record: Outgoing) -> bool:
        """Add the record; False when the batch is full (an empty batch takes any record)."""
        headers = list(record.headers)
        added = self._builder.append(key=record.key, value=record.value, timestamp=None, headers=headers)
        return added is not None

    def joined(self) -> None:
        """One more caller has records in it."""
        self._callers += 1

    def give_up(self) -> None:
        """One caller waits no longer; a batch that nobody waits for is not sent, unless it is on its way."""
        self._callers -= 1
        if not self._callers and self in self._queue:
            self._queue.remove(self)
            self.ended(KafkaTimeoutError())

    def ended(self, error: BaseException | None = None) -> None:
        # Its traceback would hold on to this batch, and this batch to it.
        self.error = error if error is None else error.with_traceback(None)
        self.done.set()

    async def send(self, producer: AIOKafkaProducer, place: Place) -> None:
        """Return when Kafka has it or has refused it; `error` says which."""
        topic, partition = place
        try:
            await (await producer.send_batch(self._builder, topic, partition=partition))
        except KafkaError as error:
            self.ended(error)
        except BaseException as error:
            self.ended(error)
            raise
        else:
            self.ended()


class Batches:
    """Hands batches to the producer, for each partition one after the other.

    Invariants:
        * Records of one partition leave in the order in which they were added.
        * Nothing new is added to a batch that was handed over.
    """

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._queues: dict[Place, deque[Batch]] = {}
        self._pumps: set[asyncio.Task[None]] = set()

    def add(self, records: Iterable[tuple[Place, Outgoing]]) -> list[Batch]:
        """Queue the records, each for its partition; the batches that they are in."""
        mine: dict[int, Batch] = {}
        for place, record in records:
            batch = self._append(place, record)
            mine[id(batch)] = batch
        for batch in mine.values():
            batch.joined()
        return list(mine.values())

    async def ended(self) -> None:
        """Return when nothing is under way any more; call it once the producer is closed."""
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def _append(self, place: Place, record: Outgoing) -> Batch:
        queue = self._queues.get(place)
        if queue is None:
            queue = self._queues[place] = deque()
            pump = asyncio.create_task(self._pump(place, queue), name=f"publish {place[0]}[{place[1]}]")
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)
        if not queue or not queue[-1].append(record):
            batch = Batch(self._producer.create_batch(), queue)
            batch.append(record)
            queue.append(batch)
        return queue[-1]

    async def _pump(self, place: Place, queue: deque[Batch]) -> None:
        try:
            while queue:
                await queue.popleft().send(self._producer, place)
        finally:
            del self._queues[place]
