"""One tenant's commands, in order, under one lease. Lanes know nothing of each other: none waits for a stranger.

A lane takes the tenant's lease, publishes what a former owner left in the outbox, and takes up what waits in the
store. Then two tasks share its `Backlog`: the *intake* ends at once what needs no request, and puts into rows what
can't run soon, so that offsets advance whatever Halo does; the *runner* sends, one command at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from halo import ConfigurationError, GateClosed
from hub.bus.errors import PublishFailed, RecordInvalid, RecordTooLarge
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.lease_keeper import Held, LeaseKeeper
from hub.steps import Steps
from hub.store import holds, outbox, targets
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.holds import Hold
from hub.store.outbox import OutboxRow
from hub.store.targets import Restored
from hub.telemetry.metrics import Metrics
from hub.tenants.secrets import SecretUnavailable
from schemas.topics import TARGETS
from services.halo_writer.backlog import Backlog
from services.halo_writer.file_rules import Waits
from services.halo_writer.files import FileRoom, Files
from services.halo_writer.gate import TenantGate
from services.halo_writer.noops import noops
from services.halo_writer.runner import Runner
from services.halo_writer.settle import Overtaken
from services.halo_writer.standing import Standing
from services.halo_writer.tenancy import Tenancy
from services.halo_writer.tools import Ended, Parked, Timing, Tools
from services.halo_writer.work import Work

_log = structlog.get_logger(__name__)
_OUTBOX_BATCH = 500
_RETRY_S = 1.0
_FAULT_S = 10.0
_REFUSED_S = 30.0
_CONTEND_S = 0.25
_SHORTEST_WAIT_S = 0.05
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class LaneSettings:
    """Seconds. `idle_s` is how long a lane without work keeps its lease."""

    timing: Timing
    fresh_s: float = 3600.0
    idle_s: float = 30.0


@dataclass(frozen=True)
class Services:
    """What lanes share."""

    store: Store
    publisher: Publisher
    keeper: LeaseKeeper
    steps: Steps
    settings: LaneSettings
    files: FileRoom
    told: Callable[[Work, Ended | Parked], None]
    """Called with each command that ended or began to wait: the wide log line and the metrics."""
    metrics: Metrics


class Lane:
    """Runs until stopped or idle. `submit` is synchronous and never blocks the poll loop."""

    def __init__(self, tenant: str, services: Services, tenancy: Callable[[], Tenancy | None]) -> None:
        self.tenant = tenant
        self._s = services
        self._tenancy = tenancy
        self._backlog = Backlog(tenant, services.store)
        self._standing = Standing(tenant, services.settings.timing)
        self._came = asyncio.Event()
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._known: Tenancy | None = None
        self._refused: dict[int, tuple[str, bytes]] = {}
        self._refused_at = 0.0
        self.held: Held | None = None
        self._gate: TenantGate | None = None

    def submit(self, work: Work) -> None:
        """Take a command; its `done` are called when it has settled or waits in the store."""
        self._backlog.queue.submit(work)
        self._came.set()

    def heard(self, stored: Iterable[Hold], answered: Iterable[str] = ()) -> None:
        """Look again: here is what is stored of this tenant's holds, and its settings may be new.

        `answered` are the keys of rows that a person's answer has come for.
        """
        woken = [key for key in answered if self._backlog.queue.try_now(key)]
        if self._standing.heard(stored) or woken or self._tenancy() is not self._known:
            self._wake.set()

    def stop(self) -> None:
        """Finish the command in hand, give the lease back, and end."""
        self._stopped.set()
        self._wake.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to end; it is not to be run again."""
        return self._stopped.is_set()

    @property
    def requests_left(self) -> int | None:
        """How many requests the writer's share of the budget allows now; None without a lease or settings."""
        return None if self.held is None or self._gate is None else self._gate.available()

    @property
    def waiting(self) -> int:
        """How many commands are in memory and neither settled nor in the store."""
        return self._backlog.queue.arrived

    async def run(self) -> None:
        while not self._stopped.is_set():
            try:
                if not await self._hold_and_work():
                    return
            except (Overtaken, GateClosed) as overtaken:
                _log.warning("lane.overtaken", tenant=self.tenant, why=str(overtaken))
                self._s.metrics.lanes_overtaken.labels(tenant=self.tenant).inc()
            except StoreUnavailable as error:
                _log.warning("lane.store_unavailable", tenant=self.tenant, error=str(error))
                await self._pause(_RETRY_S)
            except PublishFailed as error:
                _log.warning("lane.publish_failed", tenant=self.tenant, error=str(error))
                await self._pause(_RETRY_S)
            except Exception:  # noqa: BLE001 - the lane's boundary: a fault of ours stops this tenant for a while
                _log.exception("lane.fault", tenant=self.tenant)
                self._s.metrics.lane_faults.labels(tenant=self.tenant).inc()
                await self._pause(_FAULT_S)

    async def _hold_and_work(self) -> bool:
        """One term of ownership; False when the lane has nothing left to do."""
        held = await self._s.keeper.take(self.tenant, "write")
        if held is None:
            await self._pause(_CONTEND_S)
            return True
        self.held = held
        tenancy = self._tenancy()
        gate = None if tenancy is None else tenancy.gate(self._s.keeper, held, self._s.steps, self._s.store)
        self._gate = gate
        try:
            return await self._work(held, tenancy, gate)
        finally:
            self.held = self._gate = None
            if not held.lost:
                await self._give_back(held, gate)

    async def _give_back(self, held: Held, gate: TenantGate | None) -> None:
        try:
            await self._s.keeper.release(held, None if gate is None else gate.spend())
        except StoreUnavailable as error:
            _log.warning("lane.lease_not_released", tenant=self.tenant, error=str(error))

    async def _work(self, held: Held, tenancy: Tenancy | None, gate: TenantGate | None) -> bool:
        await self._publish_outbox()
        await self._backlog.load()
        async with self._s.store.read() as conn:
            stored = await holds.of_tenant(conn, self.tenant)
            restored = await targets.restored(conn)
        self._standing = Standing(self.tenant, self._s.settings.timing, stored)
        self._known = tenancy
        timing = self._s.settings.timing
        files = Files(
            self._s.files,
            Waits(timing.file_s, timing.file_most_s, timing.file_deadline_s),
            now=held.store_now,
            moved=self._wake.set,
        )
        runner = Runner(
            self._s.settings.timing,
            self._s.told,
            self._s.store,
            self._backlog,
            self._standing,
            held,
            self._tools(tenancy, gate, files),
            restored,
            publish=self._publish_outbox,
        )
        intake = asyncio.create_task(self._intake(held, restored), name=f"intake {self.tenant}")
        intake.add_done_callback(lambda _: self._wake.set())
        try:
            return await self._run(runner, intake, files, tenancy)
        finally:
            intake.cancel()
            await asyncio.gather(intake, files.close(), return_exceptions=True)

    async def _run(
        self, runner: Runner, intake: asyncio.Task[None], files: Files, tenancy: Tenancy | None
    ) -> bool:
        """The runner's loop; True when another term is to follow."""
        held, idle_s = runner.held, self._s.settings.idle_s
        idle_at = held.store_now() + idle_s

        def may_go_on() -> bool:
            """Whether the next command may start; raises what has ended the intake or the lease."""
            if intake.done():
                intake.result()
            if held.lost:
                raise Overtaken("the tenant's lease was lost")
            return not self._stopped.is_set() and self._tenancy() is tenancy

        while may_go_on():
            self._wake.clear()
            for fetched in files.here():
                self._backlog.queue.wake(fetched)
            if await runner.round(may_go_on):
                idle_at = held.store_now() + idle_s
                continue
            now = held.store_now()
            next_at = self._backlog.queue.next_at(self._standing, now)
            if self._backlog.queue.in_memory or files.in_hand:
                idle_at = now + idle_s
            elif now >= idle_at and next_at > now + idle_s:
                return False
            await self._wait(self._wake, max(_SHORTEST_WAIT_S, min(next_at, idle_at) - now))
        return not self._stopped.is_set()

    def _tools(self, tenancy: Tenancy | None, gate: TenantGate | None, files: Files) -> Tools | None:
        if tenancy is None or gate is None:
            return None
        try:
            client = tenancy.client(gate)
        except (SecretUnavailable, ConfigurationError) as error:
            _log.error("lane.no_connection", tenant=self.tenant, error=str(error))
            return None
        return Tools(
            store=self._s.store,
            instance=tenancy.rules.instance,
            rules=tenancy.rules,
            rule_sequence=tenancy.sequence,
            client=client,
            gate=gate,
            held=gate.held,
            steps=self._s.steps,
            timing=self._s.settings.timing,
            metrics=self._s.metrics,
            fresh_s=self._s.settings.fresh_s,
            files=files,
        )

    # Intake -----------------------------------------------------------------------------------------------

    async def _intake(self, held: Held, restored: Restored | None) -> None:
        """Take in what comes while the runner sends. Ends by raising Overtaken, StoreUnavailable, PublishFailed."""
        spill_s = self._s.settings.timing.spill_s
        queue = self._backlog.queue
        while True:
            self._came.clear()
            async with self._backlog.lock:
                # Counted when it is taken: the runner sleeps until it is told, also of what came during the wait.
                came = queue.arrived
                idle = await self._backlog.take_in(held)
                try:
                    left = await self._settle_noops(idle, held, restored)
                except BaseException:
                    for work in idle:
                        if not work.durable:
                            queue.submit(work)
                    raise
                for work in left:
                    queue.add(work)
                await self._backlog.put_off(self._standing, held)
                await self._backlog.spill(held, spill_s)
            if came:
                self._wake.set()
            if queue.arrived:
                await asyncio.sleep(0)
                continue
            await self._wait(self._came, spill_s / 4 if queue.in_memory else _LONGEST_WAIT_S)

    async def _settle_noops(self, batch: list[Work], held: Held, restored: Restored | None) -> list[Work]:
        """End, all at once and without a request, what needs none; the rest in its order.

        Outcomes are acknowledged before the rows are marked: a crash between repeats them with the same ids.
        """
        if not batch:
            return []
        async with self._s.store.read() as conn:
            rows = await targets.load(conn, [work.command.target for work in batch])
        settle_s = self._s.settings.timing.settle_s
        found = noops(batch, rows, now=held.store_now(), settle_s=settle_s, restored=restored)
        await self._s.publisher.publish(found.messages)
        if found.states:
            async with self._s.store.write() as conn:
                if await targets.save_many(conn, found.states, lease=held.fence):
                    raise Overtaken("rows were written by another owner")
        for work, end in found.settled:
            work.told()
            self._s.told(work, end)
        return found.left

    # Small things -----------------------------------------------------------------------------------------

    async def _publish_outbox(self) -> None:
        if time.monotonic() - self._refused_at >= _REFUSED_S:
            # A busy tenant's lane may never end, and the topic may take more by now.
            self._refused.clear()
        while True:
            async with self._s.store.read() as conn:
                rows = await outbox.of_tenant(conn, self.tenant, _OUTBOX_BATCH + len(self._refused))
            rows = [row for row in rows if self._may_be_sent(row)]
            if not rows:
                return
            sent = await self._sent(rows)
            self._s.steps.reached("after_publish")
            async with self._s.store.write() as conn:
                await outbox.remove(conn, [row.id for row in sent])

    def _may_be_sent(self, row: OutboxRow) -> bool:
        """Not what was refused, nor a target's row after an older one: the last of a compacted topic is what stays."""
        behind = row.topic == TARGETS and (row.topic, row.key) in self._refused.values()
        return row.id not in self._refused and not behind

    async def _sent(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        """Those that Kafka has by now. What it can't carry stays where it is, and keeps back nothing else."""
        try:
            await self._s.publisher.publish([_outgoing(row) for row in rows])
        except (RecordTooLarge, RecordInvalid):
            pass
        else:
            return rows
        sent = []
        for row in filter(self._may_be_sent, rows):
            try:
                await self._s.publisher.publish([_outgoing(row)])
            except (RecordTooLarge, RecordInvalid) as error:
                self._refused[row.id] = (row.topic, row.key)
                self._refused_at = time.monotonic()
                self._s.metrics.lane_faults.labels(tenant=self.tenant).inc()
                _log.error("outbox.refused", tenant=self.tenant, topic=row.topic, problem=str(error))
            else:
                sent.append(row)
        return sent

    async def _wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event comes or the time is up."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), min(seconds, _LONGEST_WAIT_S))

    async def _pause(self, seconds: float) -> None:
        """Return when the time is up or the lane is to stop, whatever else comes."""
        await self._wait(self._stopped, seconds)


def _outgoing(row: OutboxRow) -> Outgoing:
    return Outgoing(row.topic, row.key, row.value, row.headers)
