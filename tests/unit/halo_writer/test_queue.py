"""Where a tenant's commands are: nothing is forgotten, nothing stays in memory alone, old work is not starved."""

from __future__ import annotations

import msgspec
import pytest

from hub.store.holds import Hold
from hub.store.pending import Brief, Pending
from schemas.commands import Command
from services.halo_writer.queue import Queue
from services.halo_writer.standing import Standing, waits_for
from services.halo_writer.tools import Timing
from services.halo_writer.work import Work, pending_row
from tests.unit.halo_writer.build import Tool, changed, work_of

TOOL = Tool()
TIMING = Timing(unreachable_s=1.0, denied_s=1.0)
FREE = Standing("acme", TIMING)


def full(quote: str, seq: int = 1) -> Command:
    return TOOL.quote(quote, seq=(seq, 1), title=f"T{seq}")


def ensure(quote: str) -> Command:
    return changed(TOOL.quote(quote), ensure=True, seq=())


def row_of(work: Work, reason: str = "queued", not_before: float = 0.0, waits: str | None = None) -> Pending:
    return pending_row(work, reason=reason, now=1.0, not_before=not_before, waits_for=waits)


def waiting(queue: Queue, command: Command, **row: object) -> Work:
    work = work_of(command)
    queue.into_row(row_of(work, **row), work)  # type: ignore[arg-type]
    return work


def came(queue: Queue, now: float, *commands: Command) -> list[Work]:
    """Deliver, sort in, and add what has to run; each work has someone to tell."""
    works = [work_of(command) for command in commands]
    for work in works:
        work.done.append(lambda: None)
        queue.submit(work)
    idle, for_rows = queue.sort_in(now)
    for work in idle:
        queue.add(work)
    return list(for_rows.values())


def keys(queue: Queue, standing: Standing = FREE, now: float = 10.0, most: int = 100) -> set[str]:
    ready, rows = queue.choose(standing, now, most)
    return {work.target_key for work in ready} | set(rows)


def key(quote: str) -> str:
    return full(quote).target.key


@pytest.mark.invariant("INV-16")
def test_what_is_in_memory_alone_for_too_long_is_named_whatever_it_waits_for() -> None:
    queue = Queue()
    came(queue, 1.0, full("a"))
    came(queue, 2.5, full("b"))
    queue.begin_round(queue.choose(FREE, 3.0, 1)[0])
    assert [work.target_key for work in queue.late(3.0, 2.0)] == [key("a")]
    assert {work.target_key for work in queue.late(5.0, 2.0)} == {key("a"), key("b")}


@pytest.mark.invariant("INV-16")
def test_a_command_in_a_row_leaves_memory_and_is_not_late_again() -> None:
    queue = Queue()
    came(queue, 1.0, full("a"))
    (late,) = queue.late(3.0, 2.0)
    queue.into_row(row_of(late), late)
    assert (queue.in_memory, queue.in_rows) == (0, 1)
    assert queue.late(100.0, 2.0) == []
    assert keys(queue) == {key("a")}


def test_an_ensure_and_its_full_command_share_one_row() -> None:
    queue = Queue()
    came(queue, 1.0, ensure("a"), full("a"))
    (late,) = queue.late(3.0, 2.0)
    assert not late.command.ensure
    assert len(late.done) == 2, "both are told when it is in a row"


def test_newer_commands_of_a_target_that_waits_go_to_its_row_and_do_not_run() -> None:
    queue = Queue()
    waiting(queue, full("a", 1), not_before=100.0)
    (newest,) = came(queue, 5.0, full("a", 2), full("a", 3))
    assert newest.command.seq == (3, 1)
    assert keys(queue) == set()


def test_a_newer_command_joins_its_target_in_the_present_round() -> None:
    queue = Queue()
    came(queue, 1.0, full("a", 1))
    queue.begin_round(queue.choose(FREE, 1.0, 9)[0])
    came(queue, 2.0, full("a", 2))
    (work,) = queue.upcoming()
    assert work.command.seq == (2, 1)
    assert [older.seq for older in work.superseded] == [(1, 1)]


