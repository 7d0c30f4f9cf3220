"""When a hub has come to rest. The one place of a soak that looks at the hub's own store; no verdict rests on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg  # type: ignore[import-untyped]

from hub.bus.positions import committed_and_end
from hub.bus.settings import BusSettings
from schemas.topics import COMMANDS, CONTROL, PRODUCTS, QUOTES
from tests.soak.world import World

_GROUPS = {"hub-mapper": [QUOTES, PRODUCTS, CONTROL], "hub-writer": [COMMANDS]}


@dataclass(frozen=True)
class Rest:
    """What is not finished: records behind a group, waiting commands by reason, messages not yet told."""

    behind: dict[str, int]
    pending: dict[str, int]
    outbox: int

    @property
    def over(self) -> bool:
        return not any(self.behind.values()) and not self.pending and not self.outbox

    def __str__(self) -> str:
        waiting = ", ".join(f"{count} x {reason}" for reason, count in sorted(self.pending.items()))
        return f"behind {self.behind}; waiting: {waiting or 'none'}; outbox {self.outbox}"


def look(world: World) -> Rest:
    """Raises OSError or a driver's error while the store or Kafka can't be asked."""
    return asyncio.run(_look(world))


async def _look(world: World) -> Rest:
    behind = {}
    for group, topics in _GROUPS.items():
        settings = BusSettings(bootstrap_servers=world.kafka.bootstrap, client_id="soak", group=group)
        committed, ends = await committed_and_end(settings, topics)
        behind[group] = sum(end - (committed[partition] or 0) for partition, end in ends.items())
    connection = await asyncpg.connect(world.hub.store_url.replace("+asyncpg", "", 1), timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT stage, reason, count(*) AS n FROM pending GROUP BY stage, reason"
        )
        outbox = await connection.fetchval("SELECT count(*) FROM outbox")
    finally:
        await connection.close()
    return Rest(behind, {f"{row['stage']}: {row['reason']}": row["n"] for row in rows}, outbox)


def wait_for_rest(
    world: World, tell: Callable[[str], None], *, still_s: float, patience_s: float, limit_s: float
) -> Rest:
    """Return when all is finished and Halo was asked nothing for `still_s`, or, unfinished, when for `patience_s`
    nothing changed, or after `limit_s`."""
    began_s = changed_s = told_s = time.monotonic()
    before: tuple[Rest, int] | None = None
    while True:
        world.supervise()
        now = look(world), world.hub.sandbox.last_request()
        now_s = time.monotonic()
        if before is None or now != before:
            before, changed_s = now, now_s
        waited_s = now_s - changed_s
        if (now[0].over and waited_s >= still_s) or waited_s > patience_s or now_s - began_s > limit_s:
            return now[0]
        if now_s - told_s > 10:
            tell(f"coming to rest: {now[0]}")
            told_s = now_s
        time.sleep(1.0)
