"""The budget across holders, crashes and clocks that step, against a list of the times of all requests.

Two times are kept. `elapsed` is what has passed as far as anyone can tell: a clock that steps back took no time, one
that jumps forward took all of it; no window of it may hold more than the limit. `clock` is what the holder reads.
"""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from halo import Budget
from tests.model.machines import Machine, run

WINDOW_S = 60.0
TINY_S = 1e-6


class Holders(Machine):
    """One holder after another spends a tenant's budget, each by the rules of the gate.

    A grant is used only after the counts were written down; a successor starts from what was written down last.
    """

    @initialize(
        limit=st.one_of(st.integers(1, 12), st.integers(0, 3)),
        bucket_s=st.sampled_from([1.0, 7.5, 10.0, 0.1]),
    )
    def begin(self, limit: int, bucket_s: float) -> None:
        self.limit, self.bucket_s = limit, bucket_s
        self.budget = self.new_budget()
        self.clock, self.read, self.elapsed = 1000.0, 1000.0, 0.0
        self.sent: list[float] = []
        # What this holder counts, by its own clock: requests it knows of, and its present grant.
        self.counted: list[float] = []
        self.granted: list[float] = []
        self.written: tuple[dict[float, int], list[float]] = ({}, [])
        self.unwritten = False
        self.blocked_until = -math.inf

    def new_budget(self) -> Budget:
        return Budget(self.limit, WINDOW_S, self.bucket_s)

    def now(self) -> float:
        """What the holder reads, and what the model makes of it: a grant ends with its bucket."""
        self.read = max(self.read, self.clock)
        self.granted = [at for at in self.granted if self.bucket(at) == self.bucket(self.read)]
        return self.clock

    def bucket(self, at: float) -> int:
        return math.floor(at / self.bucket_s)

    def counts(self, n: int) -> None:
        self.sent += [self.elapsed] * n
        self.saw("sent" if n else "refused")

    def write_down(self) -> None:
        self.written = self.budget.snapshot(), [*self.counted, *self.granted]
        self.unwritten = False

    # Time -------------------------------------------------------------------------------------------------

    @rule(seconds=st.one_of(st.floats(0, 3), st.floats(0, 20), st.floats(40, 90)))
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds
        self.elapsed += seconds

    @rule(n=st.integers(1, 12))
    def waits_as_long_as_foretold(self, n: int) -> None:
        """And sends all that it may at once: the burst that a window would notice."""
        free_at = self.budget.next_free_at(self.now())
        if math.isfinite(free_at):
            self.time_passes(max(0.0, free_at - self.clock))
            self.spend(max(1, min(n, self.budget.available(self.now()) + len(self.granted))))

    @rule(seconds=st.one_of(st.floats(0.1, 20), st.floats(1, 3600)))
    def the_clock_steps_back(self, seconds: float) -> None:
        self.clock -= seconds
        self.saw("clock back")

    @rule(seconds=st.floats(100, 7200))
    def the_clock_jumps_ahead(self, seconds: float) -> None:
        self.clock += seconds
        self.elapsed += seconds
        self.saw("clock ahead")

    # Spending ---------------------------------------------------------------------------------------------

    @rule(n=st.integers(1, 6))
    def spend(self, n: int) -> None:
        """Takes without asking for a grant first; its counts are written down with it."""
        now = self.now()
        done = self.budget.spend(now, n)
        assert not (done and self.read < self.blocked_until), "spent while blocked"
        if done:
            used = min(n, len(self.granted))
            del self.granted[:used]
            self.counted += [self.read] * n
            self.write_down()
        self.counts(n if done else 0)

    @rule(n=st.integers(1, 8), writes=st.booleans())
    def reserve(self, n: int, writes: bool) -> None:
        now = self.now()
        got = self.budget.reserve(now, n)
        assert 0 <= got <= n
        assert not (got and self.read < self.blocked_until), "granted while blocked"
        self.granted += [self.read] * got
        self.unwritten = self.unwritten or got > 0
        self.saw("granted" if got else "not granted")
        if writes:
            self.write_down()

    @precondition(lambda self: self.unwritten)
    @rule()
    def writes_down_at_last(self) -> None:
        self.write_down()

    @precondition(lambda self: not self.unwritten)
    @rule(n=st.integers(1, 4))
    def use_grant(self, n: int) -> None:
        now = self.now()
        done = self.budget.spend_granted(now, n)
        blocked = self.read < self.blocked_until
        assert done == (n <= len(self.granted) and not blocked), "a grant is there to be used, once"
        if done:
            del self.granted[:n]
            self.counted += [self.read] * n
            self.saw("grant used")
        self.counts(n if done else 0)

    @rule(n=st.integers(1, 4))
    def request(self, n: int) -> None:
        """As the gate asks: from the grant, else from a new one that is written down first."""
        if self.unwritten or n > len(self.granted):
            self.reserve(n, writes=True)
        self.use_grant(n)

    @rule(seconds=st.one_of(st.none(), st.floats(0, 30)))
    def refused_by_halo(self, seconds: float | None) -> None:
        now = self.now()
        self.budget.throttled(now, seconds)
        until = self.read + (WINDOW_S if seconds is None else seconds)
        self.blocked_until = max(self.blocked_until, until)
        assert self.budget.blocked_until == self.blocked_until
        self.saw("throttled with a grant" if self.granted else "throttled")
        self.the_next_request_is_foretold(0.5)

    # Hand-over --------------------------------------------------------------------------------------------

    @rule(tells_block=st.booleans(), granted=st.sampled_from([0, 0, 3]))
    def crash(self, tells_block: bool, granted: int) -> None:
        """What was granted and written down counts as spent, whether or not it was."""
        if granted:
            self.reserve(granted, writes=True)
        self.saw("crash with a grant" if self.granted and not self.unwritten else "crash")
        self.take_over(tells_block)

    @rule(tells_block=st.booleans())
    def leave_in_order(self, tells_block: bool) -> None:
        self.now()
        self.write_down()
        self.saw("left in order")
        self.take_over(tells_block)

    def take_over(self, tells_block: bool) -> None:
        counts, self.counted = self.written
        self.counted = list(self.counted)
        self.granted, self.unwritten = [], False
        self.budget = self.new_budget()
        self.budget.restore(counts)
        if tells_block:
            self.budget.block_until(self.blocked_until)
        else:
            self.blocked_until = -math.inf
        self.read = max([self.clock, *(start for start in counts)])

    # What must hold ---------------------------------------------------------------------------------------

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        for at in dict.fromkeys(self.sent):
            held = sum(at - WINDOW_S + TINY_S < other <= at for other in self.sent)
            assert held <= self.limit, f"{held} requests in the window up to {at}"

    @invariant()
    def what_is_left_is_what_the_list_says(self) -> None:
        """At most what no window forbids; at least what is free once a bucket has left the window for sure."""
        now = self.now()
        available, granted = self.budget.available(now), self.budget.granted(now)
        if self.read < self.blocked_until:
            assert (available, granted) == (0, 0)
            return
        assert granted == len(self.granted)
        recent = sum(at > self.elapsed - WINDOW_S + TINY_S for at in self.sent)
        assert available + granted <= self.limit - recent
        counted = sum(at > self.read - WINDOW_S - self.bucket_s - TINY_S for at in self.counted)
        assert available >= self.limit - counted - granted

    @rule(share=st.sampled_from([0.0, 0.5, 0.99]))
    def the_next_request_is_foretold(self, share: float) -> None:
        now = self.now()
        free_at = self.budget.next_free_at(now)
        if self.limit == 0:
            assert free_at == math.inf
            return
        assert self.read <= free_at < math.inf
        early = self.read + (free_at - self.read) * share
        if early < free_at - TINY_S:
            self.saw("must wait")
            assert not copy.deepcopy(self.budget).spend(early), "free sooner than was foretold"
        assert copy.deepcopy(self.budget).spend(free_at), "not free when it was foretold"


@pytest.mark.invariant("INV-9")
def test_whoever_spends_and_whatever_the_clock_does_no_window_holds_more_than_the_limit() -> None:
    run(
        Holders,
        interesting=[
            "clock back",
            "clock ahead",
            "sent",
            "refused",
            "granted",
            "grant used",
            "throttled",
            "crash",
            "crash with a grant",
            "left in order",
            "must wait",
        ],
        examples=160,
        steps=50,
    )
