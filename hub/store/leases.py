"""Leases: at any time one owner for each share of a tenant, proven here and fenced by an epoch that only rises.

The store's clock alone ends a lease. A holder counts on its own monotonic clock from before `take` or `renew` was
called, so that it always stops first. All processes use the same term.

What becomes of that when the store's clock is set while leases are held:

* back: `until` lies further ahead than any term, and a holder that died would block its tenant for as long as the
  step. So whoever finds that shortens it to one term from now, which is no less than a living holder believes: it
  counts one term at most from its last renewal, and that is past. At any time there is one owner.
* ahead: leases end at once, and another may take one while its holder still goes on by its own clock, until its next
  renewal finds it lost. The epoch keeps the former holder from settling anything, and each write that it may have
  under way has its intent on the target's row. But its successor counts `settle_s` from that intent by the clock that
  was set: a step larger than `settle_s`, while a write is in flight, is outside of what the hub promises. Clocks of
  database servers have to be slewed, not stepped.

A restore of the store (`hub.store.restore`) begins all leases anew, epochs too. Fences stay whole: they name the owner
beside the epoch, and an owner is one process of one start.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import BigInteger, BindParameter, Text, and_, case, cast, func, literal, or_, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hub.store.sql import insert_into, json_rows, store_now, to_json
from hub.store.tables import lease, store_generation

Spend = Mapping[str, int]

_SPEND = msgspec.json.Decoder(dict[str, int])
# More than any budget allows.
_ALL = 1_000_000_000
_RESTORED = select(
    literal('{"') + cast(cast(store_generation.c.raised_at, BigInteger), Text) + literal(f'":{_ALL}}}')
).scalar_subquery()


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

    The epoch rises unless the lease is mine and unexpired. `spend` is the former holder's; of a lease that nobody
    held since the store was restored, the worst case: all of the budget, at the time of the restore.
    """
    until = store_now() + ttl_s
    insert = insert_into(conn.dialect.name, lease).values(
        tenant=tenant, share=share, owner=owner, epoch=1, until=until, spend=func.coalesce(_RESTORED, "{}")
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
    if row is not None:
        return _lease(row)
    # No clock that is right has set an end beyond one term: it has been set back since.
    too_far = and_(lease.c.tenant == tenant, lease.c.share == share, lease.c.until > store_now() + ttl_s)
    await conn.execute(update(lease).values(until=until).where(too_far))
    return None


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
