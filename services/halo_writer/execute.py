"""Drives one command through the plan: asks what to do, does it, until the command has ended or must wait.

Nothing here decides; `plan` does. What it may ask is found out by `inquiry`, what it may have done is done by
`writing`, and each end is one transaction in `closing`. All of them share the command's `course`.
"""

from __future__ import annotations

import math
from typing import assert_never

from halo import GateClosed
from hub.store.targets import Restored
from schemas.targets import TargetState
from services.halo_writer import ending as tell
from services.halo_writer.closing import Closing
from services.halo_writer.course import Course
from services.halo_writer.decisions import (
    Create,
    Decide,
    Decision,
    FindMatch,
    FindOurKey,
    Forget,
    Known,
    ReadRecord,
    Reject,
    Repeat,
    Settle,
    Superseded,
    Unchanged,
    Update,
    Wait,
)
from services.halo_writer.inquiry import Inquiry
from services.halo_writer.kinds.base import ItemForbids, NotYet, Refused
from services.halo_writer.look_up import LookupFailed
from services.halo_writer.plan import elsewhere, plan
from services.halo_writer.restored import unseen_since
from services.halo_writer.settle import Overtaken
from services.halo_writer.together import Poster, Single
from services.halo_writer.tools import Ended, Parked, Tools
from services.halo_writer.waits import not_sent
from services.halo_writer.work import Work
from services.halo_writer.writing import Writing, wait_after_reply


def decided(course: Course) -> Decision:
    """The next step, by all that the course has found out."""
    command, tools = course.command, course.tools
    decision = plan(
        command,
        course.row,
        course.known,
        now=course.now(),
        settle_s=tools.timing.settle_s,
        restored_at=unseen_since(course.work, course.row, course.restored),
        waits_for_rejected=tools.rules.blocks(command.target.source, command.target.kind)
        and tell.rejected_before(course.row),
    )
    if command.target.instance == tools.instance:
        return decision
    return elsewhere(decision, command, course.row, tools.rule_sequence, course.now())


class Execution:
    """One command's way through the plan."""

    def __init__(
        self,
        tools: Tools,
        work: Work,
        row: TargetState,
        restored: Restored | None,
        poster: Poster | None = None,
    ) -> None:
        self._course = Course(tools, work, row, restored)
        self._closing = Closing(self._course)
        self._inquiry = Inquiry(self._course, self._closing)
        poster = poster or Single(tools.client, tools.gate)
        self._writing = Writing(self._course, self._inquiry, self._closing, poster)

    async def run(self) -> Ended | Parked:
        """Bring the command to its end, or say what it waits for. Raises Overtaken, StoreUnavailable."""
        try:
            while True:
                try:
                    ended = await self._act(decided(self._course))
                except ItemForbids as forbidden:
                    if not await self._inquiry.seen_anew(forbidden.item_id):
                        raise
                    continue
                if ended is not None:
                    return ended
        except LookupFailed as failed:
            return wait_after_reply(self._course, failed.reply)
        except GateClosed as closed:
            return self._closed(closed)
        except NotYet as missing:
            return Parked(missing.reason, missing.not_before, missing.waits_for, note=str(missing))
        except Refused as refused:
            return await self._closing.rejected(refused.code, str(refused), refused.fix)

    async def _act(self, decision: Decision) -> Ended | Parked | None:
        """Do what was decided; None means that more is known now."""
        course = self._course
        match decision:
            case FindOurKey() | FindMatch() | ReadRecord():
                return await self._inquiry.ask(decision)
            case Decide():
                return await self._inquiry.answer_to(decision)
            case Forget():
                course.row = tell.forgotten(course.row)
                course.known = Known(gone=course.known.gone)
                return None
            case Create() if course.command.adopt_only and course.row.intent is None:
                return await self._closing.skipped(
                    "record.absent", "Halo has none, and none is to be made yet"
                )
            case Create():
                return await self._writing.create()
            case Update(halo_id, groups, duplicates):
                await self._closing.alarm_if_doubled(halo_id, duplicates)
                return await self._writing.update(halo_id, groups)
            case Wait(reason, not_before, waits_for):
                again = course.now() + course.tools.timing.dependency_s
                return Parked(reason, not_before if math.isfinite(not_before) else again, waits_for)
            case _:
                return await self._end_as(decision)

    async def _end_as(self, decision: Superseded | Repeat | Unchanged | Settle | Reject) -> Ended:
        course, closing = self._course, self._closing
        match decision:
            case Superseded():
                return await closing.superseded()
            case Repeat():
                return await closing.repeat()
            case Unchanged():
                assert course.row.halo_id is not None, "what is unchanged is there"
                return await closing.applied("unchanged", course.row.halo_id, course.row.answered_hash)
            case Settle(halo_id, result, duplicates, notices):
                course.notices += notices
                await closing.alarm_if_doubled(halo_id, duplicates)
                return await closing.applied(result, halo_id, course.answered_hash())
            case Reject(code, message):
                return await closing.rejected(code, message)
            case _:
                assert_never(decision)

    def _closed(self, closed: GateClosed) -> Parked:
        course = self._course
        if course.tools.held.lost:
            raise Overtaken(str(closed)) from closed
        return not_sent(closed, now=course.now(), blocked_until=course.tools.gate.blocked_until())
