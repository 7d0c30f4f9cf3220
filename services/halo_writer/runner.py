"""Sends one tenant's commands in rounds, alone or several in one request; learns what its Halo won't do, and spares
the others.

What a command met is told to `Standing`, which says whether more than that command is concerned; what a hold stops
goes into rows without being tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import assert_never

import structlog

from halo import GateClosed, Login, Outcome
from hub.lease_keeper import Held
from hub.store import holds, targets
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.holds import Hold
from hub.store.targets import Restored
from schemas.targets import TargetState
from services.halo_writer.backlog import Backlog
from services.halo_writer.execute import Execution
from services.halo_writer.kinds import SPECS
from services.halo_writer.settle import Overtaken
from services.halo_writer.standing import Opened, Standing, waits_for
from services.halo_writer.together import Arrays, Poster
from services.halo_writer.tools import Ended, Parked, Timing, Tools, Trouble
from services.halo_writer.work import Work

_log = structlog.get_logger(__name__)
_MOST_IN_ROUND = 100
_REPEAT_FAULT_S = 60.0
_SETTINGS_S = 5.0
_RIGHTS_PAGE = "Configuration > Integrations > HaloPSA API > Applications > (application) > Permissions"


class Runner:
    """One term of ownership. `tools` is None while the tenant has no usable settings."""

    def __init__(
        self,
        timing: Timing,
        told: Callable[[Work, Ended | Parked], None],
        store: Store,
        backlog: Backlog,
        standing: Standing,
        held: Held,
        tools: Tools | None,
        restored: Restored | None,
        *,
        publish: Callable[[], Awaitable[None]],
    ) -> None:
        self._timing = timing
        self._told = told
        self._store = store
        self._backlog = backlog
        self._standing = standing
        self.held = held
        self._tools = tools
        self._restored = restored
        self._publish = publish
        self._arrays = None if tools is None else Arrays(tools, restored)

    async def round(self, may_go_on: Callable[[], bool]) -> bool:
        """Run what can run, as it stands now; False when there was nothing."""
        probed = await self._probe_halo()
        backlog, queue = self._backlog, self._backlog.queue
        async with backlog.lock:
            round_ = await backlog.next_round(self._standing, self.held, self._most())
        if not round_:
            return probed
        company = await self._company(round_)
        while may_go_on():
            upcoming = queue.upcoming()
            if not upcoming:
                return True
            work, now = upcoming[0], self.held.store_now()
            if self._standing.stops(work.command.target.kind, work.row_key, now) is not None:
                async with backlog.lock:
                    await backlog.put_off(self._standing, self.held)
                continue
            others = {id(other) for other in upcoming}
            together = [
                other
                for other in company.get(id(work), [work])
                if id(other) in others
                and self._standing.stops(other.command.target.kind, other.row_key, now) is None
            ]
            await self._run_together(together)
        return True

    async def _company(self, works: list[Work]) -> dict[int, list[Work]]:
        """With whom each of a round may share a request, by the identity of the work; a newer one goes alone."""
        groups = [] if self._arrays is None else await self._arrays.groups(works)
        return {id(work): group for group in groups for work in group}

    def _most(self) -> int:
        """No more are loaded than could be sent soon."""
        return (
            _MOST_IN_ROUND if self._tools is None else min(_MOST_IN_ROUND, 5 + self._tools.gate.available())
        )

    # One command ------------------------------------------------------------------------------------------

    async def _run_together(self, works: list[Work]) -> None:
        """Run what shares a request, or a single command. Raises what one of them raised, when all have ended."""
        before = [len(work.requests) for work in works]
        for work in works:
            self._backlog.queue.start(work)
        ends = await self._ends_of(works)
        # One request that met trouble is one sign of it, however many commands it was for.
        known: dict[Trouble, Hold | None] = {}
        for work, end, count in zip(works, ends, before, strict=True):
            if isinstance(end, Exception):
                continue
            if isinstance(end, Parked) and end.trouble is not None:
                if end.trouble not in known:
                    known[end.trouble] = await self._met(end.trouble, work, end)
                await self._told_end(work, _with_others(end, known[end.trouble]))
            else:
                await self._told_end(work, end)
                if len(work.requests) > count:
                    await self._over(self._standing.answered(work.command.target.kind))
        for work in works:
            self._standing.tried(work.command.target.kind, work.row_key, self.held.store_now())
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _told_end(self, work: Work, end: Ended | Parked) -> None:
        if isinstance(end, Parked):
            async with self._backlog.lock:
                await self._backlog.park(work, end, self.held)
            if end.question is not None:
                await self._publish()
        else:
            # Until it is told it stays in hand: a new term would take it up again, and repeat what it says.
            await self._publish()
            self._backlog.queue.finish(work)
            self._backlog.queue.wake(work.target_key)
            work.told()
        self._told(work, end)

    async def _ends_of(self, works: list[Work]) -> Sequence[Ended | Parked | Exception]:
        if self._arrays is None:
            parked = Parked("settings", self.held.store_now() + _SETTINGS_S)
            return [parked for _ in works]
        if len(works) == 1:
            return [await self._end_of(works[0], self._arrays.single)]
        return await self._arrays.run(works, self._end_of)

    async def _end_of(self, work: Work, poster: Poster) -> Ended | Parked:
        assert self._tools is not None, "without settings nothing is sent"
        try:
            async with asyncio.timeout(self._timing.command_s):
                row = await self._row(work)
                return await Execution(self._tools, work, row, self._restored, poster).run()
        except (Overtaken, GateClosed, StoreUnavailable):
            raise
        except TimeoutError:
            # Whatever it had begun is on its target's row: the next try finds out.
            _log.error("lane.command_too_slow", target=work.target_key, after_s=self._timing.command_s)
            note = f"it took longer than {self._timing.command_s:g} s and was given up for now"
            return Parked("fault", self.held.store_now() + _REPEAT_FAULT_S, note=note)
        except Exception as error:  # noqa: BLE001 - the lane's boundary: a fault of ours stops no tenant
            _log.exception("lane.fault", tenant=self.held.tenant, target=work.target_key)
            note = f"{type(error).__name__}: a fault of the hub"
            return Parked("fault", self.held.store_now() + _REPEAT_FAULT_S, note=note)

    async def _row(self, work: Work) -> TargetState:
        target = work.command.target
        async with self._store.read() as conn:
            return (await targets.load(conn, [target])).get(target) or TargetState(target=target)

    # What it means for the others -------------------------------------------------------------------------

    async def _met(self, trouble: Trouble, work: Work, end: Parked) -> Hold | None:
        """The hold that comes of it."""
        now, note = self.held.store_now(), end.note
        match trouble:
            case "limited":
                opened = self._standing.limited(end.not_before, now, note)
                # A 429 is every share's business; our own share's end is not.
                told_by_halo = self._tools is not None and self._tools.gate.blocked_until() > now
                return await self._begun(opened, stored=told_by_halo)
            case "unreachable":
                return await self._begun(self._standing.no_answer(now, note))
            case "login_lost":
                return await self._begun(self._standing.login_lost(now, note))
            case "unauthorised":
                return await self._lost_or_denied(work, note)
            case "denied":
                return await self._denied(work, note)
            case _:
                assert_never(trouble)

    async def _lost_or_denied(self, work: Work, note: str | None) -> Hold | None:
        """Halo answers 401 to a lost login and to a missing right; one cheap read tells them apart."""
        match await self._login():
            case Login.LOST:
                return await self._begun(self._standing.login_lost(self.held.store_now(), note))
            case Login.UNKNOWN:
                return await self._begun(self._standing.no_answer(self.held.store_now(), note))
            case Login.GOOD:
                return await self._denied(work, note)
            case None:
                return None

    async def _denied(self, work: Work, note: str | None) -> Hold | None:
        kind = work.command.target.kind
        opened = self._standing.denied(kind, work.target_key, self.held.store_now(), note)
        if opened is not None:
            return await self._begun(opened)
        if work.row is None or work.row.reason != "denied":
            _log.error(
                "halo.denied",
                tenant=self.held.tenant,
                target=work.target_key,
                scope=SPECS[kind].resource.edit_scope,
                halo_says=note,
                fix=f"give the application this right: {_RIGHTS_PAGE}; what waits goes on by itself",
            )
        return None

    async def _probe_halo(self) -> bool:
        """See whether the whole Halo is back, when it is time to; whether that was tried."""
        hold = self._standing.halo_to_probe(self.held.store_now())
        if hold is None or self._tools is None:
            return False
        login = await self._login()
        now = self.held.store_now()
        match login:
            case Login.GOOD:
                await self._over(self._standing.came_back())
            case Login.LOST:
                await self._begun(self._standing.login_lost(now, hold.note))
            case Login.UNKNOWN:
                await self._begun(self._standing.no_answer(now, hold.note))
            case None:
                pass
        return True

    async def _login(self) -> Login | None:
        """Whether Halo knows us; None when the budget doesn't allow to ask."""
        assert self._tools is not None, "only a tenant with settings meets trouble"
        try:
            probe = await self._tools.client.probe()
        except GateClosed as closed:
            if self.held.lost:
                raise Overtaken(str(closed)) from closed
            probe = None
        gate, now = self._tools.gate, self.held.store_now()
        if probe is None or probe.reply.outcome is Outcome.THROTTLED:
            until = max(gate.blocked_until(), now + 1.0)
            opened = self._standing.limited(until, now, "the tenant's request budget is used up")
            await self._begun(opened, stored=gate.blocked_until() > now)
            return None
        return probe.login

    async def _begun(self, opened: Opened, *, stored: bool = True) -> Hold:
        """A hold begins or goes on: it is stored, told once, and what it stops goes into rows."""
        hold = opened.hold
        if stored:
            async with self._store.write() as conn:
                await holds.put(conn, hold)
            if opened.first:
                self._tell(hold)
        async with self._backlog.lock:
            await self._backlog.put_off(self._standing, self.held)
        return hold

    def _tell(self, hold: Hold) -> None:
        told = {"tenant": hold.tenant, "scope": hold.scope, "reason": hold.reason, "halo_says": hold.note}
        match hold.reason:
            case "unauthorised":
                _log.error(
                    "halo.login_lost",
                    **told,
                    fix="check halo.client_id and halo.client_secret of the tenant file and the application in Halo; "
                    "what waits goes on by itself",
                )
            case "unreachable":
                _log.warning("halo.unreachable", **told)
            case _:
                _log.warning("halo.held", **told)

    async def _over(self, hold: Hold | None) -> None:
        """A hold is over: what waited for it may run."""
        if hold is None:
            return
        async with self._store.write() as conn:
            await holds.remove(conn, hold.tenant, hold.scope)
        self._backlog.queue.wake(waits_for(hold))
        lasted_s = round(self.held.store_now() - hold.since, 1)
        _log.info("halo.back", tenant=hold.tenant, scope=hold.scope, reason=hold.reason, lasted_s=lasted_s)


def _with_others(end: Parked, hold: Hold | None) -> Parked:
    """What met the trouble waits with those that are spared it; what may have been applied waits for itself."""
    if hold is None or end.reason == "ambiguous":
        return end
    return replace(end, reason=hold.reason, not_before=hold.probe_at, waits_for=waits_for(hold))
