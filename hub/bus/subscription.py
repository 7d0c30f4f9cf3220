"""How FastStream is made to hand over raw batches: a parser that hides headers, a decoder that decodes nothing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from hub.bus.records import Record
from hub.bus.settings import BusSettings

TICK_MS = 500


def to_record(raw: ConsumerRecord[bytes, bytes]) -> Record:
    """Return the hub's form of a record, headers as they came."""
    return Record(raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers))


async def safe_parser(
    message: tuple[ConsumerRecord[bytes, bytes], ...],
    original: Callable[[Any], Awaitable[KafkaMessage]],
) -> KafkaMessage:
    """Parse a batch without showing FastStream its headers, which it would decode or drop the batch over."""
    parsed = await original((replace(message[0], headers=()),))
    parsed.raw_message = message
    parsed.body = [record.value or b"" for record in message]
    return parsed


async def raw_decoder(message: KafkaMessage) -> Any:
    """Decode nothing: FastStream would take any value that looks like JSON for JSON."""
    return message.raw_message


def subscribe(
    broker: KafkaBroker,
    settings: BusSettings,
    topics: Sequence[str],
    on_batch: Callable[[Any], Awaitable[None]],
    listener: ConsumerRebalanceListener,
) -> Any:
    # aiokafka keeps the sticky assignor's memory on its class: members in one process would share it.
    sticky = type("OwnStickyAssignor", (StickyPartitionAssignor,), {})
    subscriber = broker.subscriber(
        *topics,
        batch=True,
        group_id=settings.group,
        ack_policy=AckPolicy.MANUAL,
        parser=safe_parser,
        decoder=raw_decoder,
        listener=listener,
        no_reply=True,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        partition_assignment_strategy=(sticky,),
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=max(100, settings.session_timeout_ms // 5),
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        max_records=settings.max_batch_records,
        batch_timeout_ms=TICK_MS,
    )
    subscriber(on_batch)
    return subscriber
