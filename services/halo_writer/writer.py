"""Routes commands to the lanes of their tenants, and keeps the lanes that are needed running.

The poll loop waits for no tenant: a batch is decoded, handed to lanes, and that is all. What can't be decoded is set
aside at once: a command of a newer release waits for the upgrade, anything else is a dead letter.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import httpx
import structlog

from hub import dead_letters
from hub.bus.delivery import Delivery, held_up
from hub.bus.producer import partition_of
from hub.bus.records import Partition
from hub.dead_letter_box import DeadLetterBox, Posted
from hub.drain import drain_s
from hub.store import holds, outbox, pending
from hub.store.errors import StoreUnavailable
from hub.store.holds import WINDOW, Hold
from hub.store.pending import DECISION
from hub.telemetry.metrics import UNKNOWN, Metrics, Waiting
from hub.tenants.follower import RulesFollower
from hub.tenants.shares import WRITE_SHARE, allowance
from schemas.envelope import Envelope
from services.halo_writer.intake import Unreadable, of_newer_release, read_command
from services.halo_writer.lane import Lane, Services
from services.halo_writer.tenancy import Tenancy

_log = structlog.get_logger(__name__)
_SWEEP_S = 1.0
_HAND_OVER_S = 2.0
"""How long a rebalance waits for commands in hand: all of its group's tenants wait with it."""


