"""The planner, driven as the shell drives it: no way leads from an open create to another without the right look-up.

A monitor beside the planner keeps what was really asked, when, and what came back: it never looks at `Known`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from schemas.commands import Command
from schemas.identity import id_of
from schemas.targets import Intent, TargetState
from services.halo_writer import decisions as planned
from services.halo_writer import ending as tell
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from services.halo_writer.ending import Ending, next_state, stored_outcome
from services.halo_writer.plan import plan
from tests.model.machines import Machine, run
from tests.model.protocol.parts import revisions
from tests.unit.halo_writer.build import sealed, work_of
from tests.unit.halo_writer.plan_cases import FULL

SEND_WITHIN_S, REACH_S = 2.0, 8.0
"""A write leaves so long after its intent at most, and has its effect so long after it left at most."""
SETTLE = SEND_WITHIN_S + REACH_S
REVISIONS = revisions(("A", "Draft"), ("B", "Draft"), ("A", "Draft"))
COMMANDS: tuple[Command, ...] = (
    *REVISIONS,
    sealed(msgspec.structs.replace(REVISIONS[0], seq=(), ensure=True)),
    msgspec.structs.replace(
        REVISIONS[1], basis=msgspec.structs.replace(REVISIONS[1].basis, cause="redrive-1")
    ),
)


@dataclass
class Look:
    """One look-up by our key as it really was."""

    started_at: float
    found: tuple[int, ...]
    proven: bool


@dataclass
class Request:
    """A write that left, and the intent that announced it."""

    create: bool
    command: Command
    left_at: float
    writer: int


@dataclass
class Attempt:
    """One writer's way with one command."""

    command: Command
    row: TargetState
    known: Known = field(default_factory=Known)
    looks: list[Look] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    write: planned.Create | planned.Update | None = None
    before: TargetState | None = None
    sent: Request | None = None


