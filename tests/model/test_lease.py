"""Leases in the store, and what three processes believe of them, whatever takes how long and whoever dies.

The store's clock and each process's own run at one pace from different beginnings; the store's may be set. A process
is one owner: the next one in its place has another name.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from sqlalchemy import Dialect, Executable
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.lease_keeper import Held, LeaseKeeper
from hub.store import Store, leases, targets
from schemas.targets import Target, TargetState
from tests.model.machines import Machine, run
from tests.model.stores import OneTransaction

T = TypeVar("T")
TENANT, SHARE = "acme", "write"
TTL_S = 10.5
TINY_S = 0.01
"""All steps are whole seconds and a term isn't, so that no comparison hangs on a rounding."""

TARGET = Target(tenant=TENANT, instance="h", source="s", kind="quote", id="q-1")
Delays = tuple[int, int]
"""How long a statement takes to reach the store, and its answer to come back."""

places = st.integers(0, 2)
waits = st.tuples(*[st.sampled_from([0, 0, 0, 1, 4])] * 2)
counts = st.dictionaries(st.sampled_from(["990.0", "1000.0"]), st.integers(1, 9), max_size=2)


@dataclass
class Row:
    """The lease's row, naively: who has it until when by the store's clock."""

    owner: str
    epoch: int
    until: float
    spend: Mapping[str, int]


@dataclass
class Process:
    """One process: its keeper and every lease that it ever got."""

    owner: str
    keeper: LeaseKeeper
    taken: list[Held] = field(default_factory=list)


class World:
    """Times, and a store whose answers take some: `delays` are those of the next statement."""

    def __init__(self, store: OneTransaction) -> None:
        self.inner = store
        self.now = 0
        self.store_set = 1_000_000
        self.delays = (0, 0)

    def store_now(self) -> float:
        return float(self.now + self.store_set)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        yield cast("AsyncConnection", self)

    @property
    def dialect(self) -> Dialect:
        return self.inner.connection.dialect

    async def execute(self, statement: Executable) -> CursorResult[Any]:
        (before, after), self.delays = self.delays, (0, 0)
        self.now += before
        result = await self.inner.connection.execute(statement)
        self.now += after
        return result

    def process(self, place: int, number: int) -> Process:
        def clock() -> float:
            return self.now + 1000.0 * place

        owner = f"writer-{place}-{number}"
        keeper = LeaseKeeper(cast("Store", self), owner=owner, ttl_s=TTL_S, clock=clock)
        return Process(owner, keeper)


class StoreClock:
    """The database's clock, which is that of the present history's world."""

    world: World

    def __call__(self) -> float:
        return self.world.store_now()


