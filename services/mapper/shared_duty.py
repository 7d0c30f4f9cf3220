"""What one mapper does for all of them: publish changed tenant files, and release what waits for something that came.

The holder of the lease ("*", "settings") does it. Two holders for a moment do no harm: a revision's id and a waiting
event's id are the same whoever publishes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from hub.bus.errors import PublishFailed
from hub.lease_keeper import Held, LeaseKeeper
from hub.store.errors import StoreUnavailable
from hub.telemetry.health import Progress
from hub.telemetry.metrics import Metrics
from hub.tenants.publisher import SettingsPublisher

_EVERYONE = "*"
_log = structlog.get_logger(__name__)


class SharedDuty:
    """Runs for ever, a round each `every_s`; without the lease it only waits for it.

    `release` publishes again what waits no more, and raises PublishFailed or StoreUnavailable.
    """

    def __init__(
        self,
        keeper: LeaseKeeper,
        files: SettingsPublisher,
        release: Callable[[], Awaitable[object]],
        progress: Progress,
        metrics: Metrics,
        *,
        every_s: float,
    ) -> None:
        self._keeper = keeper
        self._files = files
        self._release = release
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
            self._held = await self._keeper.take(_EVERYONE, "settings")
        if self._held is None:
            # Which files are invalid is told by the mapper that has the lease.
            self._metrics.set_invalid_files(())
            return
        await self._files.scan()
        self._metrics.set_invalid_files(self._files.invalid)
        await self._release()

    async def stop(self) -> None:
        """Give the lease back, so that another mapper goes on at once."""
        held, self._held = self._held, None
        if held is not None:
            await self._keeper.release(held)
