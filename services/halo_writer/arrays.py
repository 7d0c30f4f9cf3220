"""Which of a tenant's commands may share a request to Halo. Pure.

Halo's POST takes arrays, but nobody says what becomes of the others when it refuses one. So an array saves requests
and nothing rests on it: whatever goes wrong with it leaves each of its writes in doubt; each is looked up and then goes
singly.

Invariants:

* Every command is in one group, and the commands of one target keep their order.
* The commands of a group that has several are of one kind and one operation, each for another target.
* Updates share a request only where their repeat adds nothing and this Halo was seen to take such arrays; creates only
  where it was seen to store all of an array or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from halo import Outcome, Reply
from hub.store.targets import Restored
from schemas.control import ArrayProof
from schemas.targets import Kind, Target, TargetState
from services.halo_writer.decisions import FindMatch, Known, Update
from services.halo_writer.kinds import SPECS
from services.halo_writer.plan import plan
from services.halo_writer.restored import unseen_since
from services.halo_writer.work import Work

Operation = Literal["create", "update"]

_MAX_BYTES = 512 * 1024
# A right may be missing, or nobody was there to answer: neither says anything about arrays.
_TELLS_NOTHING = frozenset({401, 403, 408, 502, 503, 504})


def may_go_together(
    works: Iterable[Work],
    rows: Mapping[Target, TargetState],
    proofs: Mapping[Kind, ArrayProof],
    most: int,
    *,
    now: float,
    settle_s: float,
    restored: Restored | None,
) -> list[list[Work]]:
    """A batch in the order in which it may run: alone, or with up to `most` others of the same kind.

    `rows` are the targets' rows as they were read. What changes meanwhile costs a request at worst: each command is
    planned again when it runs.
    """
    groups: list[list[Work]] = []
    joinable: dict[Operation, list[Work]] = {}
    seen: set[Target] = set()
    kind: Kind | None = None
    for work in works:
        target = work.command.target
        if target.kind != kind:
            kind, joinable = target.kind, {}
        operation = None
        if target not in seen:
            operation = _operation(work, rows[target], proofs.get(kind), now, settle_s, restored)
        seen.add(target)
        group = None if operation is None else joinable.get(operation)
        if group is None or len(group) >= most or _size(group) + len(work.value) > _MAX_BYTES:
            group = []
            groups.append(group)
            if operation is not None:
                joinable[operation] = group
        group.append(work)
    return groups


def _operation(
    work: Work,
    row: TargetState,
    proof: ArrayProof | None,
    now: float,
    settle_s: float,
    restored: Restored | None,
) -> Operation | None:
    """What the command will do to Halo, as far as it may do it in company."""
    if proof is None or not proof.ok:
        return None
    command = work.command
    restored_at = unseen_since(work, row, restored)
    match plan(command, row, Known(), now=now, settle_s=settle_s, restored_at=restored_at):
        case Update(_, groups) if SPECS[command.target.kind].repeatable(command, row, groups):
            return "update"
        case FindMatch() if proof.atomic:
            return "create"
        case _:
            return None


def _size(group: Iterable[Work]) -> int:
    return sum(len(work.value) for work in group)


def why_not_again(replies: Sequence[Reply]) -> str | None:
    """Why arrays of this kind go singly from now on, after the replies to one; None when they needn't."""
    doubtful = [reply for reply in replies if reply.outcome is Outcome.AMBIGUOUS]
    if len(replies) < 2 or not doubtful:
        return None
    first = doubtful[0]
    if first.status is None or first.status in _TELLS_NOTHING:
        return None
    if first.status < 300:
        return f"the answer to an array of {len(replies)} told {len(replies) - len(doubtful)} of them"
    return f"Halo answered {first.status} to an array of {len(replies)}: {first.text}"