class Writer:
    """The lanes of the tenants whose partitions this process is assigned."""

    def __init__(
        self,
        services: Services,
        follower: RulesFollower,
        http: httpx.AsyncClient,
        metrics: Metrics,
        letters: DeadLetterBox,
        *,
        partitions: int,
        request_timeout_s: float,
    ) -> None:
        self._s = services
        self._follower = follower
        self._http = http
        self._metrics = metrics
        self._letters = letters
        self._partitions = partitions
        self._request_timeout_s = request_timeout_s
        self._assigned: set[int] = set()
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._tenancies: dict[str, Tenancy] = {}
        self._with_backlog: set[str] = set()
        self._with_holds: set[str] = set()
        self._stopping = False
        self._swept = False

    # The main path ----------------------------------------------------------------------------------------

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Hand each command to its tenant's lane; while stopping they are left for the next owner."""
        if self._stopping:
            return
        self._s.steps.reached("after_poll")
        for delivery in batch:
            if not delivery.active:
                # Its partition went to another process meanwhile, and so did the command.
                continue
            record = delivery.record
            try:
                work = read_command(record)
            except Unreadable as unreadable:
                await self._set_aside(delivery, unreadable)
                continue
            except Exception as error:  # noqa: BLE001 - one record's surprise must not hold up all that come behind it
                _log.exception("writer.fault", partition=record.partition, offset=record.offset)
                await self._set_aside(
                    delivery, Unreadable("writer.failed", f"the hub can't read it: {type(error).__name__}")
                )
                continue
            work.done.append(delivery.done)
            self._lane(work.command.target.tenant).submit(work)

    def _lane(self, tenant: str) -> Lane:
        found = self._lanes.get(tenant)
        if found is not None and not found[1].done():
            return found[0]
        lane = Lane(tenant, self._s, lambda: self._tenancy(tenant))
        task = asyncio.create_task(self._run(lane, after=self._ending.get(tenant)), name=f"lane {tenant}")
        self._lanes[tenant] = (lane, task)
        return lane

    async def _run(self, lane: Lane, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            # Its lease is this process's, so that it would not keep a second lane from sending.
            await asyncio.wait([after])
        await lane.run()
        # A command that came while the lane was ending starts it again.
        if lane.waiting and not lane.stopped and self._is_ours(lane.tenant) and not self._stopping:
            again = self._lanes[lane.tenant] = (lane, asyncio.create_task(self._run(lane)))
            _log.debug("lane.again", tenant=again[0].tenant)

    def _tenancy(self, tenant: str) -> Tenancy | None:
        """The tenant's present settings; the same object until they change."""
        rules = self._follower.get(tenant)
        if rules is None:
            return None
        known = self._tenancies.get(tenant)
        if known is None or known.sequence != rules.sequence:
            known = Tenancy(tenant, rules.sequence, rules.rules, self._http, self._request_timeout_s)
            self._tenancies[tenant] = known
        return known

    # What can't be read -----------------------------------------------------------------------------------

    async def _set_aside(self, delivery: Delivery, unreadable: Unreadable) -> None:
        record = delivery.record
        if unreadable.newer is not None:
            await self._keep(delivery, unreadable.newer)
        elif record.value is None:
            delivery.done()
        else:
            letter = dead_letters.of_record(
                record, "writer", unreadable.reason, str(unreadable), faults=unreadable.faults
            )
            self._metrics.dead_letters.labels(
                tenant=self._known(record.key), stage="writer", reason=unreadable.reason
            ).inc()
            await self._letters.post([Posted(letter, delivery)])

    def _known(self, key: bytes | None) -> str:
        """The tenant of a key, where there is one: a label is no place for whatever somebody writes."""
        tenant = (key or b"").decode(errors="replace")
        sequence, _ = self._follower.revision(tenant)
        return tenant if sequence else UNKNOWN

    async def _keep(self, delivery: Delivery, newer: Envelope) -> None:
        """Keep a command of a newer release for the upgrade; while the store is away nobody could go on anyway."""
        while delivery.active and not self._stopping:
            try:
                async with self._s.store.write() as conn:
                    row = of_newer_release(delivery.record, newer, await self._s.store.now())
                    await pending.put(conn, row)
            except StoreUnavailable as error:
                _log.warning("writer.held_up", error=str(error))
                await held_up([delivery], _SWEEP_S)
            else:
                delivery.done()
                return

    # Assignment -------------------------------------------------------------------------------------------

    async def assigned(self, partitions: frozenset[Partition]) -> None:
        self._assigned |= {partition.partition for partition in partitions}

    async def revoked(self, partitions: frozenset[Partition]) -> None:
        """Stop the lanes whose tenants go to another process; each finishes the command in hand.

        One that takes long over it does so behind the rebalance: it keeps its lease, and whoever the tenant goes to
        waits for that.
        """
        gone = {partition.partition for partition in partitions}
        self._assigned -= gone
        leaving = [t for t in self._lanes if partition_of(t.encode(), self._partitions) in gone]
        await self._stop(leaving, within_s=_HAND_OVER_S)

    async def stop(self) -> None:
        """Stop every lane and take nothing more; each finishes the command in hand."""
        self._stopping = True
        await self._stop(list(self._lanes))
        await asyncio.gather(*self._ending.values(), return_exceptions=True)

    async def _stop(self, tenants: Sequence[str], *, within_s: float | None = None) -> None:
        stopping = [self._lanes.pop(tenant) for tenant in tenants]
        for lane, task in stopping:
            lane.stop()
            self._ending[lane.tenant] = task
            task.add_done_callback(partial(self._has_ended, lane.tenant))
        if stopping:
            await asyncio.wait([task for _, task in stopping], timeout=within_s)
        for lane, _ in stopping:
            self._metrics.forget_tenant(lane.tenant)

    def _has_ended(self, tenant: str, task: asyncio.Task[None]) -> None:
        if self._ending.get(tenant) is task:
            del self._ending[tenant]

    def _is_ours(self, tenant: str) -> bool:
        return partition_of(tenant.encode(), self._partitions) in self._assigned

    async def sweep(self) -> None:
        """For ever: run lanes for tenants of ours that have something due, and tell the backlog."""
        while True:
            try:
                await self._sweep_once()
                self._metrics.store_away.set(0)
            except StoreUnavailable as error:
                self._metrics.store_away.set(1)
                _log.warning("writer.sweep_failed", error=str(error))
            await asyncio.sleep(_SWEEP_S)

    async def _sweep_once(self) -> None:
        async with self._s.store.read() as conn:
            now = await self._s.store.now()
            due = set(await pending.due_tenants(conn, "writer", now, besides="version"))
            due.update(await outbox.tenants(conn))
            if not self._swept:
                # This release may be the one that they wait for.
                due.update(await pending.tenants_with(conn, "writer", "version"))
            stored = await holds.everyone(conn)
            answered = await pending.to_try_now(conn, "writer", DECISION)
            backlog = await pending.count_by_reason(conn)
            self._metrics.outbox_rows.set(await outbox.depth(conn))
        self._swept = True
        if any(hold.scope == WINDOW and hold.probe_at <= now for hold in stored):
            async with self._s.store.write() as conn:
                await holds.end_windows(conn, now)
        held = _by_tenant(hold for hold in stored if hold.scope != WINDOW or hold.probe_at > now)
        due.update(tenant for tenant, theirs in held.items() if any(hold.probe_at <= now for hold in theirs))
        due.update(await self._with_new_settings(held))
        for tenant in due:
            if self._is_ours(tenant) and not self._stopping:
                self._lane(tenant)
        for tenant, (lane, _) in self._lanes.items():
            lane.heard(held.get(tenant, ()), [key for of, key in answered if of == tenant])
        self._tell_backlog(backlog, held, now)
        self._tell_holds(held)
        self._tell_lanes()
        self._let_rest()

    async def _with_new_settings(self, held: Iterable[str]) -> list[str]:
        """The tenants of ours that are held and have new settings: what was refused is tried at once."""
        changed = []
        for tenant in held:
            known, present = self._tenancies.get(tenant), self._tenancy(tenant)
            if known is not None and present is not known and self._is_ours(tenant):
                changed.append(tenant)
        for tenant in changed:
            async with self._s.store.write() as conn:
                await holds.probe_now(conn, tenant)
        return changed

    def _tell_backlog(
        self, backlog: Sequence[pending.Backlog], held: Mapping[str, Sequence[Hold]], now: float
    ) -> None:
        waiting: dict[str, dict[str, Waiting]] = {}
        for line in backlog:
            if not self._is_ours(line.tenant):
                # Its owner tells it: told twice it would count twice.
                continue
            theirs = waiting.setdefault(line.tenant, {})
            # Events may wait in the mapper for what commands wait for here.
            rows, oldest_s = theirs.get(line.reason, Waiting(0, 0.0))
            theirs[line.reason] = Waiting(rows + line.count, max(oldest_s, now - line.oldest_since))
        for tenant in {*waiting, *self._with_backlog}:
            if self._is_ours(tenant):
                theirs = waiting.get(tenant, {})
                self._metrics.set_pending(tenant, theirs)
                wait_s = max((hold.probe_at - now for hold in held.get(tenant, ())), default=0.0)
                self._tell_drain(tenant, sum(rows for rows, _ in theirs.values()), wait_s)
            else:
                self._metrics.forget_tenant(tenant)
        self._with_backlog = set(waiting)

    def _tell_drain(self, tenant: str, commands: int, wait_s: float) -> None:
        tenancy = self._tenancy(tenant)
        if tenancy is not None:
            pace = allowance(tenancy.rules, WRITE_SHARE)
            self._metrics.backlog_drain.labels(tenant=tenant).set(drain_s(commands, pace, wait_s=wait_s))

    def _tell_holds(self, held: Mapping[str, Sequence[Hold]]) -> None:
        for tenant in {*held, *self._with_holds}:
            if self._is_ours(tenant):
                self._metrics.set_holds(tenant, [(hold.scope, hold.reason) for hold in held.get(tenant, ())])
            else:
                self._metrics.forget_tenant(tenant)
        self._with_holds = set(held)

    def _tell_lanes(self) -> None:
        for tenant, (lane, task) in self._lanes.items():
            if task.done():
                self._metrics.forget_lane(tenant)
            else:
                self._metrics.set_lane(tenant, lane.held is not None, lane.requests_left)

    def _let_rest(self) -> None:
        """Forget the tenants that have nothing to do: one at rest costs its settings' text alone."""
        for tenant in [tenant for tenant, (_, running) in self._lanes.items() if running.done()]:
            del self._lanes[tenant]
            if tenant not in self._with_backlog and tenant not in self._with_holds:
                self._metrics.forget_tenant(tenant)
        busy = self._lanes.keys() | self._with_backlog | self._with_holds
        self._tenancies = {tenant: known for tenant, known in self._tenancies.items() if tenant in busy}


def _by_tenant(stored: Iterable[Hold]) -> dict[str, list[Hold]]:
    found: defaultdict[str, list[Hold]] = defaultdict(list)
    for hold in stored:
        found[hold.tenant].append(hold)
    return dict(found)
