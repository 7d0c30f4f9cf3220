"""How commands end, and the messages that tell it: outcomes, snapshots, dead letters. Pure: times come in."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from hub.bus.records import Outgoing
from hub.dead_letters import MAX_KEPT_BYTES
from schemas.answers import GONE, NEW
from schemas.commands import Command, Notice
from schemas.control import DecisionRequested
from schemas.envelope import Envelope, headers_of
from schemas.identity import derived_id, group_hashes, outcome_id
from schemas.outcomes import DeadLetter, DuplicateSuspected, Outcome, Result, Status
from schemas.registry import decode, encode
from schemas.targets import Intent, Target, TargetState
from schemas.topics import COMMANDS, CONTROL, DEAD_LETTERS, OUTCOMES, TARGETS
from services.halo_writer.gone import picked_by
from services.halo_writer.tools import Parked
from services.halo_writer.work import Superseded, Work

SOURCE = "/hub/writer"
_MAX_REQUESTS = 50
# An outcome is told, and kept in the row that is told too: one too large for a message would stop its tenant.
_MAX_NOTICES = 100
_MAX_WORDS = 500
_MAX_MESSAGE = 2_000


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended."""

    status: Status
    result: Result | None = None
    halo_id: int | None = None
    answered_hash: str | None = None
    code: str | None = None
    message: str | None = None
    fix: str | None = None
    superseded_by: str | None = None
    notices: tuple[Notice, ...] = ()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome as the target's row keeps it, to be published again, byte for byte, when its command repeats."""

    envelope: Envelope
    value: bytes


def outcome_of(work: Work, ending: Ending) -> Outcome:
    """The outcome of a command, with every request that it took."""
    command = work.command
    return Outcome(
        command_id=work.command_id,
        command_type=work.envelope.type,
        target=command.target,
        status=ending.status,
        basis=command.basis,
        result=ending.result,
        halo_id=ending.halo_id,
        seq=command.seq,
        state_hash=command.state_hash,
        answered_hash=ending.answered_hash,
        code=ending.code,
        message=None if ending.message is None else ending.message[:_MAX_MESSAGE],
        fix=ending.fix,
        superseded_by=ending.superseded_by,
        notices=_bounded((*command.notices, *ending.notices)),
        requests=tuple(work.requests[-_MAX_REQUESTS:]),
    )


