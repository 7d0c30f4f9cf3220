"""Keeps every tenant's catalogue events coming: a lane for each tenant, so that one's trouble is its own.

A lane reads what is due under the tenant's "read" lease, then sleeps until its next time, a request, or new rules.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import structlog

from halo import GateClosed, HaloClient, HaloError, Login, Outcome, ReadFailed
from hub.bus.errors import BusError
from hub.lease_keeper import Held, LeaseKeeper
from hub.store import catalogue as stored
from hub.store.engine import Store
from hub.store.errors import StoreError
from hub.telemetry.health import Progress
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from hub.tenants.model import RuleSet
from hub.tenants.secrets import SecretUnavailable
from hub.tenants.shares import READ_SHARE
from hub.throttle import SharedBlock
from schemas.control import CatalogueKind
from services.ingest.catalogue import (
    KINDS,
    RECORD_KINDS,
    CodeList,
    HaloLog,
    LookupMissing,
    Reader,
    ReadUnstable,
)
from services.ingest.connection import client_of
from services.ingest.gate import ShareGate, budget_of
from services.ingest.halo_rows import RowUnreadable
from services.ingest.http import LogUnavailable
from services.ingest.schedule import Schedule

_log = structlog.get_logger(__name__)
_LOOK_EVERY_S = 1.0
_LEASE_TAKEN_S = 5.0
_LONGEST_SLEEP_S = 300.0
_KIND_AGAIN_S = 900.0
_FIRST_DELAY_S = 2.0
_LONGEST_TURN_S = 5.0
_LONGEST_DELAY_S = 600.0
_FIX = (
    "give the application this right: Configuration > Integrations > HaloPSA API > Applications > (application) > "
    "Permissions; the list is read again by itself, at once after `hub tenant check --refresh`"
)


@dataclass(frozen=True, slots=True)
class Timing:
    reference_every_s: float
    full_every_s: float
    fresh_enough_s: float
    request_timeout_s: float

    def every_s(self) -> dict[CatalogueKind, float]:
        return {kind: self.full_every_s if kind in RECORD_KINDS else self.reference_every_s for kind in KINDS}


class Turn:
    """One of the places of those that read at the same time; kept for `_LONGEST_TURN_S` at most.

    Whoever takes longer waits for its Halo most of the time: it reads on, and its place is another tenant's.
    """

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._over: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._places.acquire()
        self._over = asyncio.get_running_loop().call_later(_LONGEST_TURN_S, self._give_up)

    async def __aexit__(self, *_: object) -> None:
        self._give_up()

    async def sleep(self, seconds: float) -> None:
        """Sleep for the tenant's own budget; its place is another tenant's meanwhile."""
        self._give_up()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.__aenter__()

    def _give_up(self) -> None:
        over, self._over = self._over, None
        if over is not None:
            over.cancel()
            self._places.release()


@dataclass(slots=True)
class _Lane:
    task: asyncio.Task[None]
    wake: asyncio.Event
    sequence: int


class Reading:
    """Reads all tenants that the follower knows. `random_` spreads retries."""

    def __init__(
        self,
        store: Store,
        keeper: LeaseKeeper,
        log: HaloLog,
        http: httpx.AsyncClient,
        follower: RulesFollower,
        progress: Progress,
        timing: Timing,
        metrics: Metrics,
        *,
        at_once: int = 16,
        random_: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._log = log
        self._http = http
        self._follower = follower
        self._progress = progress
        self._timing = timing
        self._metrics = metrics
        self._behind_since: dict[str, float] = {}
        self._places = asyncio.Semaphore(at_once)
        self._random = random_
        self._stopped = False
        self._denied: set[tuple[str, CatalogueKind]] = set()
        self._lanes: dict[str, _Lane] = {}
        self._requests: dict[str, dict[CatalogueKind, float]] = {}
        self._began: dict[str, float] = {}

    def request(self, tenant: str, kinds: tuple[CatalogueKind, ...], at: float) -> None:
        """Asks for kinds of a tenant (all when empty) to be read by a read that begins after `at`."""
        waiting = self._requests.setdefault(tenant, {})
        for kind in kinds or KINDS:
            waiting[kind] = max(at, waiting.get(kind, at))
        if tenant in self._lanes:
            self._lanes[tenant].wake.set()

    async def run(self) -> None:
        """Keeps one lane for each tenant, for ever."""
        while True:
            if not self._stopped:
                self._match_tenants()
            for tenant, since in self._behind_since.items():
                self._metrics.set_reading_behind(tenant, time.monotonic() - since)
            self._progress.tick()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def stop(self) -> None:
        """Ends every lane for good; leases are given back."""
        self._stopped = True
        lanes = list(self._lanes.values())
        self._lanes.clear()
        for lane in lanes:
            lane.task.cancel()
        await asyncio.gather(*(lane.task for lane in lanes), return_exceptions=True)

    def _match_tenants(self) -> None:
        known = set(self._follower.tenants())
        for tenant in self._lanes.keys() - known:
            self._lanes.pop(tenant).task.cancel()
            self._kept_up(tenant)
        for tenant in known:
            # Of thousands of tenants only those that have something to do are worth parsing.
            sequence, _ = self._follower.revision(tenant)
            lane = self._lanes.get(tenant)
            if lane is None:
                wake = asyncio.Event()
                task = asyncio.create_task(self._lane(tenant, wake), name=f"read-{tenant}")
                self._lanes[tenant] = _Lane(task, wake, sequence)
            elif lane.sequence != sequence:
                lane.sequence = sequence
                lane.wake.set()

    async def _lane(self, tenant: str, wake: asyncio.Event) -> None:
        schedules: dict[str, Schedule] = {}
        failures = 0
        while True:
            wake.clear()
            try:
                turn = Turn(self._places)
                async with turn:
                    sleep_s, behind = await self._turn(tenant, schedules, turn)
                failures = 0
                if not behind:
                    self._kept_up(tenant)
            except (HaloError, BusError, StoreError, LogUnavailable, SecretUnavailable) as error:
                failures += 1
                sleep_s = self._delay_s(failures, error)
                _log.warning(
                    "halo.read_failed", tenant=tenant, problem=str(error), again_in_s=round(sleep_s, 1)
                )
            except Exception as error:  # noqa: BLE001 - the lane's boundary: one tenant's surprise is its own
                failures += 1
                sleep_s = self._delay_s(failures, error)
                _log.error("halo.read_failed", tenant=tenant, exc_info=error, again_in_s=round(sleep_s, 1))
            try:
                async with asyncio.timeout(sleep_s):
                    await wake.wait()
            except TimeoutError:
                pass

    def _delay_s(self, failures: int, error: Exception) -> float:
        """Exponential with full jitter above a half; at least what Halo or the budget asked for."""
        delay_s = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))
        delay_s *= 0.5 + 0.5 * self._random()
        asked_s: float | None = None
        if isinstance(error, GateClosed):
            asked_s = error.retry_after_s
        elif isinstance(error, ReadFailed):
            asked_s = error.reply.retry_after_s
        return max(delay_s, asked_s or 0.0)

    def _kept_up(self, tenant: str) -> None:
        if self._behind_since.pop(tenant, None) is not None:
            self._metrics.set_reading_behind(tenant, None)

    async def _turn(self, tenant: str, schedules: dict[str, Schedule], turn: Turn) -> tuple[float, bool]:
        """Reads what is due; how many seconds to sleep then, and whether something due is left."""
        found = self._follower.get(tenant)
        if found is None:
            return _LONGEST_SLEEP_S, False
        rules = found.rules
        now = await self._store.now()
        schedule = schedules.get(rules.instance)
        if schedule is None:
            schedule = schedules[rules.instance] = Schedule(tenant, self._timing.every_s(), {})
            schedule.learn(await self._reads(rules, now - self._timing.fresh_enough_s))
            self._began.setdefault(tenant, now)
        for kind, at in self._requests.pop(tenant, {}).items():
            schedule.request(kind, at)
        if schedule.is_behind(now):
            self._behind_since.setdefault(tenant, time.monotonic())
        if schedule.due(now):
            held = await self._keeper.take(tenant, "read")
            if held is None:
                return _LEASE_TAKEN_S * (0.5 + self._random()), True
            # Whoever had the lease until now has read the same kinds.
            schedule.learn(await self._reads(rules, self._began[tenant] - self._timing.fresh_enough_s))
            await self._read(rules, held, schedule, turn)
            now = held.store_now()
        return min(_LONGEST_SLEEP_S, max(0.0, schedule.next_at() - now)), schedule.is_behind(now)

    async def _read(self, rules: RuleSet, held: Held, schedule: Schedule, turn: Turn) -> None:
        shared = SharedBlock(self._store, rules.tenant)
        gate = ShareGate(
            self._keeper,
            held,
            budget_of(rules, READ_SHARE),
            shared,
            patience_s=float("inf"),
            sleep=turn.sleep,
        )
        try:
            client = client_of(rules, self._http, gate, timeout_s=self._timing.request_timeout_s)
            reader = Reader(
                client, self._log, tenant=rules.tenant, instance=rules.instance, now=held.store_now
            )
            for kind in schedule.due(held.store_now()):
                await self._read_kind(client, reader, rules.tenant, kind, held, schedule)
        finally:
            await gate.tell_others()
            await self._keeper.release(held, gate.spend())

    async def _read_kind(
        self,
        client: HaloClient,
        reader: Reader,
        tenant: str,
        kind: CatalogueKind,
        held: Held,
        schedule: Schedule,
    ) -> None:
        started_at = held.store_now()
        try:
            await reader.read(kind, uuid.uuid4().hex)
        except (LookupMissing, RowUnreadable, ReadUnstable, ReadFailed) as error:
            denied = isinstance(error, ReadFailed) and await _is_denied(client, error)
            if isinstance(error, ReadFailed) and not denied and error.reply.outcome is not Outcome.REJECTED:
                raise
            schedule.failed(kind, held.store_now() + _KIND_AGAIN_S * (0.5 + 0.5 * self._random()))
            if denied:
                self._tell_denied(tenant, kind, str(error))
            else:
                _log.warning("halo.kind_unreadable", tenant=tenant, kind=kind, problem=str(error))
        else:
            schedule.done(kind, started_at)
            if (tenant, kind) in self._denied:
                self._denied.discard((tenant, kind))
                _log.info("halo.back", tenant=tenant, scope=kind, reason="denied")

    def _tell_denied(self, tenant: str, kind: CatalogueKind, problem: str) -> None:
        """One error when it begins; the tries after it say nothing new."""
        if (tenant, kind) in self._denied:
            return
        self._denied.add((tenant, kind))
        how = KINDS[kind]
        scope = None if isinstance(how, CodeList) else how.resource.read_scope
        _log.error("halo.denied", tenant=tenant, kind=kind, scope=scope, problem=problem, fix=_FIX)

    async def _reads(self, rules: RuleSet, after: float) -> dict[CatalogueKind, float]:
        """When the last complete read of each kind began, by whichever process, where that was after a time."""
        async with self._store.read() as conn:
            kinds = await stored.summary(conn, rules.tenant, rules.instance)
        return {
            kind.kind: kind.fresh_since
            for kind in kinds
            if kind.fresh_since is not None and kind.fresh_since >= after
        }


async def _is_denied(client: HaloClient, error: ReadFailed) -> bool:
    """Whether it is this list's right that is missing: Halo answers 401 to that too, and to a lost login."""
    match error.reply.outcome:
        case Outcome.DENIED:
            return True
        case Outcome.UNAUTHORISED if error.reply.status is not None:
            return (await client.probe()).login is Login.GOOD
        case _:
            return False
