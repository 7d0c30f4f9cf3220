"""The rolling-window budget against a naive model: whatever arrives, however clocks jump and holders die."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from halo import Budget

LIMIT, WINDOW_S, BUCKET_S = 10, 60.0, 10.0


def budget(limit: int = LIMIT, window_s: float = WINDOW_S, bucket_s: float = BUCKET_S) -> Budget:
    return Budget(limit, window_s, bucket_s)


def most_in_any_window(sent: Sequence[float], window_s: float) -> int:
    """The naive model: the most requests that some window of `window_s` holds."""
    return max((sum(at - window_s < other <= at for other in sent) for at in sent), default=0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["spend", "spend", "spend", "reserve", "use", "crash", "block"]),
        st.integers(1, 6),
        st.one_of(st.just(0.0), st.floats(0, 15), st.floats(0, 90), st.floats(-40, 0)),
    ),
    max_size=80,
)


@given(steps=steps, limit=st.integers(0, 12), bucket_s=st.sampled_from([1.0, 7.5, 10.0, 0.1]))
@pytest.mark.invariant("INV-9")
def test_no_window_ever_holds_more_than_the_limit(
    steps: list[tuple[str, int, float]], limit: int, bucket_s: float
) -> None:
    """Time here is the clock's running maximum: a clock that steps back must not buy anything."""
    current, now, clock, sent = budget(limit, WINDOW_S, bucket_s), -math.inf, 1000.0, list[float]()
    written: dict[float, int] = {}
    for what, n, delta in steps:
        clock += delta
        now = max(now, clock)
        spent = 0
        if what == "spend":
            spent = n if current.spend(clock, n) else 0
            written = current.snapshot()
        elif what == "reserve":
            assert current.reserve(clock, n) <= n
            written = current.snapshot()
        elif what == "use":
            spent = n if current.spend_granted(clock, n) else 0
        elif what == "block":
            current.block_until(clock + n)
        else:
            event("a holder died")
            current = budget(limit, WINDOW_S, bucket_s)
            current.restore(written)
        event(f"{what}: {'sent' if spent else 'nothing sent'}")
        sent += [now] * spent
        assert most_in_any_window(sent, WINDOW_S - 1e-6) <= limit
        assert 0 <= current.available(clock) + current.granted(clock) <= limit


@given(
    spends=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), min_size=1, max_size=40),
    reserved=st.integers(0, 5),
    blocked_s=st.one_of(st.just(0.0), st.floats(0, 100)),
)
def test_next_free_at_is_the_first_moment_at_which_a_request_may_go(
    spends: list[tuple[float, int]], reserved: int, blocked_s: float
) -> None:
    now, one = 1000.0, budget()
    for delta, n in spends:
        now += delta
        one.spend(now, n)
    one.reserve(now, reserved)
    one.block_until(now + blocked_s)
    free_at = one.next_free_at(now)
    for share in (0.0, 0.5, 0.99):
        earlier = now + (free_at - now) * share
        if earlier < free_at - 1e-6:
            assert not _copy(one, now).spend(earlier)
    assert _copy(one, now).spend(free_at)


def _copy(source: Budget, now: float) -> Budget:
    """The same holder, so that a trial does not spend."""
    import copy

    return copy.deepcopy(source)


@given(st.lists(st.floats(0, 20), max_size=60))
def test_what_left_the_window_comes_back(deltas: list[float]) -> None:
    now, one = 0.0, budget()
    for delta in deltas:
        now += delta
        one.spend(now)
    assert one.available(now + WINDOW_S + BUCKET_S) == LIMIT
    assert one.snapshot() == {}


def test_a_burst_may_take_the_whole_window_and_is_freed_when_its_bucket_has_left() -> None:
    one = budget()
    assert one.spend(1003.0, LIMIT)
    assert not one.spend(1003.0)
    assert one.next_free_at(1003.0) == 1070.0
    assert not one.spend(1069.9)
    assert one.spend(1070.0, LIMIT)


def test_several_are_spent_together_or_not_at_all() -> None:
    one = budget()
    assert not one.spend(0.0, LIMIT + 1)
    assert one.available(0.0) == LIMIT


