"""Which of a tenant's waiting commands run, and in what order. Pure.

Invariants:

* INV-6  Per target only the newest command by `seq` runs; an older one ends `superseded` when that one settles.
* INV-7  An `ensure` never replaces a command that has a `seq` among those that may run; the ensure runs first.
* Phases order dependencies: a client before its site, its user, its opportunity and its quote.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from schemas.ordering import Seq, order_of
from services.halo_writer.work import Work

Place = tuple[str, bool]
"""A target, and whether it is its ensure or its full command: both may run, one after the other."""


def place_of(work: Work) -> Place:
    return work.row_key, work.command.ensure


def coalesce(arrived: Iterable[Work], parked: Container[str]) -> tuple[list[Work], dict[str, Work]]:
    """Splits what arrived into commands that may run now, one per target, and the newest for targets that wait.

    `parked` are the keys of the targets that wait in rows. A returned work has taken over whatever the commands that
    it replaces must still be told.
    """
    ready: dict[Place, Work] = {}
    waiting: dict[str, Work] = {}
    for work in arrived:
        key = work.target_key
        if key in parked:
            waiting[key] = newest(waiting[key], work) if key in waiting else work
        else:
            place = place_of(work)
            ready[place] = newest(ready[place], work) if place in ready else work
    return list(ready.values()), waiting


def newest(before: Work, after: Work) -> Work:
    """The one of two commands for one target that is to run, having taken over what the other must be told.

    Of equals the later wins. While a target waits, a full command also replaces an ensure: it creates as well. An
    ensure that may end without its record replaces none that makes it.
    """
    if _rank(before) > _rank(after):
        before.replaces(after)
        return before
    after.replaces(before)
    return after


def in_order(works: Iterable[Work]) -> list[Work]:
    """By phase, ensures before full commands, then by seq; commands that are alike keep their order of arrival."""
    return sorted(works, key=lambda work: (work.phase, not work.command.ensure, order_of(work.command.seq)))


def _rank(work: Work) -> tuple[bool, bool, tuple[Seq, Seq]]:
    command = work.command
    return not command.ensure, not (command.ensure and command.conditional), order_of(command.seq)
