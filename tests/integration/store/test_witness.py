"""A store that has forgotten changes of targets is found out by the log, though no position tells of it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from hub.bus.errors import StoreWentBack
from hub.bus.positions import committed_and_end
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.bus.settings import BusSettings
from hub.store import Store, restore, targets
from hub.witness import check_targets
from schemas.registry import encode
from schemas.targets import Target, TargetState
from tests.support.bus import bus_settings, make_topic
from tests.support.kafka import KafkaServer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await opened.migrate()
    yield opened
    await opened.close()


def state(id_: str, version: int, *, written: int | None = None) -> TargetState:
    """A row's version, and the number of the write that it knows of; each is one of its own, unless it is told."""
    target = Target(tenant="acme", instance="halo.example", source="quoter", kind="quote", id=id_)
    groups = {"head": f"hash {version if written is None else written}"}
    return TargetState(target=target, version=version, halo_id=7, groups=groups)


async def keep(store: Store, states: Sequence[TargetState]) -> None:
    async with store.write() as conn:
        for one in states:
            assert await targets.save(conn, one, expected_version=one.version - 1, lease=None)


async def tell(settings: BusSettings, topic: str, states: Sequence[TargetState]) -> None:
    publisher = Publisher(settings)
    await publisher.start()
    told = [Outgoing(topic, one.target.key.encode(), encode(one)) for one in states]
    await publisher.publish([*told, Outgoing(topic, b"acme/other", b'{"of": "a newer release"}')])
    await publisher.stop()


async def test_what_the_log_tells_of_and_the_store_forgot_is_found(kafka: KafkaServer, store: Store) -> None:
    topic, settings = await make_topic(kafka.bootstrap, 2), bus_settings(kafka.bootstrap)
    await check_targets(settings, store, topic=topic)
    known = [state("q-1", 1), state("q-1", 2), *(state(f"other-{number}", 1) for number in range(40))]
    await keep(store, known)
    await tell(settings, topic, known)
    await check_targets(settings, store, topic=topic)
    # The store may be ahead: an outbox is published after its transaction.
    await keep(store, [state("q-1", 3)])
    await check_targets(settings, store, topic=topic)

    await tell(settings, topic, [state("q-1", 4)])
    with pytest.raises(StoreWentBack, match=r"version 4 of acme/.*/q-1/, the store 3.*hub store restored"):
        await check_targets(settings, store, topic=topic)

    _, ends = await committed_and_end(settings, [topic])
    async with store.write() as conn:
        await restore.begin(conn, {(at.topic, at.partition): end for at, end in ends.items()})
    # It is known, and made up for.
    await check_targets(settings, store, topic=topic)
    await tell(settings, topic, [state("q-1", 5)])
    with pytest.raises(StoreWentBack):
        await check_targets(settings, store, topic=topic)


async def test_what_changed_nothing_in_halo_may_be_told_before_it_is_saved(
    kafka: KafkaServer, store: Store
) -> None:
    """A writer that is killed between the two leaves the log ahead of a store that has lost nothing."""
    topic, settings = await make_topic(kafka.bootstrap, 2), bus_settings(kafka.bootstrap)
    await keep(store, [state("q-1", 1)])
    await tell(settings, topic, [state("q-1", 1), state("q-1", 2, written=1)])
    await check_targets(settings, store, topic=topic)

    await tell(settings, topic, [state("q-1", 3)])
    with pytest.raises(StoreWentBack, match="version 3"):
        await check_targets(settings, store, topic=topic)


async def test_a_target_that_the_store_never_had_is_found(kafka: KafkaServer, store: Store) -> None:
    topic, settings = await make_topic(kafka.bootstrap, 2), bus_settings(kafka.bootstrap)
    await tell(settings, topic, [state("q-9", 1)])
    with pytest.raises(StoreWentBack, match=r"version 1 of acme/.*, the store 0"):
        await check_targets(settings, store, topic=topic)
    await check_targets(bus_settings(kafka.bootstrap, accept_start_position=True), store, topic=topic)
