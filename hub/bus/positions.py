"""A group starts where it stopped, or not at all.

The store remembers, apart from Kafka, up to where each group has committed. When the two differ widely at a
start, either the store was restored, or the group's offsets were reset, expired or belong to another cluster:
going on would skip or repeat records, so the start is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from hub.bus.errors import StartPositionMismatch
from hub.bus.records import Partition
from hub.bus.settings import BusSettings, client_options
from hub.bus.topics import partition_counts


class PositionStore(Protocol):
    """Where committed positions are remembered outside Kafka; an instance belongs to one cluster."""

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        """Return the last saved position per (topic, partition)."""
        ...

    async def save(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        """Remember positions, leaving those of other partitions as they are."""
        ...


def mismatches(
    stored: Mapping[Partition, int],
    committed: Mapping[Partition, int | None],
    end: Mapping[Partition, int],
    *,
    distance: int,
) -> list[str]:
    """Say, one line per partition, where Kafka's committed offset is not near the stored one. Pure."""
    found = []
    for partition, position in sorted(stored.items()):
        name = f"{partition.topic}[{partition.partition}]"
        kafka = committed.get(partition)
        if partition not in committed:
            found.append(f"{name} does not exist, the store has {position}")
        elif kafka is None:
            found.append(f"{name} has no committed offset, the store has {position}")
        elif abs(kafka - position) > distance:
            found.append(f"{name} is committed at {kafka}, the store has {position}")
        elif position > end.get(partition, position) + distance:
            found.append(f"{name} ends at {end[partition]}, before the store's {position}")
    return found


async def check_start(settings: BusSettings, topics: Sequence[str], store: PositionStore) -> None:
    """Return when the group may start; with `accept_start_position`, take Kafka's word and save it.

    Raises:
        StartPositionMismatch: a partition's committed offset is more than `position_distance` from the stored
        one,
            or is missing while the store has one.
    """
    saved = await store.load(settings.group)
    stored = {
        Partition(*partition): position for partition, position in saved.items() if partition[0] in topics
    }
    committed, end = await committed_and_end(settings, topics)
    found = mismatches(stored, committed, end, distance=settings.position_distance)
    if not found:
        return
    if not settings.accept_start_position:
        raise StartPositionMismatch(settings.group, found)
    await store.save(settings.group, {partition: offset or 0 for partition, offset in committed.items()})


async def committed_and_end(
    settings: BusSettings, topics: Sequence[str]
) -> tuple[dict[Partition, int | None], dict[Partition, int]]:
    """Return where the group of `settings` has committed, None where it never has, and where each partition ends."""
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
        committed = {Partition(*partition): await reader.committed(partition) for partition in partitions}
        ends = {
            Partition(*partition): end for partition, end in (await reader.end_offsets(partitions)).items()
        }
        return committed, ends
    finally:
        await reader.stop()
