"""One command on its way: its target's row, and what was found out on the way. It lives and dies with one execution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.store.targets import Restored
from schemas.commands import Command, Notice
from schemas.identity import content_hash, group_hashes
from schemas.targets import TargetState
from services.halo_writer.decisions import Known
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import KindSpec, Refused, Resolved, Row, element_to_update
from services.halo_writer.tools import Tools
from services.halo_writer.work import Work


@dataclass
class Course:
    """What the parts of one execution share.

    `row` is the target's as it stands, `record` Halo's as it was last told, `resolved` what the references that were
    asked for came to, `notices` what is to be told with the outcome.
    """

    tools: Tools
    work: Work
    row: TargetState
    restored: Restored | None
    known: Known = field(default_factory=Known)
    resolved: Resolved = field(default_factory=Resolved)
    record: Mapping[str, Any] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)

    @property
    def command(self) -> Command:
        return self.work.command

    @property
    def spec(self) -> KindSpec:
        return SPECS[self.command.target.kind]

    def now(self) -> float:
        """The store's clock, as the lease keeps it."""
        return self.tools.held.store_now()

    def whole(self, halo_id: int) -> Row:
        """All that the command owns of the record, as an update would send it."""
        groups = group_hashes(self.command)
        return element_to_update(self.spec, self.command, self.resolved, self.row, halo_id, groups)

    def answered_hash(self) -> str | None:
        """The hash of the fields that we own, as Halo answered them."""
        if not self.record:
            return None
        try:
            owned = self.whole(0)
        except (KeyError, Refused):
            return None
        return content_hash({name: self.record.get(name) for name in sorted(owned)})
