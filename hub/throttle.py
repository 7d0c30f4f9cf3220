"""A 429 that one share of a tenant's budget meets stops the others, in whichever process they are spent.

Halo counts a tenant's requests together, so what it says to one is said to all. Each share looks at most once a
second: until then it may send what was granted to it before.
"""

from __future__ import annotations

from hub.store import holds
from hub.store.engine import Store
from hub.store.holds import WINDOW, Hold

_LOOK_EVERY_S = 1.0


class SharedBlock:
    """Until when Halo refuses one tenant's requests. Times are the store's clock."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self._tenant = tenant
        self._looked_at = float("-inf")
        self._until = float("-inf")

    async def until(self, now: float) -> float:
        """The end of the block as far as anyone has stored it; -inf when there is none. Raises StoreUnavailable."""
        if now - self._looked_at >= _LOOK_EVERY_S:
            async with self._store.read() as conn:
                stored = await holds.blocked_until(conn, self._tenant)
            self._looked_at = now
            self._until = max(self._until, stored if stored is not None else self._until)
        return self._until

    async def tell(self, until: float, now: float, note: str | None = None) -> None:
        """Store a 429's end for the others; does nothing that is known already. Raises StoreUnavailable."""
        if until <= self._until or until <= now:
            return
        hold = Hold(
            tenant=self._tenant, scope=WINDOW, reason="limited", since=now, probe_at=until, tries=0, note=note
        )
        async with self._store.write() as conn:
            await holds.put(conn, hold)
        self._until = until
