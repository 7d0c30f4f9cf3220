"""What to do next about one command: the whole write protocol as one pure function.

`plan` is asked again after each thing that the shell found out (`Known`), until it says something final. It reads
no clock and does no I/O, so that every path can be enumerated in a test.

Invariants (the numbers are ARCHITECTURE.md's):

* INV-1  While an intent is open no `Create` comes but after a look-up by our key that found nothing, was proven
  able to find, and was made no sooner than `settle_s` after the intent's request was sent.
* INV-2  An older `seq` never writes: the target keeps the newest state that has settled.
* INV-3  A command whose desired state has settled, with no open intent, costs no request; a redrive reads the record.
* INV-4  An `ensure` never updates a record that exists.
* INV-5  While an update's intent is open, no other update goes out before `settle_s` has passed and the record
  was read back.
"""

from __future__ import annotations

from schemas.answers import NEW, SEVERAL, UNPROVEN
from schemas.commands import Command
from schemas.identity import group_hashes, id_of
from schemas.ordering import order_of
from schemas.outcomes import Result
from schemas.targets import Intent, TargetState
from services.halo_writer.decisions import (
    GONE,
    PLACE,
    ByOurKey,
    Create,
    Decide,
    Decision,
    FindMatch,
    FindOurKey,
    Forget,
    Known,
    Matched,
    NoMatch,
    NoneOfThem,
    ReadBack,
    ReadRecord,
    Reject,
    Repeat,
    Reserved,
    Settle,
    Several,
    Superseded,
    Unchanged,
    Update,
    Wait,
)

_RULES_S = 5.0

_UNPROVEN = Decide(
    UNPROVEN,
    "Halo may have the record already, and no look-up is proven to find it on this tenant: "
    "run `hub tenant check --write-proof`, or answer with the id of the record in Halo",
)


def plan(  # noqa: PLR0911 - a case a line reads better than a case in a case
    command: Command,
    row: TargetState,
    known: Known,
    *,
    now: float,
    settle_s: float,
    waits_for_rejected: bool = False,
    restored_at: float | None = None,
) -> Decision:
    """The next step for `command`, whose target's row is `row`.

    `restored_at` is when the store was restored to a moment that may lie before what this command once did.
    `waits_for_rejected`: the target's last command was rejected and the tenant's rules let no newer one pass it.
    """
    if _is_repeat(command, row):
        return Repeat()
    if not command.ensure and order_of(command.seq) < order_of(row.seq):
        return Superseded()
    redriven = _redriven(command, row, known)
    if redriven is not None:
        return redriven
    if command.ensure and row.halo_id is not None:
        # An open update of it is its own command's to bring to an end.
        return Unchanged()
    held_back = None if command.ensure else _held_back(command, row, waits_for_rejected, now)
    if held_back is not None:
        return held_back
    if restored_at is not None:
        return _after_restore(command, row, known, restored_at, now, settle_s)
    match row.intent:
        case None if row.halo_id is not None:
            return _known_record(command, row, row.halo_id, known.read_back)
        case None:
            return _fresh(command, row, known, look_first=row.look_first)
        case Intent(operation="create") as intent:
            return _after_create(command, row, known, intent, settle_s)
        case Intent() as intent:
            return _after_update(command, row, known, intent, now, settle_s)


def elsewhere(
    decision: Decision, command: Command, row: TargetState, rule_sequence: int, now: float
) -> Decision:
    """The decision for a command of another Halo than the one that the rules of `rule_sequence` lead to.

    There its ids are other records, so nothing is asked or sent. Rules that are newer than ours are waited for; an
    open intent can be brought to an end by the Halo alone that it was sent to.
    """
    if isinstance(decision, Superseded | Repeat | Unchanged):
        return decision
    if row.intent is not None or command.basis.rule_sequence > rule_sequence:
        return Wait("instance", not_before=now + _RULES_S)
    return Reject(
        "instance.changed",
        f"made for the Halo at {command.target.instance}, which is no longer this tenant's; "
        "redrive the dead letter: its event is mapped for the present one",
    )


def _redriven(command: Command, row: TargetState, known: Known) -> Decision | None:
    """A redrive mends what went wrong: the record that all else relies on may be what is missing."""
    if not command.basis.cause or command.once or row.halo_id is None or row.intent is not None:
        return None
    if known.read_back is None:
        return ReadRecord(row.halo_id)
    return None if known.read_back.exists else Forget()


def _held_back(command: Command, row: TargetState, waits_for_rejected: bool, now: float) -> Wait | None:
    """Whether another command of the target comes first."""
    if waits_for_rejected and not command.basis.cause:
        return Wait("predecessor", not_before=float("inf"), waits_for=row.target.key)
    if row.intent is not None and order_of(row.intent.seq) > order_of(command.seq):
        # Whatever wrote it comes again, and takes this one's place: an older state is not written over it.
        return Wait("ambiguous", not_before=now + _RULES_S)
    return None


