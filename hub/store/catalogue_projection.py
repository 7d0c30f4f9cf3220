"""How events of `hub.halo.v1` become the catalogue, in whatever order and however often they arrive.

Invariants:
    A record's row is the newest state that any event told of it; events older than the last complete read can't
    bring back what that read did not see.
    A read counts as complete once its end was announced and as many rows as it says carry its id. Then rows
    that it did not see, and that nothing newer told of, are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, case, delete, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.store.catalogue_rows import (
    RECORD_TYPES,
    HaloEvent,
    kind_of,
    merged,
    newest_of_each,
    record_columns,
    reference_columns,
)
from hub.store.sql import insert_into, is_one_of, json_rows, store_now
from hub.store.tables import catalogue as table
from hub.store.tables import catalogue_read as reads
from schemas.control import CatalogueKind
from schemas.halo_events import HaloReference, ReadCompleted

_Read = dict[str, Any]


async def apply(
    conn: AsyncConnection, tenant: str, instance: str, events: Sequence[HaloEvent], time: float
) -> None:
    """Project events that carry the same time (seconds since the epoch, of their envelopes)."""
    await apply_dated(conn, tenant, instance, [(event, time) for event in events])


async def apply_dated(
    conn: AsyncConnection, tenant: str, instance: str, events: Sequence[tuple[HaloEvent, float]]
) -> None:
    """Project events, each with its own time; a batch is a few statements whatever its size.

    Each tenant's and instance's batch is best a transaction of its own: then concurrent ones can't deadlock.
    Event times and `ReadCompleted.started_at` have to come from one clock.
    """
    if not events:
        return
    state = await _lock(conn, tenant, instance, {kind_of(event) for event, _ in events})
    place = {"tenant": tenant, "instance": instance}
    rows: list[dict[str, Any]] = []
    for event, time in sorted(events, key=lambda dated: dated[1]):
        read = state[kind_of(event)]
        if isinstance(event, ReadCompleted):
            _announce(read, event)
        elif isinstance(event, HaloReference):
            if read["list_at"] is None or time >= read["list_at"]:
                rows = [row for row in rows if row["kind"] != event.reference]
                rows += [reference_columns(event, row, time) for row in event.rows]
                read.update(list_read_id=event.read_id, list_at=time, replaced=event)
        elif not _outlived(read, event.read_id, time):
            rows.append(record_columns(event, time))
    await _upsert(conn, place, newest_of_each(rows))
    for read in state.values():
        if "replaced" in read:
            await _drop_unlisted(conn, read, read.pop("replaced"))
        await _complete(conn, read)
        await conn.execute(update(reads).where(_same(reads, read)).values(read))


async def upsert_own(
    conn: AsyncConnection,
    tenant: str,
    instance: str,
    kind: CatalogueKind,
    halo_id: int,
    fields: Mapping[str, Any],
) -> None:
    """Take note of a client, user or item that the hub itself has just created or seen.

    `fields` is the record as Halo answered it; what the kind's event has no field for, or can't hold, is ignored,
    and what it does not name keeps its value. Raises ValueError for a reference kind.
    """
    if kind not in RECORD_TYPES:
        raise ValueError(f"the hub writes no {kind} in Halo")
    read = (await _lock(conn, tenant, instance, {kind}))[kind]
    here = and_(_same(table, read), table.c.halo_id == halo_id)
    known = (await conn.execute(select(table.c.data).where(here))).scalar_one_or_none()
    event = merged(kind, msgspec.json.decode(known) if known else {}, {**fields, "id": halo_id})
    now = (await conn.execute(select(store_now()))).scalar_one()
    await _upsert(conn, {"tenant": tenant, "instance": instance}, [record_columns(event, now)])


async def _lock(
    conn: AsyncConnection, tenant: str, instance: str, kinds: Iterable[CatalogueKind]
) -> dict[CatalogueKind, _Read]:
    """The state of the kinds' reads, locked: else the last row and the end of a read could miss each other."""
    wanted = json_rows(conn, "kinds", [{"kind": kind} for kind in kinds], {"kind": table.c.kind.type})
    chosen = (
        select(literal(tenant), literal(instance), wanted.c.kind)
        .where(wanted.c.kind.is_not(None))
        .order_by(wanted.c.kind)
    )
    insert = insert_into(conn.dialect.name, reads).from_select(["tenant", "instance", "kind"], chosen)
    statement = insert.on_conflict_do_update(
        index_elements=list(reads.primary_key.columns), set_={"kind": insert.excluded.kind}
    ).returning(reads)
    return {row["kind"]: dict(row) for row in (await conn.execute(statement)).mappings()}


def _announce(read: _Read, event: ReadCompleted) -> None:
    if read["started_at"] is None or event.started_at >= read["started_at"]:
        read.update(read_id=event.read_id, records=event.count, started_at=event.started_at)


def _outlived(read: _Read, read_id: str | None, time: float) -> bool:
    since = read["complete_since"]
    return since is not None and time < since and (read_id is None or read_id != read["complete_read_id"])


async def _upsert(conn: AsyncConnection, place: Mapping[str, str], rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    columns = [column for column in table.columns if column.name not in place]
    batch = json_rows(conn, "batch", rows, {column.name: column.type for column in columns})
    chosen = (
        select(*map(literal, place.values()), *(batch.c[column.name] for column in columns))
        .where(batch.c.halo_id.is_not(None))
        .order_by(batch.c.kind, batch.c.halo_id)
    )
    insert = insert_into(conn.dialect.name, table).from_select(
        [*place, *(column.name for column in columns)], chosen
    )
    new = insert.excluded
    newer = new.seen_at >= table.c.seen_at
    seen_again = and_(
        new.read_at.is_not(None), or_(table.c.read_at.is_(None), new.read_at >= table.c.read_at)
    )
    changes = {}
    for column in columns:
        if not column.primary_key:
            condition = seen_again if column.name in ("read_id", "read_at") else newer
            changes[column.name] = case((condition, new[column.name]), else_=column)
    statement = insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changes)
    await conn.execute(statement)


async def _drop_unlisted(conn: AsyncConnection, read: _Read, event: HaloReference) -> None:
    listed = is_one_of(conn, table.c.halo_id, [row.id for row in event.rows])
    await conn.execute(delete(table).where(_same(table, read), ~listed, table.c.seen_at <= read["list_at"]))


async def _complete(conn: AsyncConnection, read: _Read) -> None:
    started, since = read["started_at"], read["complete_since"]
    if started is None or (since is not None and started <= since):
        return
    here, seen = _same(table, read), table.c.read_id == read["read_id"]
    if read["list_at"] is not None:
        # No list is sent for an empty one.
        whole = read["list_read_id"] == read["read_id"] or read["records"] == 0
    else:
        count = await conn.execute(select(func.count()).select_from(table).where(here, seen))
        whole = count.scalar_one() >= read["records"]
    if whole:
        read.update(complete_read_id=read["read_id"], complete_since=started)
        unseen = or_(table.c.read_id.is_(None), ~seen)
        await conn.execute(delete(table).where(here, unseen, table.c.seen_at < started))


def _same(where: Any, read: _Read) -> ColumnElement[bool]:
    return and_(*(where.c[name] == read[name] for name in ("tenant", "instance", "kind")))
