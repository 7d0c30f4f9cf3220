"""Rows that carry a version: a batch of them is written in one statement, each only onto the version before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, Text, bindparam, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import ColumnElement

from hub.store.sql import insert_into, to_json, unfolded


async def save_versioned(
    conn: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    also: ColumnElement[bool] | None = None,
    values: Mapping[str, Any] | None = None,
) -> set[tuple[Any, ...]]:
    """Write each row whose stored version is one less than its own (or that is missing, for version 1).

    Returns the primary keys of the rows written; of a refused one nothing is. `also` is one more condition on all,
    with `values` for its parameters. The database locks rows in the order of their keys, so that concurrent
    batches can't deadlock.
    """
    statement = _statement(conn.dialect.name, table, also)
    written = await conn.execute(statement, {"batch": to_json(rows), **(values or {})})
    return {tuple(row) for row in written}


# Building it takes longer than running it for one row.
@lru_cache(maxsize=16)
def _statement(dialect: str, table: Table, also: ColumnElement[bool] | None) -> ReturningInsert[Any]:
    keys = list(table.primary_key.columns)
    batch = unfolded(
        dialect, bindparam("batch", type_=Text), "rows", {col.name: col.type for col in table.columns}
    )
    same = (key == batch.c[key.name] for key in keys)
    stored = select(table.c.version).where(*same).correlate(batch).scalar_subquery()
    follows = func.coalesce(stored, 0) == batch.c.version - 1
    chosen = (
        select(*(batch.c[col.name] for col in table.columns))
        .where(follows, true() if also is None else also)
        .order_by(*(batch.c[key.name] for key in keys))
    )
    insert = insert_into(dialect, table).from_select([col.name for col in table.columns], chosen)
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={col.name: insert.excluded[col.name] for col in table.columns if not col.primary_key},
        where=table.c.version == insert.excluded.version - 1,
    ).returning(*keys)