class Leases(Machine):
    """Takes, renews, gives back and writes under leases; `row` is what the model thinks the store holds."""

    store: ClassVar[OneTransaction]
    clock: ClassVar[StoreClock]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.clock.world = World(self.store)
        self.processes = [self.world.process(place, 0) for place in range(3)]
        self.started = 0
        self.row: Row | None = None
        self.epoch = 0
        self.misled: list[Held] = []
        self.version = 0

    def teardown(self) -> None:
        super().teardown()
        self.store.forget()

    def ask(self, question: Coroutine[Any, Any, T], delays: Delays = (0, 0)) -> T:
        self.world.delays = delays
        return self.store.run(question)

    def at_statement(self, delays: Delays) -> float:
        """The store's clock when the statement of the next question runs."""
        return self.world.store_now() + delays[0]

    def has(self, held: Held) -> bool:
        """Whether the model's row is this very lease."""
        return self.row is not None and (self.row.owner, self.row.epoch) == held.fence

    def extend(self, now: float, spend: Mapping[str, int] | None = None) -> None:
        assert self.row is not None
        self.row.until = now + TTL_S
        if spend is not None:
            self.row.spend = spend

    # Processes --------------------------------------------------------------------------------------------

    @rule(place=places, delays=waits)
    def take(self, place: int, delays: Delays) -> None:
        process, now = self.processes[place], self.at_statement(delays)
        held = self.ask(process.keeper.take(TENANT, SHARE), delays)
        row = self.row
        if row is not None and row.owner != process.owner and row.until > now:
            assert held is None, "it was another's"
            # An end that no clock can have set: it was set back since.
            row.until = min(row.until, now + delays[1] + TTL_S)
            self.saw("refused")
            return
        assert held is not None, "it was free"
        renewed = row is not None and row.owner == process.owner and row.until > now
        self.saw("taken again" if renewed else "taken over" if row else "taken")
        epoch, spend = (row.epoch, row.spend) if row else (0, {})
        self.row = Row(process.owner, epoch if renewed else epoch + 1, now + TTL_S, spend)
        assert held.fence == (self.row.owner, self.row.epoch)
        assert held.inherited_spend == spend, "what the last holder had spent is handed over"
        if spend and not renewed:
            self.saw("spend handed over")
        assert held.store_now() <= self.world.store_now() + TINY_S
        assert held.store_now_at_most() >= self.world.store_now() - TINY_S
        process.taken.append(held)

    @precondition(lambda self: any(process.keeper.held for process in self.processes))
    @rule(place=places, delays=waits)
    def renew(self, place: int, delays: Delays) -> None:
        holders = [process.keeper for process in self.processes if process.keeper.held]
        keeper, now = holders[place % len(holders)], self.at_statement(delays)
        mine = list(keeper.held.values())
        self.ask(keeper.renew_all(), delays)
        for held in mine:
            assert held.lost == (not self.has(held))
            self.saw("found lost" if held.lost else "renewed")
            if not held.lost:
                self.extend(now)

    @precondition(lambda self: any(process.taken for process in self.processes))
    @rule(place=places, spend=counts, delays=waits)
    def write_spend_down(self, place: int, spend: dict[str, int], delays: Delays) -> None:
        process, now = self.processes[place], self.at_statement(delays)
        if not process.taken:
            return
        held = process.taken[-1]
        if held.lost:
            return
        assert self.ask(process.keeper.save_spend(held, spend), delays) == self.has(held)
        if self.has(held):
            self.extend(now, spend)

    @precondition(lambda self: any(process.keeper.held for process in self.processes))
    @rule(place=places, spend=st.one_of(st.none(), counts), delays=waits)
    def release(self, place: int, spend: dict[str, int] | None, delays: Delays) -> None:
        keeper, now = self.processes[place].keeper, self.at_statement(delays)
        for held in list(keeper.held.values()):
            self.ask(keeper.release(held, spend), delays)
            if self.has(held) and self.row is not None:
                kept = self.row.spend if spend is None else spend
                self.row = Row("", self.row.epoch, now, kept)
                self.saw("given back")

    @rule(place=places, holder=st.booleans())
    def die(self, place: int, holder: bool) -> None:
        """Another process comes in its place; it has to wait like anyone."""
        self.started += 1
        if holder:
            place = next((at for at, each in enumerate(self.processes) if self.believes(each)), place)
        if self.believes(self.processes[place]):
            self.saw("died as holder")
        self.processes[place] = self.world.process(place, self.started)

    @precondition(lambda self: any(process.taken for process in self.processes))
    @rule(pick=st.integers(0, 20))
    def write_under_a_lease(self, pick: int) -> None:
        """A guarded write, also by one who was frozen and comes back with a lease of long ago."""
        taken = [held for process in self.processes for held in process.taken]
        held = taken[pick % len(taken)]
        state = TargetState(target=TARGET, version=self.version + 1)
        written = self.ask(
            targets.save(self.store.connection, state, expected_version=self.version, lease=held.fence)
        )
        assert written == self.has(held), "a write goes through exactly under the lease that the store has"
        self.version += written
        self.saw("written" if written else "write refused")
        valid = self.has(held) and self.row is not None and self.row.until > self.world.store_now()
        question = leases.holds(self.store.connection, TENANT, SHARE, *held.fence)
        assert self.ask(question) == valid

    # Time -------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 1, 3, 6, 11, 40]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.row is not None)
    @rule(place=places, delays=waits, spend=counts, renews=st.sampled_from([True, True, False]))
    def one_takes_it_as_soon_as_it_has_run_out(
        self, place: int, delays: Delays, spend: dict[str, int], renews: bool
    ) -> None:
        """The moment at which a holder that counts a little too long would meet its successor."""
        assert self.row is not None
        for at, process in enumerate(self.processes):
            if self.believes(process):
                self.write_spend_down(at, spend, (0, 0))
        left = min(self.row.until - self.world.store_now(), TTL_S)
        self.world.now += max(0, math.ceil(left))
        self.take(place, delays)
        for at in range(sum(bool(process.keeper.held) for process in self.processes) if renews else 0):
            self.renew(at, (0, 0))

    @rule(seconds=st.sampled_from([1, 5, 100, 3600]))
    def the_stores_clock_is_set_back(self, seconds: int) -> None:
        self.world.store_set -= seconds
        self.saw("clock back")

    @rule(seconds=st.sampled_from([1, 11, 3600]))
    def the_stores_clock_is_set_ahead(self, seconds: int) -> None:
        """Who holds a lease then can't know that it has ended: the fence has to hold without him."""
        self.world.store_set += seconds
        self.misled += [held for process in self.processes for held in process.taken]
        self.saw("clock ahead")

    # What must hold ---------------------------------------------------------------------------------------

    def believes(self, process: Process) -> bool:
        """By its newest lease: nobody goes on with one that it has taken anew."""
        return any(held.remaining_s() > 0 and held not in self.misled for held in process.taken[-1:])

    @invariant()
    def no_two_believe_that_they_hold_it(self) -> None:
        holders = [process.owner for process in self.processes if self.believes(process)]
        assert len(holders) <= 1
        if holders and self.row is not None:
            assert self.row.owner == holders[0], "who believes has it in the store too"
            self.saw("held")

    @invariant()
    def the_row_is_the_models_and_its_epoch_only_rises(self) -> None:
        found = self.ask(leases.peek(self.store.connection, TENANT, SHARE))
        if self.row is None:
            assert found is None
            return
        assert found is not None
        assert (found.owner, found.epoch, found.spend) == (self.row.owner, self.row.epoch, self.row.spend)
        assert found.until == pytest.approx(self.row.until, abs=TINY_S)
        assert found.epoch >= self.epoch
        self.epoch = found.epoch


@pytest.mark.invariant("INV-10")
def test_at_any_time_one_process_at_most_believes_that_it_holds_the_lease() -> None:
    clock = StoreClock()
    with OneTransaction(clock) as store:
        Leases.store, Leases.clock = store, clock
        run(
            Leases,
            interesting=[
                "held",
                "taken",
                "taken again",
                "taken over",
                "refused",
                "renewed",
                "found lost",
                "given back",
                "died as holder",
                "spend handed over",
                "written",
                "write refused",
                "clock back",
                "clock ahead",
            ],
            examples=160,
            steps=35,
        )
