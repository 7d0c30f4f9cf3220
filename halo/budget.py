"""A rolling-window request budget that can be handed over between processes. Pure: `now` always comes in.

`now` is any clock in seconds that its successors share (a store's time), or a monotonic one where counts are
never handed over.
"""

import math
from collections.abc import Mapping


class Budget:
    """Allows at most `limit` requests in any `window_s` seconds.

    Requests are counted per bucket of `bucket_s` seconds. `window_s` is Halo's window plus the caller's
    slack: what is spent now may reach Halo a little later than what is spent next.

    Invariants:
    * at no time are more than `limit` requests spent or granted in the last `window_s` seconds; a bucket's
      count is freed only when its whole span has left the window, which errs on the safe side by up to
      `bucket_s`.
    * time never runs backwards here: a `now` before one already seen counts as that one, and so frees
      nothing.
    * a grant counts as spent from the moment it is reserved; what is unused when its bucket ends is given
      back here, because this holder knows it was not sent. A successor that restores the counts takes the
      whole grant as spent.
    * while blocked nothing is spent, granted or not.
    """

    def __init__(self, limit: int, window_s: float, bucket_s: float = 10.0) -> None:
        if limit < 0 or window_s <= 0 or bucket_s <= 0:
            raise ValueError(f"no budget: limit={limit} window_s={window_s} bucket_s={bucket_s}")
        self.limit = limit
        self.window_s = window_s
        self.bucket_s = bucket_s
        self._counts: dict[int, int] = {}
        self._granted = 0
        self._grant_bucket = 0
        self._latest = -math.inf
        self._blocked_until = -math.inf

    @property
    def blocked_until(self) -> float:
        """The time before which nothing is spent; -inf when never blocked."""
        return self._blocked_until

    def available(self, now: float) -> int:
        """How many requests may be spent or reserved now, beyond what is granted already."""
        now = self._advance(now)
        return 0 if now < self._blocked_until else max(0, self.limit - sum(self._counts.values()))

    def granted(self, now: float) -> int:
        """How many requests of a grant are left to use now."""
        now = self._advance(now)
        return 0 if now < self._blocked_until else self._granted

    def spend(self, now: float, n: int = 1) -> bool:
        """Takes `n` requests, from the grant first; all or none."""
        from_grant = min(n, self.granted(now))
        if n - from_grant > self.available(now):
            return False
        self._granted -= from_grant
        self._count(n - from_grant)
        return True

    def spend_granted(self, now: float, n: int = 1) -> bool:
        """Takes `n` requests from the grant alone; False: reserve, write the counts down, try again."""
        return n <= self.granted(now) and self.spend(now, n)

    def reserve(self, now: float, n: int) -> int:
        """Grants up to `n` requests, to be used before the present bucket ends; answers how many.

        The caller writes `snapshot()` down before it uses them.
        """
        granted = min(max(0, n), self.available(now))
        self._count(granted)
        self._granted += granted
        self._grant_bucket = self._bucket(self._latest)
        return granted

    def next_free_at(self, now: float) -> float:
        """The earliest time at which a request may be sent if none is spent until then; inf at limit 0."""
        now = self._advance(now)
        start = max(now, self._blocked_until)
        if self._granted and self._bucket(start) == self._grant_bucket:
            return start
        times = [start, self._end(self._grant_bucket), *map(self._free_at, self._counts)]
        return min((at for at in times if at >= start and self._in_use_at(at) < self.limit), default=math.inf)

    def block_until(self, at: float) -> None:
        """Spends nothing before `at`; an earlier block that lasts longer stays."""
        self._blocked_until = max(self._blocked_until, at)

    def throttled(self, now: float, retry_after_s: float | None) -> None:
        """Halo answered 429: waits as long as it asked for, else until the window is surely over."""
        self.block_until(self._advance(now) + (self.window_s if retry_after_s is None else retry_after_s))

    def snapshot(self) -> dict[float, int]:
        """{bucket start: requests spent or granted}, for a successor's `restore`."""
        return {bucket * self.bucket_s: count for bucket, count in sorted(self._counts.items())}

    def restore(self, counts: Mapping[float, int]) -> None:
        """Takes over a predecessor's counts (same `bucket_s`): the higher one counts for each bucket."""
        self._granted = 0
        for start, count in counts.items():
            bucket = round(start / self.bucket_s)
            self._counts[bucket] = max(count, self._counts.get(bucket, 0))
            self._latest = max(self._latest, bucket * self.bucket_s)

    def _advance(self, now: float) -> float:
        self._latest = now = max(now, self._latest)
        if self._granted and self._bucket(now) != self._grant_bucket:
            self._counts[self._grant_bucket] -= self._granted
            self._granted = 0
        for bucket in [b for b, count in self._counts.items() if not count or self._free_at(b) <= now]:
            del self._counts[bucket]
        return now

    def _count(self, n: int) -> None:
        if n:
            bucket = self._bucket(self._latest)
            self._counts[bucket] = self._counts.get(bucket, 0) + n

    def _in_use_at(self, at: float) -> int:
        """What would count at `at`, were nothing more spent."""
        unused = self._granted if self._bucket(at) != self._grant_bucket else 0
        return sum(count for bucket, count in self._counts.items() if self._free_at(bucket) > at) - unused

    def _bucket(self, at: float) -> int:
        return math.floor(at / self.bucket_s)

    def _end(self, bucket: int) -> float:
        return (bucket + 1) * self.bucket_s

    def _free_at(self, bucket: int) -> float:
        return self._end(bucket) + self.window_s