def _bounded(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """The first of them, and how many more there were: a quote may have one for each of its lines."""
    shown = [
        msgspec.structs.replace(notice, message=notice.message[:_MAX_WORDS])
        for notice in notices[:_MAX_NOTICES]
    ]
    left = len(notices) - len(shown)
    if left:
        shown.append(Notice(code="notices.more", message=f"and {left} more"))
    return tuple(shown)


def stored_outcome(outcome: Outcome, correlation_id: str | None, now: float) -> Stored:
    """The outcome as it is published: its id depends on the command and the status alone."""
    envelope = Envelope(
        id=outcome_id(outcome.command_id, outcome.status, outcome.attempt),
        source=SOURCE,
        type=f"command.{outcome.status}.v1",
        subject=outcome.target.id,
        time=utc(now),
        tenant=outcome.target.tenant,
        correlationid=correlation_id,
        causationid=outcome.command_id,
    )
    return Stored(envelope=envelope, value=encode(outcome))


def with_intent(row: TargetState, intent: Intent) -> TargetState:
    """The row while a write may be under way: what Halo holds is unknown, so no state counts as settled.

    Else a command that wants what had settled before would be taken for unchanged after an ambiguous write.
    """
    return msgspec.structs.replace(row, intent=intent, state_hash=None, groups={})


def withdrawn(before: TargetState, version: int) -> TargetState:
    """The row after a write that surely did nothing: as it was before it, and without an intent."""
    return msgspec.structs.replace(before, intent=None, version=version)


def next_state(
    row: TargetState, command: Command, ending: Ending, stored: Stored, *, generation: int, owns: bool = True
) -> TargetState | None:
    """The target's row after its command has ended so; None when nothing of it changes.

    A rejection leaves what has settled as it was, and makes the next create look first. An ensure settles the
    record's id, never a state: a full command that follows still writes its own.
    """
    if ending.status == "superseded" or (ending.result == "unchanged" and command.ensure):
        return None
    told: dict[str, Any] = {
        "version": row.version + 1,
        "intent": None,
        "last_command_id": stored.envelope.causationid,
        "last_outcome": to_row(stored),
    }
    if ending.status == "rejected":
        return msgspec.structs.replace(row, **told, look_first=row.halo_id is None)
    if not command.ensure:
        told |= {"seq": command.seq, "state_hash": command.state_hash}
        if row.state_hash != command.state_hash:
            # Of an equal state the groups are equal too, and hashing them again is half of what a no-op costs.
            told["groups"] = group_hashes(command)
    return msgspec.structs.replace(
        row,
        **told,
        halo_id=ending.halo_id,
        owns=row.owns and owns,
        answered_hash=ending.answered_hash,
        look_first=False,
        generation=generation,
    )


def forgotten(row: TargetState) -> TargetState:
    """The row of a target whose record was deleted in Halo: as new, but for its history and a look before creating."""
    return msgspec.structs.replace(
        row,
        halo_id=None,
        owns=True,
        children={},
        state_hash=None,
        groups={},
        answered_hash=None,
        look_first=True,
    )


def published(stored: Stored) -> Outgoing:
    envelope = stored.envelope
    return Outgoing(OUTCOMES, envelope.tenant.encode(), stored.value, headers_of(envelope))


def superseded_messages(work: Work, now: float) -> list[Outgoing]:
    """The ends of the commands that this one took the place of, told whenever it ends, also by a repeat."""
    target, by = work.command.target, work.command_id
    return [_superseded_message(target, older, by, now) for older in work.superseded]


def _superseded_message(target: Target, older: Superseded, by: str, now: float) -> Outgoing:
    outcome = Outcome(
        command_id=older.command_id,
        command_type=older.command_type,
        target=target,
        status="superseded",
        basis=older.basis,
        seq=older.seq,
        superseded_by=by,
    )
    return published(stored_outcome(outcome, older.correlation_id, now))


def snapshot(state: TargetState, now: float) -> Outgoing:
    """The whole row of a target, for `hub.targets.v1`."""
    envelope = Envelope(
        id=derived_id("target", state.target.key, str(state.version)),
        source=SOURCE,
        type="target.changed.v1",
        subject=state.target.id,
        time=utc(now),
        tenant=state.target.tenant,
    )
    return Outgoing(TARGETS, state.target.key.encode(), encode(state), headers_of(envelope))


def rejected_command(work: Work, ending: Ending, now: float) -> Outgoing:
    """The dead letter of a rejected command: Halo's own words, the event to redrive, and its bytes unless too many."""
    command = work.command
    whole = len(work.value) <= MAX_KEPT_BYTES
    key = command.target.tenant.encode()
    letter = DeadLetter(
        stage="writer",
        reason=ending.code or "rejected",
        message=ending.message or "",
        topic=COMMANDS,
        tenant=command.target.tenant,
        event_id=work.command_id,
        event_type=work.envelope.type,
        subject=work.envelope.subject,
        key=_b64(key),
        value=_b64(work.value) if whole else None,
        headers=tuple((name, _b64(value)) for name, value in headers_of(work.envelope)),
        fix=ending.fix,
        target=command.target,
        basis=command.basis,
    )
    envelope = Envelope(
        id=derived_id("dead-letter", work.command_id, letter.reason),
        source=SOURCE,
        type="dead_letter.recorded.v1",
        subject=command.target.id,
        time=utc(now),
        tenant=command.target.tenant,
        correlationid=work.envelope.correlationid,
        causationid=work.command_id,
    )
    return Outgoing(DEAD_LETTERS, key, encode(letter), headers_of(envelope))


def duplicate_suspected(target: Target, halo_ids: tuple[int, ...], why: str, now: float) -> Outgoing:
    """The alarm for the one case that the protocol can't exclude: someone must look at these records."""
    envelope = Envelope(
        id=derived_id("duplicate", target.key, *map(str, halo_ids)),
        source=SOURCE,
        type="duplicate.suspected.v1",
        subject=target.id,
        time=utc(now),
        tenant=target.tenant,
    )
    value = encode(DuplicateSuspected(target=target, halo_ids=halo_ids, why=why))
    return Outgoing(OUTCOMES, target.tenant.encode(), value, headers_of(envelope))


def gone_question(work: Work, ending: Ending, now: float) -> list[Outgoing]:
    """Whether the quote whose opportunity a person picked, and which was deleted since, is to get one of its own."""
    picked = picked_by(work.command)
    if ending.code != GONE or picked is None:
        return []
    said = f"{ending.message}: shall the quote get an opportunity of its own?"
    return [decision_requested(work, picked, Parked("", 0.0, None, said, GONE, (NEW,)), now)]


def decision_requested(work: Work, target: Target, parked: Parked, now: float) -> Outgoing:
    """A question about a target that only a person can answer, for the control topic."""
    assert parked.question is not None, "only what asks is told"
    asked = DecisionRequested(
        target=target, question=parked.question, message=parked.note or "", choices=parked.choices
    )
    envelope = Envelope(
        id=derived_id("decision", target.key, asked.question, work.command_id, *asked.choices),
        source=SOURCE,
        type="decision.requested.v1",
        subject=target.id,
        time=utc(now),
        tenant=target.tenant,
        correlationid=work.envelope.correlationid,
        causationid=work.command_id,
    )
    return Outgoing(CONTROL, target.tenant.encode(), encode(asked), headers_of(envelope))


def to_row(stored: Stored) -> bytes:
    return msgspec.json.encode(stored)


def from_row(value: bytes) -> Stored:
    return msgspec.json.decode(value, type=Stored)


def rejected_before(row: TargetState) -> bool:
    """Whether the last command of the target that said what it is to be was rejected; an ensure says nothing."""
    if row.last_outcome is None:
        return False
    stored = from_row(row.last_outcome)
    outcome: Outcome = decode(stored.envelope.type, stored.value)
    return outcome.status == "rejected" and outcome.seq != ()


def is_absent(row: TargetState | None) -> bool:
    """Whether Halo was seen to lack a record that is not to be made."""
    if row is None or row.halo_id is not None or row.intent is not None or row.last_outcome is None:
        return False
    return from_row(row.last_outcome).envelope.type == "command.skipped.v1"


def halo_id_of(stored: Stored) -> int | None:
    """The Halo id that a stored outcome names."""
    outcome: Outcome = decode(stored.envelope.type, stored.value)
    return outcome.halo_id


def utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
