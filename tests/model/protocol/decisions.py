"""The product's own decisions, asked once for each case that the model can tell apart.

`plan`, `coalesce`, `with_intent`, `withdrawn` and `next_state` answer; a case is a row without its version, epochs
and times, which none of them may look at but through what the model keeps of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from types import SimpleNamespace
from typing import Literal, NamedTuple, cast

import msgspec

from hub.store import targets
from schemas.commands import Command
from schemas.identity import group_hashes, id_of
from schemas.outcomes import Result
from schemas.targets import Intent, TargetState
from schemas.topics import COMMANDS
from services.halo_writer import decisions as planned
from services.halo_writer import ending as tell
from services.halo_writer.coalesce import coalesce, in_order, newest
from services.halo_writer.course import Course
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from services.halo_writer.ending import Ending
from services.halo_writer.execute import decided
from services.halo_writer.tools import Tools
from services.halo_writer.work import Work, from_pending, pending_row
from tests.model.protocol.parts import NEVER, Job, Rules, Setup, Waiting, Write
from tests.unit.halo_writer.build import INSTANCE, work_of

NOW = 10_000.0
SETTLE_S = 100.0
HALO_ID = 1
NOTHING_EARLY, NOTHING_LATE, FOUND = 1, 2, 3
EQUAL, DIFFERS = 1, 2

Operation = Literal["create", "update"]
Vary = Callable[[TargetState], TargetState]


class Restored(Enum):
    """Whether the store was restored, and whether `settle_s` has passed since."""

    NEVER = 0
    NOW = 1
    LONG_AGO = 2


class Question(NamedTuple):
    """One question to the plan: what was found out, and whether `settle_s` has passed since the intent.

    `old` tells that the command is from before a restore.
    """

    target: int
    command: int
    row: int
    looked: int
    read: int
    aged: bool
    old: bool = False
    restored: Restored = Restored.NEVER


class Look(NamedTuple):
    """Ask Halo by our key."""


class Read(NamedTuple):
    """Read the record back."""


class End(NamedTuple):
    """The command ends, and the row becomes this (None: stays)."""

    row: int | None


class Wait(NamedTuple):
    """The command waits in the store."""


Answer = Look | Read | Write | End | Wait


class Rows:
    """Rows by number; two that differ in nothing that may matter have one."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self.rows: list[TargetState] = []

    def number(self, row: TargetState) -> int:
        plain = plain_row(row)
        place = self._numbers.setdefault(msgspec.json.encode(plain), len(self.rows))
        if place == len(self.rows):
            self.rows.append(plain)
        return place


def plain_row(row: TargetState) -> TargetState:
    """The row without what counts or times it."""
    intent = row.intent and msgspec.structs.replace(
        row.intent, command_id="", epoch=0, sent_at=NOW, state_hash=""
    )
    told = None if row.last_outcome is None else b"{}"
    return msgspec.structs.replace(row, version=1, intent=intent, last_outcome=told)


