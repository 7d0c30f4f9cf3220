"""A publish is over when Kafka has every record, and a refused one spoils nothing after it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator

import pytest

from hub.bus.errors import PublishFailed, RecordInvalid, RecordTooLarge
from hub.bus.producer import Publisher
from hub.bus.reader import read_range
from hub.bus.records import Outgoing
from tests.support.bus import bus_settings, make_topic
from tests.support.kafka import KafkaServer


@pytest.fixture
async def publisher(bootstrap: str) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus_settings(bootstrap))
    await publisher.start()
    yield publisher
    await publisher.stop()


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that the test may kill."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()


async def values(bootstrap: str, topic: str) -> list[bytes | None]:
    return [record.value async for record in read_range(bootstrap, topic)]


async def test_how_long_kafka_took_is_told_of_each_topic_and_that_it_did_not_answer(
    bootstrap: str, free_port: int
) -> None:
    told: list[tuple[set[str], float | None]] = []

    def tell(topics: Collection[str], seconds: float | None) -> None:
        told.append((set(topics), seconds))

    topics = [await make_topic(bootstrap), await make_topic(bootstrap)]
    publisher = Publisher(bus_settings(bootstrap), told=tell)
    await publisher.start()
    await publisher.publish([Outgoing(topic, b"k", b"v", ()) for topic in (*topics, topics[0])])
    await publisher.stop()
    ((named, seconds),) = told
    assert named == set(topics)
    assert seconds is not None
    assert seconds > 0
    away = Publisher(bus_settings(f"127.0.0.1:{free_port}", publish_timeout_s=0.5), told=tell)
    with pytest.raises(PublishFailed):
        await away.publish([Outgoing(topics[0], b"k", b"v", ())])
    assert told[1:] == [({topics[0]}, None)]


async def test_what_was_published_is_there_in_order_with_headers_and_tombstones(
    bootstrap: str, publisher: Publisher
) -> None:
    topic = await make_topic(bootstrap)
    records = [
        Outgoing(topic, b"k", b"1", (("a", b"\xff"), ("a", b"2"), ("ü", b""))),
        Outgoing(topic, b"k", None),
        Outgoing(topic, None, b"3"),
    ]
    await publisher.publish(records)
    read = [record async for record in read_range(bootstrap, topic)]
    assert [(r.key, r.value, r.headers) for r in read] == [(r.key, r.value, r.headers) for r in records]


async def test_many_batches_of_many_partitions_keep_each_keys_order(
    bootstrap: str, publisher: Publisher
) -> None:
    topics = [await make_topic(bootstrap, 3), await make_topic(bootstrap, 2)]
    body = b"." * 2_000
    records = [Outgoing(topics[n % 2], b"key %d" % (n % 7), b"%06d" % n + body) for n in range(1_200)]
    await asyncio.gather(publisher.publish(records[:1_000]), publisher.publish([]))
    await publisher.publish(records[1_000:])
    for topic in topics:
        by_key: dict[bytes | None, list[bytes | None]] = {}
        async for record in read_range(bootstrap, topic):
            by_key.setdefault(record.key, []).append(record.value)
        expected: dict[bytes | None, list[bytes | None]] = {}
        for sent in records:
            if sent.topic == topic:
                expected.setdefault(sent.key, []).append(sent.value)
        assert by_key == expected
    assert publisher.unacknowledged == 0


async def test_however_many_publish_to_a_partition_at_once_none_is_told_too_early_that_its_time_is_up(
    bootstrap: str, publisher: Publisher
) -> None:
    """Each would wait for a place of its own in aiokafka, which counts their waiting several times over."""
    topic = await make_topic(bootstrap)
    sent = [b"%03d" % number for number in range(300)]

    await asyncio.gather(*(publisher.publish([Outgoing(topic, b"k", value)]) for value in sent))

    assert await values(bootstrap, topic) == sent


async def test_a_record_over_the_hubs_limit_is_refused_before_anything_is_sent(
    bootstrap: str, publisher: Publisher
) -> None:
    topic = await make_topic(bootstrap)
    with pytest.raises(RecordTooLarge):
        await publisher.publish([Outgoing(topic, b"k", b"fine"), Outgoing(topic, b"k", b"x" * 3_000_000)])
    assert await values(bootstrap, topic) == []


async def test_a_record_over_the_topics_limit_spoils_nothing_that_comes_after(
    bootstrap: str, publisher: Publisher
) -> None:
    """An idempotent aiokafka producer would answer OutOfOrderSequenceNumber for ever after."""
    topic = await make_topic(bootstrap, max_record_bytes=100_000)
    await publisher.publish([Outgoing(topic, b"k", b"before")])
    with pytest.raises(RecordTooLarge, match=r"max\.message\.bytes"):
        await publisher.publish([Outgoing(topic, b"k", b"x" * 500_000)])
    for number in range(3):
        await publisher.publish([Outgoing(topic, b"k", b"after %d" % number)])
    assert await values(bootstrap, topic) == [b"before", b"after 0", b"after 1", b"after 2"]


async def test_a_record_that_kafka_cannot_carry_is_refused_before_anything_is_sent(
    bootstrap: str, publisher: Publisher
) -> None:
    topic = await make_topic(bootstrap)
    with pytest.raises(RecordInvalid):
        await publisher.publish([Outgoing(topic, b"k", b"fine"), Outgoing(topic, None, None)])
    assert await values(bootstrap, topic) == []


async def test_an_unknown_topic_fails_and_is_not_made(bootstrap: str) -> None:
    publisher = Publisher(bus_settings(bootstrap, publish_timeout_s=1.0))
    await publisher.start()
    with pytest.raises(PublishFailed, match="publish all of them again"):
        await publisher.publish([Outgoing("not.there", b"k", b"v")])
    await publish_until_it_works(publisher, Outgoing(await make_topic(bootstrap), b"k", b"v"))
    await publisher.stop()


async def test_a_publish_fails_in_time_while_kafka_is_away_and_works_again_after(
    own_kafka: KafkaServer,
) -> None:
    """The restarted broker has the same data and port; the same publisher goes on."""
    server = own_kafka
    topic = await make_topic(server.bootstrap)
    publisher = Publisher(bus_settings(server.bootstrap, publish_timeout_s=0.5, max_unacknowledged_records=2))
    await publisher.start()
    try:
        await publish_until_it_works(publisher, Outgoing(topic, b"k", b"before"))
        await asyncio.to_thread(server.kill)
        for attempt in range(2):
            with pytest.raises(PublishFailed):
                await publisher.publish([Outgoing(topic, b"k", b"lost %d" % attempt)])
        assert publisher.unacknowledged <= 2
        await asyncio.to_thread(server.start)
        await publish_until_it_works(publisher, Outgoing(topic, b"k", b"after"))
        assert {b"before", b"after"} <= set(await values(server.bootstrap, topic))
    finally:
        await publisher.stop()


async def publish_until_it_works(publisher: Publisher, record: Outgoing) -> None:
    for _ in range(150):
        try:
            await publisher.publish([record])
        except PublishFailed:
            await asyncio.sleep(0.2)
        else:
            return
    pytest.fail("never worked again")


async def test_stopping_while_kafka_is_away_ends(own_kafka: KafkaServer) -> None:
    server = own_kafka
    await asyncio.to_thread(server.start)
    topic = await make_topic(server.bootstrap)
    publisher = Publisher(bus_settings(server.bootstrap, publish_timeout_s=0.5))
    await publisher.start()
    await publish_until_it_works(publisher, Outgoing(topic, b"k", b"before"))
    await asyncio.to_thread(server.kill)
    with pytest.raises(PublishFailed):
        await publisher.publish([Outgoing(topic, b"k", b"lost")])
    await asyncio.wait_for(publisher.stop(), 60)
    with pytest.raises(PublishFailed, match="stopped"):
        await publisher.publish([Outgoing(topic, b"k", b"v")])
