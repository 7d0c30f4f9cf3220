"""`hub store restored`: groups go back to what a restored store knows, and only when nobody is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cli.main import run
from hub.bus.positions import committed_and_end
from hub.bus.records import Outgoing, Partition
from hub.bus.settings import BusSettings
from hub.store import Store, targets
from hub.store.positions import Positions
from hub.store.targets import Restored
from schemas.topics import COMMANDS, CONTROL, QUOTES, TARGETS

WRITER, MAPPER, FEEDS = "hub-writer", "hub-mapper", "hub-writer-feeds"
Publish = Callable[[list[Outgoing]], None]


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    monkeypatch.setenv("HUB_STORE_URL", url)
    return url


@pytest.fixture
def log(broker: str, publish: Publish) -> dict[Partition, int]:
    """Some records on three topics, all of them finished by their groups; where each partition ends."""
    for topic, key in ((QUOTES, b"acme/quote/1"), (COMMANDS, b"acme"), (CONTROL, b"acme")):
        publish([Outgoing(topic, key, b"{}") for _ in range(5)])
    ends: dict[Partition, int] = {}
    for group, topic in ((MAPPER, QUOTES), (WRITER, COMMANDS), (FEEDS, CONTROL)):
        found = asyncio.run(at(broker, group, topic))[1]
        asyncio.run(commit(broker, group, {end: found[end] for end in found if found[end]}))
        ends |= {end: found[end] for end in found if found[end]}
    return ends


async def at(broker: str, group: str, topic: str) -> tuple[dict[Partition, int | None], dict[Partition, int]]:
    settings = BusSettings(bootstrap_servers=broker, client_id="test", group=group)
    return await committed_and_end(settings, [topic])


async def commit(broker: str, group: str, offsets: dict[Partition, int]) -> None:
    client = AIOKafkaConsumer(bootstrap_servers=broker, group_id=group, enable_auto_commit=False)
    await client.start()
    try:
        client.assign([TopicPartition(*partition) for partition in offsets])
        await client.commit({TopicPartition(*partition): offset for partition, offset in offsets.items()})
    finally:
        await client.stop()


async def remember(url: str, positions: dict[str, dict[tuple[str, int], int]]) -> None:
    store = await Store.open(url)
    await store.migrate()
    for group, saved in positions.items():
        await Positions(store, "main").save(group, saved)
    await store.close()


async def restored(url: str) -> Restored | None:
    store = await Store.open(url)
    async with store.read() as conn:
        found = await targets.restored(conn)
    await store.close()
    return found


def only(log: dict[Partition, int], topic: str) -> tuple[Partition, int]:
    ((partition, end),) = ((at, end) for at, end in log.items() if at.topic == topic)
    return partition, end


def test_groups_go_back_to_what_the_store_knows(
    broker: str, store_url: str, log: dict[Partition, int], hub: Callable[..., Any]
) -> None:
    quotes, quotes_end = only(log, QUOTES)
    commands, commands_end = only(log, COMMANDS)
    control, control_end = only(log, CONTROL)
    asyncio.run(remember(store_url, {MAPPER: {quotes: quotes_end}, WRITER: {commands: commands_end - 2}}))
    told = hub("store", "restored", "--yes")
    assert told["generation"] == 1
    assert {(line["group"], line["topic"], line["records"], line["lost"]) for line in told["rewound"]} == {
        (WRITER, COMMANDS, 2, 0),
        (FEEDS, CONTROL, control_end, 0),
    }
    assert asyncio.run(at(broker, MAPPER, QUOTES))[0][quotes] == quotes_end
    assert asyncio.run(at(broker, WRITER, COMMANDS))[0][commands] == commands_end - 2
    assert asyncio.run(at(broker, FEEDS, CONTROL))[0][control] == 0
    noted = asyncio.run(restored(store_url))
    assert noted is not None
    assert noted.log_ends[commands] == commands_end
    assert {topic for topic, _ in noted.log_ends} == {COMMANDS, TARGETS}

    again = hub("store", "restored", "--yes")
    assert again == {"generation": 2, "rewound": []}


def test_nothing_is_touched_while_a_service_runs(
    broker: str, store_url: str, log: dict[Partition, int], capsys: pytest.CaptureFixture[str]
) -> None:
    commands, end = only(log, COMMANDS)
    asyncio.run(remember(store_url, {WRITER: {commands: 0}}))
    assert asyncio.run(refused_beside_a_member(broker)) == 1
    assert "hub-writer (a-writer at" in capsys.readouterr().err
    assert asyncio.run(at(broker, WRITER, COMMANDS))[0][commands] == end
    assert asyncio.run(restored(store_url)) is None


async def refused_beside_a_member(broker: str) -> int:
    member = AIOKafkaConsumer(COMMANDS, bootstrap_servers=broker, group_id=WRITER, client_id="a-writer")
    await member.start()
    try:
        return await asyncio.to_thread(run, ["store", "restored", "--yes"])
    finally:
        await member.stop()


def test_a_store_that_is_not_the_hubs_or_empty_is_refused(
    broker: str, store_url: str, log: dict[Partition, int], capsys: pytest.CaptureFixture[str]
) -> None:
    commands, end = only(log, COMMANDS)
    assert run(["store", "restored", "--yes"]) == 2
    assert "set HUB_STORE_URL to the one that the services use" in capsys.readouterr().err
    asyncio.run(remember(store_url, {}))
    assert run(["store", "restored", "--yes"]) == 2
    assert "knows no positions" in capsys.readouterr().err
    assert asyncio.run(at(broker, WRITER, COMMANDS))[0][commands] == end


def test_without_a_yes_nothing_is_done(
    broker: str, store_url: str, log: dict[Partition, int], capsys: pytest.CaptureFixture[str]
) -> None:
    commands, end = only(log, COMMANDS)
    asyncio.run(remember(store_url, {WRITER: {commands: 1}}))
    assert run(["store", "restored"]) == 1
    assert WRITER in capsys.readouterr().out
    assert asyncio.run(at(broker, WRITER, COMMANDS))[0][commands] == end
    assert run(["store", "restored", "--now"]) == 2
