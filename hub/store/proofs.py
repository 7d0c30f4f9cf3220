"""Proofs: what each tenant's Halo was last seen to do with our key, by kind and look-up; and with arrays, by kind.

What is known of arrays stands in rows of the kind `array/<kind>`, which no look-up asks for: `by` says which arrays, or
why none. The newest word on a kind holds, be it a test's or that of an array which failed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import insert_into, storable
from hub.store.tables import proof as table
from schemas.control import ArrayProof, Proof
from schemas.targets import Kind

_ARRAY = "array/"
_ATOMIC, _PARTIAL = "all or none", "one by one"
_MAX_WHY = 500


class KnownArrays(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one kind's arrays on one Halo, and since when (seconds of the epoch)."""

    instance: str
    proof: ArrayProof
    since: float


async def put(conn: AsyncConnection, tenant: str, instance: str, proofs: Sequence[Proof], at: float) -> None:
    """Store what a test found; a kind and look-up keeps its newest result, in whatever order tests arrive."""
    for proof in proofs:
        await _put(conn, tenant, instance, proof.kind, proof.by, ok=proof.ok, lag_s=proof.lag_s, at=at)


async def load(conn: AsyncConnection, tenant: str, instance: str) -> dict[Kind, list[Proof]]:
    """The newest results for the tenant's Halo instance, by kind."""
    statement = (
        select(table)
        .where(table.c.tenant == tenant, table.c.instance == instance, table.c.kind.not_like(f"{_ARRAY}%"))
        .order_by(table.c.kind, table.c.by)
    )
    found: dict[Kind, list[Proof]] = {}
    for row in await conn.execute(statement):
        found.setdefault(row.kind, []).append(Proof(kind=row.kind, by=row.by, ok=row.ok, lag_s=row.lag_s))
    return found


async def put_arrays(
    conn: AsyncConnection, tenant: str, instance: str, arrays: Sequence[ArrayProof], at: float
) -> None:
    """Store what is known of arrays since `at`; what was learnt later stays."""
    for proof in arrays:
        kind = f"{_ARRAY}{proof.kind}"
        by = (_ATOMIC if proof.atomic else _PARTIAL) if proof.ok else storable(proof.why or "")[:_MAX_WHY]
        same = (table.c.tenant == tenant, table.c.instance == instance, table.c.kind == kind)
        newer = (await conn.execute(select(table.c.by).where(*same, table.c.tested_at > at))).first()
        if newer is None:
            await conn.execute(delete(table).where(*same, table.c.by != by))
            await _put(conn, tenant, instance, kind, by, ok=proof.ok, lag_s=0.0, at=at)


async def arrays(conn: AsyncConnection, tenant: str) -> list[KnownArrays]:
    """What is known of arrays on each Halo that the tenant has had, by instance and kind."""
    statement = (
        select(table)
        .where(table.c.tenant == tenant, table.c.kind.like(f"{_ARRAY}%"))
        .order_by(table.c.instance, table.c.kind, table.c.tested_at)
    )
    # Two that were stored at once may both be there.
    newest = {(row.instance, row.kind): _known(row) for row in await conn.execute(statement)}
    return list(newest.values())


async def arrays_of(conn: AsyncConnection, tenant: str, instance: str) -> dict[Kind, ArrayProof]:
    """What is known of arrays on the tenant's Halo, by kind."""
    known = await arrays(conn, tenant)
    return {found.proof.kind: found.proof for found in known if found.instance == instance}


def _known(row: Row[Any]) -> KnownArrays:
    proof = ArrayProof(
        kind=row.kind.removeprefix(_ARRAY),
        ok=row.ok,
        atomic=row.ok and row.by == _ATOMIC,
        why=None if row.ok else row.by,
    )
    return KnownArrays(instance=row.instance, proof=proof, since=row.tested_at)


async def _put(
    conn: AsyncConnection,
    tenant: str,
    instance: str,
    kind: str,
    by: str,
    *,
    ok: bool,
    lag_s: float,
    at: float,
) -> None:
    insert = insert_into(conn.dialect.name, table).values(
        tenant=tenant, instance=instance, kind=kind, by=by, ok=ok, lag_s=lag_s, tested_at=at
    )
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: insert.excluded[name] for name in ("ok", "lag_s", "tested_at")},
        where=table.c.tested_at <= insert.excluded.tested_at,
    )
    await conn.execute(statement)
