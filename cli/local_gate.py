"""A tenant's request budget where there is no hub to share it with."""

import asyncio
import time

from halo import Budget, GateClosed


class LocalGate:
    """Lets requests pass at the budget's pace, waiting as long as it takes."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        while not self._budget.spend(time.monotonic()):
            free_at = self._budget.next_free_at(time.monotonic())
            if free_at == float("inf"):
                raise GateClosed("this tenant's request budget allows nothing")
            await asyncio.sleep(max(0.01, free_at - time.monotonic()))

    def throttled(self, retry_after_s: float | None) -> None:
        self._budget.throttled(time.monotonic(), retry_after_s)
