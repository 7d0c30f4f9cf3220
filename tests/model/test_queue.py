"""The writer's queue against a naive account: of whom must still be told, and of each target's newest state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.store.pending import Brief, Pending
from services.halo_writer.coalesce import newest
from services.halo_writer.queue import Queue
from services.halo_writer.standing import Standing
from services.halo_writer.tools import Timing
from services.halo_writer.work import Work, pending_row
from tests.unit.halo_writer.build import Tool, work_of

TOOL = Tool()
FREE = Standing("acme", Timing())
SPILL_S = 2.0


class QueueMachine(RuleBasedStateMachine):
    """Deliveries, rounds, ends, rows and new terms in any order, as a lane may cause them."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.now = 0.0
        self.rows: dict[str, Work] = {}
        self.in_hand: Work | None = None
        self.given: set[int] = set()
        self.told: set[int] = set()
        self.newest: dict[str, int] = {}
        self.settled: dict[str, int] = {}

    @rule(name=st.sampled_from("abc"), seq=st.integers(1, 5))
    def come(self, name: str, seq: int) -> None:
        self.now += 1.0
        work = work_of(TOOL.quote(name, seq=(seq, 1), title=f"T{seq}"))
        number = len(self.given)
        self.given.add(number)
        work.done.append(partial(self.told.add, number))
        self.newest[name] = max(seq, self.newest.get(name, 0))
        self.queue.submit(work)
        self.sort_in()

    @precondition(lambda self: not self.queue.upcoming())
    @rule(most=st.integers(1, 3))
    def begin_round(self, most: int) -> None:
        ready, keys = self.queue.choose(FREE, self.now, most)
        self.queue.begin_round([*ready, *(self.rows[key] for key in keys)])

    @precondition(lambda self: self.in_hand is None and self.queue.upcoming())
    @rule()
    def start(self) -> None:
        self.in_hand = self.queue.upcoming()[0]
        self.queue.start(self.in_hand)

    @precondition(lambda self: self.in_hand is not None)
    @rule()
    def end(self) -> None:
        work = self.taken_from_hand()
        work.told()
        name = work.command.target.id
        self.settled[name] = max(work.command.seq[0], self.settled.get(name, 0))
        if self.rows.get(work.target_key) is work:
            del self.rows[work.target_key]

    @precondition(lambda self: self.in_hand is not None)
    @rule()
    def park(self) -> None:
        work = best = self.taken_from_hand()
        spilled = self.rows.get(work.target_key) if self.queue.has_row(work.row_key) else None
        for other in (spilled, self.queue.taken_out(work.row_key)):
            if other is not None:
                best = newest(best, other)
        self.into_row(best)

    @rule(wait=st.floats(0.0, 3.0))
    def spill(self, wait: float) -> None:
        self.now += wait
        for work in self.queue.late(self.now, SPILL_S):
            self.into_row(work)
        left = [work for work in self.in_memory() if work is not self.in_hand and not work.durable]
        assert all(self.now - work.taken_at < SPILL_S for work in left)

    @rule()
    def new_term(self) -> None:
        self.in_hand = None
        self.queue.restart(Brief.of(row_of(work)) for work in self.rows.values())
        self.sort_in()

    @invariant()
    def everyone_is_told_or_will_be(self) -> None:
        untold = {
            tell.args[0] for work in self.in_memory() for tell in work.done if isinstance(tell, partial)
        }
        assert self.told | untold == self.given

    @invariant()
    def the_newest_state_is_settled_or_kept(self) -> None:
        for name, seq in self.newest.items():
            kept = [
                work.command.seq[0]
                for work in (*self.in_memory(), *self.rows.values())
                if work.command.target.id == name
            ]
            assert max([*kept, self.settled.get(name, 0)]) == seq

    def sort_in(self) -> None:
        idle, for_rows = self.queue.sort_in(self.now)
        for work in idle:
            self.queue.add(work)
        for key, work in for_rows.items():
            self.into_row(newest(self.rows[key], work))

    def into_row(self, work: Work) -> None:
        self.queue.into_row(row_of(work), work)
        self.rows[work.target_key] = work
        work.told()

    def taken_from_hand(self) -> Work:
        work, self.in_hand = self.in_hand, None
        assert work is not None
        self.queue.finish(work)
        return work

    def in_memory(self) -> Iterator[Work]:
        for here in (self.queue._ready, self.queue._round):
            yield from here.values()
        yield from self.queue._started.values()


def row_of(work: Work) -> Pending:
    return pending_row(work, reason="queued", now=1.0, not_before=0.0)


QueueMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
)
TestQueue = QueueMachine.TestCase
