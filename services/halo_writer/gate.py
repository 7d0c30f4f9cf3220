"""The say over each request of one tenant: nothing leaves past the lease, nothing over the budget."""

from __future__ import annotations

import math

from halo import Budget, GateClosed
from hub.lease_keeper import Held, LeaseKeeper
from hub.steps import Steps
from hub.throttle import SharedBlock

_GRANT = 20
_TRIES = 3
_MARGIN_S = 0.25


class TooLate(GateClosed):
    """This one request may not leave any more; those after it may."""


class TenantGate:
    """Admits a request when the lease outlives its timeout and the budget has granted it.

    Requests are granted in small amounts that are stored with the lease before they are used: whoever takes over after
    a crash starts from counts that can only be too high. A 429 of any share stops this one. Times are the store's
    clock.
    """

    def __init__(
        self, keeper: LeaseKeeper, held: Held, budget: Budget, steps: Steps, shared: SharedBlock
    ) -> None:
        self._keeper = keeper
        self._shared = shared
        self._held = held
        self._budget = budget
        self._steps = steps
        self._writing = False
        self._written_down = True
        self._not_after = math.inf
        budget.restore({float(start): count for start, count in held.inherited_spend.items()})

    @property
    def held(self) -> Held:
        return self._held

    def spend(self) -> dict[str, int]:
        """The counts that a successor starts from."""
        return {str(start): count for start, count in self._budget.snapshot().items()}

    def available(self) -> int:
        """How many requests may be sent now, granted ones included."""
        now = self._held.store_now()
        return self._budget.granted(now) + self._budget.available(now)

    async def ready_at(self, requests: int = 1) -> float:
        """Now, with `requests` granted and written down; or the later time (store's clock) when there may be some.

        Raises GateClosed when the lease is lost.
        """
        now = self._held.store_now()
        self._budget.block_until(await self._shared.until(now))
        missing = requests - self._budget.granted(now)
        if missing <= 0 and self._written_down:
            return now
        if missing > 0:
            self._written_down = False
            if self._budget.reserve(now, max(missing, _GRANT)) < missing and self._budget.granted(now) < 1:
                return max(self._budget.next_free_at(now), now + _MARGIN_S)
        if not await self._keeper.save_spend(self._held, self.spend()):
            raise GateClosed("the tenant's lease is held by another process; it goes on there")
        self._written_down = True
        return now

    def writing(self, not_after: float) -> None:
        """The next POST is the write that an intent announces; once `not_after` has passed it may not leave.

        A later owner counts from the intent when it waits for the request to have had its effect.
        """
        self._writing = True
        self._not_after = not_after

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        if self._held.remaining_s() <= timeout_s:
            await self._keeper.renew_all()
        self._budget.block_until(await self._shared.until(self._held.store_now()))
        if not self._written_down or not self._budget.spend_granted(self._held.store_now()):
            await self._spend_another()
        if self._writing and method == "POST":
            self._writing = False
            self._steps.reached("before_send")
            self._steps.reached_soon("sent_without_reply")
        # The last checks before the socket: a request may not outlive the lease, nor leave long after its intent.
        if method == "POST" and self._held.store_now_at_most() > self._not_after:
            raise TooLate("the write could not be sent in time; it goes on by itself")
        if self._held.remaining_s() <= timeout_s:
            raise TooLate("the tenant's lease ends before the request could; it goes on by itself")
        if method == "POST":
            self._steps.reached("at_socket")

    async def _spend_another(self) -> None:
        """Spend a request that is granted for it. Raises GateClosed."""
        for _ in range(_TRIES):
            if await self.ready_at() > self._held.store_now():
                break
            # A grant ends with its span of time, and writing it down may take until after that.
            if self._budget.spend_granted(self._held.store_now()):
                return
        raise GateClosed("the tenant's request budget is used up; it goes on by itself")

    def throttled(self, retry_after_s: float | None) -> None:
        self._budget.throttled(self._held.store_now(), retry_after_s)

    def blocked_until(self) -> float:
        """When requests are allowed again after a 429; -inf when there was none."""
        return self._budget.blocked_until
