"""Proofs: what each tenant's Halo was last seen to do with our key, by kind and look-up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import insert_into
from hub.store.tables import proof as table
from schemas.control import Proof
from schemas.targets import Kind


async def put(conn: AsyncConnection, tenant: str, instance: str, proofs: Sequence[Proof], at: float) -> None:
    """Store what a test found; a kind and look-up keeps its newest result, in whatever order tests arrive."""
    for proof in proofs:
        insert = insert_into(conn.dialect.name, table).values(
            tenant=tenant,
            instance=instance,
            kind=proof.kind,
            by=proof.by,
            ok=proof.ok,
            lag_s=proof.lag_s,
            tested_at=at,
        )
        statement = insert.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: insert.excluded[name] for name in ("ok", "lag_s", "tested_at")},
            where=table.c.tested_at <= insert.excluded.tested_at,
        )
        await conn.execute(statement)


async def load(conn: AsyncConnection, tenant: str, instance: str) -> dict[Kind, list[Proof]]:
    """The newest results for the tenant's Halo instance, by kind."""
    statement = (
        select(table)
        .where(table.c.tenant == tenant, table.c.instance == instance)
        .order_by(table.c.kind, table.c.by)
    )
    found: dict[Kind, list[Proof]] = {}
    for row in await conn.execute(statement):
        found.setdefault(row.kind, []).append(Proof(kind=row.kind, by=row.by, ok=row.ok, lag_s=row.lag_s))
    return found
