"""The catalogue: what a tenant's Halo holds, as last seen, to be found by name, SKU, email address or id.

Absence here proves absence in Halo only as of `fresh_since`. A read that began before the store was restored proves
nothing any more: what the hub itself created after it, and noted here, may be what was forgotten.
"""

from __future__ import annotations

import difflib

import msgspec
from sqlalchemy import case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.store.catalogue_projection import apply, apply_dated, upsert_own
from hub.store.catalogue_rows import HaloEvent, Row, row_of, sku_of, text_key
from hub.store.sql import storable
from hub.store.tables import catalogue as table
from hub.store.tables import catalogue_read as reads
from hub.store.tables import store_generation
from schemas.control import CatalogueKind

__all__ = [
    "HaloEvent",
    "KindSummary",
    "Row",
    "apply",
    "apply_dated",
    "by_email",
    "by_exact_name",
    "by_id",
    "by_name",
    "by_sku",
    "fresh_since",
    "near",
    "summary",
    "text_key",
    "upsert_own",
]

# difflib takes some 30 µs a name; names of about the same length are the likely ones.
_MAX_NEAR_CANDIDATES = 1000
_RESTORED_AT = select(store_generation.c.raised_at).scalar_subquery()
_FRESH_SINCE = case(
    (reads.c.complete_since >= func.coalesce(_RESTORED_AT, reads.c.complete_since), reads.c.complete_since)
)


class KindSummary(msgspec.Struct, frozen=True):
    """How many records of a kind are known, and since when the catalogue is known to be whole (None: never)."""

    kind: CatalogueKind
    records: int
    inactive: int
    fresh_since: float | None


async def by_name(
    conn: AsyncConnection,
    tenant: str,
    instance: str,
    kind: CatalogueKind,
    name: str | int,
    usable_only: bool = False,
) -> list[Row]:
    """The records of that name (case-folded, trimmed), or of that Halo id; currencies also by ISO code.

    `usable_only` leaves out inactive records, and groups that Halo does not offer for items.
    """
    if isinstance(name, int):
        condition: ColumnElement[bool] = table.c.halo_id == name
    elif kind == "currency":
        condition = or_(table.c.name_key == text_key(name), table.c.code == storable(name.strip().upper()))
    else:
        condition = table.c.name_key == text_key(name)
    rows = await _find(conn, tenant, instance, kind, condition)
    return [row for row in rows if row.usable and not row.inactive] if usable_only else rows


async def by_exact_name(
    conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind, name: str
) -> list[Row]:
    """The records whose name is byte for byte this one."""
    condition = table.c.name_key == text_key(name)
    return await _find(conn, tenant, instance, kind, condition & (table.c.name == storable(name)))


async def by_id(
    conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind, halo_id: int
) -> Row | None:
    rows = await _find(conn, tenant, instance, kind, table.c.halo_id == halo_id)
    return rows[0] if rows else None


async def by_sku(
    conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind, sku: str
) -> list[Row]:
    """The items whose SKU is byte for byte this one; none for an empty one."""
    return await _find(conn, tenant, instance, kind, table.c.sku == sku_of(sku)) if sku else []


async def by_email(
    conn: AsyncConnection, tenant: str, instance: str, client_id: int, email: str
) -> list[Row]:
    """The client's users of that email address (case-folded, trimmed); none for an empty one."""
    if not text_key(email):
        return []
    condition = (table.c.parent_id == client_id) & (table.c.email_key == text_key(email))
    return await _find(conn, tenant, instance, "user", condition)


async def near(
    conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind, name: str, limit: int = 3
) -> list[str]:
    """Names that a person may have meant by `name`, the likeliest first."""
    wanted = text_key(name)
    distance = func.abs(func.length(table.c.name_key) - len(wanted))
    statement = (
        select(table.c.name, table.c.name_key)
        .where(_in(tenant, instance, kind))
        .order_by(distance, table.c.halo_id)
        .limit(_MAX_NEAR_CANDIDATES)
    )
    names = {row.name_key: row.name for row in await conn.execute(statement)}
    return [names[key] for key in difflib.get_close_matches(wanted, names, n=limit)]


async def fresh_since(conn: AsyncConnection, tenant: str, instance: str, kind: CatalogueKind) -> float | None:
    """When the last complete full read began: what existed in Halo then is here. None: nothing proves that."""
    statement = select(_FRESH_SINCE).where(
        reads.c.tenant == tenant, reads.c.instance == instance, reads.c.kind == kind
    )
    return (await conn.execute(statement)).scalar_one_or_none()


async def summary(conn: AsyncConnection, tenant: str, instance: str) -> list[KindSummary]:
    """What is known of each kind that any event told of."""
    inactive = func.count().filter(table.c.inactive)
    counted = (
        select(table.c.kind, func.count().label("records"), inactive.label("inactive"))
        .where(table.c.tenant == tenant, table.c.instance == instance, ~table.c.deleted)
        .group_by(table.c.kind)
        .subquery("counted")
    )
    statement = (
        select(
            reads.c.kind,
            func.coalesce(counted.c.records, 0),
            func.coalesce(counted.c.inactive, 0),
            _FRESH_SINCE,
        )
        .select_from(reads.outerjoin(counted, counted.c.kind == reads.c.kind))
        .where(reads.c.tenant == tenant, reads.c.instance == instance)
        .order_by(reads.c.kind)
    )
    return [KindSummary(*row) for row in await conn.execute(statement)]


def _in(tenant: str, instance: str, kind: CatalogueKind) -> ColumnElement[bool]:
    here = (table.c.tenant == tenant) & (table.c.instance == instance) & (table.c.kind == kind)
    return here & ~table.c.deleted


async def _find(
    conn: AsyncConnection,
    tenant: str,
    instance: str,
    kind: CatalogueKind,
    condition: ColumnElement[bool],
) -> list[Row]:
    statement = select(table).where(_in(tenant, instance, kind), condition).order_by(table.c.halo_id)
    return [row_of(row) for row in await conn.execute(statement)]
