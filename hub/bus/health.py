"""What a consumer knows about its own progress, for liveness, readiness and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hub.bus.records import Partition

Phase = Literal["starting", "polling", "handling", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerHealth:
    """One look at a consumer. Ages are in seconds.

    `tick_age_s`: since the poll loop last showed life (it ticks at least twice a second while it polls, and at
    each round of a handler that waits for what is away).
    `handling_age_s`: how long the handler has had its present batch. `lag`: records on the log that were not
    yet handed out, per partition, where known. `poll_error`: what polling raises again and again, such as
    lost rights.
    """

    phase: Phase
    tick_age_s: float
    handling_age_s: float | None
    assigned: tuple[Partition, ...]
    paused: tuple[Partition, ...]
    lag: Mapping[Partition, int]
    unsettled: int
    oldest_unsettled_age_s: float | None
    commits: int
    commit_failures: int
    poll_error: str | None
    failure: str | None

    def is_live(self, *, max_tick_age_s: float = 60.0) -> bool:
        """Tell whether nothing failed and the loop ticks whenever it has partitions.

        A loop that waits for its group (Kafka is away, a rebalance runs) has no partitions and counts as
        live. So does one whose handler waits for Kafka or the store: no new process would do better.
        """
        if self.failure is not None or self.phase == "failed":
            return False
        if self.phase in ("starting", "stopped") or not self.assigned:
            return True
        return self.tick_age_s <= max_tick_age_s

    def is_ready(self) -> bool:
        """Tell whether the group has given this member an answer and it takes records."""
        return self.failure is None and self.phase in ("polling", "handling")