class Writing(Machine):
    """Two writers and one target; whose row was changed under it stops, as the lease and the version make it."""

    @initialize(dice=st.integers(0, 2**40))
    def begin(self, dice: int) -> None:
        self.now = 1000.0
        self.proven = random.Random(dice).random() < 0.7
        self.row = TargetState(target=FULL.target)
        self.attempts: list[Attempt | None] = [None, None]
        self.requests: list[Request] = []
        self.records: list[tuple[int, float, Command]] = []

    @rule(dice=st.integers(0, 2**40))
    def happens(self, dice: int) -> None:
        """One rule and one draw, so that each history has its share of everything."""
        chance = random.Random(dice)
        what = chance.choice([*["work"] * 4, *["answer"] * 4, *["late"] * 4, "time", "death"])
        writer, command = chance.choice([0, 0, 1]), chance.choice(COMMANDS)
        fate = chance.choice(["answered", "answered", "silence", "lost", "refused", "still on its way"])
        seconds, steps = chance.choice([0.0, 0.0, 0.0, 3.0, 12.0]), chance.choice([1, 2, 3, 8])
        if what == "answer" and any(each and each.sent for each in self.attempts):
            self.the_wait_for_an_answer_ends(fate)
        elif what == "late" and self.requests:
            self.applied(0, answered=False)
        elif what == "death" and self.attempts[writer] is not None:
            self.saw("died")
            self.attempts[writer] = None
        elif what != "time":
            self.works(writer, command, steps)
        self.time_passes(seconds)

    # Halo -------------------------------------------------------------------------------------------------

    def time_passes(self, seconds: float) -> None:
        """A request that could not be applied by then was lost."""
        self.now += seconds
        self.requests = [request for request in self.requests if request.left_at + REACH_S > self.now]

    def applied(self, pick: int, answered: bool) -> None:
        request = self.requests.pop(pick % len(self.requests))
        visible_at = min(self.now + 4.0, request.left_at + REACH_S)
        if request.create:
            self.records.append((len(self.records) + 1, visible_at, request.command))
        else:
            halo_id, seen_at, _ = self.records[0]
            self.records[0] = (halo_id, seen_at, request.command)
        attempt = self.attempts[request.writer]
        awaited = attempt is not None and attempt.sent is request
        if not (answered and awaited):
            self.saw("answer lost")
        if not awaited:
            self.saw("applied late")
        if attempt is not None and awaited and answered:
            result: Literal["created", "updated"] = "created" if request.create else "updated"
            self.ends(request.writer, Ending(status="applied", result=result, halo_id=self.records[0][0]))

    # Writers ----------------------------------------------------------------------------------------------

    def the_wait_for_an_answer_ends(self, fate: str) -> None:
        writer = next(place for place, each in enumerate(self.attempts) if each and each.sent)
        attempt = self.attempts[writer]
        assert attempt is not None
        if attempt.sent in self.requests:
            place = self.requests.index(attempt.sent)
            self.saw(fate)
            if fate in ("answered", "silence"):
                self.applied(place, answered=fate == "answered")
            elif fate in ("lost", "refused"):
                del self.requests[place]
            if fate == "refused":
                assert attempt.before is not None
                self.saves(writer, tell.withdrawn(attempt.before, attempt.row.version + 1))
        self.attempts[writer] = None

    def works(self, writer: int, command: Command, steps: int) -> None:
        if self.attempts[writer] is None:
            self.attempts[writer] = Attempt(command, self.row)
        for _ in range(steps):
            attempt = self.attempts[writer]
            if attempt is None or attempt.sent is not None:
                return
            self.step(writer, attempt)

    def step(self, writer: int, attempt: Attempt) -> None:
        if attempt.write is not None:
            self.sends(writer, attempt)
            return
        decision = plan(attempt.command, attempt.row, attempt.known, now=self.now, settle_s=SETTLE)
        self.saw(type(decision).__name__)
        match decision:
            case planned.FindOurKey():
                seen = tuple(halo_id for halo_id, visible_at, _ in self.records if visible_at <= self.now)
                attempt.looks.append(Look(self.now, seen, self.proven))
                look = ByOurKey(seen, proven=self.proven, at=self.now)
                attempt.known = msgspec.structs.replace(attempt.known, by_our_key=look)
            case planned.FindMatch():
                attempt.known = msgspec.structs.replace(attempt.known, match=planned.NoMatch())
            case planned.ReadRecord(halo_id):
                attempt.reads.append(self.now)
                same = self.records[halo_id - 1][2].state_hash == attempt.command.state_hash
                attempt.known = attempt.known.having_read(ReadBack(halo_id, exists=True, equal=same))
            case planned.Create() | planned.Update():
                self.allows(decision, attempt)
                self.writes_intent(writer, attempt, decision)
            case planned.Settle(halo_id, result):
                self.allows(decision, attempt)
                self.ends(writer, Ending(status="applied", result=result, halo_id=halo_id))
            case planned.Unchanged():
                self.ends(writer, Ending(status="applied", result="unchanged", halo_id=attempt.row.halo_id))
            case planned.Wait() | planned.Decide() | planned.Superseded() | planned.Repeat():
                self.attempts[writer] = None
            case _:
                raise AssertionError(f"nothing was deleted or refused: {decision}")

    def writes_intent(self, writer: int, attempt: Attempt, decision: planned.Create | planned.Update) -> None:
        create = isinstance(decision, planned.Create)
        if isinstance(decision, planned.Update):
            attempt.row = msgspec.structs.replace(attempt.row, halo_id=decision.halo_id)
        attempt.before = attempt.row
        intent = Intent(
            command_id=id_of(attempt.command),
            operation="create" if create else "update",
            epoch=1,
            sent_at=self.now,
            state_hash=attempt.command.state_hash,
        )
        after = msgspec.structs.replace(
            tell.with_intent(attempt.row, intent), version=attempt.row.version + 1
        )
        if self.saves(writer, after):
            attempt.row, attempt.write = after, decision

    def sends(self, writer: int, attempt: Attempt) -> None:
        intent = attempt.row.intent
        assert intent is not None
        if self.row.version != attempt.row.version:
            self.saw("stopped before it sent")
            self.attempts[writer] = None
        elif self.now > intent.sent_at + SEND_WITHIN_S:
            self.saw("too late to send")
            assert attempt.before is not None
            self.saves(writer, tell.withdrawn(attempt.before, attempt.row.version + 1))
            self.attempts[writer] = None
        else:
            create = isinstance(attempt.write, planned.Create)
            attempt.sent = Request(create, attempt.command, self.now, writer)
            self.requests.append(attempt.sent)

    def ends(self, writer: int, ending: Ending) -> None:
        attempt = self.attempts[writer]
        assert attempt is not None
        outcome = tell.outcome_of(work_of(attempt.command), ending)
        after = next_state(
            attempt.row, attempt.command, ending, stored_outcome(outcome, None, self.now), generation=0
        )
        if after is not None:
            self.saves(writer, after)
        self.attempts[writer] = None

    def saves(self, writer: int, after: TargetState) -> bool:
        if after.version != self.row.version + 1:
            self.saw("overtaken")
            self.attempts[writer] = None
            return False
        self.row = after
        return True

    # The monitor ------------------------------------------------------------------------------------------

    def allows(self, decision: planned.Create | planned.Update | planned.Settle, attempt: Attempt) -> None:
        intent, command = attempt.row.intent, attempt.command
        assert command.ensure or command.seq >= attempt.row.seq, "an older command writes"
        if intent is None:
            return
        settled_at = intent.sent_at + SETTLE
        self.saw(f"{type(decision).__name__} after an open {intent.operation}")
        if isinstance(decision, planned.Create):
            assert intent.operation == "create"
            assert any(
                look.started_at >= settled_at and look.proven and not look.found for look in attempt.looks
            ), "a create after an open one, and no look-up has proven that there is no record"
        elif intent.operation == "create":
            assert any(decision.halo_id in look.found for look in attempt.looks)
            assert attempt.reads
        else:
            assert any(at >= settled_at for at in attempt.reads), "an open update was not read back in time"

    @invariant()
    def there_is_one_record(self) -> None:
        assert len(self.records) <= 1

    @invariant()
    def what_is_under_way_is_announced(self) -> None:
        if self.requests and not any(self.attempts):
            assert self.row.intent is not None or self.row.halo_id is not None


@pytest.mark.invariant("INV-1")
@pytest.mark.invariant("INV-2")
@pytest.mark.invariant("INV-5")
def test_however_it_is_driven_the_planner_never_creates_blindly() -> None:
    run(
        Writing,
        interesting=[
            "FindOurKey",
            "ReadRecord",
            "Create",
            "Update",
            "Settle",
            "Wait",
            "Decide",
            "Superseded",
            "Repeat",
            "Unchanged",
            "answered",
            "answer lost",
            "applied late",
            "died",
            "overtaken",
            "Create after an open create",
            "Settle after an open create",
            "Update after an open create",
            "Update after an open update",
            "too late to send",
        ],
        examples=250,
        steps=30,
    )