def test_a_clock_that_steps_back_gives_nothing_back() -> None:
    one = budget()
    assert one.spend(1003.0, LIMIT)
    assert one.available(3.0) == 0
    assert one.available(1062.0) == 0
    assert one.next_free_at(3.0) == 1070.0


def test_a_grant_counts_as_spent_when_reserved_and_is_used_without_spending_more() -> None:
    one = budget()
    assert one.reserve(1001.0, 4) == 4
    assert (one.available(1001.0), one.granted(1001.0)) == (6, 4)
    assert one.spend_granted(1002.0, 3)
    assert (one.available(1002.0), one.granted(1002.0)) == (6, 1)
    assert not one.spend_granted(1002.0, 2)
    assert one.spend(1002.0, 2)
    assert (one.available(1002.0), one.granted(1002.0)) == (5, 0)


def test_a_grant_is_cut_to_what_is_left() -> None:
    one = budget()
    assert one.reserve(1001.0, 7) == 7
    assert one.reserve(1001.0, 7) == 3
    assert one.reserve(1001.0, 7) == 0
    assert one.granted(1001.0) == LIMIT


def test_an_unused_grant_ends_with_its_bucket_and_is_given_back() -> None:
    one = budget()
    one.reserve(1001.0, 4)
    assert one.spend_granted(1009.9)
    assert not one.spend_granted(1010.0)
    assert one.available(1010.0) == LIMIT - 1
    assert one.snapshot() == {1000.0: 1}


@pytest.mark.invariant("INV-9")
def test_a_successor_takes_the_whole_grant_of_a_dead_holder_as_spent() -> None:
    dead = budget()
    dead.spend(1001.0, 2)
    dead.reserve(1001.0, 5)
    written = dead.snapshot()
    dead.spend_granted(1002.0)
    heir = budget()
    heir.restore(written)
    assert written == {1000.0: 7}
    assert (heir.available(1003.0), heir.granted(1003.0)) == (3, 0)
    assert heir.available(1069.9) == 3
    assert heir.available(1070.0) == LIMIT


def test_a_successor_whose_clock_is_behind_gains_nothing() -> None:
    heir = budget()
    heir.restore({1000.0: LIMIT})
    assert heir.available(10.0) == 0
    assert heir.next_free_at(10.0) == 1070.0


def test_restoring_over_own_counts_keeps_the_higher_ones() -> None:
    one = budget()
    one.spend(1001.0, 3)
    one.restore({1000.0: 2, 990.0: 4})
    assert one.snapshot() == {990.0: 4, 1000.0: 3}


def test_snapshot_and_restore_are_inverse() -> None:
    one = budget()
    for at in (3.0, 14.0, 15.0, 42.0):
        one.spend(at)
    twin = budget()
    twin.restore(one.snapshot())
    assert twin.snapshot() == one.snapshot() == {0.0: 1, 10.0: 2, 40.0: 1}
    assert [twin.available(at) for at in (50.0, 70.0, 80.0, 110.0)] == [6, 7, 9, 10]


def test_a_block_holds_back_grants_too_and_ends_by_itself() -> None:
    one = budget()
    one.reserve(1001.0, 2)
    one.block_until(1005.0)
    one.block_until(1003.0)
    assert one.blocked_until == 1005.0
    assert (one.available(1004.0), one.granted(1004.0), one.spend(1004.0)) == (0, 0, False)
    assert one.next_free_at(1004.0) == 1005.0
    assert one.spend_granted(1005.0, 2)


@pytest.mark.parametrize(("retry_after_s", "free_at"), [(17.0, 1020.0), (None, 1063.0)])
def test_a_429_waits_as_long_as_asked_or_else_the_whole_window(
    retry_after_s: float | None, free_at: float
) -> None:
    one = budget()
    one.throttled(1003.0, retry_after_s)
    assert one.next_free_at(1003.0) == free_at
    assert not one.spend(free_at - 0.1)
    assert one.spend(free_at)


def test_a_limit_of_nothing_is_never_free() -> None:
    one = budget(limit=0)
    assert not one.spend(0.0)
    assert one.next_free_at(0.0) == math.inf


@pytest.mark.parametrize("bad", [(-1, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, 0.0)])
def test_an_impossible_budget_is_refused(bad: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="no budget"):
        Budget(*bad)
