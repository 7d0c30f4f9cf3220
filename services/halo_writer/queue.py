"""One tenant's commands that have not ended: what runs next, what waits, what must be put into rows. Pure.

A command is in one place: just arrived, ready (whole, in memory), in the present round, started, or in a row of the
store, of which only a brief is kept here. So a backlog of a hundred thousand costs little, and a flood nothing that
Kafka would have to hold back for the tenant's neighbours.

Invariants:

* INV-16 What was neither ended nor put into a row within `spill_s` is named by `late`, but for newer commands of a
  target that is in hand: they wait until that one has ended or is in a row.
* While a target waits in a row its newer commands take the row's place instead of running; a redrive runs at once.
* A round takes the commands that have waited longest, and runs them by phase: no stream of new work starves old.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from hub.store.pending import Brief, Pending
from services.halo_writer.coalesce import Place, coalesce, in_order, newest, place_of
from services.halo_writer.standing import Signs, Standing, is_hold
from services.halo_writer.work import Work

_UNREADABLE = float("inf")


class Queue:
    """`submit` may be called at any time; the rest is called under the lane's lock."""

    def __init__(self) -> None:
        self._arrived: list[Work] = []
        self._ready: dict[Place, Work] = {}
        self._round: dict[Place, Work] = {}
        self._started: dict[str, Work] = {}
        self._rows: dict[str, Brief] = {}
        self._waiters: defaultdict[str, set[str]] = defaultdict(set)
        self._no_row_before = float("-inf")
        self._as_of: Signs | None = None

    def submit(self, work: Work) -> None:
        """Take a command that was just polled."""
        self._arrived.append(work)

    @property
    def arrived(self) -> int:
        return len(self._arrived)

    @property
    def in_memory(self) -> int:
        """How many commands are here whole."""
        return len(self._arrived) + len(self._ready) + len(self._round) + len(self._started)

    @property
    def in_rows(self) -> int:
        return len(self._rows)

    def restart(self, rows: Iterable[Brief]) -> None:
        """A new term of ownership: rows are as the store has them; what is only in memory arrives again."""
        memory = [*self._started.values(), *self._round.values(), *self._ready.values(), *self._arrived]
        self.__init__()  # type: ignore[misc]
        for work in memory:
            if not work.durable:
                work.row = None
                self._arrived.append(work)
        for brief in rows:
            self.row_written(brief)

    # Taking in --------------------------------------------------------------------------------------------

    def sort_in(self, now: float, most: int = 500) -> tuple[list[Work], dict[str, Work]]:
        """What arrived first: commands whose target is idle here, and the newest ones for targets that wait in rows.

        Those for a target that is ready or under way have joined it. `most` keeps a flood from stopping the process.
        """
        arrived, self._arrived = self._arrived[:most], self._arrived[most:]
        for work in arrived:
            work.taken_at = work.taken_at or now
        ready, for_rows = coalesce(arrived, self._rows)
        busy = {key for key, _ in (*self._ready, *self._round)} | self._started.keys()
        idle = []
        for work in ready:
            if work.target_key in busy:
                self.add(work)
            else:
                idle.append(work)
        return in_order(idle), for_rows

    def add(self, work: Work) -> None:
        """A command that is to run; it takes the place of an older one of its target, or leaves it to a newer one."""
        place = place_of(work)
        here = self._round if place in self._round else self._ready
        here[place] = newest(here[place], work) if place in here else work

    # Rows -------------------------------------------------------------------------------------------------

    def late(self, now: float, spill_s: float) -> list[Work]:
        """What has been in memory alone for too long; a target's ensure has joined its full command."""
        slow = [
            place
            for here in (self._round, self._ready)
            for place, work in here.items()
            if not work.durable and now - work.taken_at >= spill_s
        ]
        return self._wholes(key for key, _ in slow)

    def held(self, standing: Standing, now: float) -> list[Work]:
        """What is in memory and can't be sent now because of a hold; it leaves memory once it is in a row."""
        keys = [
            key
            for here in (self._round, self._ready)
            for (key, _), work in here.items()
            if standing.stops(work.command.target.kind, key, now) is not None
        ]
        return self._wholes(keys)

    def _wholes(self, keys: Iterable[str]) -> list[Work]:
        """What stands for each target, but for those in hand: a row of theirs would take the place of the command's
        own, and with it all that is to be told of it.
        """
        return [self._whole(key) for key in dict.fromkeys(keys) if key not in self._started]

    def _whole(self, key: str) -> Work:
        """The one command that stands for all of a target's in memory, in its place."""
        found = [
            here.pop(place)
            for here in (self._ready, self._round)
            for place in ((key, True), (key, False))
            if place in here
        ]
        work = found[0]
        for other in found[1:]:
            work = newest(work, other)
        self._ready[place_of(work)] = work
        return work

    def is_in_memory(self, key: str) -> bool:
        return any((key, ensure) in here for here in (self._ready, self._round) for ensure in (True, False))

    def taken_out(self, key: str) -> Work | None:
        """The command in memory, not started, that stands for the target; it is the caller's now."""
        if not self.is_in_memory(key):
            return None
        work = self._whole(key)
        del self._ready[place_of(work)]
        return work

    def into_row(self, row: Pending, work: Work) -> None:
        """The command is in a row now; only the brief of it stays."""
        work.row, work.durable = row, True
        self._ready.pop(place_of(work), None)
        self._round.pop(place_of(work), None)
        self.row_written(Brief.of(row))

    def row_written(self, brief: Brief) -> None:
        self.row_gone(brief.target_key)
        self._rows[brief.target_key] = brief
        self._may_be_due(brief)
        if brief.waits_for is not None:
            self._waiters[brief.waits_for].add(brief.target_key)

    def row_gone(self, key: str) -> None:
        brief = self._rows.pop(key, None)
        if brief is not None and brief.waits_for is not None:
            waiters = self._waiters[brief.waits_for]
            waiters.discard(key)
            if not waiters:
                del self._waiters[brief.waits_for]

    def unreadable(self, key: str) -> None:
        """This release can't read the row: it stays for one that can."""
        self._again_at(key, _UNREADABLE)

    def is_unreadable(self, key: str) -> bool:
        return self.has_row(key) and self._rows[key].not_before == _UNREADABLE

    def has_row(self, key: str) -> bool:
        return key in self._rows

    def wake(self, waits_for: str) -> bool:
        """What waited for this target or hold may run now; whether there was any."""
        keys = list(self._waiters.get(waits_for, ()))
        for key in keys:
            self._again_at(key, 0.0)
        return bool(keys)

    def try_now(self, key: str) -> bool:
        """What this row waited for has come; whether there is such a row."""
        if self.has_row(key):
            self._again_at(key, 0.0)
        return self.has_row(key)

    def _again_at(self, key: str, at: float) -> None:
        brief = self._rows[key] = msgspec.structs.replace(self._rows[key], not_before=at)
        self._may_be_due(brief)

    def _may_be_due(self, brief: Brief) -> None:
        """This row may run sooner than any of those that were looked at."""
        signs, name = self._as_of, brief.waits_for
        for_a_hold_that_is_over = is_hold(name) and (signs is None or not signs.last(str(name)))
        at = float("-inf") if for_a_hold_that_is_over else brief.not_before
        self._no_row_before = min(self._no_row_before, at)

    # Running ----------------------------------------------------------------------------------------------

    def choose(self, standing: Standing, now: float, most: int) -> tuple[list[Work], list[str]]:
        """The commands of the next round: those in memory, and the keys of the rows to be loaded.

        Of a kind that is to be tried it is one, the one that was tried least: a record that is refused for its own
        sake doesn't stand for the others.
        """
        if standing.stops_all(now):
            return [], []
        waiting: list[tuple[float, int, Work | str]] = []
        probes: dict[str, Brief] = {}
        to_probe = set(standing.kinds_to_probe(now))
        for work in self._ready.values():
            if standing.stops(work.command.target.kind, work.row_key, now) is None:
                waiting.append((work.taken_at, len(waiting), work))
        for key, brief in () if self._no_row_is_due(standing.signs(), now) else self._rows.items():
            kind = brief.kind
            if kind in to_probe:
                if self._may_try(brief, now):
                    probes[kind] = min(probes.get(kind, brief), brief, key=lambda b: (b.attempts, b.since))
            elif self._due_at(brief, standing) <= now and standing.stops(kind, key, now) is None:
                waiting.append((brief.since, len(waiting), key))
        for held_kind, brief in probes.items():
            standing.trying(held_kind, brief.target_key)
        chosen = [one for _, _, one in heapq.nsmallest(most, waiting, key=lambda entry: entry[:2])]
        keys = [one for one in chosen if isinstance(one, str)]
        keys += [brief.target_key for brief in probes.values()]
        return [one for one in chosen if isinstance(one, Work)], keys

    def begin_round(self, works: Iterable[Work]) -> None:
        """These run next, by phase; they are no longer ready or in rows as far as this queue is concerned."""
        for work in works:
            self._ready.pop(place_of(work), None)
            self.row_gone(work.row_key)
            self._round[place_of(work)] = work

    def upcoming(self) -> list[Work]:
        """What is left of the round, in the order in which it runs."""
        return in_order(self._round.values())

    def start(self, work: Work) -> None:
        del self._round[place_of(work)]
        self._started[work.row_key] = work

    def finish(self, work: Work) -> None:
        """It has ended, or is in a row: the next may start."""
        self._started.pop(work.row_key, None)

    def put_back(self, work: Work) -> None:
        """It could not be brought to an end or into a row: it is ready again."""
        self.finish(work)
        self.add(work)

    def next_at(self, standing: Standing, now: float) -> float:
        """When something can run that can't now; `now` or less when something can."""
        if any(
            standing.stops(work.command.target.kind, work.row_key, now) is None
            for work in self._ready.values()
        ):
            return now
        if standing.stops_all(now):
            return standing.next_at(now)
        return self._next_row_at(standing, now)

    def _next_row_at(self, standing: Standing, now: float) -> float:
        """When a row can run, or a hold is to be tried. All rows are looked at only when they or the holds changed: of
        a long backlog that takes so long that every other tenant of the process would feel it at each command.
        """
        signs = standing.signs()
        if self._no_row_is_due(signs, now):
            return self._no_row_before
        to_probe = set(standing.kinds_to_probe(now))
        due = standing.next_at(now)
        for brief in self._rows.values():
            kind = brief.kind
            if kind in to_probe:
                due = min(due, now if self._may_try(brief, now) else brief.not_before)
            elif standing.stops(kind, brief.target_key, now) is None:
                due = min(due, self._due_at(brief, standing))
        self._as_of, self._no_row_before = signs, due
        return due

    def _no_row_is_due(self, signs: Signs, now: float) -> bool:
        """Whether that is known without looking at each."""
        return signs == self._as_of and now < self._no_row_before

    @staticmethod
    def _may_try(brief: Brief, now: float) -> bool:
        return brief.not_before <= now or (is_hold(brief.waits_for) and brief.not_before < _UNREADABLE)

    @staticmethod
    def _due_at(brief: Brief, standing: Standing) -> float:
        if is_hold(brief.waits_for) and not standing.lasts(str(brief.waits_for)):
            return min(0.0, brief.not_before)
        return brief.not_before
