"""An array of lines inside a Halo record, where every line keeps its Halo id from one write to the next.

A write that carries the array carries all of it, the lines that exist with their Halo ids: what is not sent is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.commands import Command, OpportunityLine, QuoteLine
from schemas.targets import TargetState, our_key
from services.halo_writer.kinds.base import Row, value_of
from services.halo_writer.lines import LineMark, linked_keys, match_lines

_CHILD = "line:"


@dataclass(frozen=True)
class LineArray:
    """How the lines of one kind look: the array's name in Halo, where a line's product code and our key stand.

    `mark` is what carries the key of a new line, `keys_of` reads the keys out of a line as Halo answers it.
    """

    name: str
    code_field: str
    code_of: Callable[[Any], str | None]
    mark: Callable[[str], Row]
    keys_of: Callable[[Mapping[str, Any]], tuple[str, ...]] = linked_keys

    def marks(self, command: Command) -> tuple[LineMark, ...]:
        """How the lines of the desired state can be recognised in Halo."""
        lines: Sequence[QuoteLine | OpportunityLine] = value_of(getattr(command, "lines", None)) or ()
        return tuple(
            LineMark(line.id, our_key(command.target, line.id), place, self.code_of(line))
            for place, line in enumerate(lines)
        )

    def finish(self, command: Command, element: Row, row: TargetState) -> Row:
        """Each line that Halo has keeps its id; each new one carries our line key."""
        if self.name not in element:
            return element
        known = _known(row)
        for mark, line in zip(self.marks(command), element[self.name], strict=True):
            if mark.id in known:
                line["id"] = known[mark.id]
            else:
                line.update(self.mark(mark.key))
        return element

    def repeatable(self, command: Command, row: TargetState, groups: Collection[str]) -> bool:
        """A line that Halo has not got yet would be added again."""
        known = _known(row)
        return "lines" not in groups or all(mark.id in known for mark in self.marks(command))

    def children(self, command: Command, record: Mapping[str, Any], row: TargetState) -> dict[str, int]:
        """The Halo ids of the source's lines; those known before when the answer shows no lines."""
        lines = record.get(self.name)
        if lines is None:
            return dict(row.children)
        marks, known = self.marks(command), _known(row)
        found = match_lines(marks, lines, known, keys_of=self.keys_of, code_field=self.code_field)
        return {f"{_CHILD}{line_id}": halo_id for line_id, halo_id in found.items()}


def _known(row: TargetState) -> dict[str, int]:
    return {
        name.removeprefix(_CHILD): halo_id
        for name, halo_id in row.children.items()
        if name.startswith(_CHILD)
    }
