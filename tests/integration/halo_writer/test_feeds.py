"""What one tenant's Halo is seen to hold reaches the catalogue, or is passed over; it ends no process."""

from __future__ import annotations

import datetime as dt

import pytest
from structlog.testing import capture_logs

from hub.bus.delivery import Delivery, Intake
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Partition, Record
from hub.store import catalogue
from hub.store.engine import Store
from schemas.envelope import Envelope, headers_of
from schemas.halo_events import HaloClient
from schemas.registry import encode
from schemas.topics import HALO
from services.halo_writer.feeds import Feeds

INSTANCE = "acme.halopsa.com"
AT = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def seen(intake: Intake, offset: int, halo_id: int, tenant: str) -> Delivery:
    envelope = Envelope(
        id=f"{tenant}-{halo_id}",
        source=f"/halo/{INSTANCE}",
        type="halo.client.changed.v1",
        subject=str(halo_id),
        time=AT,
        tenant=tenant,
    )
    value = encode(HaloClient(id=halo_id, name=f"Client {halo_id}", read_id="r"))
    return Delivery(Record(HALO, 0, offset, 0, envelope.key, value, headers_of(envelope)), intake)


@pytest.mark.fault("F42")
@pytest.mark.parametrize("writer_store_url", ["postgres"], indirect=True)
async def test_a_record_that_the_store_cannot_hold_is_passed_over_and_its_neighbours_are_not(
    writer_store_url: str,
) -> None:
    prefix = PartitionPrefix()
    prefix.added([0, 1, 2, 3], 0.0)
    intake = Intake(Partition(HALO, 0), prefix, lambda _intake: None)
    ids = [(7, "acme"), (10**20, "acme"), (8, "acme"), (9, "other")]
    store = await Store.open(writer_store_url)
    await store.migrate()
    with capture_logs() as logs:
        await Feeds(store).take(
            [seen(intake, offset, halo_id, tenant) for offset, (halo_id, tenant) in enumerate(ids)]
        )
    assert prefix.unsettled == 0
    async with store.read() as conn:
        found = [
            [halo_id, await catalogue.by_id(conn, tenant, INSTANCE, "client", halo_id) is not None]
            for halo_id, tenant in ids
            if halo_id < 100
        ]
    await store.close()
    assert found == [[7, True], [8, True], [9, True]]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["feed.fault"]
