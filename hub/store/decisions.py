"""Decisions: what people have answered, by record and question. The log has them all; here is the newest of each."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import insert_into, storable
from hub.store.tables import decision as table


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `at` is when it was given, in seconds since the epoch."""

    tenant: str
    target_key: str
    question: str
    choice: str
    by: str
    at: float


async def put(conn: AsyncConnection, decision: Decision) -> None:
    """Store an answer in place of an older one to the same question, in whatever order they arrive."""
    values = {name: getattr(decision, name) for name in decision.__struct_fields__}
    insert = insert_into(conn.dialect.name, table).values({**values, "by": storable(decision.by)})
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: insert.excluded[name] for name in ("choice", "by", "at")},
        where=table.c.at <= insert.excluded.at,
    )
    await conn.execute(statement)


async def choice(conn: AsyncConnection, tenant: str, target_key: str, question: str) -> str | None:
    """What was answered to this question about this record; None while nobody has."""
    statement = select(table.c.choice).where(
        table.c.tenant == tenant, table.c.target_key == target_key, table.c.question == question
    )
    return (await conn.execute(statement)).scalar_one_or_none()
