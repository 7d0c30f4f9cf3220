"""What can go wrong besides Halo: processes that die, a lease that is lost, a store that is restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.targets import TargetState
from tests.model.protocol.changes import flying, put, unawaited
from tests.model.protocol.parts import Copy, Hand, Rules, Setup, Step, World, Writer


class Faults:
    """The faults of one setup; `row` tells what a row's number stands for."""

    def __init__(self, setup: Setup, rules: Rules, row: Callable[[int], TargetState]) -> None:
        self.setup = setup
        self.rules = rules
        self._row = row

    def finished(self, writer: Writer) -> int:
        """Up to where the log may be committed: before the first command that has neither ended nor got a row."""
        if not self.rules.row_before_offset:
            return writer.top
        here = [*writer.memory, writer.hand and writer.hand.job]
        return min([writer.top, *(job.first for job in here if job)])

    def committed(self, world: World) -> range:
        """Where the group may stand now: a commit comes some time after what it stands for, or not at all."""
        return range(world.offset, max(world.offset, self.finished(world.writers[0])) + 1)

    def of(self, world: World) -> Iterator[Step]:
        owner, former = world.writers
        if world.crashes:
            died = unawaited(world, 0)._replace(crashes=world.crashes - 1)
            for offset in self.committed(world) if owner != self.setup.started(world.offset) else ():
                after = died._replace(offset=offset, writers=(self.setup.started(offset), former))
                yield Step("crash", after, fault=True)
            if former is not None:
                died = put(unawaited(world, 1), 1, None)
                yield Step("crash", died._replace(crashes=world.crashes - 1), fault=True)
        if world.takeovers:
            for offset in self.committed(world):
                yield Step("takeover", self._taken_over(world, offset), fault=True)
        if world.copies:
            places = tuple(place._replace(record=None) for place in world.places)
            for offset in {world.offset, max(self.committed(world))}:
                copied = world._replace(copies=world.copies - 1, copy=Copy(places, offset))
                yield Step("copy of the store", copied, fault=True)
        if world.copy is not None:
            yield from self._restores(world, world.copy)

    def _taken_over(self, world: World, offset: int) -> World:
        """The lease runs out and another takes it; who held it may still be at a command, and doesn't know."""
        world = unawaited(world, 1)
        owner = world.writers[0]
        former = None if owner.hand is None else owner._replace(memory=(), top=0, mine=False)
        if owner.hand is None or self._comes_to_nothing(owner.hand):
            world, former = unawaited(world, 0), None
        flights = (flight if flight.writer is None else flight._replace(writer=1) for flight in world.flights)
        world = world._replace(
            writers=(self.setup.started(offset), former), offset=offset, takeovers=world.takeovers - 1
        )
        return flying(world, *flights)

    def _comes_to_nothing(self, hand: Hand) -> bool:
        """Whether all that is left to do in this hand is refused without the lease, and so needn't be tried."""
        if not self.rules.saves_are_conditional:
            return False
        if hand.stage == "send":
            return self.rules.sends_are_fenced
        return hand.stage != "settle" or hand.end is not None

    def _restores(self, world: World, copy: Copy) -> Iterator[Step]:
        """All that was committed since the copy is forgotten; every process was stopped, its requests are not."""
        offset = copy.offset if self.rules.rewinds_after_a_restore else max(self.committed(world))
        world = unawaited(unawaited(world, 0), 1)
        world = world._replace(
            writers=(self.setup.started(offset), None),
            copy=None,
            restored=(False, world.published),
            offset=offset,
        )
        results = set()
        for aged in (False, True):
            places = []
            for then, now in zip(copy.places, world.places, strict=True):
                # Time has passed since the copied intent, unless it is the one that is still open.
                passed = aged and then.row != now.row and self._row(then.row).intent is not None
                waiting = then.waiting and then.waiting._replace(old=True)
                places.append(then._replace(record=now.record, aged=then.aged or passed, waiting=waiting))
            results.add(tuple(places))
        for found in sorted(results, key=str):
            yield Step("restored", world._replace(places=found), fault=True)
