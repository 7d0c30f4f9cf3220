"""The say over each request: never past the lease, never late after its intent, never over the budget."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo import Budget, GateClosed
from hub.lease_keeper import Held
from hub.steps import Steps
from hub.store.errors import StoreUnavailable
from hub.store.leases import Lease
from services.halo_writer.gate import TenantGate, TooLate

TTL_S, TIMEOUT_S = 30.0, 5.0
STORE_OFFSET = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Block:
    """What other shares have met."""

    ends_at = float("-inf")

    async def until(self, now: float) -> float:
        return self.ends_at


class Keeper:
    """Keeps the lease's row; remembers what was written down, and says no once another has the lease."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.saved: dict[str, int] = {}
        self.saves = 0
        self.renewals = 0
        self.taken = False
        self.reachable = True
        self.held: Held | None = None
        self.block = Block()

    def take(self) -> Held:
        self.held = Held(
            Lease("acme", "write", "me", 1, self.clock.now + TTL_S, dict(self.saved)),
            ends_at=self.clock.now + TTL_S,
            store_offsets=(STORE_OFFSET, STORE_OFFSET),
            clock=self.clock,
        )
        return self.held

    async def save_spend(self, held: Held, spend: Mapping[str, int]) -> bool:
        if not self.reachable:
            raise StoreUnavailable("no store")
        if self.taken:
            held.lost = True
            return False
        self.saved = dict(spend)
        self.saves += 1
        held.renewed(self.clock.now + TTL_S)
        return True

    async def renew_all(self) -> None:
        assert self.held is not None
        self.renewals += 1
        if self.taken:
            self.held.lost = True
        elif self.reachable:
            self.held.renewed(self.clock.now + TTL_S)


def gate_of(keeper: Keeper, limit: int = 100, window_s: float = 300.0) -> TenantGate:
    return TenantGate(keeper, keeper.take(), Budget(limit, window_s), Steps({}), keeper.block)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(clock: Clock) -> Keeper:
    return Keeper(clock)


async def test_a_grant_is_written_down_before_any_of_it_is_used(keeper: Keeper) -> None:
    gate = gate_of(keeper)
    for used in range(1, 60):
        await gate.admit("GET", "/Client", TIMEOUT_S)
        assert sum(keeper.saved.values()) >= used
    assert keeper.saves == 3, "one write for many requests"


async def test_a_grant_whose_time_is_over_before_it_was_written_down_is_asked_for_again(
    keeper: Keeper, clock: Clock
) -> None:
    slow = iter([True])

    class SlowOnce(Keeper):
        async def save_spend(self, held: Held, spend: Mapping[str, int]) -> bool:
            clock.now += 10.0 if next(slow, False) else 0.0
            return await super().save_spend(held, spend)

    gate = gate_of(SlowOnce(clock))
    await gate.admit("GET", "/Client", TIMEOUT_S)
    assert gate.available() == 99, "the grant that ran out unused is given back"


@pytest.mark.invariant("INV-10")
async def test_a_lease_that_is_short_is_renewed_and_the_request_goes(keeper: Keeper, clock: Clock) -> None:
    gate = gate_of(keeper)
    await gate.admit("GET", "/Client", TIMEOUT_S)
    clock.now += TTL_S - TIMEOUT_S
    await gate.admit("GET", "/Client", TIMEOUT_S)
    assert keeper.renewals == 1


@pytest.mark.invariant("INV-10")
async def test_nothing_is_sent_whose_timeout_would_outlast_the_lease(keeper: Keeper, clock: Clock) -> None:
    gate = gate_of(keeper)
    await gate.admit("GET", "/Client", TIMEOUT_S)
    keeper.reachable = False
    clock.now += TTL_S - TIMEOUT_S
    with pytest.raises((GateClosed, StoreUnavailable)):
        await gate.admit("GET", "/Client", TIMEOUT_S)


