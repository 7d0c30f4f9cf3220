"""What waits for a producer leaves together, in order, and only if somebody still waits for it."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerClosed

from hub.bus.batches import Batch, Batches
from hub.bus.records import Outgoing

PLACE = ("topic", 0)


class Builder:
    """Takes three records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, key: bytes, value: bytes, timestamp: None, headers: list[Any]) -> object | None:
        if len(self.values) == 3:
            return None
        self.values.append(value)
        return object()


class Producer:
    """Acknowledges a batch when the test says so."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.answers: list[asyncio.Future[None]] = []

    def create_batch(self) -> Builder:
        return Builder()

    async def send_batch(self, builder: Builder, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.sent.append(builder.values)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def acknowledge(self, error: Exception | None = None) -> None:
        """The oldest batch on its way; what follows by itself has happened when this returns."""
        answer = self.answers.pop(0)
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def batches(producer: Any) -> Batches:
    return Batches(producer)


def add(batches: Batches, *values: bytes, place: tuple[str, int] = PLACE) -> list[Batch]:
    return batches.add([(place, Outgoing(place[0], b"k", value)) for value in values])


async def test_what_comes_while_a_batch_is_away_leaves_in_the_next_one(
    batches: Batches, producer: Producer
) -> None:
    add(batches, b"1")
    await settled()
    (second,) = add(batches, b"2")
    (third,) = add(batches, b"3")

    assert second is third
    assert producer.sent == [[b"1"]]
    await producer.acknowledge()
    assert producer.sent == [[b"1"], [b"2", b"3"]]
    await producer.acknowledge()
    assert second.done.is_set()


async def test_records_of_a_partition_leave_in_their_order_however_full_batches_are(
    batches: Batches, producer: Producer
) -> None:
    values = [b"%d" % number for number in range(8)]
    mine = [*add(batches, *values[:5]), *add(batches, *values[5:])]
    await settled()
    while producer.answers:
        await producer.acknowledge()

    assert [value for batch in producer.sent for value in batch] == values
    assert all(batch.done.is_set() and batch.error is None for batch in mine)


async def test_partitions_do_not_wait_for_each_other(batches: Batches, producer: Producer) -> None:
    add(batches, b"stuck")
    add(batches, b"free", place=("topic", 1))
    await settled()

    assert producer.sent == [[b"stuck"], [b"free"]]


async def test_what_nobody_waits_for_is_not_sent_unless_it_is_on_its_way(
    batches: Batches, producer: Producer
) -> None:
    (away,) = add(batches, b"away")
    await settled()
    (alone,) = add(batches, b"a", b"b", b"c")
    (shared,), (also_shared,) = add(batches, b"d"), add(batches, b"e")

    away.give_up()
    alone.give_up()
    shared.give_up()

    assert shared is also_shared
    assert not away.done.is_set()
    assert isinstance(alone.error, KafkaTimeoutError)
    await producer.acknowledge()
    assert producer.sent == [[b"away"], [b"d", b"e"]]


async def test_a_refused_batch_fails_its_own_callers_and_the_next_is_tried(
    batches: Batches, producer: Producer
) -> None:
    (refused,) = add(batches, b"1")
    await settled()
    (next_,) = add(batches, b"2")
    await producer.acknowledge(ProducerClosed())
    await producer.acknowledge()
    await batches.ended()

    assert isinstance(refused.error, ProducerClosed)
    assert next_.error is None
    assert next_.done.is_set()
