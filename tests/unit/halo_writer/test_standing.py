"""What stops a tenant's commands: learnt once, tried one at a time, forgotten when it is over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store.holds import WINDOW, Hold
from schemas.targets import KINDS
from services.halo_writer.standing import Standing, is_hold, waits_for
from services.halo_writer.tools import Timing

TIMING = Timing(unreachable_s=1.0, unreachable_most_s=8.0, denied_s=10.0, denied_most_s=40.0)


@pytest.fixture
def standing() -> Standing:
    return Standing("acme", TIMING)


def stopped(standing: Standing, now: float) -> set[str]:
    return {kind for kind in KINDS if standing.stops(kind, f"some-{kind}", now) is not None}


@pytest.mark.invariant("INV-15")
def test_a_halo_that_does_not_answer_stops_everything_until_a_probe_is_answered(standing: Standing) -> None:
    opened = standing.no_answer(100.0, "timeout")
    assert opened.first
    assert stopped(standing, 100.0) == set(KINDS)
    assert standing.halo_to_probe(100.9) is None
    assert standing.halo_to_probe(101.0) is not None
    assert stopped(standing, 1000.0) == set(KINDS), "time alone proves nothing"
    assert standing.came_back() == opened.hold
    assert stopped(standing, 1000.0) == set()


def test_waits_between_probes_double_up_to_their_most_and_only_the_first_is_news(standing: Standing) -> None:
    now, waits, news = 0.0, [], []
    for _ in range(6):
        opened = standing.no_answer(now, None)
        waits.append(opened.hold.probe_at - now)
        news.append(opened.first)
        now = opened.hold.probe_at
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert news == [True, False, False, False, False, False]
    assert standing.holds()[0].since == 0.0


def test_a_lost_login_takes_the_place_of_a_silent_halo_as_news(standing: Standing) -> None:
    standing.no_answer(0.0, None)
    lost = standing.login_lost(5.0, "invalid_client")
    assert lost.first
    assert (lost.hold.reason, lost.hold.since) == ("unauthorised", 5.0)


@pytest.mark.feature("perm.denied", part="writer")
def test_one_refused_record_stops_nobody_two_stop_their_kind(standing: Standing) -> None:
    assert standing.denied("quote", "q-1", 0.0, None) is None
    assert stopped(standing, 0.0) == set()
    assert standing.denied("quote", "q-1", 1.0, None) is None, "the same record again proves nothing"
    opened = standing.denied("quote", "q-2", 2.0, "no right")
    assert opened is not None
    assert opened.first
    assert stopped(standing, 2.0) == {"quote"}


def test_a_record_that_goes_through_clears_the_suspicion(standing: Standing) -> None:
    standing.denied("quote", "q-1", 0.0, None)
    assert standing.answered("quote") is None
    assert standing.denied("quote", "q-2", 1.0, None) is None


@pytest.mark.invariant("INV-15")
def test_a_held_kind_is_tried_with_one_record_at_a_time(standing: Standing) -> None:
    standing.denied("quote", "q-1", 0.0, None)
    standing.denied("quote", "q-2", 0.0, None)
    assert standing.kinds_to_probe(9.9) == []
    assert standing.kinds_to_probe(10.0) == ["quote"]
    standing.trying("quote", "q-3")
    assert standing.kinds_to_probe(10.0) == []
    assert standing.stops("quote", "q-3", 10.0) is None
    assert standing.stops("quote", "q-4", 10.0) is not None
    standing.tried("quote", "q-3", 10.0)
    assert standing.kinds_to_probe(10.0) == [], "what showed nothing is tried again a little later"
    assert standing.kinds_to_probe(11.0) == ["quote"]
    assert standing.answered("quote") is not None
    assert stopped(standing, 11.0) == set()


@pytest.mark.feature("hub.rate", part="halo client")
def test_a_429_stops_everything_until_it_ends_by_itself_and_never_ends_earlier(standing: Standing) -> None:
    standing.limited(60.0, 0.0, None)
    standing.limited(30.0, 1.0, None)
    assert stopped(standing, 59.9) == set(KINDS)
    assert stopped(standing, 60.0) == set()
    assert standing.limited(120.0, 61.0, None).first, "a new one is news again"


def test_no_probe_is_sent_while_the_window_is_closed(standing: Standing) -> None:
    standing.no_answer(0.0, None)
    standing.denied("quote", "q-1", 0.0, None)
    standing.denied("quote", "q-2", 0.0, None)
    standing.limited(60.0, 0.0, None)
    assert standing.halo_to_probe(59.0) is None
    assert standing.kinds_to_probe(59.0) == []
    assert standing.next_at(59.0) == 60.0
    assert standing.halo_to_probe(60.0) is not None


def test_what_others_store_is_heard_if_it_says_wait_longer_or_try_sooner(standing: Standing) -> None:
    lost = standing.login_lost(0.0, None).hold
    window = Hold(tenant="acme", scope=WINDOW, reason="limited", since=0.0, probe_at=20.0)
    assert standing.heard([window])
    assert not standing.heard([window])
    assert stopped(standing, 19.0) == set(KINDS)
    assert standing.next_at(0.0) == 20.0
    sooner = Hold(**{**{n: getattr(lost, n) for n in lost.__struct_fields__}, "probe_at": 0.0})
    standing.heard([sooner])
    assert standing.halo_to_probe(20.0) is not None
    other_kind = Hold(tenant="acme", scope="quote", reason="denied", since=0.0, probe_at=0.0)
    standing.heard([other_kind])
    standing.came_back()
    assert stopped(standing, 30.0) == set(), "what is not ours is not taken up in the middle of a term"


def test_a_row_says_which_hold_it_waits_for(standing: Standing) -> None:
    hold = standing.no_answer(0.0, None).hold
    assert is_hold(waits_for(hold))
    assert standing.lasts(waits_for(hold))
    standing.came_back()
    assert not standing.lasts(waits_for(hold))
    assert not is_hold("acme/halo/quoter/client/org-1/")
    assert not is_hold(None)


EVENTS = st.sampled_from(["limited", "no_answer", "login_lost", "denied", "answered", "came_back"])


@given(st.lists(st.tuples(EVENTS, st.sampled_from(KINDS), st.integers(0, 3), st.floats(0, 30)), max_size=40))
@settings(derandomize=True)
def test_whatever_happens_something_is_tried_again_in_bounded_time(
    history: list[tuple[str, str, int, float]],
) -> None:
    """No hold is for ever: at the time that `next_at` names, something may be sent."""
    standing, now = Standing("acme", TIMING), 0.0
    for event, kind, key, wait in history:
        now += wait
        match event:
            case "limited":
                standing.limited(now + wait, now, None)
            case "no_answer":
                standing.no_answer(now, None)
            case "login_lost":
                standing.login_lost(now, None)
            case "denied":
                standing.denied(kind, f"{kind}-{key}", now, None)
            case "answered":
                standing.answered(kind)
            case _:
                standing.came_back()
    for kind in KINDS:
        at = now
        while standing.stops(kind, "some", at) is not None:
            if standing.halo_to_probe(at) is not None or kind in standing.kinds_to_probe(at):
                break
            later = standing.next_at(at)
            assert at < later <= now + TIMING.denied_most_s + 30.0
            at = later