@pytest.mark.invariant("INV-10")
@given(
    moves=st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["reach", "lose sight", "nothing", "taken"])), max_size=30
    )
)
@settings(derandomize=True)
async def test_whatever_happens_to_the_lease_an_admitted_request_ends_before_it(
    moves: list[tuple[float, str]],
) -> None:
    clock = Clock()
    keeper = Keeper(clock)
    gate = gate_of(keeper, limit=1000)
    for elapsed, move in moves:
        clock.now += elapsed
        match move:
            case "reach":
                keeper.reachable = True
            case "lose sight":
                keeper.reachable = False
            case "taken":
                keeper.taken = True
            case _:
                pass
        assert keeper.held is not None
        try:
            await gate.admit("POST", "/Client", TIMEOUT_S)
        except (GateClosed, StoreUnavailable):
            continue
        assert keeper.held.remaining_s() > TIMEOUT_S
        assert not keeper.held.lost


async def test_a_write_leaves_soon_after_its_intent_or_not_at_all(keeper: Keeper, clock: Clock) -> None:
    gate = gate_of(keeper)
    gate.writing(gate.held.store_now() + 2.0)
    clock.now += 2.0
    await gate.admit("POST", "/Quotation", TIMEOUT_S)
    clock.now += 0.01
    with pytest.raises(TooLate, match="in time"):
        await gate.admit("POST", "/Quotation", TIMEOUT_S)
    await gate.admit("GET", "/Quotation", TIMEOUT_S)


async def test_a_lost_lease_sends_nothing_more(keeper: Keeper) -> None:
    gate = gate_of(keeper)
    keeper.taken = True
    with pytest.raises(GateClosed):
        await gate.admit("GET", "/Client", TIMEOUT_S)
    assert gate.held.lost


async def test_an_exhausted_budget_says_when_it_goes_on(keeper: Keeper, clock: Clock) -> None:
    gate = gate_of(keeper, limit=3, window_s=60.0)
    for _ in range(3):
        assert await gate.ready_at() == gate.held.store_now()
        await gate.admit("GET", "/Client", TIMEOUT_S)
    assert gate.available() == 0
    with pytest.raises(GateClosed, match="budget"):
        await gate.admit("GET", "/Client", TIMEOUT_S)
    at = await gate.ready_at()
    assert 60.0 <= at - gate.held.store_now() <= 71.0
    clock.now += at - gate.held.store_now()
    await gate.admit("GET", "/Client", TIMEOUT_S)


async def test_after_a_429_nothing_goes_until_halo_may_be_asked_again(keeper: Keeper, clock: Clock) -> None:
    gate = gate_of(keeper)
    await gate.admit("GET", "/Client", TIMEOUT_S)
    gate.throttled(7.0)
    assert gate.blocked_until() == gate.held.store_now() + 7.0
    with pytest.raises(GateClosed):
        await gate.admit("GET", "/Client", TIMEOUT_S)
    clock.now += 7.0
    await gate.admit("GET", "/Client", TIMEOUT_S)


@pytest.mark.invariant("INV-9")
@given(
    moves=st.lists(
        st.tuples(
            st.floats(0, 25),
            st.integers(0, 12),
            st.sampled_from(["nothing", "crash", "lose sight", "reach"]),
        ),
        max_size=25,
    ),
    limit=st.integers(1, 30),
)
@settings(derandomize=True)
async def test_no_window_holds_more_than_the_budget_whoever_crashes_and_takes_over(
    moves: list[tuple[float, int, str]], limit: int
) -> None:
    window_s = 60.0
    clock = Clock()
    keeper = Keeper(clock)
    gate = gate_of(keeper, limit, window_s)
    sent: list[float] = []
    for elapsed, wanted, move in moves:
        clock.now += elapsed
        keeper.reachable = move == "reach" or (keeper.reachable and move != "lose sight")
        if move == "crash":
            # The successor knows what was written down, and nothing else.
            gate = gate_of(keeper, limit, window_s)
        for _ in range(wanted):
            try:
                await gate.admit("GET", "/Client", TIMEOUT_S)
            except (GateClosed, StoreUnavailable):
                continue
            sent.append(clock.now)
    for start in sent:
        assert sum(start <= at < start + window_s for at in sent) <= limit
