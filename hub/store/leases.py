"""Leases: at any time one owner for each share of a tenant, proven here and fenced by an epoch that only rises.

The store's clock alone ends a lease. A holder counts on its own monotonic clock from before `take` or `renew` was
called, so that it always stops first. Each function is one statement.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import BigInteger, BindParameter, Text, and_, case, func, literal, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.store.sql import insert_into, json_rows, store_now, to_json
from hub.store.tables import lease

Spend = Mapping[str, int]

_SPEND = msgspec.json.Decoder(dict[str, int])


class Lease(msgspec.Struct, frozen=True):
    """One share ("write", "read", "ops" or "settings") of one tenant. `spend` is what its holder last said it had
    sent (requests per 10 s)."""

    tenant: str
    share: str
    owner: str
    epoch: int
    until: float
    spend: dict[str, int]


async def take(conn: AsyncConnection, tenant: str, share: str, owner: str, ttl_s: float) -> Lease | None:
    """The lease, if it was free, expired or already mine; None while another holds it.

    The epoch rises unless the lease is mine and unexpired. `spend` is the former holder's.
    """
    until = store_now() + ttl_s
    insert = insert_into(conn.dialect.name, lease).values(
        tenant=tenant, share=share, owner=owner, epoch=1, until=until, spend="{}"
    )
    mine = and_(lease.c.owner == owner, lease.c.until > store_now())
    statement = insert.on_conflict_do_update(
        index_elements=[lease.c.tenant, lease.c.share],
        set_={
            "owner": owner,
            "epoch": case((mine, lease.c.epoch), else_=lease.c.epoch + 1),
            "until": until,
        },
        where=or_(lease.c.owner == owner, lease.c.until <= store_now()),
    ).returning(lease)
    row = (await conn.execute(statement)).one_or_none()
    return _lease(row) if row else None


async def renew(
    conn: AsyncConnection,
    owner: str,
    held: Mapping[tuple[str, str], int],
    ttl_s: float,
    spend: Mapping[tuple[str, str], Spend] | None = None,
) -> set[tuple[str, str]]:
    """Extend all of `held` (epochs by tenant and share) in one statement; those that are still held.

    An expired lease that nobody took is renewed. A tenant and share that is missing from the answer is lost:
    another owner may already act. `spend` is written for those that it names.
    """
    if not held:
        return set()
    spend = spend or {}
    rows = json_rows(
        conn,
        "held",
        [
            {
                "tenant": tenant,
                "share": share,
                "epoch": epoch,
                "spend": to_json(spend[tenant, share]) if (tenant, share) in spend else None,
            }
            for (tenant, share), epoch in held.items()
        ],
        {"tenant": Text(), "share": Text(), "epoch": BigInteger(), "spend": Text()},
    )
    statement = (
        update(lease)
        .values(until=store_now() + ttl_s, spend=func.coalesce(rows.c.spend, lease.c.spend))
        .where(
            lease.c.tenant == rows.c.tenant,
            lease.c.share == rows.c.share,
            lease.c.epoch == rows.c.epoch,
            lease.c.owner == owner,
        )
        .returning(lease.c.tenant, lease.c.share)
    )
    return {(row.tenant, row.share) for row in await conn.execute(statement)}


async def release(
    conn: AsyncConnection, tenant: str, share: str, owner: str, epoch: int, spend: Spend | None = None
) -> None:
    """Give the lease up for good; does nothing if it is no longer held.

    The row keeps its epoch and spend for the next owner, but names no owner, so that a late write or renewal of
    the one that released it fails.
    """
    values: dict[str, object] = {"owner": "", "until": store_now()}
    if spend is not None:
        values["spend"] = to_json(spend)
    await conn.execute(update(lease).values(values).where(is_held(tenant, share, owner, epoch)))


async def holds(conn: AsyncConnection, tenant: str, share: str, owner: str, epoch: int) -> bool:
    """Whether the lease is this owner's in this epoch and has not expired."""
    statement = select(literal(1)).where(is_held(tenant, share, owner, epoch), lease.c.until > store_now())
    return (await conn.execute(statement)).first() is not None


async def peek(conn: AsyncConnection, tenant: str, share: str) -> Lease | None:
    """The lease's row as it is, expired or not; None if nobody ever held it."""
    statement = select(lease).where(lease.c.tenant == tenant, lease.c.share == share)
    row = (await conn.execute(statement)).one_or_none()
    return _lease(row) if row else None


def is_held(
    tenant: str | BindParameter[str],
    share: str,
    owner: str | BindParameter[str],
    epoch: int | BindParameter[int],
) -> ColumnElement[bool]:
    """The condition on `lease` that fences writes: same owner, same epoch, whether or not it has expired."""
    return and_(
        lease.c.tenant == tenant, lease.c.share == share, lease.c.owner == owner, lease.c.epoch == epoch
    )


def _lease(row: Row[tuple[object, ...]]) -> Lease:
    return Lease(row.tenant, row.share, row.owner, row.epoch, row.until, _SPEND.decode(row.spend))
