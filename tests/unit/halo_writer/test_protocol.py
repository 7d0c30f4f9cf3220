"""Never two records, and in the end the newest state: over random histories, and each rule is needed for it."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.commands import Command
from schemas.targets import TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.decisions import ByOurKey, Known
from services.halo_writer.plan import plan
from tests.unit.halo_writer.protocol import World
from tests.unit.halo_writer.protocol_parts import REACH_S, Broken, Rules, commands

WALKS = 400
# Few states, so that a later command often wants what an earlier one wanted.
STATES = [(title, status) for title in "AB" for status in ("Draft", "Sent")]


def walk(seed: int, rules: Rules = Rules()) -> World:  # noqa: B008 - frozen
    chance = random.Random(seed)
    log = commands([chance.choice(STATES) for _ in range(chance.randint(3, 6))])
    choices = (chance.randrange(1 << 30) for _ in range(chance.randint(40, 200)))
    return World(log, rules).walk(choices)


@pytest.mark.invariant("INV-1")
@pytest.mark.invariant("INV-2")
@pytest.mark.invariant("INV-5")
@pytest.mark.feature("hub.idempotent", part="writer")
@given(
    states=st.lists(st.sampled_from(STATES), min_size=1, max_size=6),
    choices=st.lists(st.integers(0, 5039), max_size=200),
)
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_there_is_one_record_and_it_ends_as_the_newest_command_says(
    states: list[tuple[str, str]], choices: list[int]
) -> None:
    World(commands(states)).walk(iter(choices))


def test_random_histories_hold_and_reach_every_interesting_class() -> None:
    reached: Counter[str] = Counter()
    for seed in range(WALKS):
        reached.update(set(walk(seed).seen))
    shares = {name: reached[name] / WALKS for name in sorted(reached, key=lambda name: -reached[name])}
    print({name: f"{share:.0%}" for name, share in shares.items()})
    interesting = {
        "crash",
        "takeover",
        "redelivery",
        "applied unanswered",
        "late applied",
        "lost on the way",
        "throttled",
        "settle refused",
        "settled by looking",
        "create after an open intent",
        "update after an open intent",
        "repeated",
        "superseded",
        "too late to send",
        "unchanged",
    }
    rare = {name: shares.get(name, 0.0) for name in interesting if shares.get(name, 0.0) < 0.05}
    assert not rare


def without_look_up(
    command: Command, row: TargetState, known: Known, *, now: float, settle_s: float
) -> planned.Decision:
    blind = Known(by_our_key=ByOurKey((), proven=True, at=float("inf")), match=planned.NoMatch())
    decision = plan(command, row, known, now=now, settle_s=settle_s)
    if isinstance(decision, planned.FindOurKey):
        return plan(command, row, blind, now=now, settle_s=settle_s)
    return decision


def without_seq(
    command: Command, row: TargetState, known: Known, *, now: float, settle_s: float
) -> planned.Decision:
    decision = plan(command, row, known, now=now, settle_s=settle_s)
    if isinstance(decision, planned.Superseded) and row.halo_id is not None and row.intent is None:
        return planned.Update(row.halo_id, ("head", "status", "lines"))
    return decision


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(Rules(settle_s=0.0), id="no wait until the last request has settled"),
        pytest.param(Rules(plan=without_look_up), id="no look-up before a second create"),
        pytest.param(Rules(plan=without_seq), id="an older command writes"),
        pytest.param(Rules(saves_are_conditional=False), id="rows are saved whoever owns them"),
        pytest.param(
            Rules(sends_are_fenced=False, sends_are_timely=False), id="a writer without the lease sends"
        ),
        pytest.param(Rules(sends_are_timely=False), id="a write leaves long after its intent"),
        pytest.param(Rules(row_before_offset=False), id="the offset goes before the waiting row"),
        pytest.param(Rules(intents_before_writes=False), id="no intent before a write"),
        pytest.param(
            Rules(an_open_write_hides_the_state=False), id="the settled state outlives an open write"
        ),
    ],
)
def test_without_any_one_of_its_rules_the_protocol_breaks(rules: Rules) -> None:
    for seed in range(8000):
        try:
            walk(seed, rules)
        except Broken as broken:
            print(f"walk {seed}: {str(broken)[:300]}")
            return
    pytest.fail("the model can't tell this protocol from the right one")


def test_the_world_never_lets_a_request_outlive_the_time_to_settle() -> None:
    """What the protocol may rely on is what the world keeps: else the tests above would prove too much."""
    for seed in range(50):
        world = walk(seed)
        assert all(flight.sent_at + REACH_S > world.now for flight in world.flights)
