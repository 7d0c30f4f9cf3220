"""Rows that carry a version: a batch of them is written in one statement, each only onto the version before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.store.sql import insert_into, json_rows


async def save_versioned(
    conn: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    also: ColumnElement[bool] | None = None,
) -> set[tuple[Any, ...]]:
    """Write each row whose stored version is one less than its own (or that is missing, for version 1).

    Returns the primary keys of the rows written; of a refused one nothing is. `also` is one more condition on all.
    The database locks rows in the order of their keys, so that concurrent batches can't deadlock.
    """
    keys = list(table.primary_key.columns)
    batch = json_rows(conn, "batch", rows, {col.name: col.type for col in table.columns})
    stored = exists().where(*(key == batch.c[key.name] for key in keys)).correlate(batch)
    conditions = [or_(batch.c.version == 1, stored)]
    if also is not None:
        conditions.append(also)
    chosen = (
        select(*(batch.c[col.name] for col in table.columns))
        .where(and_(*conditions))
        .order_by(*(batch.c[key.name] for key in keys))
    )
    insert = insert_into(conn, table).from_select([col.name for col in table.columns], chosen)
    statement = insert.on_conflict_do_update(
        index_elements=keys,
        set_={col.name: insert.excluded[col.name] for col in table.columns if not col.primary_key},
        where=table.c.version == insert.excluded.version - 1,
    ).returning(*keys)
    return {tuple(row) for row in await conn.execute(statement)}
