"""Commands that end without a request: repeats, what has settled already, what a newer state has passed. Pure.

They end all at once, so that a re-sync of everything costs a few statements and no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from hub.bus.records import Outgoing
from hub.store.targets import Restored
from schemas.targets import Target, TargetState
from services.halo_writer import ending as tell
from services.halo_writer.decisions import Known, Repeat, Superseded, Unchanged
from services.halo_writer.ending import Ending
from services.halo_writer.plan import plan
from services.halo_writer.restored import generation_of, unseen_since
from services.halo_writer.tools import Ended
from services.halo_writer.work import Work


@dataclass
class NoOps:
    """What ended and what is to be told of it; `states` are rows with their expected versions, `left` the rest."""

    settled: list[tuple[Work, Ended]] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)
    states: list[tuple[TargetState, int]] = field(default_factory=list)
    left: list[Work] = field(default_factory=list)


def noops(
    batch: Iterable[Work],
    rows: Mapping[Target, TargetState],
    *,
    now: float,
    settle_s: float,
    restored: Restored | None,
) -> NoOps:
    """Split a batch (in its order) into what ends at once and what has to be executed.

    Of several commands for one target only the first may end here: the others depend on what it leaves. What waits
    in the store is executed too, so that its row goes in the same transaction.
    """
    found = NoOps()
    seen: set[Target] = set()
    for work in batch:
        target = work.command.target
        first = target not in seen
        seen.add(target)
        row = rows.get(target) or TargetState(target=target)
        restored_at = unseen_since(work, row, restored)
        decision = plan(work.command, row, Known(), now=now, settle_s=settle_s, restored_at=restored_at)
        if first and work.row is None and isinstance(decision, Unchanged | Superseded | Repeat):
            _end(found, work, row, decision, now, generation_of(restored))
        else:
            found.left.append(work)
    return found


def _end(
    found: NoOps,
    work: Work,
    row: TargetState,
    decision: Unchanged | Superseded | Repeat,
    now: float,
    generation: int,
) -> None:
    found.messages += tell.superseded_messages(work, now)
    match decision:
        case Repeat():
            assert row.last_outcome is not None
            found.messages.append(tell.published(tell.from_row(row.last_outcome)))
            found.settled.append((work, Ended("repeat", row.halo_id)))
            return
        case Superseded():
            ending = Ending(status="superseded", halo_id=row.halo_id, superseded_by=row.last_command_id)
        case Unchanged():
            ending = Ending(
                status="applied", result="unchanged", halo_id=row.halo_id, answered_hash=row.answered_hash
            )
        case _:
            assert_never(decision)
    stored = tell.stored_outcome(tell.outcome_of(work, ending), work.envelope.correlationid, now)
    found.messages.append(tell.published(stored))
    found.settled.append((work, Ended(ending.status, ending.halo_id, ending.result)))
    after = tell.next_state(row, work.command, ending, stored, generation=generation)
    if after is not None:
        found.states.append((after, row.version))
        found.messages.append(tell.snapshot(after, now))
