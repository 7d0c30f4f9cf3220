"""The write protocol in a small world: two writers, one target, a Halo that loses, delays and refuses.

The decisions and the rows are the writer's own (`plan`, `next_state`, `with_intent`, `withdrawn`); only its shell is
played here, one durable step at a time, so that another writer, a crash or Halo can come between any two. A `World`
is driven by choices from outside and then brought to rest without further faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec

from schemas.commands import Command
from schemas.identity import id_of
from schemas.targets import Intent, TargetState
from services.halo_writer import decisions as planned
from services.halo_writer import ending as tell
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from services.halo_writer.ending import Ending, next_state, stored_outcome
from tests.unit.halo_writer.build import work_of
from tests.unit.halo_writer.protocol_parts import (
    LAG_S,
    REACH_S,
    SEND_WITHIN_S,
    TICK_S,
    Action,
    Broken,
    Flight,
    Rules,
    Stored,
    Writer,
    state_of,
)


@dataclass
class World:
    """The log, the store, Halo and two writers."""

    log: list[Command]
    rules: Rules = field(default_factory=Rules)
    now: float = 1000.0
    published: int = 1
    offset: int = 0
    row: TargetState | None = None
    owner: int = 0
    epoch: int = 1
    pending: tuple[int, float] | None = None
    records: dict[int, Stored] = field(default_factory=dict)
    flights: list[Flight] = field(default_factory=list)
    writers: tuple[Writer, Writer] = field(default_factory=lambda: (Writer(), Writer()))
    crashes: int = 2
    takeovers: int = 2
    redeliveries: int = 3
    throttles: int = 2
    sent: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)

    # Driving ----------------------------------------------------------------------------------------------

    def walk(self, choices: Iterator[int]) -> World:
        """Do what the choices say, then come to rest; raises Broken where the promise breaks."""
        for choice in choices:
            actions = list(self._actions())
            if not actions:
                break
            name, act = actions[choice % len(actions)]
            self._do(name, act)
        self._rest()
        return self

    def _do(self, name: str, act: Callable[[], None]) -> None:
        self.history.append(name)
        self.seen[name.split(" (", maxsplit=1)[0]] += 1
        act()
        if len(self.records) > 1:
            raise Broken(f"two records: {' > '.join(self.history)}")

    def _rest(self) -> None:
        """No more faults: what is under way arrives, time passes, all is delivered."""
        self.published = len(self.log)
        for _ in range(400):
            if self._at_rest():
                break
            if self.flights:
                flight = self.flights[0]
                self._do("applied", partial(self._apply, flight, answered=True))
            elif any(writer.doing == "wait" for writer in self.writers):
                late = next(n for n, writer in enumerate(self.writers) if writer.doing == "wait")
                self._do("timed out", partial(self._time_out, late))
            elif self.writers[self.owner].doing != "idle" or self._has_work():
                self._do("step", partial(self._step, self.owner))
            else:
                self._do("tick", self._tick)
        else:
            raise Broken(f"no rest: {' > '.join(self.history[:80])}")
        self._check_end()

    def _at_rest(self) -> bool:
        idle = self.writers[self.owner].doing == "idle"
        return idle and not self.flights and self.pending is None and self.offset == len(self.log)

    def _check_end(self) -> None:
        newest, row = self.log[-1], self.row
        held = [record.values for record in self.records.values()]
        checks = {
            "no record": len(held) != 1,
            "an open intent": row is None or row.intent is not None,
            "an older seq": row is None or row.seq != newest.seq,
            f"Halo holds {held}, not {state_of(newest)}": held != [state_of(newest)],
        }
        problems = [text for text, wrong in checks.items() if wrong]
        if problems:
            raise Broken(f"{'; '.join(problems)}: {' > '.join(self.history)}")

    # What may happen --------------------------------------------------------------------------------------

    def _actions(self) -> Iterator[Action]:
        for number, writer in enumerate(self.writers):
            yield from self._actions_of(number, writer)
        for flight in self.flights:
            yield from self._actions_on(flight)
        if self.takeovers and (self.flights or self.row is not None):
            yield "takeover", self._take_over
        if self.redeliveries and self.offset:
            yield "redelivery", self._redeliver
        if self.published < len(self.log):
            yield "published", self._publish
        if all(flight.sent_at + REACH_S > self.now + TICK_S for flight in self.flights):
            yield "tick", self._tick

    def _actions_of(self, number: int, writer: Writer) -> Iterator[Action]:
        """Faults are to be frequent, not the rule: what goes well is offered several times."""
        if writer.doing == "wait":
            yield "timed out", partial(self._time_out, number)
        elif writer.doing != "idle" or (self.owner == number and self._has_work()):
            yield from [("step", partial(self._step, number))] * 4
            if writer.doing == "idle" and self.published - self.offset > 1:
                yield from [("step, seeing one", partial(self._poll, number, sees=1))] * 4
        if writer.doing != "idle" and self.crashes:
            yield f"crash ({writer.doing})", partial(self._crash, number)

    def _actions_on(self, flight: Flight) -> Iterator[Action]:
        late = "" if self._awaited(flight) else "late "
        yield from [(f"{late}applied", partial(self._apply, flight, answered=True))] * 3
        yield f"{late}applied unanswered", partial(self._apply, flight, answered=False)
        yield "lost on the way", partial(self._drop, flight)
        if self.throttles and self._awaited(flight):
            yield "throttled", partial(self._throttle, flight)

    def _has_work(self) -> bool:
        due = self.pending is not None and self.pending[1] <= self.now
        return due or self.offset < self.published

    def _awaited(self, flight: Flight) -> bool:
        writer = self.writers[flight.writer]
        return writer.doing == "wait" and writer.flight == flight.number

    # Faults -----------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        self.published += 1

    def _tick(self) -> None:
        self.now += TICK_S

    def _crash(self, number: int) -> None:
        self.crashes -= 1
        self.writers = tuple(  # type: ignore[assignment]
            Writer() if place == number else writer for place, writer in enumerate(self.writers)
        )

    def _take_over(self) -> None:
        self.takeovers -= 1
        self.owner, self.epoch = 1 - self.owner, self.epoch + 1

    def _redeliver(self) -> None:
        self.redeliveries -= 1
        self.offset = max(0, self.offset - 2)

    def _time_out(self, number: int) -> None:
        writer = self.writers[number]
        writer.doing, writer.not_before = "park", self.now + 1

    def _drop(self, flight: Flight) -> None:
        self.flights.remove(flight)

    def _throttle(self, flight: Flight) -> None:
        self.throttles -= 1
        self.flights.remove(flight)
        writer = self.writers[flight.writer]
        writer.doing, writer.not_before = "withdraw", self.now + 1

    def _apply(self, flight: Flight, *, answered: bool) -> None:
        awaited = self._awaited(flight)
        self.flights.remove(flight)
        visible_at = min(self.now + LAG_S, flight.sent_at + REACH_S)
        halo_id = flight.halo_id
        if halo_id is None:
            halo_id = len(self.records) + 1
            self.records[halo_id] = Stored(dict(flight.writes), visible_at)
        else:
            self.records[halo_id].values.update(flight.writes)
        if answered and awaited:
            writer = self.writers[flight.writer]
            assert writer.row is not None
            result: Literal["created", "updated"] = "created" if flight.halo_id is None else "updated"
            self._ends(writer, Ending(status="applied", result=result, halo_id=halo_id))

    # A writer's steps -------------------------------------------------------------------------------------

    def _step(self, number: int) -> None:
        writer = self.writers[number]
        match writer.doing:
            case "idle":
                self._poll(number, sees=len(self.log))
            case "plan":
                self._plan(writer)
            case "write":
                self._write_intent(number, writer)
            case "send":
                self._send(number, writer)
            case "settle":
                self._settle(number, writer)
            case "withdraw":
                self._withdraw(number, writer)
            case "park":
                self._park(number, writer)
            case "commit":
                if self._owns(number, writer):
                    self.offset = max(self.offset, writer.offset)
                writer.doing = "idle"

    def _poll(self, number: int, *, sees: int) -> None:
        writer = self.writers[number]
        writer.epoch = self.epoch
        writer.offset = min(self.published, self.offset + sees)
        arrived = list(range(self.offset, writer.offset))
        if self.pending is not None and arrived:
            # While a target waits, a newer command takes the place of the one that waits.
            writer.command = max(self.pending[0], *arrived)
            writer.doing, writer.not_before = "park", self.pending[1]
            return
        writer.command = max(arrived) if self.pending is None else self.pending[0]
        writer.row = self.row or TargetState(target=self.log[0].target)
        writer.known = Known()
        writer.doing = "plan"

    def _plan(self, writer: Writer) -> None:
        command = self.log[writer.command]
        assert writer.row is not None
        decision = self.rules.plan(
            command, writer.row, writer.known, now=self.now, settle_s=self.rules.settle_s
        )
        match decision:
            case planned.Superseded():
                self.seen["superseded"] += 1
                self._ends(writer, Ending(status="superseded"))
            case planned.Repeat():
                self.seen["repeated"] += 1
                writer.end, writer.doing = (None, None), "settle"
            case planned.Unchanged():
                self.seen["unchanged"] += 1
                ending = Ending(status="applied", result="unchanged", halo_id=writer.row.halo_id)
                self._ends(writer, ending)
            case planned.FindOurKey():
                ids = [n for n, record in self.records.items() if record.visible_at <= self.now]
                look = ByOurKey(tuple(ids), proven=True, at=self.now)
                writer.known = msgspec.structs.replace(writer.known, by_our_key=look)
            case planned.FindMatch():
                writer.known = msgspec.structs.replace(writer.known, match=planned.NoMatch())
            case planned.ReadRecord(halo_id):
                same = self.records[halo_id].values == state_of(command)
                writer.known = writer.known.having_read(ReadBack(halo_id, exists=True, equal=same))
            case planned.Create() | planned.Update():
                if writer.row.intent is not None:
                    self.seen[f"{type(decision).__name__.lower()} after an open intent"] += 1
                writer.decision, writer.doing = decision, "write"
            case planned.Settle(halo_id, result):
                self.seen["settled by looking"] += 1
                self._ends(writer, Ending(status="applied", result=result, halo_id=halo_id))
            case planned.Wait(_, not_before):
                writer.doing, writer.not_before = "park", not_before
            case _:
                raise Broken(f"nobody should have to act: {decision}")

    def _ends(self, writer: Writer, ending: Ending) -> None:
        assert writer.row is not None
        command = self.log[writer.command]
        stored = stored_outcome(tell.outcome_of(work_of(command), ending), None, self.now)
        after = next_state(writer.row, command, ending, stored, generation=0)
        writer.end, writer.doing = (after, writer.row.version), "settle"

    def _write_intent(self, number: int, writer: Writer) -> None:
        assert writer.row is not None
        command, decision = self.log[writer.command], writer.decision
        if isinstance(decision, planned.Update):
            writer.row = msgspec.structs.replace(writer.row, halo_id=decision.halo_id)
        writer.before = writer.row
        operation: Literal["create", "update"] = (
            "create" if isinstance(decision, planned.Create) else "update"
        )
        intent = Intent(
            command_id=id_of(command),
            operation=operation,
            epoch=writer.epoch,
            sent_at=self.now,
            state_hash=command.state_hash,
        )
        if self.rules.an_open_write_hides_the_state:
            after = tell.with_intent(writer.row, intent)
        else:
            after = msgspec.structs.replace(writer.row, intent=intent)
        if not self.rules.intents_before_writes:
            writer.doing = "send"
            return
        after = msgspec.structs.replace(after, version=writer.row.version + 1)
        if self._save(number, writer, after, writer.row.version):
            writer.row, writer.doing = after, "send"
        else:
            writer.doing = "idle"

    def _send(self, number: int, writer: Writer) -> None:
        if self.rules.sends_are_fenced and not self._owns(number, writer):
            writer.doing = "idle"
            return
        intent = writer.row.intent if writer.row is not None else None
        if self.rules.sends_are_timely and intent and self.now > intent.sent_at + SEND_WITHIN_S:
            self.seen["too late to send"] += 1
            writer.doing, writer.not_before = "withdraw", self.now + 1
            return
        command, decision = self.log[writer.command], writer.decision
        state = state_of(command)
        self.sent += 1
        update = isinstance(decision, planned.Update)
        writes = (
            {group: state[group] for group in decision.groups}
            if isinstance(decision, planned.Update)
            else state
        )
        flight = Flight(
            "update" if update else "create",
            writes,
            decision.halo_id if isinstance(decision, planned.Update) else None,
            self.now,
            number,
            self.sent,
        )
        self.flights.append(flight)
        writer.doing, writer.flight = "wait", self.sent

    def _settle(self, number: int, writer: Writer) -> None:
        assert writer.end is not None
        after, version = writer.end
        if after is not None and not self._save(number, writer, after, version):
            self.seen["settle refused"] += 1
            writer.doing = "idle"
            return
        if self._owns(number, writer) and self.pending is not None and self.pending[0] <= writer.command:
            self.pending = None
        writer.doing = "commit"

    def _withdraw(self, number: int, writer: Writer) -> None:
        """The write surely did nothing: the row is as before it."""
        assert writer.before is not None
        assert writer.row is not None
        after = tell.withdrawn(writer.before, writer.row.version + 1)
        if not self._save(number, writer, after, writer.row.version):
            writer.doing = "idle"
            return
        writer.row, writer.doing = after, "park"

    def _park(self, number: int, writer: Writer) -> None:
        if not self._owns(number, writer):
            writer.doing = "idle"
            return
        if self.rules.row_before_offset:
            newest = max(writer.command, self.pending[0] if self.pending else 0)
            self.pending = (newest, writer.not_before)
            writer.doing = "commit"
        else:
            self.offset = max(self.offset, writer.offset)
            writer.doing = "idle"

    def _owns(self, number: int, writer: Writer) -> bool:
        return self.owner == number and self.epoch == writer.epoch

    def _save(self, number: int, writer: Writer, after: TargetState, version: int | None) -> bool:
        stored = self.row.version if self.row is not None else 0
        if self.rules.saves_are_conditional and not (self._owns(number, writer) and version == stored):
            return False
        self.row = msgspec.structs.replace(after, version=max(after.version, stored + 1))
        return True
