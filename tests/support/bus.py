"""Topics, members and oracles for tests of the bus on a real broker."""

import asyncio
import struct
import sys
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from hub.bus.broker import make_broker
from hub.bus.consumer import Consumer, Handler
from hub.bus.delivery import Delivery
from hub.bus.settings import BusSettings
from hub.bus.topics import create_topics
from tests.support.eventually import eventually

_CRC_AT = 17
_CRC_FROM = 21


@dataclass(frozen=True)
class Spec:
    name: str
    partitions: int = 1
    retention_ms: int | None = None
    compacted: bool = False


async def make_topic(bootstrap: str, partitions: int = 1, **kwargs: Any) -> str:
    """Create a topic with a name of its own."""
    name = f"test.{uuid.uuid4().hex[:12]}"
    await create_topics(bootstrap, [Spec(name, partitions)], **kwargs)
    return name


def bus_settings(bootstrap: str, **overrides: Any) -> BusSettings:
    """Settings with a group of their own. What is waited for returns early, so that its windows are wide.

    Those who test that a session, a drain or a publish ends in time give it a short one.
    """
    defaults: dict[str, Any] = {
        "group": f"group-{uuid.uuid4().hex[:12]}",
        "client_id": "test",
        "session_timeout_ms": 60_000,
        "rebalance_timeout_ms": 60_000,
        "commit_interval_s": 0.02,
        "revoke_drain_s": 1.0,
        "shutdown_drain_s": 0.5,
        "commit_timeout_s": 60.0,
        "publish_timeout_s": 60.0,
    }
    return BusSettings(bootstrap_servers=bootstrap, **(defaults | overrides))


@dataclass
class Collector:
    """A handler that keeps what it gets; with `finish` it marks everything done at once."""

    finish: bool = True
    seen: list[Delivery] = field(default_factory=list)

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        self.seen.extend(batch)
        if self.finish:
            for delivery in batch:
                delivery.done()

    @property
    def values(self) -> list[bytes | None]:
        return [delivery.record.value for delivery in self.seen]


@asynccontextmanager
async def member(
    settings: BusSettings,
    topics: Sequence[str],
    handler: Handler,
    *,
    drain: bool = True,
    check_start: bool = False,
    **options: Any,
) -> AsyncIterator[Consumer]:
    """Run a group member; without `drain` it leaves as a killed process would, committing nothing more."""
    broker = make_broker(settings)
    consumer = Consumer(broker, settings, topics, handler, **options)
    if check_start:
        await consumer.check_start()
    await broker.start()
    try:
        yield consumer
    finally:
        if drain:
            await consumer.drain()
        await broker.stop()


async def send(
    bootstrap: str, topic: str, values: Iterable[bytes | None], *, key: bytes = b"k", headers: Any = ()
) -> None:
    """Publish with a client of its own, not the hub's."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send(topic, value, key=key, headers=list(headers))
        await producer.flush()
    finally:
        await producer.stop()


async def transact(bootstrap: str, topic: str, values: Iterable[bytes], *, commit: bool) -> None:
    """Publish in a transaction, and commit or abort it."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, key=b"k")
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


async def send_bad_header_name(bootstrap: str, topic: str, values: Sequence[bytes], *, bad: int) -> None:
    """Publish one batch whose record number `bad` has the header name b"\\xff\\xfe", as a C client could."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000_000,
    )
    for number, value in enumerate(values):
        headers = [("zz", b"odd"), ("fine", b"1")] if number == bad else []
        assert builder.append(number, 0, b"k", value, headers) is not None
    batch = bytearray(bytes(builder.build()).replace(b"zz", b"\xff\xfe"))
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_CRC_FROM:])))
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        client.add_topic(topic)
        await client.force_metadata_update()
        leader = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        request = ProduceRequest(
            transactional_id=None, required_acks=-1, timeout=5_000, topics=[(topic, [(0, bytes(batch))])]
        )
        response = await client.send(leader, request)
        assert response.topics[0][1][0][1] == 0, response
    finally:
        await client.close()


async def kill_a_member(settings: BusSettings, topic: str, count: int) -> list[bytes]:
    """Let a member in its own process, its session 3 s, be handed `count` records; SIGKILL it; their values."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.bus_member"),
        *(settings.bootstrap_servers, settings.group, topic),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    values: list[bytes] = []
    while len(values) < count:
        line = await asyncio.wait_for(process.stdout.readline(), 90)
        if line.startswith(b"got "):
            values.append(line.split()[1])
    process.kill()
    await process.wait()
    return values


async def committed(settings: BusSettings, topic: str, partition: int = 0) -> int | None:
    """The group's committed offset, as Kafka has it."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, group_id=settings.group, enable_auto_commit=False
    )
    await reader.start()
    try:
        reader.assign([TopicPartition(topic, partition)])
        offset: int | None = await reader.committed(TopicPartition(topic, partition))
        return offset
    finally:
        await reader.stop()


async def until_committed(settings: BusSettings, topic: str, offset: int) -> None:
    async def reached() -> bool:
        return await committed(settings, topic) == offset

    await eventually(reached)
