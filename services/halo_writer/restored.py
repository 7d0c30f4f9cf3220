"""What a store that was restored from a moment ago may not know. Pure.

Between the moment that it was restored to and the restore, commands may have created records of which it has no trace.
Those commands are on the log before the place where it ended at the restore, or wait in rows since before it.
"""

from __future__ import annotations

from hub.store.targets import Restored
from schemas.targets import TargetState
from schemas.topics import COMMANDS
from services.halo_writer.work import Work


def may_be_unseen(work: Work, row: TargetState, restored: Restored | None) -> bool:
    """Whether Halo may hold this target's record without the store knowing; then a create looks for it first."""
    if restored is None or row.generation >= restored.generation:
        return False
    if work.row is not None and work.row.since < restored.at:
        return True
    if work.position is None:
        return False
    partition, offset = work.position
    return offset < restored.log_ends.get((COMMANDS, partition), 0)


def generation_of(restored: Restored | None) -> int:
    """How often the store was restored."""
    return 0 if restored is None else restored.generation
