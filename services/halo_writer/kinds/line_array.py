"""An array of lines inside a Halo record, where every line keeps its Halo id from one write to the next.

A write that carries the array carries all of it, the lines that exist with their Halo ids: what is not sent is gone.
A line that sells another item than before is another line, so that nothing of the old item's stays on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halo.wire import as_id
from schemas.commands import Command, OpportunityLine, QuoteLine
from schemas.targets import TargetState, our_key
from services.halo_writer.kinds.base import Row, value_of
from services.halo_writer.kinds.unsaid import Unsaid
from services.halo_writer.lines import LineMark, linked_keys, match_lines

_CHILD = "line:"
# By our line keys, which are short: a row must fit into a message, whatever its lines are called.
_ITEM = "item:"
_SAID = "said:"


@dataclass(frozen=True)
class LineArray:
    """How the lines of one kind look: the array's name in Halo, where a line's product code and our key stand.

    `mark` is what carries the key of a new line, `keys_of` reads the keys out of a line as Halo answers it, `unsaid`
    are the fields that a line need not have.
    """

    name: str
    code_field: str
    code_of: Callable[[Any], str | None]
    mark: Callable[[str], Row]
    unsaid: Unsaid
    keys_of: Callable[[Mapping[str, Any]], tuple[str, ...]] = linked_keys

    def marks(self, command: Command) -> tuple[LineMark, ...]:
        """How the lines of the desired state can be recognised in Halo."""
        lines: Sequence[QuoteLine | OpportunityLine] = value_of(getattr(command, "lines", None)) or ()
        return tuple(
            LineMark(line.id, our_key(command.target, line.id), place, self.code_of(line))
            for place, line in enumerate(lines)
        )

    def finish(self, command: Command, element: Row, row: TargetState) -> Row:
        """Each line that Halo has keeps its id, and nothing that it no longer says; a new one carries our line key."""
        known = _known(row)
        for mark, line in self._pairs(command, element):
            if mark.id in known and row.children.get(_ITEM + mark.key) in (None, line.get("item_id")):
                line.update(self.unsaid.cleared(line, row.children.get(_SAID + mark.key)))
                line["id"] = known[mark.id]
            else:
                line.update(self.mark(mark.key))
        return element

    def repeatable(self, command: Command, row: TargetState, groups: Collection[str]) -> bool:
        """A line that Halo has not got yet would be added again."""
        known = _known(row)
        return "lines" not in groups or all(mark.id in known for mark in self.marks(command))

    def children(self, command: Command, record: Mapping[str, Any], row: TargetState) -> dict[str, int]:
        """The Halo ids of the source's lines, the items that they sell in Halo, and what was said of them.

        Those known before when the answer shows no lines.
        """
        lines = record.get(self.name)
        if lines is None:
            return dict(row.children)
        marks, known = self.marks(command), _known(row)
        found = match_lines(marks, lines, known, keys_of=self.keys_of, code_field=self.code_field)
        sold = {as_id(line.get("id")): as_id(line.get("item_id")) for line in lines}
        kept = {f"{_CHILD}{line_id}": halo_id for line_id, halo_id in found.items()}
        for mark in marks:
            item = sold.get(found.get(mark.id))
            said = row.children.get(_SAID + mark.key)
            kept |= {} if item is None else {_ITEM + mark.key: item}
            kept |= {} if said is None else {_SAID + mark.key: said}
        return kept

    def noted(self, command: Command, element: Row, row: TargetState, *, settled: bool) -> dict[str, int]:
        """What a write says of each line; beside what was said before, until it is known to have happened."""
        known, found = _known(row), {}
        for mark, line in self._pairs(command, element):
            said = self.unsaid.said(line)
            if not settled:
                remembered = row.children.get(_SAID + mark.key, None if mark.id in known else 0)
                said |= self.unsaid.known(remembered)
            found[_SAID + mark.key] = said
            if settled and "item_id" in line:
                found[_ITEM + mark.key] = line["item_id"]
        return found

    def _pairs(self, command: Command, element: Row) -> Iterator[tuple[LineMark, Row]]:
        """The source's lines of an element; those that others have put into the array come after them."""
        if self.name in element:
            yield from zip(self.marks(command), element[self.name], strict=False)


def _known(row: TargetState) -> dict[str, int]:
    return {
        name.removeprefix(_CHILD): halo_id
        for name, halo_id in row.children.items()
        if name.startswith(_CHILD)
    }