class Decisions:
    """Answers for one setup and one set of rules."""

    def __init__(self, setup: Setup, rules: Rules) -> None:
        self.setup = setup
        self.rules = rules
        self._rows = Rows()
        # The rows of targets that have none are the first ones, in the order of the targets.
        self.empty = [
            self._rows.number(TargetState(target=commands[0].target)) for commands in setup.commands
        ]
        self.values = [[values_of(command, commands) for command in commands] for commands in setup.commands]
        self.asked: dict[Question, Answer] = {}
        self.arrived: Callable[..., tuple[list[Job], list[Job]]] = cache(self._arrived)
        self.newest: Callable[[Job, Job], Job] = cache(self._newest)
        self.with_intent: Callable[[int, bool, int, int], int] = cache(self._with_intent)
        self.withdrawn: Callable[[int], int] = cache(self._withdrawn)
        self.ended: Callable[[Question, bool], int | None] = cache(self._ended)

    @property
    def rows(self) -> list[TargetState]:
        """Every row that came up, by its number."""
        return self._rows.rows

    def row(self, number: int) -> TargetState:
        return self._rows.rows[number]

    def command(self, target: int, command: int) -> Command:
        return self.setup.commands[target][command]

    # The plan ---------------------------------------------------------------------------------------------

    def answer(self, question: Question) -> Answer:
        found = self.asked.get(question)
        if found is None:
            found = self.asked[question] = self._answer(question)
        return found

    def _answer(self, question: Question) -> Answer:
        decision, row = self.ask(question)
        match decision:
            case planned.FindOurKey() if not self.rules.looks_up_first:
                return self.answer(question._replace(looked=NOTHING_LATE))
            case planned.FindOurKey():
                return Look()
            case planned.ReadRecord():
                return Read()
            case planned.Superseded() if not self.rules.an_older_seq_never_writes and row.intent is None:
                return Write(self._rows.number(row), creates=False, groups=self._groups(question, None))
            case planned.Create():
                return Write(self._rows.number(row), creates=True, groups=self._groups(question, None))
            case planned.Update(halo_id, groups):
                found = msgspec.structs.replace(row, halo_id=halo_id)
                return Write(self._rows.number(found), creates=False, groups=self._groups(question, groups))
            case planned.Wait():
                return Wait()
            case _:
                return self._end(question, decision, row)

    def _end(self, question: Question, decision: planned.Decision, row: TargetState) -> End:
        match decision:
            case planned.Superseded():
                ending = Ending(status="superseded")
            case planned.Repeat():
                return End(None)
            case planned.Unchanged():
                ending = Ending(status="applied", result="unchanged", halo_id=row.halo_id)
            case planned.Settle(halo_id, result):
                ending = Ending(status="applied", result=result, halo_id=halo_id)
            case _:
                raise AssertionError(f"nobody should have to act: {decision} for {question}")
        return End(self._next(row, question, ending))

    def ask(self, question: Question, vary: Vary = lambda row: row) -> tuple[planned.Decision, TargetState]:
        """What the plan says as the shell asks it, and of which row; `vary` changes what must not matter."""
        row = vary(_at_times(self.row(question.row), question.aged))
        if question.old and not self.rules.distrusts_rows_of_before_a_restore:
            row = msgspec.structs.replace(row, look_first=row.halo_id is None, generation=1)
        work = self._work(Job(question.target, question.command, old=question.old))
        course = Course(_tools(), work, row, _restored(question), known=known_of(question))
        decision = decided(course)
        if isinstance(decision, planned.FindMatch):
            course.known = msgspec.structs.replace(course.known, match=planned.NoMatch())
            decision = decided(course)
        return decision, row

    def _groups(self, question: Question, names: Sequence[str] | None) -> tuple[int, ...]:
        every = list(group_hashes(self.command(question.target, question.command)))
        return tuple(place for place, name in enumerate(every) if names is None or name in names)

    # Rows -------------------------------------------------------------------------------------------------

    def _with_intent(self, number: int, creates: bool, target: int, command: int) -> int:
        row = self.row(number)
        seq = self.command(target, command).seq if self.rules.an_open_newer_write_is_left_alone else ()
        operation: Operation = "create" if creates else "update"
        intent = Intent(command_id="", operation=operation, epoch=0, sent_at=NOW, state_hash="", seq=seq)
        if self.rules.an_open_write_hides_the_state:
            return self._rows.number(tell.with_intent(row, intent))
        return self._rows.number(msgspec.structs.replace(row, intent=intent))

    def _withdrawn(self, number: int) -> int:
        return self._rows.number(tell.withdrawn(self.row(number), 2))

    def _ended(self, question: Question, creates: bool) -> int | None:
        """The row after a write was answered: `question.row` is the one with the intent."""
        row = self.row(question.row)
        halo_id = HALO_ID if creates else row.halo_id
        result: Result = "created" if creates else "updated"
        return self._next(row, question, Ending(status="applied", result=result, halo_id=halo_id))

    def _next(self, row: TargetState, question: Question, ending: Ending) -> int | None:
        command = self.command(question.target, question.command)
        stored = tell.stored_outcome(tell.outcome_of(work_of(command), ending), None, NOW)
        after = tell.next_state(
            row, command, ending, stored, generation=0 if question.restored is Restored.NEVER else 1
        )
        return None if after is None else self._rows.number(after)

    # Choosing ---------------------------------------------------------------------------------------------

    def _arrived(
        self, first: int, top: int, waiting: tuple[bool, ...], log_end: int
    ) -> tuple[list[Job], list[Job]]:
        """What the log has from `first` up to `top`: for targets that don't wait in a row, and for those that do."""
        keys = {self.setup.commands[target][0].target.key for target, waits in enumerate(waiting) if waits}
        works = []
        for offset in range(first, top):
            work = work_of(self.command(*self.setup.log[offset]))
            work.done.append(_Offset(offset))
            work.position = (0, 0 if offset < log_end else 1)
            works.append(work)
        ready, for_rows = coalesce(works, keys)
        if not self.rules.newest_wins:
            ready, for_rows = _oldest(works, keys)
        jobs = [self._job(work) for work in in_order(ready)]
        return jobs, [self._job(work) for work in for_rows.values()]

    def _newest(self, before: Job, after: Job) -> Job:
        """The one of two commands of a target that is to run, having taken over what the other must be told."""
        pair = [self._work(before), self._work(after)]
        best = self._job(newest(*pair) if self.rules.newest_wins else _replaced(*pair))
        if not self.rules.remembers_what_is_of_before:
            return best._replace(old=after.old if best.command == after.command else before.old)
        return best

    def in_row(self, waiting: Waiting, target: int) -> Job:
        return Job(target, waiting.command, waiting.replaced, waiting.old, row=waiting.command)

    def _work(self, job: Job) -> Work:
        """The job as the product has it; what waits is put into a row and read back."""
        work = work_of(self.command(job.target, job.command))
        for place in range(len(self.setup.log)):
            if job.replaced & 1 << place:
                older = work_of(self.command(*self.setup.log[place]))
                work.superseded.append(older.as_superseded())
        if job.row is not None:
            held = work_of(self.command(job.target, job.row))
            row = pending_row(held, reason="x", now=0.0, not_before=0.0)
            work.row = row
            if job.row == job.command:
                work = from_pending(pending_row(work, reason="x", now=0.0, not_before=0.0))
        if job.first != NEVER:
            work.done.append(_Offset(job.first))
        # Of before a restore is what stood on the log before its end then.
        work.position = (0, 0 if job.old else 1)
        return work

    def _job(self, work: Work) -> Job:
        ids = {id_of(self.command(*place)): place for place in self.setup.log}
        target, command = ids[work.command_id]
        replaced = sum({self.setup.bit(*ids[older.command_id]) for older in work.superseded})
        offsets = [done.offset for done in work.done if isinstance(done, _Offset)]
        row = None if work.row is None else ids[work.row.message_id][1]
        old = work.position == (0, 0)
        return Job(target, command, replaced, old, min(offsets, default=NEVER), row)


