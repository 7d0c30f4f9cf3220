"""Publishes again what waited for settings, or for its quote, and has them now: the same events under the same ids.

A row is removed only when its event is on the log: a crash in between publishes the event twice, and loses none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import structlog

from hub.bus.records import Outgoing
from hub.store import pending, records
from hub.store.engine import Store
from hub.store.pending import Pending
from hub.store.records import RecordKey
from services.mapper.rows import SETTINGS, published_again, quote_waited_for
from services.mapper.service import RulesSource

_CHUNK = 500
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 300.0
_log = structlog.get_logger(__name__)

Publish = Callable[[Sequence[Outgoing]], Awaitable[None]]


async def release_waiting(store: Store, rules: RulesSource, publish: Publish) -> int:
    """Release what can go on; returns how many events. Raises PublishFailed, StoreUnavailable."""
    now = await store.now()
    async with store.read() as conn:
        tenants = await pending.due_tenants(conn, "mapper", now, besides=pending.DECISION)
    released = 0
    for tenant in tenants:
        if rules.get(tenant) is not None:
            rows = await _releasable(store, tenant, now)
            await _release(store, publish, rows)
            released += len(rows)
            if rows:
                _log.info("settings.released", tenant=tenant, events=len(rows))
    return released


async def _releasable(store: Store, tenant: str, now: float) -> list[Pending]:
    """What waits no more, of a tenant that has rules: what waited for them, and files whose quotes have come.

    The files that are due and whose quotes have not are put off.
    """
    async with store.read() as conn:
        waiting = await pending.of_tenant(conn, tenant, "mapper")
    due = [
        (row, quote_waited_for(row)) for row in waiting if row.waits_for is not None and row.not_before <= now
    ]
    come = await _that_came(store, {quote for _, quote in due})
    await _put_off(store, [row for row, quote in due if quote not in come], now)
    parked = [row for row in waiting if row.reason == SETTINGS]
    return parked + [row for row, quote in due if quote in come]


async def _that_came(store: Store, quotes: Collection[RecordKey]) -> set[RecordKey]:
    """Those of the quotes whose base has come."""
    async with store.read() as conn:
        found = await records.load_many(conn, quotes)
    return {key for key, record in found.items() if "head" in record.groups}


async def _put_off(store: Store, rows: Sequence[Pending], now: float) -> None:
    """Let each row wait as long again as it has waited."""
    later = []
    for row in rows:
        wait_s = min(_LONGEST_WAIT_S, max(_FIRST_WAIT_S, now - row.since))
        later.append(msgspec.structs.replace(row, not_before=now + wait_s))
    async with store.write() as conn:
        await pending.put_many(conn, later)


async def _release(store: Store, publish: Publish, rows: Sequence[Pending]) -> None:
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        await publish([published_again(row) for row in chunk])
        async with store.write() as conn:
            for row in chunk:
                await pending.remove(conn, row.tenant, "mapper", row.target_key)