def test_a_newer_command_of_one_in_hand_gets_no_row_before_that_one_has_ended() -> None:
    """It would take the place of the other's row, and with it all that is to be told of that one."""
    queue = Queue()
    came(queue, 1.0, full("a", 1))
    queue.begin_round(queue.choose(FREE, 1.0, 9)[0])
    (in_hand,) = queue.upcoming()
    queue.start(in_hand)
    came(queue, 2.0, full("a", 2))
    assert queue.upcoming() == []
    assert queue.late(40.0, 2.0) == []
    queue.finish(in_hand)
    assert [work.command.seq for work in queue.late(40.0, 2.0)] == [(2, 1)]


def test_a_round_takes_what_waits_longest_so_that_new_work_starves_nothing() -> None:
    queue = Queue()
    for age, name in enumerate("abc"):
        work = work_of(TOOL.client(name, name=name.upper()))
        work.taken_at = float(age + 5)
        queue.into_row(row_of(work), work)
    old = work_of(full("old"))
    old.taken_at = 0.5
    queue.into_row(row_of(old), old)
    assert key("old") in keys(queue, most=2), "though its phase comes last"


def test_a_kind_that_is_held_waits_and_its_neighbours_run() -> None:
    queue, standing = Queue(), Standing("acme", TIMING)
    standing.denied("quote", "x", 0.0, None)
    standing.denied("quote", "y", 0.0, None)
    client = waiting(queue, TOOL.client())
    waiting(queue, full("a"))
    came(queue, 0.5, full("b"))
    assert keys(queue, standing, 0.5) == {client.target_key}
    assert [work.target_key for work in queue.held(standing, 0.5)] == [key("b")]


def test_a_row_of_a_kind_that_this_release_does_not_know_is_held_by_no_other_kinds_trouble() -> None:
    queue, standing = Queue(), Standing("acme", TIMING)
    for name in "xy":
        standing.denied("client", name, 0.0, None)
    for target_key in ("acme/h/s/lead/1/", "version/event-1"):
        row = msgspec.structs.replace(row_of(work_of(full("a"))), target_key=target_key)
        queue.row_written(Brief.of(row))
    waiting(queue, TOOL.client())
    assert keys(queue, standing, 0.5) == {"acme/h/s/lead/1/", "version/event-1"}


def test_a_held_kind_is_tried_with_the_record_that_was_tried_least() -> None:
    queue, standing = Queue(), Standing("acme", TIMING)
    opened = None
    for name in "xy":
        opened = standing.denied("quote", name, 0.0, None)
    assert opened is not None
    for attempts, name in ((3, "a"), (0, "b"), (1, "c")):
        work = work_of(full(name))
        row = row_of(work, "denied", 50.0, waits_for(opened.hold))
        queue.into_row(msgspec.structs.replace(row, attempts=attempts), work)
    assert keys(queue, standing, 1.5) == {key("b")}
    assert keys(queue, standing, 1.5) == set(), "one at a time"


def test_what_waits_for_a_hold_runs_when_the_hold_is_over_even_if_nobody_woke_it() -> None:
    queue, standing = Queue(), Standing("acme", TIMING)
    hold = standing.no_answer(0.0, None).hold
    waiting(queue, full("a"), reason="unreachable", not_before=1e9, waits=waits_for(hold))
    assert keys(queue, standing, 5.0) == set()
    standing.came_back()
    assert keys(queue, standing, 5.0) == {key("a")}


def test_a_row_that_waits_for_a_record_is_woken_by_it() -> None:
    queue = Queue()
    waiting(queue, full("a"), reason="dependency", not_before=1e9, waits="some-client")
    assert queue.next_at(FREE, 5.0) == 1e9
    assert queue.wake("some-client")
    assert not queue.wake("some-other")
    assert queue.next_at(FREE, 5.0) <= 5.0


def test_a_row_that_this_release_cannot_read_is_never_due() -> None:
    queue = Queue()
    waiting(queue, full("a"))
    queue.unreadable(key("a"))
    assert keys(queue, now=1e12) == set()
    assert queue.next_at(FREE, 0.0) == float("inf")


def test_a_new_term_takes_again_what_was_in_memory_alone_and_forgets_what_rows_have() -> None:
    queue = Queue()
    came(queue, 1.0, full("a"), full("b"), full("c"))
    (a, *_) = queue.choose(FREE, 1.0, 1)[0]
    queue.begin_round([a])
    queue.start(a)
    b = queue.taken_out(key("b"))
    assert b is not None
    queue.into_row(row_of(b), b)
    brief = Brief.of(row_of(b))
    queue.restart([brief])
    assert queue.arrived == 2, "the one in hand and the one that was ready"
    assert queue.in_rows == 1
    assert all(work.row is None for work in queue.sort_in(9.0)[0])


