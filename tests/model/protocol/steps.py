"""Everything that can happen next in a world, one durable step at a time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.protocol.changes import (
    at,
    dropped,
    flying,
    forgets,
    go,
    hand_of,
    parking,
    put,
    remembers,
    row_of,
    stopped,
    timed_out,
)
from tests.model.protocol.decisions import (
    DIFFERS,
    EQUAL,
    FOUND,
    NOTHING_EARLY,
    NOTHING_LATE,
    Decisions,
    End,
    Look,
    Question,
    Read,
    Restored,
    Wait,
)
from tests.model.protocol.faults import Faults
from tests.model.protocol.parts import NEVER, Flight, Hand, Job, Place, Record, Step, World, Write, Writer


class Broken(AssertionError):
    """The promise is broken in this step."""


class Steps:
    """The transitions of one setup under one set of rules."""

    def __init__(self, decisions: Decisions) -> None:
        self.d = decisions
        self.rules = decisions.rules
        self.setup = decisions.setup
        self.faults = Faults(self.setup, self.rules, decisions.row)
        self.start = self.setup.start()
        places = tuple(Place(row=row) for row in decisions.empty)
        self.start = self.start._replace(places=places)

    def of(self, world: World) -> Iterator[Step]:
        yield from self._flights(world)
        owner, former = world.writers
        yield from self._takes_in(world, owner)
        yield from self._chooses(world, owner)
        for number, writer in ((0, owner), (1, former)):
            if writer is not None and writer.hand is not None:
                yield from self._goes_on(world, number, writer, writer.hand)
        if world.published < len(self.setup.log):
            yield Step("published", world._replace(published=world.published + 1))
        yield from self._time(world)
        yield from self.faults.of(world)

    def settled(self, world: World) -> bool:
        """All is written, told and committed, and Halo holds the newest state of each target."""
        everything = len(self.setup.log)
        if world.told != (1 << everything) - 1 or self.faults.finished(world.writers[0]) != everything:
            return False
        for target, place in enumerate(world.places):
            row, values = self.d.row(place.row), self.d.values[target][-1]
            newest = self.setup.commands[target][-1]
            if place.record is None or place.waiting is not None or row.intent is not None:
                return False
            if row.halo_id is None or row.seq != newest.seq or (values and place.record.values != values):
                return False
        return world.flights == ()

    # Halo and the network ---------------------------------------------------------------------------------

    def _flights(self, world: World) -> Iterator[Step]:
        for number, flight in enumerate(world.flights):
            if number and flight == world.flights[number - 1]:
                continue
            rest = world.flights[:number] + world.flights[number + 1 :]
            lost = world._replace(flights=rest)
            applied = self._applied(lost, flight)
            if flight.writer is None:
                yield Step("late request applied", applied)
            else:
                yield Step("applied, answered", self._answered(applied, flight))
                yield Step("applied, answer lost", timed_out(applied, flight.writer))
                if world.throttles:
                    refused = go(lost, flight.writer, hand_of(lost, flight.writer)._replace(stage="withdraw"))
                    yield Step("throttled", refused._replace(throttles=world.throttles - 1), fault=True)
                lost = timed_out(lost, flight.writer)
            yield Step("request lost", lost)

    def _applied(self, world: World, flight: Flight) -> World:
        place = world.places[flight.target]
        wanted = self.d.values[flight.target][flight.command]
        record = place.record
        if flight.creates:
            if record is not None:
                raise Broken("two records")
            values, newest = wanted, flight.command
        else:
            assert record is not None
            self._not_older(world, flight, record.newest)
            changed = list(record.values)
            for group in flight.groups:
                changed[group] = wanted[group]
            values, newest = tuple(changed), max(record.newest, flight.command)
        hidden = flight.creates or (record is not None and record.hidden)
        return at(world, flight.target, record=Record(values, newest, hidden))

    def _not_older(self, world: World, flight: Flight, newest: int) -> None:
        settled = self.d.row(world.places[flight.target].row).seq
        if settled > self.d.command(flight.target, flight.command).seq:
            raise Broken("an older state written over a newer one")
        if self.setup.strict and newest > flight.command and world.restored is None:
            raise Broken("an older state written over one that was under way")

    def _answered(self, world: World, flight: Flight) -> World:
        assert flight.writer is not None
        hand = hand_of(world, flight.writer)
        end = self.d.ended(self._question(world, hand), flight.creates)
        return go(world, flight.writer, Hand("settle", hand.job, end=end))

    def _time(self, world: World) -> Iterator[Step]:
        """`settle_s` passes: by then every request that left has had its effect, and a search shows it."""
        if world.flights:
            return
        places = tuple(
            place._replace(
                aged=place.aged or self.d.row(place.row).intent is not None,
                record=place.record and place.record._replace(hidden=False),
            )
            for place in world.places
        )
        restored = world.restored and (True, world.restored[1])
        if places != world.places or restored != world.restored:
            yield Step("time passes", world._replace(places=places, restored=restored))

    # A writer's memory ------------------------------------------------------------------------------------

    def _takes_in(self, world: World, writer: Writer) -> Iterator[Step]:
        """Any part of what the log has: what waits is joined in its row, what needs no request ends at once."""
        log_end = 0 if world.restored is None else world.restored[1]
        waits = tuple(self._waits(world, writer, target) for target in range(len(world.places)))
        for top in range(writer.top + 1, world.published + 1):
            ready, for_rows = self.d.arrived(writer.top, top, waits, log_end)
            after = put(world, 0, writer._replace(top=top))
            for job in for_rows:
                waiting = world.places[job.target].waiting
                assert waiting is not None
                joined = self.d.newest(self.d.in_row(waiting, job.target), job)
                after = at(after, job.target, waiting=row_of(joined))
            for job in ready:
                after = self._arrives(after, job)
            yield Step(f"takes in {top - writer.top}", after)

    def _waits(self, world: World, writer: Writer, target: int) -> bool:
        """Whether the target waits in a row that this process hasn't loaded."""
        waiting = world.places[target].waiting
        loaded = [job for job in (writer.memory[target], writer.hand and writer.hand.job) if job]
        return waiting is not None and not any(
            job.target == target and job.row == waiting.command for job in loaded
        )

    def _arrives(self, world: World, job: Job) -> World:
        writer = world.writers[0]
        here = writer.memory[job.target]
        if here is not None:
            return remembers(world, self.d.newest(here, job))
        if writer.hand is None or writer.hand.job.target != job.target:
            hand = self._decides(world, Hand("", job, world.places[job.target].row))
            if hand.stage == "settle":
                return self._ended(world, hand)
        return remembers(world, job)

    def _chooses(self, world: World, writer: Writer) -> Iterator[Step]:
        for target, place in enumerate(world.places):
            job = writer.memory[target]
            if job is not None and job.first != NEVER and not self._keeps(writer, target):
                parked = at(forgets(world, target), target, waiting=row_of(job))
                yield Step("row for its turn", parked)
            if job is not None and writer.hand is None:
                hand = self._decides(world, Hand("", job, place.row))
                yield Step("starts", go(forgets(world, target), 0, hand))
            if job is None and writer.hand is None and place.waiting is not None:
                yield Step("loads its row", remembers(world, self.d.in_row(place.waiting, target)))

    def _keeps(self, writer: Writer, target: int) -> bool:
        """Whether a newer command stays in memory, since the row may be the one of the command in hand."""
        hand = writer.hand
        return (
            self.rules.leaves_the_row_of_the_command_in_hand
            and hand is not None
            and hand.job.target == target
        )

    # The command in hand ----------------------------------------------------------------------------------

    def _question(self, world: World, hand: Hand) -> Question:
        job, place, row = hand.job, world.places[hand.job.target], self.d.row(hand.row)
        aged = place.aged or row.intent is None or not self.rules.waits_to_settle
        question = Question(job.target, job.command, hand.row, hand.looked, hand.read, aged)
        if world.restored is None or not self.rules.looks_first_after_a_restore:
            return question
        passed = world.restored[0] or not self.rules.waits_to_settle_after_a_restore
        restored = Restored.LONG_AGO if passed else Restored.NOW
        return question._replace(old=job.old and row.generation < 1, restored=restored)

    def _decides(self, world: World, hand: Hand) -> Hand:
        question = self._question(world, hand)
        if (
            question.old
            and question.restored is Restored.NOW
            and not self.rules.distrusts_rows_of_before_a_restore
        ):
            return parking(hand)
        answer = self.d.answer(question)
        if isinstance(answer, Read | Write) and self._lacks(world, hand.job.target):
            return parking(hand)
        match answer:
            case Look():
                return hand._replace(stage="look")
            case Read():
                return hand._replace(stage="read")
            case Write():
                return hand._replace(stage="write", write=answer)
            case Wait():
                return parking(hand)
            case End(row):
                return Hand("settle", hand.job, end=row)

    def _lacks(self, world: World, target: int) -> bool:
        """Whether a record that this one refers to isn't there yet."""
        other = self.setup.refers_to.get(target)
        if other is None or not self.rules.waits_for_what_it_refers_to:
            return False
        return self.d.row(world.places[other].row).halo_id is None

    def _goes_on(self, world: World, number: int, writer: Writer, hand: Hand) -> Iterator[Step]:
        match hand.stage:
            case "look":
                yield from self._looks(world, number, hand)
            case "read":
                record = world.places[hand.job.target].record
                assert record is not None
                wanted = self.d.values[hand.job.target][hand.job.command]
                read = hand._replace(read=EQUAL if record.values == wanted else DIFFERS)
                yield Step("reads it back", go(world, number, self._decides(world, read)))
            case "write":
                yield self._writes_intent(world, number, writer, hand)
            case "send":
                yield self._sends(world, number, writer, hand)
            case "wait":
                yield Step("times out", timed_out(world, number))
            case "withdraw":
                yield self._withdraws(world, number, writer, hand)
            case "settle":
                yield self._settles(world, number, writer, hand)
            case _:
                yield self._parks(world, number, writer, hand)

    def _looks(self, world: World, number: int, hand: Hand) -> Iterator[Step]:
        record = world.places[hand.job.target].record
        late = self._question(world, hand).aged
        answers = [] if record is None else [FOUND]
        if record is None or record.hidden:
            answers.append(NOTHING_LATE if late else NOTHING_EARLY)
        for looked in answers:
            name = "finds our key" if looked == FOUND else "doesn't find our key"
            yield Step(name, go(world, number, self._decides(world, hand._replace(looked=looked))))

    def _may_save(self, writer: Writer) -> bool:
        return writer.mine or not self.rules.saves_are_conditional

    def _writes_intent(self, world: World, number: int, writer: Writer, hand: Hand) -> Step:
        write, target = hand.write, hand.job.target
        assert write is not None
        if not write.creates and not self.rules.updates_have_intents:
            return Step("no intent", go(world, number, Hand("send", hand.job, write.row, write=write)))
        if not self._may_save(writer):
            return Step("overtaken", stopped(world, number))
        row = self.d.with_intent(write.row, write.creates, target, hand.job.command)
        saved = at(world, target, row=row, aged=False)
        return Step("intent", go(saved, number, Hand("send", hand.job, row, write=write)))

    def _sends(self, world: World, number: int, writer: Writer, hand: Hand) -> Step:
        write, target = hand.write, hand.job.target
        assert write is not None
        if self.rules.sends_are_fenced and not writer.mine:
            return Step("fenced", stopped(world, number))
        if self.rules.sends_are_timely and world.places[target].aged:
            return Step("too late to send", go(world, number, hand._replace(stage="withdraw")))
        other = self.setup.refers_to.get(target)
        if other is not None and world.places[other].record is None:
            raise Broken("a record written before the one that it refers to")
        flight = Flight(target, write.creates, write.groups, hand.job.command, number)
        return Step("sends", go(flying(world, *world.flights, flight), number, hand._replace(stage="wait")))

    def _withdraws(self, world: World, number: int, writer: Writer, hand: Hand) -> Step:
        assert hand.write is not None
        if not self._may_save(writer):
            return Step("overtaken", stopped(world, number))
        row = self.d.withdrawn(hand.write.row)
        saved = at(world, hand.job.target, row=row, aged=False)
        return Step("withdraws", go(saved, number, parking(hand)))

    def _settles(self, world: World, number: int, writer: Writer, hand: Hand) -> Step:
        if hand.end is not None and not self._may_save(writer):
            return Step("settle refused", stopped(world, number))
        return Step("settles", dropped(self._ended(world, hand), number))

    def _ended(self, world: World, hand: Hand) -> World:
        """The end of a command in one transaction: its target's row, its own row in pending, what is told."""
        job, place = hand.job, world.places[hand.job.target]
        if hand.end is not None:
            place = place._replace(row=hand.end, aged=False)
        if job.row is not None and place.waiting is not None:
            own = place.waiting.command == job.row or not self.rules.ends_only_its_own_row
            place = place._replace(waiting=None if own else place.waiting)
        told = world.told | job.replaced | self.setup.bit(job.target, job.command)
        return at(world, job.target, **place._asdict())._replace(told=told)

    def _parks(self, world: World, number: int, writer: Writer, hand: Hand) -> Step:
        """A newer command that came meanwhile, to memory or to a row of its own, waits in its place."""
        if not writer.mine:
            return Step("overtaken", stopped(world, number))
        job, target = hand.job, hand.job.target
        newer, waiting = writer.memory[target], world.places[target].waiting
        if waiting is not None and self._waits(world, writer, target):
            spilled = self.d.in_row(waiting, target)
            newer = spilled if newer is None else self.d.newest(spilled, newer)
        if newer is not None:
            job = self.d.newest(job, newer)
        parked = at(forgets(world, target), target, waiting=row_of(job))
        return Step("waits in a row", dropped(parked, number))
