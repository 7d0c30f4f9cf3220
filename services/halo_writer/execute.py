"""Drives one command through the plan: asks what to do, does it, until the command has ended or must wait.

The order of what is durable is the protocol: intent, request, settle. Nothing here decides; `plan` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import msgspec

from halo import GateClosed, Outcome, Reply, as_id, known_fix
from hub.store.pending import DECISION
from hub.store.targets import Restored
from schemas.commands import Notice
from schemas.identity import content_hash, group_hashes
from schemas.outcomes import Result
from schemas.targets import Intent, TargetState
from services.halo_writer import ending as tell
from services.halo_writer import plan as planned
from services.halo_writer.answers import with_answer
from services.halo_writer.compare import equal
from services.halo_writer.ending import Ending
from services.halo_writer.find import Finder, LookupFailed, gone
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import (
    NotYet,
    Refused,
    Resolved,
    Row,
    element_to_create,
    element_to_update,
    with_others,
)
from services.halo_writer.names import Unknown
from services.halo_writer.resolve import NotWanted, Ready, place_fields, resolve_references, waits_for
from services.halo_writer.restored import generation_of, unseen_since
from services.halo_writer.settle import Overtaken, alarm, save_row, settle, tell_again
from services.halo_writer.together import Poster, Single
from services.halo_writer.tools import Ended, Parked, Tools
from services.halo_writer.waits import limited, not_sent, silence, wait_after
from services.halo_writer.work import Work


class Execution:
    """One command's way; what was found out lives here and dies with it."""

    def __init__(
        self,
        tools: Tools,
        work: Work,
        row: TargetState,
        restored: Restored | None,
        poster: Poster | None = None,
    ) -> None:
        self._t = tools
        self._poster = poster or Single(tools.client, tools.gate)
        self._work = work
        self._command = work.command
        self._row = row
        self._restored = restored
        self._spec = SPECS[work.command.target.kind]
        self._finder = Finder(tools.store, tools.client, fresh_s=tools.fresh_s, noted=work.noted)
        self._known = planned.Known()
        self._notices: list[Notice] = []
        self._resolved = Resolved()
        self._record: Mapping[str, Any] = {}

    async def run(self) -> Ended | Parked:
        """Bring the command to its end, or say what it waits for. Raises Overtaken, StoreUnavailable."""
        try:
            while True:
                ended = await self._act(self._decided())
                if ended is not None:
                    return ended
        except LookupFailed as failed:
            return self._wait_after(failed.reply)
        except GateClosed as closed:
            return self._closed(closed)
        except NotYet as missing:
            return Parked(missing.reason, missing.not_before, missing.waits_for, note=str(missing))
        except Refused as refused:
            return await self._reject(refused.code, str(refused), refused.fix)

    def _decided(self) -> planned.Decision:
        command, row = self._command, self._row
        decision = planned.plan(
            command,
            row,
            self._known,
            now=self._now(),
            settle_s=self._t.timing.settle_s,
            restored_at=unseen_since(self._work, row, self._restored),
            waits_for_rejected=self._t.rules.blocks(command.target.source, command.target.kind)
            and tell.rejected_before(row),
        )
        if command.target.instance == self._t.instance:
            return decision
        return planned.elsewhere(decision, command, row, self._t.rule_sequence, self._now())

    async def _act(self, decision: planned.Decision) -> Ended | Parked | None:
        """Do what was decided; None means that more is known now."""
        match decision:
            case planned.FindOurKey() | planned.FindMatch() | planned.ReadRecord():
                return await self._ask(decision)
            case planned.Forget():
                self._row = tell.forgotten(self._row)
                self._known = planned.Known(gone=self._known.gone)
                return None
            case planned.Create() if self._command.adopt_only and self._row.intent is None:
                said = "Halo has none, and none is to be made yet"
                return await self._end(Ending(status="skipped", code="record.absent", message=said))
            case planned.Create():
                return await self._create()
            case planned.Update(halo_id, groups, duplicates):
                await self._alarm_if_doubled(halo_id, duplicates)
                return await self._update(halo_id, groups)
            case planned.Wait(reason, not_before, waits_for):
                again = self._now() + self._t.timing.dependency_s
                return Parked(reason, not_before if math.isfinite(not_before) else again, waits_for)
            case planned.Decide():
                return await self._answered_by_a_person(decision)
            case _:
                return await self._end_as(decision)

    async def _end_as(
        self,
        decision: planned.Superseded | planned.Repeat | planned.Unchanged | planned.Settle | planned.Reject,
    ) -> Ended:
        match decision:
            case planned.Superseded():
                return await self._end(
                    Ending(
                        status="superseded",
                        halo_id=self._row.halo_id,
                        superseded_by=self._row.last_command_id,
                    )
                )
            case planned.Repeat():
                return await self._repeat()
            case planned.Unchanged():
                assert self._row.halo_id is not None
                return await self._applied_as("unchanged", self._row.halo_id, self._row.answered_hash)
            case planned.Settle(halo_id, result, duplicates, notices):
                self._notices += notices
                await self._alarm_if_doubled(halo_id, duplicates)
                return await self._applied_as(result, halo_id, self._answered_hash())
            case planned.Reject(code, message):
                return await self._reject(code, message)
            case _:
                assert_never(decision)

    # Finding out ------------------------------------------------------------------------------------------

    async def _ask(
        self, question: planned.FindOurKey | planned.FindMatch | planned.ReadRecord
    ) -> Ended | Parked | None:
        compares = isinstance(question, planned.ReadRecord) and not self._command.ensure
        fields = self._command.state_fields() if compares else place_fields(self._command)
        waiting = await self._resolve(fields)
        if waiting is not None:
            return waiting
        found: dict[str, Any]
        match question:
            case planned.FindOurKey():
                started_at = self._now()
                found = {
                    "by_our_key": await self._finder.by_our_key(
                        self._spec, self._command, self._resolved, started_at
                    )
                }
            case planned.FindMatch():
                found = {"match": await self._finder.match(self._spec, self._command, self._resolved)}
            case planned.ReadRecord(halo_id):
                self._known = self._known.having_read(await self._read_back(halo_id, compares=compares))
                return None
            case _:
                assert_never(question)
        self._known = msgspec.structs.replace(self._known, **found)
        return None

    async def _read_back(self, halo_id: int, *, compares: bool) -> planned.ReadBack:
        record = await self._finder.record(self._spec, self._command, self._resolved, halo_id)
        if record is None:
            return planned.ReadBack(halo_id, exists=False)
        self._record = record
        # What Halo has now decides which lines exist: an id that it lost must not be sent again.
        children = self._spec.children(self._command, record, self._row)
        self._row = msgspec.structs.replace(self._row, children=children)
        same = compares and equal(self._whole(halo_id), record)
        return planned.ReadBack(halo_id, exists=True, equal=same)

    async def _resolve(self, fields: tuple[str, ...]) -> Ended | Parked | None:
        async with self._t.store.read() as conn:
            resolution = await resolve_references(conn, self._command, fields)
        match resolution:
            case Ready(resolved, notices):
                self._resolved = resolved
                self._notices += [notice for notice in notices if notice not in self._notices]
                return None
            case NotWanted(code, message):
                return await self._end(Ending(status="skipped", code=code, message=message))
            case Unknown(message, fix):
                return await self._reject("name.unknown", message, fix)
            case _:
                return waits_for(resolution, self._now(), self._t.timing)

    async def _answered_by_a_person(self, asked: planned.Decide) -> Parked | None:
        """Go on by the answer, or wait for it."""
        known = await with_answer(self._t.store, self._command.target, asked, self._known)
        if known is None:
            again = self._now() + self._t.timing.dependency_s
            return Parked(DECISION, again, note=asked.message, question=asked.question, choices=asked.choices)
        self._known = known
        return None

    # Writing ----------------------------------------------------------------------------------------------

    async def _create(self) -> Ended | Parked:
        waiting = await self._resolve(self._command.state_fields())
        if waiting is not None:
            return waiting
        element = element_to_create(self._spec, self._command, self._resolved, self._row)
        if self._spec.prepare is None:
            return await self._write("create", element)
        rules = self._t.rules.for_source(self._command.target.source)
        hosts = () if rules.quotes is None else rules.quotes.file_hosts
        element |= self._spec.prepare(self._command, self._t.files.of(self._work, hosts))
        try:
            return await self._write("create", element)
        finally:
            self._t.files.forget(self._work)

    async def _update(self, halo_id: int, groups: tuple[str, ...]) -> Ended | Parked:
        fields = tuple(name for group in groups for name in self._command.groups[group])
        waiting = await self._resolve(fields)
        if waiting is not None:
            return waiting
        element = element_to_update(self._spec, self._command, self._resolved, self._row, halo_id, groups)
        if element.keys() == {"id"}:
            return await self._applied_as("unchanged", halo_id, self._row.answered_hash)
        if element.keys() & (self._spec.nested.keys() | self._spec.hosts(self._command)):
            if not self._record and not (await self._read_back(halo_id, compares=False)).exists:
                return await self._gone(halo_id)
            element = element_to_update(self._spec, self._command, self._resolved, self._row, halo_id, groups)
            element = with_others(self._spec, self._command, element, self._record)
        self._row = msgspec.structs.replace(self._row, halo_id=halo_id)
        return await self._write("update", element)

    async def _write(self, operation: Literal["create", "update"], element: Row) -> Ended | Parked:
        """Intent, request, and what its answer means. `sent_at` is taken before the request can leave."""
        ready_at = await self._t.gate.ready_at()
        now = self._now()
        if ready_at > now:
            return limited(now, ready_at, "the tenant's request budget is used up")
        intent = Intent(
            command_id=self._work.command_id,
            operation=operation,
            epoch=self._t.held.epoch,
            sent_at=self._t.held.store_now_at_most(),
            state_hash=self._command.state_hash,
            seq=self._command.seq,
        )
        before = self._row
        await self._save(tell.with_intent(before, intent))
        self._t.steps.reached("after_intent")
        not_after = intent.sent_at + self._t.timing.send_within_s
        try:
            reply = await self._poster.post(self._spec.resource, element, not_after)
        except GateClosed:
            await self._save(tell.withdrawn(before, self._row.version))
            raise
        self._work.noted(reply)
        self._t.steps.reached("after_reply")
        return await self._answered(reply, intent, before)

    async def _answered(self, reply: Reply, intent: Intent, before: TargetState) -> Ended | Parked:
        match reply.outcome:
            case Outcome.APPLIED:
                return await self._applied(reply.body, intent)
            case Outcome.REJECTED:
                self._row = tell.withdrawn(before, self._row.version)
                if intent.operation == "update" and reply.not_found:
                    return await self._gone(before.halo_id)
                text = reply.text or f"Halo answered {reply.status}"
                return await self._reject("halo.rejected", text, known_fix(reply.text))
            case Outcome.AMBIGUOUS:
                settled_at = intent.sent_at + self._t.timing.settle_s
                look_at = self._now() + self._t.timing.first_look_s
                not_before = min(look_at, settled_at) if intent.operation == "create" else settled_at
                return Parked("ambiguous", not_before, note=reply.text, trouble=silence(reply))
            case _:
                # The request surely did nothing: the target is free again.
                await self._save(tell.withdrawn(before, self._row.version))
                return self._wait_after(reply)

    async def _applied(self, record: Row, intent: Intent) -> Ended:
        halo_id = as_id(record.get("id")) or self._row.halo_id
        assert halo_id is not None, "Halo's answer to a create has the record's id"
        if self._spec.parts(self._command) - record.keys():
            # The answer lacks what the next write needs; the record itself has it.
            record = record | await self._finder.details(self._spec, halo_id)
        self._record = record
        children = self._spec.children(self._command, record, self._row)
        self._row = msgspec.structs.replace(self._row, children=children)
        result: Result = "created" if intent.operation == "create" else "updated"
        self._notices += self._spec.check(self._command, record, created=result == "created")
        if record.get("_warning"):
            self._notices.append(Notice(code="halo.warning", message=str(record["_warning"])))
        try:
            return await self._applied_as(result, halo_id, self._answered_hash())
        except Overtaken:
            # What the new owner has written may be there twice, or be overwritten with an older state.
            await self._alarm((halo_id,), f"a record was {result} after another owner had taken over")
            raise

    async def _save(self, after: TargetState) -> None:
        self._row = await save_row(self._t.store, self._t.held, self._row, after)

    # Ending -----------------------------------------------------------------------------------------------

    async def _applied_as(self, result: Result, halo_id: int, answered_hash: str | None) -> Ended:
        return await self._end(
            Ending(
                status="applied",
                result=result,
                halo_id=halo_id,
                answered_hash=answered_hash,
                notices=tuple(self._notices),
            )
        )

    async def _gone(self, halo_id: int | None) -> Ended:
        return await self._reject(planned.GONE, f"the record {halo_id} was deleted in Halo")

    async def _reject(self, code: str, message: str, fix: str | None = None) -> Ended:
        if code == planned.GONE:
            code, fix = gone(self._command)
        return await self._end(Ending(status="rejected", code=code, message=message, fix=fix))

    async def _end(self, ending: Ending) -> Ended:
        correlation_id = self._work.envelope.correlationid
        stored = tell.stored_outcome(tell.outcome_of(self._work, ending), correlation_id, self._now())
        owns = not (isinstance(self._known.match, planned.Matched) and not self._known.match.owned)
        after = tell.next_state(
            self._row, self._command, ending, stored, generation=generation_of(self._restored), owns=owns
        )
        store, held, record = self._t.store, self._t.held, self._record
        await settle(store, held, self._work, self._row, after, ending=ending, stored=stored, record=record)
        self._t.steps.reached("after_settle")
        return Ended(ending.status, ending.halo_id, ending.result, ending.code)

    async def _repeat(self) -> Ended:
        assert self._row.last_outcome is not None
        stored = tell.from_row(self._row.last_outcome)
        await tell_again(self._t.store, self._work, stored, self._now())
        return Ended("repeat", tell.halo_id_of(stored))

    async def _alarm_if_doubled(self, halo_id: int, duplicates: tuple[int, ...]) -> None:
        if duplicates:
            await self._alarm((halo_id, *duplicates), "a look-up by our key found several records")

    async def _alarm(self, halo_ids: tuple[int, ...], why: str) -> None:
        await alarm(self._t, self._command.target, halo_ids, why, self._now())

    # Small things -----------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._t.held.store_now()

    def _whole(self, halo_id: int) -> Row:
        """All that the command owns of the record, as an update would send it."""
        groups = group_hashes(self._command)
        return element_to_update(self._spec, self._command, self._resolved, self._row, halo_id, groups)

    def _answered_hash(self) -> str | None:
        """The hash of the fields that we own, as Halo answered them."""
        if not self._record:
            return None
        try:
            owned = self._whole(0)
        except (KeyError, Refused):
            return None
        return content_hash({name: self._record.get(name) for name in sorted(owned)})

    def _closed(self, closed: GateClosed) -> Parked:
        if self._t.held.lost:
            raise Overtaken(str(closed)) from closed
        return not_sent(closed, now=self._now(), blocked_until=self._t.gate.blocked_until())

    def _wait_after(self, reply: Reply) -> Parked:
        blocked_until, attempts = self._t.gate.blocked_until(), self._work.attempts
        timing = self._t.timing
        return wait_after(
            reply, now=self._now(), timing=timing, blocked_until=blocked_until, attempts=attempts
        )
