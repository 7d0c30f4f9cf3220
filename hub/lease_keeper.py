"""Leases held by this process, and the certainty that none is used past its end.

Who owns a tenant's work is a row in the store, and the store's clock ends it. The holder never reads that clock to
decide: it counts on its own monotonic one, from before the request that took or renewed the lease, so that its idea
of the end is never later than the store's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from hub.store import leases
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable

Spend = Mapping[str, int]
_log = structlog.get_logger(__name__)


class Held:
    """One lease of ours. `epoch` fences writes to the store, `remaining_s` what is sent elsewhere."""

    def __init__(
        self,
        lease: leases.Lease,
        *,
        ends_at: float,
        store_offsets: tuple[float, float],
        clock: Callable[[], float],
    ) -> None:
        self.tenant = lease.tenant
        self.share = lease.share
        self.owner = lease.owner
        self.epoch = lease.epoch
        self.inherited_spend: Spend = dict(lease.spend)
        self.lost = False
        self._ends_at = ends_at
        self._store_offsets = store_offsets
        self._clock = clock

    @property
    def fence(self) -> tuple[str, int]:
        """What a guarded write to the store is conditional on."""
        return self.owner, self.epoch

    def remaining_s(self) -> float:
        """How long the lease is surely ours; 0 or less when it no longer is."""
        return 0.0 if self.lost else self._ends_at - self._clock()

    def store_now(self) -> float:
        """The store's clock (seconds since the epoch) at the earliest: what must have passed by now has passed.

        The monotonic clock carries it on since the lease was taken; how long that took is the uncertainty.
        """
        return self._clock() + self._store_offsets[0]

    def store_now_at_most(self) -> float:
        """The store's clock at the latest: from here on is after now for everyone."""
        return self._clock() + self._store_offsets[1]

    def renewed(self, ends_at: float) -> None:
        self._ends_at = ends_at


class LeaseKeeper:
    """Takes, renews and gives back the leases of one process; renewal is one statement for all of them."""

    def __init__(
        self, store: Store, *, owner: str, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._owner = owner
        self._ttl_s = ttl_s
        self._clock = clock
        self._held: dict[tuple[str, str], Held] = {}

    @property
    def held(self) -> Mapping[tuple[str, str], Held]:
        return self._held

    async def take(self, tenant: str, share: str) -> Held | None:
        """The lease, or None while another process holds it."""
        before = self._clock()
        async with self._store.write() as conn:
            lease = await leases.take(conn, tenant, share, self._owner, self._ttl_s)
            after = self._clock()
        if lease is None:
            return None
        # `until` is the store's clock at the statement plus the term: no further round trip is needed.
        taken_at = lease.until - self._ttl_s
        held = Held(
            lease,
            ends_at=before + self._ttl_s,
            store_offsets=(taken_at - after, taken_at - before),
            clock=self._clock,
        )
        self._held[tenant, share] = held
        return held

    async def save_spend(self, held: Held, spend: Spend) -> bool:
        """Write a budget's counts down with the lease (and renew it); False when the lease is no longer ours."""
        before = self._clock()
        key = (held.tenant, held.share)
        async with self._store.write() as conn:
            kept = await leases.renew(conn, self._owner, {key: held.epoch}, self._ttl_s, {key: dict(spend)})
        if key not in kept:
            self._lose(held)
            return False
        held.renewed(before + self._ttl_s)
        return True

    async def release(self, held: Held, spend: Spend | None = None) -> None:
        """Give the lease back at once, with the counts that its next holder starts from."""
        self._held.pop((held.tenant, held.share), None)
        held.lost = True
        async with self._store.write() as conn:
            await leases.release(
                conn,
                held.tenant,
                held.share,
                self._owner,
                held.epoch,
                dict(spend) if spend is not None else None,
            )

    async def renew_all(self) -> None:
        """Renew every lease that is still ours; the others are marked lost."""
        renewing = dict(self._held)
        if not renewing:
            return
        before = self._clock()
        async with self._store.write() as conn:
            kept = await leases.renew(
                conn, self._owner, {key: held.epoch for key, held in renewing.items()}, self._ttl_s
            )
        for key, held in renewing.items():
            if key in kept:
                held.renewed(before + self._ttl_s)
            else:
                self._lose(held)

    async def run(self) -> None:
        """Renew for ever, three times a term. A store that can't be reached lets the leases run out by themselves."""
        while True:
            await asyncio.sleep(self._ttl_s / 3)
            try:
                await self.renew_all()
            except StoreUnavailable as error:
                _log.warning("lease.renewal_failed", error=str(error), held=len(self._held))

    def _lose(self, held: Held) -> None:
        held.lost = True
        if self._held.get((held.tenant, held.share)) is held:
            del self._held[held.tenant, held.share]
        _log.warning("lease.lost", tenant=held.tenant, share=held.share, epoch=held.epoch)
