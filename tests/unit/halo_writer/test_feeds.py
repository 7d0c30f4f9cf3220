"""A store that is away holds a batch up; it ends neither the batch nor the process."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.bus.delivery import Delivery, Intake
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Partition, Record
from hub.store import Store, StoreUnavailable, holds, proofs
from hub.store.holds import HALO, Hold
from schemas.control import ConnectionTested, Proof
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.topics import CONTROL
from services.halo_writer import feeds
from services.halo_writer.feeds import Feeds

TESTED = Proof(kind="client", by="external_link", ok=True)


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(feeds, "_FIRST_DELAY_S", 0.01)
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await opened.migrate()
    yield opened
    await opened.close()


def handed_out() -> tuple[Delivery, Intake]:
    told = ConnectionTested(instance="halo.example", ok=True, proofs=(TESTED,))
    envelope = Envelope(
        id="1",
        source="/hub/cli",
        type="connection.tested.v1",
        subject="acme",
        time=dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC),
        tenant="acme",
    )
    prefix = PartitionPrefix()
    prefix.added([0], 0.0)
    intake = Intake(Partition(CONTROL, 0), prefix, lambda _intake: None)
    return Delivery(Record(CONTROL, 0, 0, 0, b"acme", encode(told), headers_of(envelope)), intake), intake


def away(store: Store, monkeypatch: pytest.MonkeyPatch, times: int, on_try: Any = lambda: None) -> None:
    there, left = store.write, [times]

    def write() -> Any:
        on_try()
        left[0] -= 1
        if left[0] >= 0:
            raise StoreUnavailable("the store can't be reached")
        return there()

    monkeypatch.setattr(store, "write", write)


async def test_a_batch_waits_until_the_store_is_back_and_is_done_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, intake = handed_out()
    away(store, monkeypatch, 3, lambda: unsettled.append(intake.prefix.unsettled))
    unsettled: list[int] = []
    lives: list[int] = []
    intake.show_life = lambda: lives.append(1)
    with capture_logs() as logs:
        await Feeds(store).take([delivery])
    assert unsettled == [1, 1, 1, 1]
    assert len(lives) == 6, "before and after each pause"
    assert intake.prefix.unsettled == 0
    async with store.read() as conn:
        assert await proofs.load(conn, "acme", "halo.example") == {"client": [TESTED]}
    assert [line["event"] for line in logs] == ["feed.held_up", "feed.goes_on"]


async def test_a_batch_whose_partitions_went_to_another_is_left_to_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, intake = handed_out()
    away(store, monkeypatch, 10**6, lambda: setattr(intake, "active", False))
    await Feeds(store).take([delivery])
    assert intake.prefix.unsettled == 1


async def test_a_test_that_went_well_has_what_was_refused_tried_at_once(store: Store) -> None:
    refused = Hold(tenant="acme", scope=HALO, reason="unauthorised", since=0.0, probe_at=1e12, tries=9)
    async with store.write() as conn:
        await holds.put(conn, refused)
    delivery, _ = handed_out()
    await Feeds(store).take([delivery])
    async with store.read() as conn:
        (hold,) = await holds.of_tenant(conn, "acme")
    assert (hold.probe_at, hold.tries) == (0.0, 0)
