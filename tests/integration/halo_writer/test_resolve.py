"""Names are looked for in lists that may come at the same moment."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store import catalogue
from hub.store.engine import Store
from schemas.control import CatalogueKind
from schemas.halo_events import HaloReference, ReadCompleted, ReferenceRow
from services.halo_writer.names import Unknown
from services.halo_writer.resolve import NeedsCatalogue, Ready, Resolution, resolve_references
from tests.unit.halo_writer.build import TENANT, Tool


async def read_whole(store: Store, instance: str, kind: CatalogueKind, *names: str) -> None:
    """A full read of a list has come to its end."""
    rows = tuple(ReferenceRow(id=number, name=name) for number, name in enumerate(names, 1))
    completed = ReadCompleted(kind=kind, read_id="r1", count=len(rows), started_at=1.0)
    events: list[catalogue.HaloEvent] = [HaloReference(reference=kind, rows=rows, read_id="r1"), completed]
    async with store.write() as conn:
        await catalogue.apply(conn, TENANT, instance, events, 2.0)


async def test_a_list_that_comes_while_a_name_is_looked_for_is_not_one_without_it(
    writer_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(writer_store_url)
    tool = Tool()
    command = tool.opportunity()
    fresh_since = catalogue.fresh_since

    async def resolved() -> Resolution:
        async with store.read() as conn:
            return await resolve_references(conn, command, ["ticket_type"])

    async def then_it_comes(
        conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind
    ) -> float | None:
        await read_whole(store, instance, kind, "Opportunity")
        return await fresh_since(conn, tenant, instance, kind)

    assert isinstance(await resolved(), NeedsCatalogue)
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "fresh_since", then_it_comes)
        assert isinstance(await resolved(), Ready)
    await read_whole(store, tool.instance, "ticket_type", "Service request")
    async with store.write() as conn:
        gone = ReadCompleted(kind="ticket_type", read_id="r2", count=0, started_at=3.0)
        await catalogue.apply(conn, TENANT, tool.instance, [gone], 4.0)
    assert isinstance(await resolved(), Unknown)
    await store.close()
