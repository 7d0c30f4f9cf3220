"""Holds: what of a tenant's Halo can't be used at all for now, so that no command finds it out again.

A hold outlives the process that met it: whoever owns the tenant next, and each other share of its budget, starts
from what was learnt.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import insert_into, storable
from hub.store.tables import hold as table

Reason = Literal["limited", "unreachable", "unauthorised", "denied"]

WINDOW = "window"
"""The scope of a 429: every share of the tenant's budget is stopped until `probe_at`."""
HALO = "halo"
"""The scope of a Halo that doesn't answer or doesn't let us in: every command of the tenant waits."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """`scope` is WINDOW, HALO, or the kind of record whose right is missing; times are the store's seconds.

    `probe_at` is when one try may show that the hold is over; a WINDOW simply ends then.
    """

    tenant: str
    scope: str
    reason: Reason
    since: float
    probe_at: float
    tries: int = 0
    note: str | None = None


async def put(conn: AsyncConnection, hold: Hold) -> None:
    """Store the hold in place of the tenant's former one of this scope; a WINDOW that lasts longer stays."""
    values = {name: getattr(hold, name) for name in hold.__struct_fields__}
    values["note"] = None if hold.note is None else storable(hold.note)
    insert = insert_into(conn.dialect.name, table).values(values)
    changed = {name: insert.excluded[name] for name in ("reason", "since", "probe_at", "tries", "note")}
    keys = [table.c.tenant, table.c.scope]
    longer = table.c.probe_at <= insert.excluded.probe_at if hold.scope == WINDOW else None
    await conn.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed, where=longer))


async def remove(conn: AsyncConnection, tenant: str, scope: str) -> None:
    """The hold is over."""
    await conn.execute(delete(table).where(table.c.tenant == tenant, table.c.scope == scope))


async def of_tenant(conn: AsyncConnection, tenant: str) -> list[Hold]:
    """The tenant's holds; a WINDOW may be over already."""
    return await _holds(conn, tenant)


async def everyone(conn: AsyncConnection) -> list[Hold]:
    """The holds of all tenants, by tenant and scope."""
    return await _holds(conn, None)


async def blocked_until(conn: AsyncConnection, tenant: str) -> float | None:
    """Until when Halo refuses this tenant's requests, as the last 429 said; None when there was none."""
    statement = select(table.c.probe_at).where(table.c.tenant == tenant, table.c.scope == WINDOW)
    return (await conn.execute(statement)).scalar_one_or_none()


async def probe_now(conn: AsyncConnection, tenant: str) -> None:
    """Something has changed (a test went well): what is refused is to be tried at once. A WINDOW stays."""
    await conn.execute(
        update(table).where(table.c.tenant == tenant, table.c.scope != WINDOW).values(probe_at=0.0, tries=0)
    )


async def end_windows(conn: AsyncConnection, now: float) -> None:
    """Forget what is over by itself."""
    await conn.execute(delete(table).where(table.c.scope == WINDOW, table.c.probe_at <= now))


async def _holds(conn: AsyncConnection, tenant: str | None) -> list[Hold]:
    statement = select(table).order_by(table.c.tenant, table.c.scope)
    if tenant is not None:
        statement = statement.where(table.c.tenant == tenant)
    return [Hold(**row) for row in (await conn.execute(statement)).mappings()]
