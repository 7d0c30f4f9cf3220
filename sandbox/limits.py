"""A rolling-window budget: never more than `limit` calls in any `window_s` seconds."""

from collections import deque

from sandbox.config import Budget
from sandbox.errors import TEXT, Answer


class RollingWindow:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._taken_s: deque[float] = deque()

    def take(self, now_s: float) -> bool:
        """Whether a call at `now_s` is within the budget; a refused call costs nothing."""
        self._forget(now_s)
        if self._budget.limit and len(self._taken_s) >= self._budget.limit:
            return False
        self._taken_s.append(now_s)
        return True

    def used(self, now_s: float) -> int:
        self._forget(now_s)
        return len(self._taken_s)

    def refusal(self, now_s: float) -> Answer:
        wait_s = max(0.0, self._taken_s[0] + self._budget.window_s - now_s) if self._taken_s else 0.0
        return throttled(self._budget, wait_s if self._budget.retry_after else None)

    def _forget(self, now_s: float) -> None:
        while self._taken_s and self._taken_s[0] <= now_s - self._budget.window_s:
            self._taken_s.popleft()


def throttled(budget: Budget, retry_after_s: float | None) -> Answer:
    """Halo's 429, with the numbers of `budget`; Retry-After in whole seconds, rounded up, when asked for."""
    text = f"Rate Limit Reached - {budget.limit} Requests per rolling {span(budget.window_s)} window."
    headers = () if retry_after_s is None else (("Retry-After", str(int(-(-retry_after_s // 1)))),)
    return Answer(429, text.encode(), TEXT, headers)


def span(seconds: float) -> str:
    return f"{seconds / 60:g} minute" if seconds % 60 == 0 else f"{seconds:g} second"
