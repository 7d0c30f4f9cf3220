"""The say over each request that is not the writer's: it waits for its share of the tenant's budget.

A share is spent by the holder of its lease only, and the counts are stored with the lease before they are used, so
that whoever comes next starts from counts that can only be too high.
"""

import asyncio
from collections.abc import Awaitable, Callable

from halo import Budget, GateClosed
from hub.lease_keeper import Held, LeaseKeeper
from hub.tenants.model import RuleSet
from hub.tenants.shares import allowance
from hub.throttle import SharedBlock

_GRANT = 5
_LONGEST_NAP_S = 2.0


def budget_of(rules: RuleSet, share: float) -> Budget:
    """A share of the tenant's budget, for the holder of that share's lease."""
    return Budget(*allowance(rules, share))


class ShareGate:
    """Lets a request pass when the lease outlives its timeout and the budget has granted it; waits up to `patience_s`.

    A 429 of any share stops this one. Times are the store's clock.
    """

    def __init__(
        self,
        keeper: LeaseKeeper,
        held: Held,
        budget: Budget,
        shared: SharedBlock,
        *,
        patience_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._keeper = keeper
        self._held = held
        self._budget = budget
        self._shared = shared
        self._patience_s = patience_s
        self._sleep = sleep
        budget.restore({float(start): count for start, count in held.inherited_spend.items()})

    def spend(self) -> dict[str, int]:
        """The counts that a successor starts from."""
        return {str(start): count for start, count in self._budget.snapshot().items()}

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        give_up_at = self._held.store_now() + self._patience_s
        self._budget.block_until(await self._shared.until(self._held.store_now()))
        while not self._budget.spend_granted(self._held.store_now()):
            now = self._held.store_now()
            if not self._budget.reserve(now, _GRANT):
                free_at = self._budget.next_free_at(now)
                if free_at > give_up_at:
                    raise GateClosed("this share of the tenant's request budget is used up", free_at - now)
                await self._sleep(min(max(free_at - now, 0.01), _LONGEST_NAP_S))
                self._budget.block_until(await self._shared.until(self._held.store_now()))
            await self._write_down()
        if self._held.remaining_s() <= timeout_s:
            await self._write_down()
        if self._held.remaining_s() <= timeout_s:
            raise GateClosed("the lease would end before the request could; give it a longer term")

    def throttled(self, retry_after_s: float | None) -> None:
        self._budget.throttled(self._held.store_now(), retry_after_s)

    async def tell_others(self) -> None:
        """A 429 that this share met stops the others too. Raises StoreUnavailable."""
        await self._shared.tell(self._budget.blocked_until, self._held.store_now())

    async def _write_down(self) -> None:
        if not await self._keeper.save_spend(self._held, self.spend()):
            raise GateClosed("another process has taken this share of the tenant over")
