"""Reads the record that aiokafka cannot: one with a header name that is not UTF-8.

aiokafka raises UnicodeDecodeError for such a record at every poll, so one of them would stop its partition
for ever. Here its batch is fetched again and taken apart by the record format's own rules (Kafka protocol,
record batch v2); header names come out with surrogate escapes, so that no byte is lost. Aborted transactions
inside that one fetch are not filtered out.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.errors import LeaderNotAvailableError
from aiokafka.protocol.fetch import FetchRequest

_CODECS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_CODEC_MASK = 0x07
_LOG_APPEND_MASK = 0x08
_CONTROL_MASK = 0x20
_BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_END = 12
_MAGIC = 2
_FETCH_BYTES = 1024 * 1024


async def salvage(
    consumer: AIOKafkaConsumer, options: Mapping[str, Any]
) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
    """Return the records of every assigned partition whose next batches hold an undecodable header name.

    The consumer's positions are left as they are: the caller seeks past what it takes over. `options` are
    those of `client_options`.
    """
    client = AIOKafkaClient(**options)
    await client.bootstrap()
    try:
        found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
        for partition in consumer.assignment() - consumer.paused():
            client.add_topic(partition.topic)
            await client.force_metadata_update()
            position = await consumer.position(partition)
            records = [
                record
                for record in parse_records(await _fetch(client, partition, position), partition)
                if record.offset >= position
            ]
            if any(_undecodable(record) for record in records):
                found[partition] = records
        return found
    finally:
        await client.close()


async def rewind(consumer: AIOKafkaConsumer, taken_up_to: Mapping[TopicPartition, int]) -> None:
    """Read on from these offsets where reading has gone past them.

    A poll that raises for one partition has already taken other partitions' records off aiokafka's buffers, and drops
    them.
    """
    for partition, offset in taken_up_to.items():
        if partition in consumer.assignment() and await consumer.position(partition) > offset:
            consumer.seek(partition, offset)


async def _fetch(client: AIOKafkaClient, partition: TopicPartition, offset: int) -> bytes:
    request = FetchRequest(
        max_wait_time=0,
        min_bytes=0,
        max_bytes=_FETCH_BYTES,
        isolation_level=1,
        topics=[(partition.topic, [(partition.partition, offset, _FETCH_BYTES)])],
    )
    leader = client.cluster.leader_for_partition(partition)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError(partition)
    response = await client.send(leader, request)
    for _, partitions in response.topics:
        for answer in partitions:
            return bytes(answer[-1] or b"")
    return b""


def parse_records(data: bytes, partition: TopicPartition) -> Iterator[ConsumerRecord[bytes, bytes]]:
    """Yield the records of whole version-2 batches; control batches and a batch cut short are left out."""
    at = 0
    while at + _BATCH_HEADER.size <= len(data):
        base_offset, length, _, magic, _, attributes, _, first_ms, max_ms, *_, count = (
            _BATCH_HEADER.unpack_from(data, at)
        )
        end = at + _LENGTH_END + length
        if end > len(data) or magic != _MAGIC:
            return
        body = data[at + _BATCH_HEADER.size : end]
        at = end
        if attributes & _CONTROL_MASK:
            continue
        codec = attributes & _CODEC_MASK
        reader = _Reader(bytes(_CODECS[codec](body)) if codec else body)
        for _ in range(count):
            delta_ms, delta_offset, key, value, headers = reader.record()
            timestamp = max_ms if attributes & _LOG_APPEND_MASK else first_ms + delta_ms
            yield ConsumerRecord(
                topic=partition.topic,
                partition=partition.partition,
                offset=base_offset + delta_offset,
                timestamp=timestamp,
                timestamp_type=1 if attributes & _LOG_APPEND_MASK else 0,
                key=key,
                value=value,
                checksum=None,
                serialized_key_size=len(key) if key is not None else -1,
                serialized_value_size=len(value) if value is not None else -1,
                headers=headers,
            )


def _undecodable(record: ConsumerRecord[bytes, bytes]) -> bool:
    return any(not name.isascii() and _has_escapes(name) for name, _ in record.headers)


def _has_escapes(name: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in name)


class _Reader:
    """Takes records off the bytes of one uncompressed batch."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def record(self) -> tuple[int, int, bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]:
        self._varint()
        self._at += 1
        delta_ms, delta_offset = self._varint(), self._varint()
        key, value = self._bytes(), self._bytes()
        headers: list[tuple[str, Any]] = []
        for _ in range(self._varint()):
            name = self._bytes() or b""
            # aiokafka's own records say bytes and carry None for a null value too.
            headers.append((name.decode("utf-8", "surrogateescape"), self._bytes()))
        return delta_ms, delta_offset, key, value, tuple(headers)

    def _bytes(self) -> bytes | None:
        length = self._varint()
        if length < 0:
            return None
        self._at += length
        return self._data[self._at - length : self._at]

    def _varint(self) -> int:
        shift = value = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
