"""What a store that was restored from a moment ago may not know. Pure.

Between the moment that it was restored to and the restore, commands may have created records of which it has no trace.
Those commands are on the log before the place where it ended at the restore, or wait in rows since before it.
"""

from __future__ import annotations

from hub.store.targets import Restored
from schemas.targets import TargetState
from schemas.topics import COMMANDS
from services.halo_writer.work import Work


def unseen_since(work: Work, row: TargetState, restored: Restored | None) -> float | None:
    """The restore that may have cost the store what was written for this target since; None when it can't have."""
    if restored is None or row.generation >= restored.generation:
        return None
    if work.row is not None and work.row.since < restored.at:
        return restored.at
    if work.position is None:
        return None
    partition, offset = work.position
    return restored.at if offset < restored.log_ends.get((COMMANDS, partition), 0) else None


def generation_of(restored: Restored | None) -> int:
    """How often the store was restored."""
    return 0 if restored is None else restored.generation
