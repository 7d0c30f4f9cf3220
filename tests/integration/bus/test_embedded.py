"""The embedded broker carries the bus: groups, commits, the idempotent producer, topics made by asking."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.bus.embedded import NOTICE, start_embedded
from hub.bus.producer import Publisher
from hub.bus.reader import Feed, follow, read_range
from hub.bus.records import Outgoing
from hub.bus.topics import check_topics
from tests.support.bus import Collector, Spec, bus_settings, committed, kill_a_member, member
from tests.support.eventually import eventually
from tests.support.processes import is_running

START_AND_WAIT = """
import time
from hub.bus.embedded import start_embedded
child, _ = start_embedded()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    process, servers = start_embedded()
    yield servers
    process.terminate()
    assert process.wait(60) == 0


async def test_topics_are_made_by_checking_them(bootstrap: str) -> None:
    assert await check_topics(bootstrap, [Spec("made.by.asking", 12)], any_partition_count=True) == {
        "made.by.asking": 4
    }


async def test_a_group_takes_over_from_a_killed_member_and_commits(bootstrap: str) -> None:
    settings, topic = bus_settings(bootstrap, session_timeout_ms=6_000), "embedded.group"
    await check_topics(bootstrap, [Spec(topic)], any_partition_count=True)
    publisher = Publisher(settings)
    await publisher.start()
    sent = [b"v%d" % number for number in range(200)]
    await publisher.publish([Outgoing(topic, value, value, (("h", b"\xff"),)) for value in sent])
    assert sorted(await kill_a_member(settings, topic, 200)) == sorted(sent)
    got = Collector()
    async with member(settings, [topic], got):
        await eventually(lambda: Counter(got.values) == Counter(sent))
    assert sum([await committed(settings, topic, number) or 0 for number in range(4)]) == 200
    await publisher.stop()


async def test_a_range_and_a_feed_read_it(bootstrap: str) -> None:
    topic = "embedded.read"
    await check_topics(bootstrap, [Spec(topic)], any_partition_count=True)
    publisher = Publisher(bus_settings(bootstrap))
    await publisher.start()
    await publisher.publish([Outgoing(topic, b"k", b"1"), Outgoing(topic, b"k", None)])
    await publisher.stop()
    read = [record async for record in read_range(bootstrap, topic)]
    assert [record.value for record in read] == [b"1", None]
    assert abs(read[0].timestamp_ms / 1000 - time.time()) < 3_600
    seen: list[bytes | None] = []

    async def take(feed: Feed) -> None:
        async for record in feed:
            seen.append(record.value)  # noqa: PERF401 - the feed never ends

    async with follow(bootstrap, topic) as feed:
        task = asyncio.create_task(take(feed))
        await asyncio.wait_for(feed.caught_up.wait(), 60)
        assert seen == [b"1", None]
        task.cancel()
        await asyncio.wait([task])


def test_the_command_says_that_nothing_is_durable_and_ends_on_sigterm(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.bus.embedded", "--ready-file", str(ready)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    servers = process.stdout.readline().strip()
    asyncio.run(eventually(ready.exists))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, ready.read_text()) == (0, servers)
    assert NOTICE in said
    assert "lost when it stops" in NOTICE


def test_the_child_ends_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    asyncio.run(eventually(lambda: not is_running(child)))
