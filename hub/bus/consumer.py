"""A group member that hands raw records to a service and commits only what the service has finished.

FastStream runs the loop: `batch=True`, `AckPolicy.MANUAL`, a parser that shows it header-less copies, a
decoder that decodes nothing. One method of the underlying aiokafka consumer is wrapped, `getmany`, since
three things are only right at the very moment when records leave the client:

* they are registered in the present assignment. A rebalance between the poll and the handler would otherwise
  count records of the old assignment to the new one, and commit past records that it has not read;
* a record that aiokafka cannot decode is salvaged, where it would stop its partition for ever;
* an idle poll waits on instead of returning empty, which FastStream answers with a sleep that delays the next
  record.

Invariants:
    * An offset is committed only after `done()` of every record before it in this assignment.
    * A handler that raises stops the intake and the process's liveness; its records stay uncommitted.
    * A position that the store has forgotten stops the intake too: nothing is committed past it.
    * The handler is never blocked for backpressure: full partitions are paused, and the member stays in its
      group.
    * A handler that waits for what is away shows life; one that hangs does not.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, KafkaError
from faststream.kafka import KafkaBroker

from hub.bus.commits import Committer
from hub.bus.delivery import Delivery, Intake
from hub.bus.errors import BatchLost, BusError, HandlerFailed, PollFailed
from hub.bus.health import ConsumerHealth, Phase
from hub.bus.positions import PositionStore, check_start
from hub.bus.prefix import Prefixes
from hub.bus.records import Partition
from hub.bus.salvage import rewind, salvage
from hub.bus.settings import BusSettings, client_options
from hub.bus.subscription import TICK_MS, subscribe, to_record

Handler = Callable[[Sequence[Delivery]], Awaitable[None]]
PartitionsHook = Callable[[frozenset[Partition]], Awaitable[None]]
_Polled = dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]

_IDLE_S = 0.05
_SETTLE_CHECK_S = 0.02

_log = structlog.get_logger(__name__)


class Consumer:
    """Reads topics as a member of a group, from the earliest record on.

    `handler` gets batches in partition order; it hands them on and returns (lanes), or finishes them before
    it returns (mapper). Each record counts as finished when its delivery's `done()` is called, in any order.
    `on_revoked` runs when a rebalance begins, before up to `revoke_drain_s` are spent waiting for unfinished
    records; then the prefix is committed and the rebalance goes on. `on_failure` is told once, when intake
    stops for good.
    """

    def __init__(
        self,
        broker: KafkaBroker,
        settings: BusSettings,
        topics: Sequence[str],
        handler: Handler,
        *,
        position_store: PositionStore | None = None,
        on_assigned: PartitionsHook | None = None,
        on_revoked: PartitionsHook | None = None,
        on_failure: Callable[[BusError], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not settings.group:
            raise ValueError("a consumer needs a group")
        self._settings = settings
        self._topics = tuple(topics)
        self._handler = handler
        self._store = position_store
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_failure = on_failure
        self._clock = clock
        self._prefixes = Prefixes()
        self._intakes: dict[Partition, Intake] = {}
        self._committer = Committer(
            self._prefixes, settings, self._commit, self._committed, position_store, self._fail
        )
        self._client: AIOKafkaConsumer | None = None
        self._getmany: Callable[..., Awaitable[_Polled]] | None = None
        self._learning: asyncio.Task[None] | None = None
        self._handed_out: list[Delivery] | None = None
        self._taking = True
        self._phase: Phase = "starting"
        self._ticked_at = clock()
        self._handling_since: float | None = None
        self._poll_error: str | None = None
        self._start_checked = position_store is None
        self.failure: BusError | None = None
        self._subscriber = subscribe(broker, settings, self._topics, self._on_batch, _Listener(self))

    async def check_start(self) -> None:
        """Return when the group may start; call it before the broker starts, if there is a position store.

        Raises:
            StartPositionMismatch, StoreWentBack: the group would not start where it stopped.
        """
        if self._store is not None:
            await check_start(self._settings, self._topics, self._store)
        self._start_checked = True

    async def drain(self, timeout_s: float | None = None) -> bool:
        """Take no more records, wait for unfinished ones, commit; call it before the broker stops.

        Returns whether everything that was handed out is finished and committed. What is not comes again.
        """
        self._taking = False
        if self.failure is None:
            self._phase = "stopped"
        timeout_s = self._settings.shutdown_drain_s if timeout_s is None else timeout_s
        settled = await self._settled(None, timeout_s)
        committed = await self._committer.commit_now()
        await self._committer.stop()
        self._stop_learning()
        self._end_assignment(frozenset(self._intakes))
        return settled and committed

    def health(self) -> ConsumerHealth:
        """Return what is known now, without any request."""
        now = self._clock()
        current = self._prefixes.items()
        since = [at for _, prefix in current if (at := prefix.oldest_unsettled_since()) is not None]
        return ConsumerHealth(
            phase=self._phase,
            tick_age_s=now - self._ticked_at,
            handling_age_s=None if self._handling_since is None else now - self._handling_since,
            assigned=tuple(sorted(partition for partition, _ in current)),
            paused=tuple(sorted(intake.partition for intake in self._intakes.values() if intake.paused)),
            lag=self._lag(),
            unsettled=sum(prefix.unsettled for _, prefix in current),
            oldest_unsettled_age_s=now - min(since) if since else None,
            commits=self._committer.commits,
            commit_failures=self._committer.failures,
            poll_error=self._poll_error,
            failure=None if self.failure is None else str(self.failure),
        )

    def _lag(self) -> dict[Partition, int]:
        lag = {}
        for partition, prefix in self._prefixes.items():
            client_partition = TopicPartition(*partition)
            if self._client is None or client_partition not in self._client.assignment():
                continue
            end = self._client.highwater(client_partition)
            if end is not None and prefix.next_offset is not None:
                lag[partition] = max(0, end - prefix.next_offset)
        return lag

    # What FastStream and aiokafka call.

    def attach(self) -> None:
        """Wrap the client's poll; aiokafka announces the first rebalance before the first poll."""
        client = self._subscriber.consumer
        if client is None or client is self._client:
            return
        self._client = client
        self._getmany = client.getmany
        client.getmany = self._poll
        self._end_assignment(frozenset(self._intakes))
        self._handed_out = None
        if self.failure is None:
            self._taking, self._phase = True, "starting"
        self._committer.start()
        if not self._start_checked:
            self._fail(BusError("check_start() was not called before the broker started"))

    async def revoked(self, partitions: frozenset[Partition]) -> None:
        """Finish what can be finished in time, commit it, and forget the assignment."""
        self._stop_learning()
        if self._on_revoked is not None and partitions:
            await self._guarded_hook(self._on_revoked, partitions)
        await self._settled(partitions, self._settings.revoke_drain_s if self.failure is None else 0)
        await self._committer.commit_now()
        self._end_assignment(partitions)

    async def assigned(self, partitions: frozenset[Partition]) -> None:
        """Begin an assignment."""
        intakes = [self._intake(partition) for partition in partitions]
        self._learning = asyncio.create_task(self._learn(intakes))
        if self._phase == "starting":
            self._phase = "polling"
        _log.info("bus.assigned", group=self._settings.group, partitions=sorted(partitions))
        if self._on_assigned is not None:
            await self._guarded_hook(self._on_assigned, partitions)

    async def _learn(self, intakes: Sequence[Intake]) -> None:
        """Find out where reading starts, so that the lag is known before the first record."""
        try:
            await self._committer.assigned([intake.partition for intake in intakes])
            for intake in intakes:
                start = await self._require_client().position(TopicPartition(*intake.partition))
                intake.prefix.starts_at(start)
        except KafkaError as error:
            _log.info("bus.start_unknown", group=self._settings.group, error=repr(error))

    def _stop_learning(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
            self._learning = None

    async def _guarded_hook(self, hook: PartitionsHook, partitions: frozenset[Partition]) -> None:
        try:
            await hook(partitions)
        except Exception as error:
            # aiokafka only logs what a listener raises: without this the service would go on half assigned.
            self._fail(HandlerFailed(f"rebalance hook raised {error!r}"), error)
            raise

    async def _on_batch(self, _raw: Any) -> None:
        batch, self._handed_out = self._handed_out, None
        if batch is None:
            return
        self._phase, self._handling_since = "handling", self._clock()
        try:
            await self._handler(batch)
        except Exception as error:
            first = batch[0].record
            where = f"{first.topic}[{first.partition}] at {first.offset}"
            self._fail(HandlerFailed(f"handler raised {error!r} on a batch that begins with {where}"), error)
            raise
        finally:
            self._handling_since = None
            self._show_life()
            if self._phase == "handling":
                self._phase = "polling"

    async def _poll(self, *, timeout_ms: int, max_records: int) -> _Polled:
        """Stand in for aiokafka's `getmany`; returns records, or nothing once intake has stopped."""
        if self._handed_out is not None:
            self._fail(BatchLost(f"{len(self._handed_out)} record(s) never reached the handler"))
        while self._taking:
            self._show_life()
            polled = await self._take(max_records)
            self._show_life()
            # No await between here and the return: the records belong to the assignment of this very moment.
            if polled and self._taking:
                self._register(polled)
                return polled
        await asyncio.sleep(_IDLE_S)
        return {}

    async def _take(self, max_records: int) -> _Polled:
        assert self._getmany is not None
        if self._learning is not None and not self._learning.done():
            # Without knowing where reading starts there would be no way back there.
            await asyncio.wait([self._learning], timeout=TICK_MS / 1000)
            return {}
        try:
            polled = await self._getmany(timeout_ms=TICK_MS, max_records=max_records)
        except UnicodeDecodeError:
            await self._rewind()
            return await self._salvaged()
        except KafkaError as error:
            self._poll_error = repr(error)
            if isinstance(error, CorruptRecordException):
                await self._rewind()
            raise
        except ConsumerStoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - FastStream would only start the same loop again, at once
            self._fail(PollFailed(f"polling raised {error!r}"), error)
            return {}
        self._poll_error = None
        return polled

    async def _rewind(self) -> None:
        """Back to what was not handed out yet."""
        client, next_offsets = self._require_client(), {}
        for partition, intake in self._intakes.items():
            if intake.prefix.next_offset is not None:
                next_offsets[TopicPartition(*partition)] = intake.prefix.next_offset
        if client.assignment() - next_offsets.keys():
            self._fail(PollFailed("a poll failed, and where reading began is not known"))
        await rewind(client, next_offsets)

    async def _salvaged(self) -> _Polled:
        assert self._client is not None
        settings = self._settings
        before = dict(self._intakes)
        found = await salvage(
            self._client,
            client_options(
                settings.bootstrap_servers, client_id=settings.client_id, security=settings.security
            ),
        )
        taken: _Polled = {}
        for partition, records in found.items():
            ours = Partition(*partition)
            if ours in before and self._intakes.get(ours) is before[ours]:
                self._client.seek(partition, records[-1].offset + 1)
                taken[partition] = records
                _log.warning("bus.salvaged", partition=ours, first=records[0].offset, last=records[-1].offset)
        return taken

    def _register(self, polled: _Polled) -> None:
        now = self._clock()
        batch: list[Delivery] = []
        for client_partition, records in polled.items():
            partition = Partition(*client_partition)
            intake = self._intake(partition)
            if not intake.prefix.follows(records[0].offset):
                _log.error("bus.log_went_back", partition=partition, offset=records[0].offset)
                self._end_assignment([partition])
                intake = self._intake(partition)
            intake.prefix.added([record.offset for record in records], now)
            batch.extend(Delivery(to_record(record), intake) for record in records)
            if intake.prefix.unsettled > self._settings.max_unsettled_per_partition and not intake.paused:
                intake.paused = True
                self._require_client().pause(client_partition)
        self._handed_out = batch

    def _intake(self, partition: Partition) -> Intake:
        intake = self._intakes.get(partition)
        if intake is None:
            intake = Intake(partition, self._prefixes.current(partition), self._on_settled, self._show_life)
            self._intakes[partition] = intake
        return intake

    def _end_assignment(self, partitions: Collection[Partition]) -> None:
        self._prefixes.revoked(partitions)
        self._committer.revoked(partitions)
        for partition in partitions:
            intake = self._intakes.pop(partition, None)
            if intake is not None:
                intake.active = False

    def _show_life(self) -> None:
        self._ticked_at = self._clock()

    def _on_settled(self, intake: Intake) -> None:
        self._committer.touch()
        if intake.paused and intake.prefix.unsettled <= self._settings.max_unsettled_per_partition // 2:
            intake.paused = False
            client, partition = self._require_client(), TopicPartition(*intake.partition)
            if partition in client.assignment():
                client.resume(partition)

    async def _settled(self, partitions: frozenset[Partition] | None, timeout_s: float) -> bool:
        """Wait until nothing is unfinished in the partitions (all if None); False when time is up."""
        deadline = self._clock() + timeout_s
        while self._prefixes.unsettled(partitions):
            if self._clock() >= deadline:
                return False
            await asyncio.sleep(_SETTLE_CHECK_S)
        return True

    async def _commit(self, positions: Mapping[Partition, int]) -> None:
        client = self._require_client()
        assigned = client.assignment()
        due = {TopicPartition(*partition): position for partition, position in positions.items()}
        await client.commit(
            {partition: position for partition, position in due.items() if partition in assigned}
        )

    async def _committed(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        client = self._require_client()
        found = await asyncio.gather(*(client.committed(TopicPartition(*at)) for at in partitions))
        return {partition: offset or 0 for partition, offset in zip(partitions, found, strict=True)}

    def _require_client(self) -> AIOKafkaConsumer:
        assert self._client is not None, "the broker has not started this consumer"
        return self._client

    def _fail(self, failure: BusError, cause: BaseException | None = None) -> None:
        self._taking = False
        if self.failure is not None:
            return
        failure.__cause__ = cause
        self.failure = failure
        self._phase = "failed"
        _log.error("bus.consumer_failed", group=self._settings.group, error=str(failure), exc_info=cause)
        if self._on_failure is not None:
            self._on_failure(failure)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._consumer.attach()
        await self._consumer.revoked(frozenset(Partition(*partition) for partition in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._consumer.assigned(frozenset(Partition(*partition) for partition in assigned))
