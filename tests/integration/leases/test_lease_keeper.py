"""The keeper's idea of a lease is never longer, and its idea of the store's clock never wrong, whatever the delays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.lease_keeper import LeaseKeeper
from hub.store.engine import Store

_TTL_S = 10.0


class SlowClock:
    """A monotonic clock that a test moves; each reading of it takes `step_s`, as a slow store would."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now = 1000.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.mark.invariant("INV-10")
async def test_the_term_counts_from_before_the_request_that_took_it(store: Store) -> None:
    clock = SlowClock()
    keeper = LeaseKeeper(store, owner="a", ttl_s=_TTL_S, clock=clock)
    clock.step_s = 2.0
    held = await keeper.take("acme", "write")
    clock.step_s = 0.0
    assert held is not None
    # Two readings of the clock passed while the store answered: the term began at the first.
    assert held.remaining_s() == _TTL_S - 2.0
    clock.now += _TTL_S
    assert held.remaining_s() <= 0


async def test_the_stores_clock_is_known_between_two_bounds(store: Store) -> None:
    clock = SlowClock()
    keeper = LeaseKeeper(store, owner="a", ttl_s=_TTL_S, clock=clock)
    clock.step_s = 2.0
    held = await keeper.take("acme", "write")
    clock.step_s = 0.0
    assert held is not None
    assert held.store_now_at_most() - held.store_now() == pytest.approx(2.0)
    assert held.store_now() <= await store.now() + 0.5
    before = held.store_now()
    clock.now += 7.0
    assert held.store_now() - before == pytest.approx(7.0)


async def test_a_lease_that_another_took_is_lost_at_the_next_renewal(store: Store) -> None:
    mine = LeaseKeeper(store, owner="a", ttl_s=0.05)
    held = await mine.take("acme", "write")
    assert held is not None
    other = LeaseKeeper(store, owner="b", ttl_s=_TTL_S)
    taken = None
    while taken is None:
        taken = await other.take("acme", "write")
    await mine.renew_all()
    assert held.lost
    assert held.remaining_s() == 0.0
    assert not mine.held
    assert taken.epoch > held.epoch


async def test_a_lease_that_was_given_back_is_free_at_once_with_its_counts(store: Store) -> None:
    mine = LeaseKeeper(store, owner="a", ttl_s=_TTL_S)
    held = await mine.take("acme", "write")
    assert held is not None
    await mine.release(held, {"100.0": 7})
    taken = await LeaseKeeper(store, owner="b", ttl_s=_TTL_S).take("acme", "write")
    assert taken is not None
    assert taken.inherited_spend == {"100.0": 7}
