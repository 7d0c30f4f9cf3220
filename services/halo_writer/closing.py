"""Bringing one command to its end: its outcome, its row, and all that is to be told, in one transaction."""

from __future__ import annotations

from schemas.outcomes import Result
from services.halo_writer import ending as tell
from services.halo_writer.course import Course
from services.halo_writer.decisions import GONE, Matched
from services.halo_writer.ending import Ending
from services.halo_writer.gone import code_and_fix
from services.halo_writer.restored import generation_of
from services.halo_writer.settle import alarm, settle, tell_again
from services.halo_writer.tools import Ended


class Closing:
    """The ends of one command. All raise Overtaken and StoreUnavailable."""

    def __init__(self, course: Course) -> None:
        self._course = course

    async def applied(self, result: Result, halo_id: int, answered_hash: str | None) -> Ended:
        return await self.end(
            Ending(
                status="applied",
                result=result,
                halo_id=halo_id,
                answered_hash=answered_hash,
                notices=tuple(self._course.notices),
            )
        )

    async def skipped(self, code: str, message: str) -> Ended:
        return await self.end(Ending(status="skipped", code=code, message=message))

    async def rejected(self, code: str, message: str, fix: str | None = None) -> Ended:
        if code == GONE:
            code, fix = code_and_fix(self._course.command)
        return await self.end(Ending(status="rejected", code=code, message=message, fix=fix))

    async def gone(self, halo_id: int | None) -> Ended:
        return await self.rejected(GONE, f"the record {halo_id} was deleted in Halo")

    async def superseded(self) -> Ended:
        row = self._course.row
        return await self.end(
            Ending(status="superseded", halo_id=row.halo_id, superseded_by=row.last_command_id)
        )

    async def repeat(self) -> Ended:
        """The stored outcome of this very command, once more."""
        course = self._course
        assert course.row.last_outcome is not None, "only what has settled can be a repeat"
        stored = tell.from_row(course.row.last_outcome)
        await tell_again(course.tools.store, course.work, stored, course.now())
        return Ended("repeat", tell.halo_id_of(stored))

    async def end(self, ending: Ending) -> Ended:
        course = self._course
        tools, row = course.tools, course.row
        correlation_id = course.work.envelope.correlationid
        stored = tell.stored_outcome(tell.outcome_of(course.work, ending), correlation_id, course.now())
        owns = not (isinstance(course.known.match, Matched) and not course.known.match.owned)
        generation = generation_of(course.restored)
        after = tell.next_state(row, course.command, ending, stored, generation=generation, owns=owns)
        await settle(
            tools.store,
            tools.held,
            course.work,
            row,
            after,
            ending=ending,
            stored=stored,
            record=course.record,
        )
        tools.steps.reached("after_settle")
        return Ended(ending.status, ending.halo_id, ending.result, ending.code)

    async def alarm_if_doubled(self, halo_id: int, duplicates: tuple[int, ...]) -> None:
        if duplicates:
            await self.alarm((halo_id, *duplicates), "a look-up by our key found several records")

    async def alarm(self, halo_ids: tuple[int, ...], why: str) -> None:
        course = self._course
        await alarm(course.tools, course.command.target, halo_ids, why, course.now())
