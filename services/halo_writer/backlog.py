"""A tenant's commands between memory and the store's rows: the shell around `Queue`.

A row commits before anybody is told that its offset may advance, and only the tenant's owner writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import structlog

from hub.bus.records import Outgoing
from hub.lease_keeper import Held
from hub.store import leases, pending
from hub.store.engine import Store
from hub.store.pending import Brief, Pending
from services.halo_writer import ending as tell
from services.halo_writer.coalesce import newest
from services.halo_writer.files import is_fetch
from services.halo_writer.queue import Queue
from services.halo_writer.settle import Overtaken, into_outbox
from services.halo_writer.standing import Standing, waits_for
from services.halo_writer.tools import Parked
from services.halo_writer.work import Work, from_pending, pending_row

_log = structlog.get_logger(__name__)
QUEUED = "queued"
"""The reason of a row that waits for nothing but its turn."""


class Backlog:
    """`lock` is held while what is in memory and what is in rows change together."""

    def __init__(self, tenant: str, store: Store) -> None:
        self.queue = Queue()
        self.lock = asyncio.Lock()
        self._tenant = tenant
        self._store = store

    async def load(self) -> None:
        """Begin a term of ownership with what the store has. Raises StoreUnavailable."""
        async with self._store.read() as conn:
            briefs = await pending.briefs(conn, self._tenant, "writer")
        self.queue.restart(
            msgspec.structs.replace(brief, not_before=0.0) if _is_of_a_term(brief) else brief
            for brief in briefs
        )

    async def take_in(self, held: Held) -> list[Work]:
        """What arrived for targets that are idle here, in order; the rest has joined its target.

        Raises Overtaken, StoreUnavailable; then nothing is forgotten.
        """
        idle, for_rows = self.queue.sort_in(held.store_now())
        try:
            await self._join_rows(for_rows, held)
        except BaseException:
            for work in (*idle, *for_rows.values()):
                self.queue.submit(work)
            raise
        return idle

    async def spill(self, held: Held, spill_s: float) -> None:
        """Put into rows what has been in memory alone for too long."""
        now = held.store_now()
        late = self.queue.late(now, spill_s)
        await self._write(
            [(work, pending_row(work, reason=QUEUED, now=now, not_before=now)) for work in late], held
        )

    async def put_off(self, standing: Standing, held: Held) -> None:
        """Put into rows what a hold keeps from being sent."""
        now = held.store_now()
        rows = []
        for work in self.queue.held(standing, now):
            hold = standing.stops(work.command.target.kind, work.row_key, now)
            assert hold is not None, "the queue asked the same"
            row = pending_row(
                work,
                reason=hold.reason,
                now=now,
                not_before=max(now, hold.probe_at),
                waits_for=waits_for(hold),
                note=hold.note,
            )
            rows.append((work, row))
        await self._write(rows, held)

    async def park(self, work: Work, parked: Parked, held: Held) -> None:
        """A command that was tried waits; a newer one of its target that came meanwhile waits in its place."""
        before = None if work.row is None else (work.row.reason, work.row.note)
        asks = parked.question is not None and before != (parked.reason, parked.note)
        best, newer = work, self.queue.taken_out(work.row_key)
        if newer is not None:
            best = newest(work, newer)
        row = pending_row(
            best,
            reason=parked.reason,
            now=held.store_now(),
            not_before=0.0 if _at_once(best, work) else parked.not_before,
            waits_for=parked.waits_for,
            note=parked.note,
            # A request that Halo's limit refused says nothing about the command.
            tried=parked.trouble != "limited",
        )
        messages = []
        if asks:
            messages.append(tell.decision_requested(work, work.command.target, parked, row.since))
            _log.warning(
                "decision.requested",
                tenant=self._tenant,
                target=work.target_key,
                question=parked.question,
                message=parked.note,
            )
        self.queue.finish(work)
        try:
            await self._write([(best, row)], held, messages)
        except BaseException:
            self.queue.submit(best)
            raise
        work.told()

    async def next_round(self, standing: Standing, held: Held, most: int) -> list[Work]:
        """Load what runs next, and begin the round; in the order in which it runs."""
        ready, keys = self.queue.choose(standing, held.store_now(), most)
        loaded = []
        for row in await self._rows(keys):
            try:
                loaded.append(from_pending(row))
            except (msgspec.DecodeError, KeyError):
                self.queue.unreadable(row.target_key)
        found = {work.row_key for work in loaded}
        self.queue.begin_round([*ready, *loaded])
        for key in keys:
            if key not in found and not self.queue.is_unreadable(key):
                self.queue.row_gone(key)
        return self.queue.upcoming()

    # Rows -------------------------------------------------------------------------------------------------

    async def _join_rows(self, works: Mapping[str, Work], held: Held) -> None:
        """Targets that wait keep waiting, with their newest command; a redrive makes them due."""
        rows = {row.target_key: row for row in await self._rows(works)}
        written = []
        for key, work in works.items():
            row = rows.get(key)
            older = None if row is None else _read(row)
            if row is None or older is None:
                self.queue.row_gone(key)
                self.queue.add(work)
                continue
            best = newest(older, work)
            at_once = _at_once(best, older)
            joined = pending_row(
                best,
                reason=QUEUED if at_once else row.reason,
                now=held.store_now(),
                not_before=0.0 if at_once else row.not_before,
                waits_for=None if at_once else row.waits_for,
                note=None if at_once else row.note,
            )
            if joined == row:
                best.told()
            else:
                written.append((best, joined))
        await self._write(written, held)

    async def _rows(self, keys: Iterable[str]) -> list[Pending]:
        wanted = list(keys)
        if not wanted:
            return []
        async with self._store.read() as conn:
            return await pending.load(conn, self._tenant, "writer", wanted)

    async def _write(
        self, rows: Sequence[tuple[Work, Pending]], held: Held, messages: Sequence[Outgoing] = ()
    ) -> None:
        """The rows commit, then the offsets may advance. Raises Overtaken, StoreUnavailable."""
        if not rows:
            return
        owner, epoch = held.fence
        async with self._store.write() as conn:
            if not await leases.holds(conn, self._tenant, "write", owner, epoch):
                raise Overtaken("the tenant's lease was lost")
            await pending.put_many(conn, [row for _, row in rows])
            await into_outbox(conn, self._tenant, messages)
        for work, row in rows:
            self.queue.into_row(row, work)
            work.told()


def _read(row: Pending) -> Work | None:
    """The command in a row; None when a newer release wrote it."""
    try:
        return from_pending(row)
    except (msgspec.DecodeError, KeyError):
        return None


def _is_of_a_term(brief: Brief) -> bool:
    """Whether what a row waits for may have ended with the term: a fetch did, and a newer release's command is tried
    once in each, for this release may be the upgrade that it waits for.
    """
    return brief.reason == "version" or is_fetch(brief.waits_for)


def _at_once(best: Work, before: Work) -> bool:
    """Whether a person has asked for it again since it began to wait."""
    return best is not before and bool(best.command.basis.cause)
