"""The topics are there, as their version fixes them, before anything is read or published."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, for_code
from faststream.security import BaseSecurity

from hub.bus.errors import PartitionCountDiffers, TopicCreationFailed, TopicMissing
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES, client_options

_BATCH_ROOM_BYTES = 64 * 1024
_ALREADY_EXISTS = 36
_MOVING = (5, 7, 41)
"""LEADER_NOT_AVAILABLE, REQUEST_TIMED_OUT, NOT_CONTROLLER. "Fenced" comes as INVALID_REPLICATION_FACTOR."""
_NO_BROKER_S = 10.0
_RETRY_S = 0.2


class TopicSpec(Protocol):
    """What fixes a topic; `retention_ms` None keeps records for ever."""

    @property
    def name(self) -> str: ...
    @property
    def partitions(self) -> int: ...
    @property
    def retention_ms(self) -> int | None: ...
    @property
    def compacted(self) -> bool: ...


async def check_topics(
    bootstrap_servers: str,
    specs: Sequence[TopicSpec],
    *,
    security: BaseSecurity | None = None,
    any_partition_count: bool = False,
) -> dict[str, int]:
    """Return each topic's partition count, having checked it; reads metadata only.

    `any_partition_count` is for the embedded broker, which makes a topic when it is asked for and chooses the
    count.

    Raises:
        TopicMissing: a topic does not exist.
        PartitionCountDiffers: a topic has another count than its spec.
    """
    options = client_options(bootstrap_servers, security=security)
    counts = await partition_counts(options, [spec.name for spec in specs])
    missing = [name for name, count in counts.items() if count == 0]
    if missing:
        raise TopicMissing(missing)
    differing = {
        spec.name: (counts[spec.name], spec.partitions)
        for spec in specs
        if counts[spec.name] != spec.partitions and not any_partition_count
    }
    if differing:
        raise PartitionCountDiffers(differing)
    return counts


async def partition_counts(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """Return the partition count of each topic, 0 for one that does not exist; `options` as of `client_options`.

    Raises:
        KafkaConnectionError: no broker was up for `_NO_BROKER_S`; it is not known then what topics there are.
    """
    client = AIOKafkaClient(**options)
    await client.bootstrap()
    try:
        for name in names:
            client.add_topic(name)
        # A cluster that is just coming up answers without any broker, and so without any topic.
        give_up_at = time.monotonic() + _NO_BROKER_S
        while not await client.force_metadata_update():
            if time.monotonic() > give_up_at:
                raise KafkaConnectionError("Kafka answers, and has no broker that is up; try again later")
            await asyncio.sleep(_RETRY_S)
        return {name: len(client.cluster.partitions_for_topic(name) or ()) for name in names}
    finally:
        await client.close()


async def create_topics(
    bootstrap_servers: str,
    specs: Sequence[TopicSpec],
    *,
    security: BaseSecurity | None = None,
    replication_factor: int = -1,
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
) -> list[str]:
    """Create those topics that do not exist and return their names; existing ones are left as they are.

    A replication factor of -1 takes the cluster's default. While the cluster is just coming up it is asked again, for
    `_NO_BROKER_S`.

    Raises:
        TopicCreationFailed: the broker refused, with its reasons.
    """
    admin = AIOKafkaAdminClient(**client_options(bootstrap_servers, security=security))
    await admin.start()
    try:
        wanted = [_new_topic(spec, replication_factor, max_record_bytes) for spec in specs]
        created: list[str] = []
        give_up_at = time.monotonic() + _NO_BROKER_S
        while True:
            answers = (await admin.create_topics(wanted)).topic_errors
            created += [name for name, code, *_ in answers if code == 0]
            refused = {
                name: (message[0] if message else None) or for_code(code).__name__
                for name, code, *message in answers
                if code not in (0, _ALREADY_EXISTS)
            }
            if not refused:
                return created
            if time.monotonic() > give_up_at or not _soon_over(answers):
                raise TopicCreationFailed(refused)
            await asyncio.sleep(_RETRY_S)
    finally:
        await admin.close()


def _soon_over(answers: Sequence[tuple[Any, ...]]) -> bool:
    """Whether all that is refused is refused because brokers or their controller are just coming up or moving."""
    return all(
        code in (0, _ALREADY_EXISTS, *_MOVING) or "fenced" in str(message) for _, code, *message in answers
    )


def _new_topic(spec: TopicSpec, replication_factor: int, max_record_bytes: int) -> NewTopic:
    return NewTopic(
        spec.name,
        spec.partitions,
        replication_factor,
        # aiokafka takes the cluster's default factor only beside an (empty) explicit assignment.
        replica_assignments={} if replication_factor == -1 else None,
        topic_configs=topic_configs(spec, max_record_bytes),
    )


def topic_configs(spec: TopicSpec, max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES) -> dict[str, str]:
    """What a topic is created with, whoever creates it."""
    return {
        "cleanup.policy": "compact" if spec.compacted else "delete",
        "retention.ms": str(-1 if spec.retention_ms is None else spec.retention_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(max_record_bytes + _BATCH_ROOM_BYTES),
    }
