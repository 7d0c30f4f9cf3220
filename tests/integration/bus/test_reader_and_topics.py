"""Reading without a group, and topics as their version fixes them."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from hub.bus.errors import PartitionCountDiffers, TopicCreationFailed, TopicMissing
from hub.bus.reader import Feed, KeyFilter, follow, read_range
from hub.bus.records import Record
from hub.bus.topics import check_topics, create_topics
from tests.support.bus import (
    Collector,
    Spec,
    bus_settings,
    committed,
    make_topic,
    member,
    send,
    send_bad_header_name,
    transact,
)
from tests.support.eventually import eventually


async def read(
    bootstrap: str,
    topic: str,
    *,
    start: Mapping[int, int] | None = None,
    end: Mapping[int, int] | None = None,
    key_filter: KeyFilter | None = None,
) -> list[Record]:
    found = read_range(bootstrap, topic, start=start, end=end, key_filter=key_filter)
    return [record async for record in found]


async def test_a_range_ends_at_the_end_seen_at_its_start(bootstrap: str) -> None:
    topic = await make_topic(bootstrap, 3)
    for number in range(30):
        await send(bootstrap, topic, [b"%d" % number], key=b"key %d" % number)
    seen: list[bytes | None] = []
    async for record in read_range(bootstrap, topic):
        if not seen:
            await send(bootstrap, topic, [b"later"], key=b"key 0")
        seen.append(record.value)
    assert Counter(seen) == Counter(b"%d" % number for number in range(30))


async def test_a_range_takes_partitions_offsets_and_keys(bootstrap: str) -> None:
    topic = await make_topic(bootstrap)
    await send(bootstrap, topic, [b"%d" % n for n in range(6)])
    await send(bootstrap, topic, [b"other"], key=b"other")
    inner = await read(bootstrap, topic, start={0: 2}, end={0: 4})
    assert [record.value for record in inner] == [b"2", b"3"]
    assert [r.value for r in await read(bootstrap, topic, key_filter=lambda key: key == b"other")] == [
        b"other"
    ]
    assert await read(bootstrap, topic, start={0: 7}) == []
    assert await read(bootstrap, topic, end={0: 0}) == []


async def test_a_range_leaves_the_groups_offsets_alone(bootstrap: str) -> None:
    topic, settings = await make_topic(bootstrap), bus_settings(bootstrap)
    await send(bootstrap, topic, [b"1", b"2"])
    got = Collector()
    async with member(settings, [topic], got) as consumer:
        await eventually(lambda: len(got.seen) == 2)
        before = consumer.health().assigned
        assert len(await read(bootstrap, topic)) == 2
        assert consumer.health().assigned == before
    assert await committed(settings, topic) == 2


async def test_a_range_ends_behind_transaction_markers_and_without_aborted_records(bootstrap: str) -> None:
    topic = await make_topic(bootstrap)
    await transact(bootstrap, topic, [b"kept"], commit=True)
    await transact(bootstrap, topic, [b"aborted"], commit=False)
    assert [record.value for record in await asyncio.wait_for(read(bootstrap, topic), 60)] == [b"kept"]


@pytest.mark.fault("F12")
async def test_a_range_reads_a_header_name_that_is_not_utf8(bootstrap: str) -> None:
    topic = await make_topic(bootstrap)
    await send_bad_header_name(bootstrap, topic, [b"0", b"1", b"2"], bad=1)
    records = await asyncio.wait_for(read(bootstrap, topic), 60)
    assert [record.value for record in records] == [b"0", b"1", b"2"]
    assert records[1].headers[0] == ("\udcff\udcfe", b"odd")


async def test_a_header_name_that_is_not_utf8_costs_a_range_no_record_of_other_partitions(
    bootstrap: str,
) -> None:
    topic = await make_topic(bootstrap, 6)
    keys = [b"%d" % number for number in range(20)]
    for key in keys:
        await send(bootstrap, topic, [b"1"], key=key)
    await send_bad_header_name(bootstrap, topic, [b"bad"], bad=0)
    found = Counter([record.key async for record in read_range(bootstrap, topic)])
    assert found == Counter([*keys, b"k"])


async def test_reading_an_unknown_topic_says_so(bootstrap: str) -> None:
    with pytest.raises(TopicMissing, match="hub topics apply"):
        await read(bootstrap, "nothing.here")


async def test_following_catches_up_and_goes_on(bootstrap: str) -> None:
    topic = await make_topic(bootstrap, 2)
    for number in range(20):
        await send(bootstrap, topic, [b"%d" % number], key=b"key %d" % number)
    seen: list[bytes | None] = []

    async def take(feed: Feed) -> None:
        async for record in feed:
            assert not feed.caught_up.is_set() or len(seen) >= 20
            seen.append(record.value)

    async with follow(bootstrap, topic) as feed:
        task = asyncio.create_task(take(feed))
        await asyncio.wait_for(feed.caught_up.wait(), 60)
        assert len(seen) == 20
        await send(bootstrap, topic, [b"later"])
        await eventually(lambda: seen[-1] == b"later")
        task.cancel()
        await asyncio.wait([task])


async def test_following_an_empty_topic_has_caught_up(bootstrap: str) -> None:
    topic = await make_topic(bootstrap)

    async def take(feed: Feed) -> None:
        async for _ in feed:
            pass

    async with follow(bootstrap, topic) as feed:
        task = asyncio.create_task(take(feed))
        await asyncio.wait_for(feed.caught_up.wait(), 60)
        task.cancel()
        await asyncio.wait([task])


async def test_topics_are_created_once_and_checked(bootstrap: str) -> None:
    name = await make_topic(bootstrap, 3)
    new = f"{name}.new"
    specs = [Spec(name, 3), Spec(new, 2, compacted=True)]
    assert await create_topics(bootstrap, specs) == [new]
    assert await create_topics(bootstrap, specs) == []
    assert await check_topics(bootstrap, specs) == {name: 3, new: 2}


async def test_a_missing_topic_is_named_and_not_made_by_asking(bootstrap: str) -> None:
    for _ in range(2):
        with pytest.raises(TopicMissing, match=r"missing topics: not\.there"):
            await check_topics(bootstrap, [Spec("not.there")])


async def test_a_partition_count_that_differs_is_named(bootstrap: str) -> None:
    name = await make_topic(bootstrap, 3)
    with pytest.raises(PartitionCountDiffers, match=f"{name} has 3, not 4"):
        await check_topics(bootstrap, [Spec(name, 4)])
    assert await check_topics(bootstrap, [Spec(name, 4)], any_partition_count=True) == {name: 3}


async def test_a_refused_creation_holds_the_brokers_reason(bootstrap: str) -> None:
    with pytest.raises(TopicCreationFailed, match="bad/name"):
        await create_topics(bootstrap, [Spec("bad/name")])