class _Offset:
    """Whom to tell that a command is durable: here only where it stands on the log."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __call__(self) -> None:
        pass


def _replaced(older: Work, newer: Work) -> Work:
    """For a writer that takes the oldest for the newest."""
    older.replaces(newer)
    return older


def _oldest(works: Sequence[Work], parked: set[str]) -> tuple[list[Work], dict[str, Work]]:
    ready: dict[str, Work] = {}
    for_rows: dict[str, Work] = {}
    for work in works:
        chosen = for_rows if work.target_key in parked else ready
        key = work.target_key
        chosen[key] = _replaced(chosen[key], work) if key in chosen else work
    return list(ready.values()), for_rows


def known_of(question: Question) -> Known:
    look = None
    if question.looked:
        ids = (HALO_ID,) if question.looked == FOUND else ()
        look = ByOurKey(ids, proven=True, at=NOW if question.looked == NOTHING_LATE else NOW - 1)
    read = ReadBack(HALO_ID, exists=True, equal=question.read == EQUAL) if question.read else None
    return Known(by_our_key=look, read_back=read)


def _at_times(row: TargetState, aged: bool) -> TargetState:
    """The row as it is now: `settle_s` has passed since its intent, or none of it."""
    if row.intent is None:
        return row
    sent_at = NOW - SETTLE_S if aged else NOW
    return msgspec.structs.replace(row, intent=msgspec.structs.replace(row.intent, sent_at=sent_at))


def _restored(question: Question) -> targets.Restored | None:
    if question.restored is Restored.NEVER:
        return None
    at = NOW if question.restored is Restored.NOW else NOW - SETTLE_S
    return targets.Restored(generation=1, at=at, log_ends={(COMMANDS, 0): 1})


@cache
def _tools() -> Tools:
    """As much of a writer's tools as decides: the time, and that no rule holds anything back."""
    decides = SimpleNamespace(
        held=SimpleNamespace(store_now=lambda: NOW),
        rules=SimpleNamespace(blocks=lambda source, kind: False),
        timing=SimpleNamespace(settle_s=SETTLE_S),
        instance=INSTANCE,
        **dict.fromkeys(["store", "client", "gate", "fresh_s"]),
    )
    return cast("Tools", decides)


def values_of(command: Command, commands: Sequence[Command]) -> tuple[int, ...]:
    """The desired state, group by group: which of the target's commands first wanted this value."""
    return tuple(
        next(place for place, other in enumerate(commands) if group_hashes(other).get(group) == wanted)
        for group, wanted in group_hashes(command).items()
    )
