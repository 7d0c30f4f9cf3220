"""Rule sets: each tenant's accepted settings, as `settings.changed` carried them, by sequence."""

from __future__ import annotations

import msgspec
from sqlalchemy import func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import insert_into
from hub.store.tables import rule_set as table


class RuleSetRow(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted revision: the whole normalised text and its hash. `accepted_at` is its event's time."""

    tenant: str
    sequence: int
    hash: str
    text: str
    accepted_at: float


async def put(conn: AsyncConnection, row: RuleSetRow) -> bool:
    """Store a revision; the same one again changes nothing. False if another text holds that sequence."""
    insert = insert_into(conn.dialect.name, table).values(
        {name: getattr(row, name) for name in row.__struct_fields__}
    )
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"hash": insert.excluded.hash},
        where=table.c.hash == insert.excluded.hash,
    ).returning(table.c.sequence)
    return (await conn.execute(statement)).first() is not None


async def latest(conn: AsyncConnection, tenant: str) -> RuleSetRow | None:
    """The tenant's newest revision."""
    statement = select(table).where(table.c.tenant == tenant).order_by(table.c.sequence.desc()).limit(1)
    row = (await conn.execute(statement)).one_or_none()
    return _row(row) if row else None


async def at(conn: AsyncConnection, tenant: str, sequence: int) -> RuleSetRow | None:
    """The tenant's revision of that sequence."""
    statement = select(table).where(table.c.tenant == tenant, table.c.sequence == sequence)
    row = (await conn.execute(statement)).one_or_none()
    return _row(row) if row else None


async def all_latest(conn: AsyncConnection) -> dict[str, RuleSetRow]:
    """Each tenant's newest revision."""
    newest = select(table.c.tenant, func.max(table.c.sequence).label("sequence")).group_by(table.c.tenant)
    top = newest.subquery("newest")
    statement = select(table).join(
        top, (table.c.tenant == top.c.tenant) & (table.c.sequence == top.c.sequence)
    )
    return {row.tenant: _row(row) for row in await conn.execute(statement)}


def _row(row: Row[tuple[object, ...]]) -> RuleSetRow:
    return RuleSetRow(
        tenant=row.tenant, sequence=row.sequence, hash=row.hash, text=row.text, accepted_at=row.accepted_at
    )
