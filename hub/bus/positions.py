"""A group starts where it stopped, or not at all.

The store remembers, apart from Kafka, up to where each group has finished, and is told before Kafka is: whatever
is killed when, the stored position of a partition is never lower than the committed one. So a committed one that is
higher proves that the store went back (it was restored, or failed over to an older copy): the commands in between
would never be carried out again, though nothing here remembers that they were. And a stored one that is far higher
says that the group's offsets were reset, expired or belong to another cluster. Either start is refused.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from hub.bus.closing import close
from hub.bus.errors import StartPositionMismatch, StoreWentBack
from hub.bus.records import Partition
from hub.bus.settings import BusSettings, client_options
from hub.bus.topics import partition_counts


class PositionStore(Protocol):
    """Where positions are remembered outside Kafka; an instance belongs to one cluster."""

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        """Return the last saved position per (topic, partition)."""
        ...

    async def save(
        self,
        group: str,
        positions: Mapping[tuple[str, int], int],
        at_least: Mapping[tuple[str, int], int] | None = None,
    ) -> set[tuple[str, int]]:
        """Raise positions, leaving those of other partitions as they are; none is ever lowered.

        Where less is stored than `at_least` says, nothing is saved: those partitions are returned.
        """
        ...

    async def replace(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        """Remember these positions, higher or lower than before."""
        ...


def mismatches(
    stored: Mapping[Partition, int],
    committed: Mapping[Partition, int | None],
    end: Mapping[Partition, int],
    *,
    distance: int,
) -> list[str]:
    """Say, one line per partition, where Kafka's committed offset is far behind the stored one. Pure.

    Behind it by little is a process that was killed between the two.
    """
    found = []
    for partition, position in sorted(stored.items()):
        name, kafka = _name(partition), committed.get(partition)
        if partition not in committed:
            found.append(f"{name} does not exist, the store has {position}")
        elif position - (kafka or 0) > distance:
            is_at = "has no committed offset" if kafka is None else f"is committed at {kafka}"
            found.append(f"{name} {is_at}, the store has {position}")
        elif position > end.get(partition, position) + distance:
            found.append(f"{name} ends at {end[partition]}, before the store's {position}")
    return found


def lags(stored: Mapping[Partition, int], committed: Mapping[Partition, int | None]) -> list[str]:
    """Say, one line per partition, where the store is behind Kafka's committed offset. Pure."""
    return [
        f"{_name(partition)} is committed at {kafka}, the store has {stored.get(partition, 'nothing')}"
        for partition, kafka in sorted(committed.items())
        if kafka is not None and kafka > stored.get(partition, 0)
    ]


async def check_start(settings: BusSettings, topics: Sequence[str], store: PositionStore) -> None:
    """Return when the group may start; with `accept_start_position`, take Kafka's word and save it.

    Raises:
        StartPositionMismatch: a partition's stored position is more than `position_distance` above the committed
            one.
        StoreWentBack: a partition's committed offset is above the stored position.
    """
    # In this order: other members save before they commit, so what they do meanwhile never looks like a lag.
    committed, end = await committed_and_end(settings, topics)
    stored = await stored_positions(settings.group, topics, store)
    found = mismatches(stored, committed, end, distance=settings.position_distance)
    lagging = lags(stored, committed)
    if not found and not lagging:
        return
    if not settings.accept_start_position:
        raise (
            StartPositionMismatch(settings.group, found) if found else StoreWentBack(settings.group, lagging)
        )
    await store.replace(settings.group, {partition: offset or 0 for partition, offset in committed.items()})


async def stored_positions(group: str, topics: Sequence[str], store: PositionStore) -> dict[Partition, int]:
    """The group's stored positions in these topics."""
    saved = await store.load(group)
    return {
        Partition(*partition): position for partition, position in saved.items() if partition[0] in topics
    }


async def committed_and_end(
    settings: BusSettings, topics: Sequence[str]
) -> tuple[dict[Partition, int | None], dict[Partition, int]]:
    """Return where the group of `settings` has committed, None where it never has, and where each partition ends."""
    async with apart(settings, topics) as (reader, partitions):
        committed = {Partition(*partition): await reader.committed(partition) for partition in partitions}
        ends = await reader.end_offsets(partitions)
        return committed, {Partition(*partition): end for partition, end in ends.items()}


@asynccontextmanager
async def apart(
    settings: BusSettings, topics: Sequence[str]
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """Give a client that knows the group's offsets and all partitions of the topics without being a member."""
    options = client_options(
        settings.bootstrap_servers, client_id=settings.client_id, security=settings.security
    )
    counts = await partition_counts(options, topics)
    partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
    # A manual assignment reads the group's offsets without joining it, so no rebalance is caused.
    reader = AIOKafkaConsumer(**options, group_id=settings.group, enable_auto_commit=False)
    await reader.start()
    try:
        reader.assign(partitions)
        yield reader, partitions
    finally:
        await close(reader)


def _name(partition: Partition) -> str:
    return f"{partition.topic}[{partition.partition}]"
