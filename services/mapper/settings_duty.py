"""What one mapper does for all: publish changed tenant files, and release what waited for settings or for its quote.

The holder of the lease ("*", "settings") does it. Two holders for a moment do no harm: a revision's id and a waiting
event's id are the same whoever publishes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from hub.bus.errors import PublishFailed
from hub.bus.records import Outgoing
from hub.lease_keeper import Held, LeaseKeeper
from hub.store import pending, records
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.records import RecordKey
from hub.telemetry.health import Progress
from hub.telemetry.metrics import Metrics
from hub.tenants.publisher import SettingsPublisher
from schemas.envelope import Envelope
from services.mapper.emit import event_again
from services.mapper.service import SETTINGS, RulesSource

EVERYONE = "*"
_CHUNK = 500
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 300.0
_log = structlog.get_logger(__name__)


class SettingsDuty:
    """Runs for ever, once every `every_s`; without the lease it only waits."""

    def __init__(
        self,
        keeper: LeaseKeeper,
        publisher: SettingsPublisher,
        store: Store,
        rules: RulesSource,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        progress: Progress,
        metrics: Metrics,
        *,
        every_s: float,
    ) -> None:
        self._keeper = keeper
        self._publisher = publisher
        self._store = store
        self._rules = rules
        self._publish = publish
        self._progress = progress
        self._metrics = metrics
        self._every_s = every_s
        self._held: Held | None = None

    async def run(self) -> None:
        while True:
            try:
                await self.once()
                self._metrics.store_away.set(0)
            except (PublishFailed, StoreUnavailable) as error:
                if isinstance(error, StoreUnavailable):
                    self._metrics.store_away.set(1)
                _log.warning("settings.held_up", problem=str(error))
            self._progress.tick()
            await asyncio.sleep(self._every_s)

    async def once(self) -> None:
        """One round. Raises PublishFailed, StoreUnavailable; the next round does what this one left."""
        if self._held is None or self._held.remaining_s() <= 0:
            self._held = await self._keeper.take(EVERYONE, "settings")
        if self._held is None:
            # Who has the lease tells them.
            self._metrics.set_invalid_files(())
            return
        await self._publisher.scan()
        self._metrics.set_invalid_files(self._publisher.invalid)
        await self.release_parked()

    async def stop(self) -> None:
        """Give the lease back, so that another mapper goes on at once."""
        held, self._held = self._held, None
        if held is not None:
            await self._keeper.release(held)

    async def release_parked(self) -> int:
        """Publish again what waited for settings, or for its quote, and has them now; the same events and ids."""
        now = await self._store.now()
        async with self._store.read() as conn:
            tenants = await pending.due_tenants(conn, "mapper", now, besides=pending.DECISION)
        released = 0
        for tenant in tenants:
            if self._rules.get(tenant) is None:
                continue
            async with self._store.read() as conn:
                waiting = await pending.of_tenant(conn, tenant, "mapper")
            rows = [row for row in waiting if row.reason == SETTINGS]
            rows += await self._whose_quote_came(
                [row for row in waiting if row.waits_for is not None and row.not_before <= now], now
            )
            for start in range(0, len(rows), _CHUNK):
                await self._release(rows[start : start + _CHUNK])
            released += len(rows)
            if rows:
                _log.info("settings.released", tenant=tenant, events=len(rows))
        return released

    async def _whose_quote_came(self, rows: Sequence[pending.Pending], now: float) -> list[pending.Pending]:
        """The files whose quotes have come; the others are asked about after as long again as they have waited."""
        owners = {row.target_key: _quote_of(row) for row in rows}
        async with self._store.read() as conn:
            found = await records.load_many(conn, set(owners.values()))
        here = {key for key, record in found.items() if "head" in record.groups}
        late = [row for row in rows if owners[row.target_key] not in here]
        async with self._store.write() as conn:
            for row in late:
                wait_s = min(_LONGEST_WAIT_S, max(_FIRST_WAIT_S, now - row.since))
                await pending.put(conn, msgspec.structs.replace(row, not_before=now + wait_s))
        return [row for row in rows if owners[row.target_key] in here]

    async def _release(self, rows: Sequence[pending.Pending]) -> None:
        await self._publish([_again(row) for row in rows])
        async with self._store.write() as conn:
            for row in rows:
                await pending.remove(conn, row.tenant, "mapper", row.target_key)


def _quote_of(row: pending.Pending) -> RecordKey:
    envelope = msgspec.json.decode(row.headers, type=Envelope)
    quote_id = str(row.waits_for).removeprefix(f"{envelope.producer}/quote/")
    return RecordKey(envelope.tenant, envelope.producer, "quote", quote_id)


def _again(row: pending.Pending) -> Outgoing:
    envelope = msgspec.json.decode(row.headers, type=Envelope)
    return event_again(envelope, row.value)
