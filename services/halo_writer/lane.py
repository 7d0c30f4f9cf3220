"""One tenant's commands, in order, under one lease. Lanes know nothing of each other: none waits for a stranger.

A lane takes the tenant's lease, publishes what a former owner left in the outbox, takes up what waits in the store,
and then works: new commands coalesce to the newest per target, run in phases, and end, or wait in a row. Offsets may
advance once a command has done either.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from halo import ConfigurationError, GateClosed
from hub.bus.errors import PublishFailed
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from hub.lease_keeper import Held, LeaseKeeper
from hub.steps import Steps
from hub.store import leases, outbox, pending, targets
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.tenants.secrets import SecretUnavailable
from schemas.targets import Target, TargetState
from services.halo_writer import ending as tell
from services.halo_writer.coalesce import coalesce, in_order
from services.halo_writer.execute import Execution
from services.halo_writer.gate import TenantGate
from services.halo_writer.noops import noops
from services.halo_writer.settle import Overtaken, into_outbox
from services.halo_writer.tenancy import Tenancy
from services.halo_writer.tools import Ended, Parked, Timing, Tools
from services.halo_writer.work import Work, from_pending, pending_row

_log = structlog.get_logger(__name__)
_OUTBOX_BATCH = 500
_RETRY_S = 1.0
_FAULT_S = 10.0
_REPEAT_FAULT_S = 60.0
_SETTINGS_S = 5.0
_CONTEND_S = 0.25
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
    told: Callable[[Work, Ended | Parked], None]
    """Called with each command that ended or began to wait: the wide log line and the metrics."""


class Lane:
    """Runs until stopped or idle. `submit` is synchronous and never blocks the poll loop."""

    def __init__(self, tenant: str, services: Services, tenancy: Callable[[], Tenancy | None]) -> None:
        self.tenant = tenant
        self._s = services
        self._tenancy = tenancy
        self._inbox: list[Work] = []
        self._parked: dict[str, Work] = {}
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self.held: Held | None = None
        self._gate: TenantGate | None = None

    def submit(self, work: Work) -> None:
        """Take a command; its `done` are called when it has settled or waits in the store."""
        self._inbox.append(work)
        self._wake.set()

    def stop(self) -> None:
        """Finish the command in hand, give the lease back, and end."""
        self._stopped.set()
        self._wake.set()

    @property
    def requests_left(self) -> int | None:
        """How many requests the writer's share of the budget allows now; None without a lease or settings."""
        return None if self.held is None or self._gate is None else self._gate.available()

    @property
    def waiting(self) -> int:
        """How many commands are in memory and neither settled nor in the store."""
        return len(self._inbox)

    async def run(self) -> None:
        while not self._stopped.is_set():
            try:
                if not await self._hold_and_work():
                    return
            except (Overtaken, GateClosed) as overtaken:
                _log.warning("lane.overtaken", tenant=self.tenant, why=str(overtaken))
            except StoreUnavailable as error:
                _log.warning("lane.store_unavailable", tenant=self.tenant, error=str(error))
                await self._pause(_RETRY_S)
            except PublishFailed as error:
                _log.warning("lane.publish_failed", tenant=self.tenant, error=str(error))
                await self._pause(_RETRY_S)
            except Exception:  # noqa: BLE001 - the lane's boundary: a fault of ours stops this tenant for a while
                _log.exception("lane.fault", tenant=self.tenant)
                await self._pause(_FAULT_S)

    async def _hold_and_work(self) -> bool:
        """One term of ownership; False when the lane has nothing left to do."""
        held = await self._s.keeper.take(self.tenant, "write")
        if held is None:
            await self._pause(_CONTEND_S)
            return True
        self.held = held
        tenancy = self._tenancy()
        gate = None if tenancy is None else tenancy.gate(self._s.keeper, held, self._s.steps)
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
        await self._load_parked()
        async with self._s.store.read() as conn:
            generation = await targets.generation(conn)
        tools = self._tools(tenancy, gate)
        idle_at = held.store_now() + self._s.settings.idle_s
        while not self._stopped.is_set():
            if self._tenancy() is not tenancy:
                return True
            batch = await self._next_batch(held)
            if batch:
                await self._run_batch(batch, held, tools, generation)
                idle_at = held.store_now() + self._s.settings.idle_s
                continue
            now = held.store_now()
            due = min((work.row.not_before for work in self._parked.values() if work.row), default=math.inf)
            if now >= idle_at and due > now + self._s.settings.idle_s:
                return bool(self._inbox)
            await self._wait_for_work(max(0.01, min(due, idle_at) - now))
            if held.lost:
                raise Overtaken("the tenant's lease was lost")
        return False

    def _tools(self, tenancy: Tenancy | None, gate: TenantGate | None) -> Tools | None:
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
            rule_sequence=tenancy.sequence,
            client=client,
            gate=gate,
            held=gate.held,
            steps=self._s.steps,
            timing=self._s.settings.timing,
            fresh_s=self._s.settings.fresh_s,
        )

    # Choosing ---------------------------------------------------------------------------------------------

    async def _next_batch(self, held: Held) -> list[Work]:
        """New commands whose targets don't wait, and rows that are due; in the order in which they run."""
        arrived, self._inbox = self._inbox, []
        try:
            ready, waiting = coalesce(arrived, self._parked)
            await self._replace_rows(waiting, held)
        except BaseException:
            self._inbox = [*arrived, *self._inbox]
            raise
        now = held.store_now()
        due = [work for work in self._parked.values() if work.row is None or work.row.not_before <= now]
        for work in due:
            del self._parked[work.row_key]
        return in_order([*ready, *due])

    async def _replace_rows(self, waiting: Mapping[str, Work], held: Held) -> None:
        """Targets that wait keep waiting, with their newest command."""
        for target_key, work in waiting.items():
            row = work.row
            assert row is not None
            await self._park(
                work, Parked(row.reason, row.not_before, row.waits_for, row.note), held, again=False
            )
            self._parked[target_key] = work

    # Running ----------------------------------------------------------------------------------------------

    async def _run_batch(self, batch: list[Work], held: Held, tools: Tools | None, generation: int) -> None:
        left = list(batch)
        try:
            rows = await self._rows(batch)
            left = await self._settle_noops(batch, rows, held, generation)
            while left and not self._stopped.is_set():
                work = left[0]
                end = await self._run_one(work, held, tools, rows.pop(work.command.target, None), generation)
                left.pop(0)
                if isinstance(end, Parked) and end.others is not None:
                    await self._park_others(left, end, end.others, held)
        finally:
            # What did not end is taken up again: by this lane after a pause, or from the log by another.
            self._inbox = [*left, *self._inbox]
            await self._publish_outbox()

    async def _run_one(
        self,
        work: Work,
        held: Held,
        tools: Tools | None,
        row: TargetState | None,
        generation: int,
    ) -> Ended | Parked:
        end = await self._end_of(work, held, tools, row, generation)
        if isinstance(end, Parked):
            await self._park(work, end, held)
            return end
        self._wake_dependants(work.target_key)
        await self._publish_outbox()
        work.told()
        self._s.told(work, end)
        return end

    async def _end_of(
        self,
        work: Work,
        held: Held,
        tools: Tools | None,
        row: TargetState | None,
        generation: int,
    ) -> Ended | Parked:
        if tools is None:
            return Parked("settings", held.store_now() + _SETTINGS_S)
        if row is None:
            row = (await self._rows([work]))[work.command.target]
        try:
            return await Execution(tools, work, row, generation).run()
        except (Overtaken, GateClosed, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - the lane's boundary: a fault of ours stops no tenant
            _log.exception("lane.fault", tenant=self.tenant, target=work.target_key)
            note = f"{type(error).__name__}: a fault of the hub"
            return Parked("fault", held.store_now() + _REPEAT_FAULT_S, note=note)

    async def _park_others(self, left: list[Work], first: Parked, reason: str, held: Held) -> None:
        """One command has found that Halo can't be had for this tenant: the rest of its batch needn't find out too."""
        not_before = max(first.not_before if reason == first.reason else 0.0, held.store_now() + _RETRY_S)
        while left:
            await self._park(left[0], Parked(reason, not_before, note=first.note), held)
            left.pop(0)

    async def _settle_noops(
        self, batch: list[Work], rows: Mapping[Target, TargetState], held: Held, generation: int
    ) -> list[Work]:
        """End, all at once and without a request, what needs none; the rest in its order.

        Outcomes are acknowledged before the rows are marked: a crash between repeats them with the same ids.
        """
        found = noops(
            batch,
            rows,
            now=held.store_now(),
            settle_s=self._s.settings.timing.settle_s,
            generation=generation,
        )
        await self._s.publisher.publish(found.messages)
        if found.states:
            async with self._s.store.write() as conn:
                if await targets.save_many(conn, found.states, lease=held.fence):
                    raise Overtaken("rows were written by another owner")
        for work, end in found.settled:
            work.told()
            self._s.told(work, end)
        return found.left

    # Waiting ----------------------------------------------------------------------------------------------

    async def _park(self, work: Work, parked: Parked, held: Held, *, again: bool = True) -> None:
        """The row commits first, the offset after; only the tenant's owner may write it."""
        row = pending_row(
            work,
            reason=parked.reason,
            now=held.store_now(),
            not_before=parked.not_before,
            waits_for=parked.waits_for,
            note=parked.note,
        )
        owner, epoch = held.fence
        async with self._s.store.write() as conn:
            if not await leases.holds(conn, self.tenant, "write", owner, epoch):
                raise Overtaken("the tenant's lease was lost")
            await pending.put(conn, row)
            if parked.question is not None and (work.row is None or work.row.reason != "decision"):
                asked = tell.decision_requested(work, parked.question, parked.note or "", row.since)
                await into_outbox(conn, self.tenant, [asked])
        work.row = row
        self._parked[work.row_key] = work
        work.told()
        if again:
            self._s.told(work, parked)

    def _wake_dependants(self, target_key: str) -> None:
        for work in self._parked.values():
            if work.row is not None and work.row.waits_for == target_key:
                work.row = msgspec.structs.replace(work.row, not_before=0.0)

    async def _load_parked(self) -> None:
        async with self._s.store.read() as conn:
            rows = await pending.of_tenant(conn, self.tenant, "writer")
        self._parked = {}
        for row in rows:
            try:
                work = from_pending(row)
            except (msgspec.DecodeError, KeyError):
                # A row of a newer release stays where it is; an owner that can read it will run it.
                continue
            self._parked[row.target_key] = work

    async def _rows(self, batch: Iterable[Work]) -> dict[Target, TargetState]:
        wanted = [work.command.target for work in batch]
        async with self._s.store.read() as conn:
            rows = await targets.load(conn, wanted)
        return {target: rows.get(target) or TargetState(target=target) for target in wanted}

    async def _publish_outbox(self) -> None:
        while True:
            async with self._s.store.read() as conn:
                rows = await outbox.of_tenant(conn, self.tenant, _OUTBOX_BATCH)
            if not rows:
                return
            await self._s.publisher.publish(
                [Outgoing(row.topic, row.key, row.value, row.headers) for row in rows]
            )
            self._s.steps.reached("after_publish")
            async with self._s.store.write() as conn:
                await outbox.remove(conn, [row.id for row in rows])

    async def _wait_for_work(self, seconds: float) -> None:
        """Return when a command came, the lane is to stop, or the time is up."""
        if self._inbox:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), min(seconds, _LONGEST_WAIT_S))

    async def _pause(self, seconds: float) -> None:
        """Return when the time is up or the lane is to stop, whatever else comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
