"""Writing one record: intent, request, and what Halo's answer means. The order of what is durable is the protocol."""

from __future__ import annotations

from typing import Literal

import msgspec

from halo import GateClosed, Outcome, Reply, as_id, known_fix
from schemas.commands import Notice
from schemas.outcomes import Result
from schemas.targets import Intent, TargetState
from services.halo_writer import ending as tell
from services.halo_writer.closing import Closing
from services.halo_writer.course import Course
from services.halo_writer.inquiry import Inquiry
from services.halo_writer.kinds.base import (
    Row,
    element_to_create,
    element_to_update,
    holding,
    lost_lines,
    sending,
    with_others,
)
from services.halo_writer.look_up import LookupFailed
from services.halo_writer.settle import Overtaken, save_row
from services.halo_writer.together import Poster
from services.halo_writer.tools import Ended, Parked
from services.halo_writer.waits import after_doubt, limited, silence, wait_after

_MEND = "mend what Halo says, in Halo or at its source, then redrive this dead letter"


class Writing:
    """The writes of one command. All raise GateClosed, Overtaken and StoreUnavailable."""

    def __init__(self, course: Course, inquiry: Inquiry, closing: Closing, poster: Poster) -> None:
        self._course = course
        self._inquiry = inquiry
        self._closing = closing
        self._poster = poster

    async def create(self) -> Ended | Parked | None:
        course = self._course
        tools, command = course.tools, course.command
        waiting = await self._inquiry.resolve(command.state_fields())
        if waiting is not None:
            return waiting
        element = element_to_create(course.spec, command, course.resolved, course.row)
        if course.spec.prepare is None:
            return await self._write("create", element)
        rules = tools.rules.for_source(command.target.source)
        hosts = () if rules.quotes is None else rules.quotes.file_hosts
        element |= course.spec.prepare(command, tools.files.of(course.work, hosts))
        try:
            return await self._write("create", element)
        finally:
            tools.files.forget(course.work)

    async def update(self, halo_id: int, groups: tuple[str, ...]) -> Ended | Parked | None:
        """None when Halo refused it for lines that it has no more: more is known now, and nothing was written."""
        course = self._course
        spec, command = course.spec, course.command
        waiting = await self._inquiry.resolve(
            tuple(name for group in groups for name in command.groups[group])
        )
        if waiting is not None:
            return waiting
        element = element_to_update(spec, command, course.resolved, course.row, halo_id, groups)
        if element.keys() == {"id"}:
            return await self._closing.applied("unchanged", halo_id, course.row.answered_hash)
        if element.keys() & (spec.nested.keys() | spec.hosts(command)):
            if not course.record and not (await self._inquiry.read_back(halo_id, compares=False)).exists:
                return await self._closing.gone(halo_id)
            element = element_to_update(spec, command, course.resolved, course.row, halo_id, groups)
            element = with_others(spec, command, element, course.record)
        course.row = msgspec.structs.replace(course.row, halo_id=halo_id)
        return await self._write("update", element)

    async def _knows_better(self, element: Row, halo_id: int, withdrawn: TargetState) -> bool:
        """Whether Halo, asked after it refused an update, lacks lines that this named."""
        course = self._course
        if not course.spec.parts(course.command) & element.keys():
            return False
        await self._save(withdrawn)
        try:
            await self._inquiry.read_back(halo_id, compares=False)
        except LookupFailed:
            return False
        if lost_lines(course.spec, course.command, element, course.record):
            return True
        # Lines that this command no longer has are still those of the state that has settled.
        course.row = msgspec.structs.replace(course.row, children=withdrawn.children)
        return False

    async def _write(self, operation: Literal["create", "update"], element: Row) -> Ended | Parked | None:
        """Intent, request, and what its answer means. `sent_at` is taken before the request can leave."""
        course = self._course
        tools = course.tools
        ready_at = await tools.gate.ready_at()
        now = course.now()
        if ready_at > now:
            return limited(now, ready_at, "the tenant's request budget is used up")
        intent = Intent(
            command_id=course.work.command_id,
            operation=operation,
            epoch=tools.held.epoch,
            sent_at=tools.held.store_now_at_most(),
            state_hash=course.command.state_hash,
            seq=course.command.seq,
        )
        before = course.row
        await self._save(tell.with_intent(sending(course.spec, course.command, element, before), intent))
        tools.steps.reached("after_intent")
        not_after = intent.sent_at + tools.timing.send_within_s
        try:
            reply = await self._poster.post(course.spec.resource, element, not_after)
        except GateClosed:
            await self._save(tell.withdrawn(before, course.row.version))
            raise
        course.work.noted(reply)
        tools.steps.reached("after_reply")
        return await self._answered(reply, intent, before, element)

    async def _answered(
        self, reply: Reply, intent: Intent, before: TargetState, element: Row
    ) -> Ended | Parked | None:
        course = self._course
        match reply.outcome:
            case Outcome.APPLIED:
                return await self._applied(reply.body, intent, element)
            case Outcome.REJECTED:
                course.row = tell.withdrawn(before, course.row.version)
                if intent.operation == "update":
                    assert before.halo_id is not None, "what is updated is there"
                    if reply.not_found:
                        return await self._closing.gone(before.halo_id)
                    if await self._knows_better(element, before.halo_id, course.row):
                        return None
                text = reply.text or f"Halo answered {reply.status}"
                return await self._closing.rejected("halo.rejected", text, known_fix(reply.text) or _MEND)
            case Outcome.AMBIGUOUS:
                again = after_doubt(
                    intent, course.work.requests, now=course.now(), timing=course.tools.timing
                )
                return Parked("ambiguous", again, note=reply.text, trouble=silence(reply))
            case _:
                # The request surely did nothing: the target is free again.
                await self._save(tell.withdrawn(before, course.row.version))
                return wait_after_reply(course, reply)

    async def _applied(self, record: Row, intent: Intent, element: Row) -> Ended:
        course = self._course
        halo_id = as_id(record.get("id")) or course.row.halo_id
        assert halo_id is not None, "Halo's answer to a create has the record's id"
        record = await self._inquiry.with_parts(record, halo_id)
        course.record = record
        course.row = holding(course.spec, course.command, element, record, course.row)
        result: Result = "created" if intent.operation == "create" else "updated"
        course.notices += course.spec.check(course.command, record, created=result == "created")
        if record.get("_warning"):
            course.notices.append(Notice(code="halo.warning", message=str(record["_warning"])))
        try:
            return await self._closing.applied(result, halo_id, course.answered_hash())
        except Overtaken:
            # What the new owner has written may be there twice, or be overwritten with an older state.
            await self._closing.alarm((halo_id,), f"a record was {result} after another owner had taken over")
            raise

    async def _save(self, after: TargetState) -> None:
        course = self._course
        course.row = await save_row(course.tools.store, course.tools.held, course.row, after)


def wait_after_reply(course: Course, reply: Reply) -> Parked:
    """What a request that changed nothing leaves this command to wait for."""
    tools = course.tools
    return wait_after(
        reply,
        now=course.now(),
        timing=tools.timing,
        blocked_until=tools.gate.blocked_until(),
        attempts=course.work.attempts,
    )
