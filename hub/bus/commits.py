"""Commits what is finished, in the background and on demand, and survives every refusal of a commit."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiokafka.errors import KafkaError

from hub.bus.positions import PositionStore
from hub.bus.prefix import Prefixes
from hub.bus.records import Partition
from hub.bus.settings import BusSettings

_RETRY_S = 1.0
_SAVE_INTERVAL_S = 1.0

_log = structlog.get_logger(__name__)


class Committer:
    """Commits the contiguous prefixes soon after `touch`, at most once every `commit_interval_s`.

    A refused commit is dropped: its records are handed out again after the rebalance that refused it, and
    everything downstream is idempotent. As long as the assignment stands, it is tried again.
    """

    def __init__(
        self,
        prefixes: Prefixes,
        settings: BusSettings,
        commit: Callable[[Mapping[Partition, int]], Awaitable[None]],
        store: PositionStore | None,
        clock: Callable[[], float],
    ) -> None:
        self._prefixes = prefixes
        self._settings = settings
        self._commit = commit
        self._store = store
        self._clock = clock
        self._touched = asyncio.Event()
        self._committing = asyncio.Lock()
        self._unsaved: dict[tuple[str, int], int] = {}
        self._saved_at = clock()
        self._task: asyncio.Task[None] | None = None
        self.commits = 0
        self.failures = 0

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"commits {self._settings.group}")

    async def stop(self) -> None:
        """End the background task and save the last positions; commits nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._save()

    def touch(self) -> None:
        """Say that a prefix may have grown."""
        self._touched.set()

    async def commit_now(self) -> bool:
        """Commit what is finished; False when Kafka refused or did not answer within `commit_timeout_s`."""
        async with self._committing:
            due = self._prefixes.to_commit()
            if not due:
                return True
            positions = {partition: position for partition, (_, position) in due.items()}
            try:
                await asyncio.wait_for(self._commit(positions), self._settings.commit_timeout_s)
            except (KafkaError, TimeoutError) as error:
                self.failures += 1
                _log.warning("bus.commit_dropped", group=self._settings.group, error=repr(error))
                return False
            self.commits += 1
            for prefix, position in due.values():
                prefix.committed(position)
            for partition, position in positions.items():
                self._unsaved[partition] = position
            return True

    async def _run(self) -> None:
        while True:
            await self._touched.wait()
            self._touched.clear()
            if not await self.commit_now():
                await asyncio.sleep(_RETRY_S)
                self._touched.set()
            if self._clock() - self._saved_at >= _SAVE_INTERVAL_S:
                await self._save()
            await asyncio.sleep(self._settings.commit_interval_s)

    async def _save(self) -> None:
        if self._store is None or not self._unsaved:
            return
        positions, self._unsaved = self._unsaved, {}
        self._saved_at = self._clock()
        try:
            await self._store.save(self._settings.group, {**positions})
        except Exception as error:  # noqa: BLE001 - whatever the store raises, commits have to go on
            self._unsaved = positions | self._unsaved
            _log.warning("bus.positions_not_saved", group=self._settings.group, error=repr(error))