def _is_repeat(command: Command, row: TargetState) -> bool:
    """An ensure that was refused may run again: other events of other quotes make the very same one."""
    refused_ensure = command.ensure and row.halo_id is None
    settled = row.intent is None and row.last_outcome is not None
    return settled and not refused_ensure and row.last_command_id == id_of(command)


def _known_record(command: Command, row: TargetState, halo_id: int, read: ReadBack | None) -> Decision:
    astray = read is not None and read.astray
    if not row.owns or (row.state_hash == command.state_hash and not astray):
        return Unchanged()
    changed = changed_groups(command, row)
    placing = (name for name, fields in command.groups.items() if astray and PLACE in fields)
    return Update(halo_id, (*changed, *(name for name in placing if name not in changed)))


def _fresh(  # noqa: PLR0911 - as above
    command: Command, row: TargetState, known: Known, *, look_first: bool
) -> Decision:
    if look_first:
        if known.by_our_key is None:
            return FindOurKey()
        if _remaining(known.by_our_key, known):
            return _found_ours(command, known, known.by_our_key)
    match known.match:
        case None:
            return FindMatch()
        case NoMatch():
            return Create()
        case Reserved(target_key):
            return Wait("reserved", not_before=float("inf"), waits_for=target_key)
        case Several(halo_ids, by):
            ids = tuple(map(str, halo_ids))
            said = f"Halo records {', '.join(ids)} all match by {by}; choose one, or {NEW}"
            return Decide(SEVERAL, said, (*ids, NEW))
        case NoneOfThem():
            return _unless_absent(command, known) or Create()
        case Matched(halo_id, owned, notices) if command.ensure or not owned:
            return Settle(halo_id, "adopted", notices=notices)
        case Matched(halo_id):
            return Update(halo_id, tuple(group_hashes(command)))


def _after_create(
    command: Command, row: TargetState, known: Known, intent: Intent, settle_s: float
) -> Decision:
    found, settled_at = known.by_our_key, intent.sent_at + settle_s
    if found is not None and not _remaining(found, known) and found.at < settled_at:
        return Wait("ambiguous", not_before=settled_at)
    return _unless_absent(command, known) or Create()


def _after_update(
    command: Command, row: TargetState, known: Known, intent: Intent, now: float, settle_s: float
) -> Decision:
    assert row.halo_id is not None, "an update's intent names a record"
    settled_at = intent.sent_at + settle_s
    if now < settled_at:
        return Wait("ambiguous", not_before=settled_at)
    return _compared(command, known, row.halo_id, "updated")


def _after_restore(
    command: Command, row: TargetState, known: Known, restored_at: float, now: float, settle_s: float
) -> Decision:
    """The row may lack a create or an update that was sent until the restore: nothing that it says of Halo counts."""
    settled_at = restored_at + settle_s
    if row.intent is not None:
        settled_at = max(settled_at, row.intent.sent_at + settle_s)
    if now < settled_at:
        return Wait("ambiguous", not_before=settled_at)
    if row.halo_id is not None:
        return _compared(command, known, row.halo_id, "updated")
    return _unless_absent(command, known) or _fresh(command, row, known, look_first=False)


def _unless_absent(command: Command, known: Known) -> Decision | None:
    """What is to be done before a create that needs the proof that Halo has none; None once there is."""
    if known.by_our_key is None:
        return FindOurKey()
    if _remaining(known.by_our_key, known):
        return _found_ours(command, known, known.by_our_key)
    return None if known.by_our_key.proven else _UNPROVEN


def _found_ours(command: Command, known: Known, found: ByOurKey) -> Decision:
    """Presence gives the id at once; the newest state follows as an update unless Halo already has it.

    The record is read back in any case: its parts (a client's main site and contact) were created with it.
    """
    halo_id, *others = _remaining(found, known)
    return _compared(command, known, halo_id, "created", tuple(others))


def _compared(
    command: Command, known: Known, halo_id: int, result: Result, duplicates: tuple[int, ...] = ()
) -> Decision:
    read = known.read_back
    if read is None or read.halo_id != halo_id:
        return ReadRecord(halo_id)
    if not read.exists:
        return Reject(GONE, f"the record {halo_id} was deleted in Halo")
    if read.equal or command.ensure:
        return Settle(halo_id, result, duplicates=duplicates)
    return Update(halo_id, tuple(group_hashes(command)), duplicates)


def _remaining(found: ByOurKey, known: Known) -> tuple[int, ...]:
    return tuple(halo_id for halo_id in found.halo_ids if halo_id not in known.gone)


def changed_groups(command: Command, row: TargetState) -> tuple[str, ...]:
    """The field groups whose hash differs from the last settled one."""
    return tuple(group for group, value in group_hashes(command).items() if row.groups.get(group) != value)
