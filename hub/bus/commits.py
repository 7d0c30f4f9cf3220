"""Commits what is finished, in the background and on demand, and survives every refusal of a commit.

A position is saved in the store before it is committed to Kafka, so that whatever is killed when, the store is never
behind Kafka. Where it is, it has gone back, and nothing may be committed past what it has forgotten.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog
from aiokafka.errors import KafkaError

from hub.bus.errors import BusError, StoreWentBack
from hub.bus.positions import PositionStore, lags
from hub.bus.prefix import PartitionPrefix, Prefixes
from hub.bus.records import Partition
from hub.bus.settings import BusSettings

_RETRY_S = 1.0
_LOOK_EVERY_S = 1.0
_STORE_TIMEOUT_S = 2.0
_Due = dict[Partition, tuple[PartitionPrefix, int]]

_log = structlog.get_logger(__name__)


class Committer:
    """Commits the contiguous prefixes soon after `touch`, at most once every `commit_interval_s`.

    A refused commit is dropped: its records are handed out again after the rebalance that refused it, and
    everything downstream is idempotent. As long as the assignment stands, it is tried again. Without its store a
    commit is put off, in the same way. `failed` is told when the store is found to have gone back.
    """

    def __init__(
        self,
        prefixes: Prefixes,
        settings: BusSettings,
        commit: Callable[[Mapping[Partition, int]], Awaitable[None]],
        committed: Callable[[Collection[Partition]], Awaitable[Mapping[Partition, int]]],
        store: PositionStore | None,
        failed: Callable[[BusError], None],
    ) -> None:
        self._prefixes = prefixes
        self._settings = settings
        self._commit = commit
        self._committed = committed
        self._store = store
        self._failed = failed
        self._touched = asyncio.Event()
        self._committing = asyncio.Lock()
        # What the store must have of each partition of this assignment, since Kafka had it or we have saved it.
        self._at_least: dict[Partition, int] = {}
        self._uncommitted: _Due = {}
        self._store_is_away = False
        self._halted = False
        self._tasks: list[asyncio.Task[None]] = []
        self.commits = 0
        self.failures = 0

    def start(self) -> None:
        if not self._tasks:
            group = self._settings.group
            self._tasks.append(asyncio.create_task(self._run(), name=f"commits {group}"))
            if self._store is not None:
                self._tasks.append(asyncio.create_task(self._watch(self._store), name=f"positions {group}"))

    async def stop(self) -> None:
        """End the background tasks; commits nothing."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def touch(self) -> None:
        """Say that a prefix may have grown."""
        self._touched.set()

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """Find out where an assignment begins, and with it what the store must have. Raises KafkaError."""
        if self._store is not None:
            self._at_least |= await self._committed(partitions)

    def revoked(self, partitions: Collection[Partition]) -> None:
        """The partitions are another's to answer for."""
        for partition in partitions:
            self._at_least.pop(partition, None)

    async def commit_now(self) -> bool:
        """Commit what is finished; False when the store or Kafka refused or did not answer in time."""
        async with self._committing:
            if self._halted:
                return False
            before, self._uncommitted = self._uncommitted, {}
            if not await self._to_kafka({at: due for at, due in before.items() if self._is_current(at, due)}):
                return False
            due = self._prefixes.to_commit()
            return not due or (await self._to_store(due) and await self._to_kafka(due))

    def _is_current(self, partition: Partition, due: tuple[PartitionPrefix, int]) -> bool:
        return self._prefixes.is_current(partition, due[0])

    async def _to_store(self, due: _Due) -> bool:
        if self._store is None:
            return True
        positions: dict[tuple[str, int], int] = {at: position for at, (_, position) in due.items()}
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self.assigned([at for at in due if at not in self._at_least])
                at_least: dict[tuple[str, int], int] = {at: self._at_least[at] for at in due}
                refused = await self._store.save(self._settings.group, positions, at_least)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, polling has to go on
            self.failures += 1
            if not self._store_is_away:
                _log.warning("bus.commits_put_off", group=self._settings.group, error=repr(error))
            self._store_is_away = True
            return False
        if self._store_is_away:
            _log.info("bus.commits_go_on", group=self._settings.group)
        self._store_is_away = False
        if refused:
            await self._look(self._store)
            return False
        self._at_least |= {at: position for at, (_, position) in due.items()}
        return True

    async def _to_kafka(self, due: _Due) -> bool:
        if not due:
            return True
        positions = {partition: position for partition, (_, position) in due.items()}
        try:
            await asyncio.wait_for(self._commit(positions), self._settings.commit_timeout_s)
        except (KafkaError, TimeoutError) as error:
            self.failures += 1
            # Tried again before more is saved: the store is to be ahead by little, whatever happens when.
            self._uncommitted = due if self._store is not None else {}
            _log.warning("bus.commit_dropped", group=self._settings.group, error=repr(error))
            return False
        self.commits += 1
        for prefix, position in due.values():
            prefix.committed(position)
        return True

    async def _run(self) -> None:
        while True:
            await self._touched.wait()
            self._touched.clear()
            if not await self.commit_now():
                await asyncio.sleep(_RETRY_S)
                self._touched.set()
            await asyncio.sleep(self._settings.commit_interval_s)

    async def _watch(self, store: PositionStore) -> None:
        """For ever: notice a store that goes back while there is nothing to commit."""
        while not self._halted:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._at_least:
                await self._look(store)

    async def _look(self, store: PositionStore) -> None:
        # Taken before the store is asked: what is saved meanwhile is not to be expected in its answer.
        at_least: dict[Partition, int | None] = dict(self._at_least)
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                stored = await store.load(self._settings.group)
        except Exception as error:  # noqa: BLE001 - a store that is away tells nothing, and is asked again
            _log.debug("bus.positions_unknown", group=self._settings.group, error=repr(error))
            return
        lagging = lags({Partition(*at): position for at, position in stored.items()}, at_least)
        if lagging and not self._halted:
            self._halted = True
            self._failed(StoreWentBack(self._settings.group, lagging))
