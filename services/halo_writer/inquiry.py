"""What one command needs to know before it may be written: its references' ids, its record, and people's answers."""

from __future__ import annotations

from typing import assert_never

import msgspec

from halo.resources import ITEM
from hub.store import catalogue
from hub.store.pending import DECISION
from services.halo_writer.answers import with_answer
from services.halo_writer.closing import Closing
from services.halo_writer.compare import equal
from services.halo_writer.course import Course
from services.halo_writer.decisions import PLACE, Decide, FindMatch, FindOurKey, Matched, ReadBack, ReadRecord
from services.halo_writer.find import Finder
from services.halo_writer.kinds.base import Row, holding
from services.halo_writer.look_up import LookUp
from services.halo_writer.marked import by_our_key
from services.halo_writer.names import Unknown
from services.halo_writer.resolve import THERE, NotWanted, Ready, place_fields, resolve_references, waits_for
from services.halo_writer.tools import Ended, Parked


class Inquiry:
    """Finds out into the course. What is found missing ends the command, or is what it waits for.

    All raise LookupFailed and GateClosed, and what ending raises.
    """

    def __init__(self, course: Course, closing: Closing) -> None:
        self._course = course
        self._closing = closing
        tools = course.tools
        self._look = LookUp(tools.store, tools.client, fresh_s=tools.fresh_s, noted=course.work.noted)
        self._finder = Finder(self._look)
        self._asked: set[int] = set()

    async def ask(self, question: FindOurKey | FindMatch | ReadRecord) -> Ended | Parked | None:
        """Find out what the plan asks; None means that more is known now."""
        course = self._course
        spec, command = course.spec, course.command
        compares = isinstance(question, ReadRecord) and not command.ensure
        waiting = await self.resolve(command.state_fields() if compares else place_fields(command))
        if waiting is not None:
            return waiting
        match question:
            case FindOurKey():
                ours = await by_our_key(self._look, spec, command, course.resolved, course.now())
                course.known = msgspec.structs.replace(course.known, by_our_key=ours)
            case FindMatch():
                found = await self._finder.match(spec, command, course.resolved, course.known.gone)
                course.known = msgspec.structs.replace(course.known, match=found)
            case ReadRecord(halo_id):
                read = await self.read_back(halo_id, compares=compares)
                course.known = course.known.having_read(read)
            case _:
                assert_never(question)
        return None

    async def read_back(self, halo_id: int, *, compares: bool) -> ReadBack:
        """Read the record, its parts into the row; `compares` it with all that the command owns of it."""
        course = self._course
        record = await self._look.record(course.spec, course.command, course.resolved, halo_id)
        if record is None:
            return ReadBack(halo_id, exists=False)
        course.record = record
        # What Halo has now decides which lines exist: an id that it lost must not be sent again.
        children = course.spec.children(course.command, record, course.row)
        course.row = msgspec.structs.replace(course.row, children=children)
        if not compares:
            return ReadBack(halo_id, exists=True)
        whole, place = course.whole(halo_id), course.spec.fills.get(PLACE)
        astray = isinstance(place, str) and place in whole and not equal({place: whole[place]}, record)
        same = equal(whole, record)
        if same:
            course.row = holding(course.spec, course.command, whole, record, course.row)
        return ReadBack(halo_id, exists=True, equal=same, astray=astray)

    async def resolve(self, fields: tuple[str, ...]) -> Ended | Parked | None:
        """The ids of all that these fields refer to; None once they are known."""
        course = self._course
        async with course.tools.store.read() as conn:
            resolution = await resolve_references(conn, course.command, fields)
        match resolution:
            case Ready(resolved, notices):
                course.resolved = resolved
                course.notices += [notice for notice in notices if notice not in course.notices]
                return None
            case NotWanted(code, message):
                return await self._of_another(code) or await self._closing.skipped(code, message)
            case Unknown(message, fix):
                return await self._closing.rejected("name.unknown", message, fix)
            case _:
                return waits_for(resolution, course.now(), course.tools.timing)

    async def seen_anew(self, item_id: int) -> bool:
        """Whether Halo was asked for an item, once for a command, and the catalogue has it as it is now.

        The catalogue may be a day old, and what it forbids is what a person was told to mend in Halo.
        """
        target = self._course.command.target
        if item_id in self._asked:
            return False
        self._asked.add(item_id)
        reply = await self._look.get(ITEM, item_id)
        if reply.not_found:
            return False
        # Halo leaves out what is false or nothing.
        seen = {"isrecurringitem": False, "maxitemdiscount": 0, **reply.body}
        async with self._course.tools.store.write() as conn:
            await catalogue.upsert_own(conn, target.tenant, target.instance, "item", item_id, seen)
        return True

    async def _of_another(self, code: str) -> Ended | None:
        """What is not to be made since its client is there may be there too, made for another id of its company."""
        course = self._course
        if code != THERE:
            return None
        found = await self._finder.reserved(course.spec, course.command)
        if not isinstance(found, Matched):
            return None
        course.known = msgspec.structs.replace(course.known, match=found)
        return await self._closing.applied("adopted", found.halo_id, None)

    async def answer_to(self, asked: Decide) -> Parked | None:
        """Go on by what a person has answered, or wait for it."""
        course = self._course
        store, target = course.tools.store, course.command.target
        known = await with_answer(store, target, asked, course.known, self._is_there)
        if known is None:
            again = course.now() + course.tools.timing.dependency_s
            return Parked(DECISION, again, note=asked.message, question=asked.question, choices=asked.choices)
        course.known = known
        return None

    async def _is_there(self, halo_id: int) -> bool:
        course = self._course
        record = await self._look.record(course.spec, course.command, course.resolved, halo_id)
        return record is not None

    async def with_parts(self, record: Row, halo_id: int) -> Row:
        """A record as Halo answered a write, with what the next write needs of it and the answer lacks."""
        course = self._course
        if course.spec.parts(course.command) - record.keys():
            return record | await self._look.details(course.spec, halo_id)
        return record