class Counted(Standing):
    """Counts how often it is asked about a command."""

    asked = 0

    def stops(self, kind: str, key: str, now: float) -> Hold | None:
        self.asked += 1
        return super().stops(kind, key, now)


def asked(queue: Queue, standing: Counted, now: float) -> int:
    """How many commands a look at what can run now takes."""
    standing.asked = 0
    queue.choose(standing, now, 100)
    queue.next_at(standing, now)
    return standing.asked


@pytest.mark.fault("F42")
@pytest.mark.parametrize("scope", [None, "halo", "quote"])
def test_a_long_backlog_is_not_gone_through_for_each_command_that_comes(scope: str | None) -> None:
    """Each look at all of a hundred thousand rows stops the process, and with it every other tenant, for a while."""
    queue, standing = Queue(), Counted("acme", TIMING)
    if scope is not None:
        standing._open(held(scope, probe_at=50.0), first=True)
    name = None if scope is None else f"hold/{scope}"
    for number in range(50):
        waiting(queue, full(f"q{number}"), not_before=50.0, waits=name)
    asked(queue, standing, 10.0)
    assert asked(queue, standing, 11.0) <= 1
    waiting(queue, full("new"), not_before=50.0, waits=name)
    waiting(queue, full("q7", 2), not_before=50.0, waits=name)
    assert asked(queue, standing, 12.0) <= 1
    assert queue.next_at(standing, 12.0) == 50.0
    assert keys(queue, standing, 12.0) == set()


def test_what_became_due_while_nothing_was_gone_through_runs() -> None:
    queue = Queue()
    for quote in ("a", "b", "c"):
        waiting(queue, full(quote), not_before=50.0, waits="the client" if quote == "c" else None)
    assert queue.next_at(FREE, 10.0) == 50.0
    waiting(queue, full("soon"), not_before=20.0)
    assert queue.next_at(FREE, 10.0) == 20.0
    assert keys(queue, now=19.0) == set()
    assert keys(queue, now=20.0) == {key("soon")}
    queue.wake("the client")
    assert queue.next_at(FREE, 10.0) <= 10.0
    assert keys(queue, now=10.0) == {key("c")}
    assert keys(queue, now=50.0) == {key(quote) for quote in ("a", "b", "c", "soon")}


def test_a_hold_that_begins_or_ends_is_seen_though_no_row_changed() -> None:
    queue, standing = Queue(), Standing("acme", TIMING)
    waiting(queue, full("a"), not_before=5.0)
    standing.login_lost(10.0, None)
    probe_at = queue.next_at(standing, 10.0)
    assert probe_at > 10.0
    standing.came_back()
    assert queue.next_at(standing, 10.0) <= 10.0
    assert keys(queue, standing, 10.0) == {key("a")}
    standing.denied("quote", "x", 10.0, None)
    standing.denied("quote", "y", 10.0, None)
    held_until = queue.next_at(standing, 10.0)
    assert held_until == 11.0
    waiting(queue, full("b"), not_before=11.0, waits="hold/quote")
    assert keys(queue, standing, 10.5) == set()
    assert keys(queue, standing, 11.0) == {key("a")}, "the one that was tried least, or came first"
    standing.answered("quote")
    assert queue.next_at(standing, 11.0) <= 11.0
    assert keys(queue, standing, 11.0) == {key("a"), key("b")}


def test_a_row_that_waits_for_a_hold_nobody_knows_runs_at_once() -> None:
    queue = Queue()
    waiting(queue, full("a"), not_before=50.0)
    assert queue.next_at(FREE, 10.0) == 50.0
    waiting(queue, full("b"), not_before=50.0, waits="hold/quote")
    assert queue.next_at(FREE, 10.0) <= 10.0
    assert keys(queue, now=10.0) == {key("b")}


def held(scope: str, *, probe_at: float) -> Hold:
    return Hold(tenant="acme", scope=scope, reason="denied", since=0.0, probe_at=probe_at)
