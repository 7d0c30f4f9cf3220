"""What the writer says of each command, and what any stage says of a message that it could not process."""

from __future__ import annotations

from typing import Literal

from schemas.base import Id, OwnData, TenantName
from schemas.commands import Basis, Notice
from schemas.envelope import Fault
from schemas.targets import Target

Status = Literal["applied", "skipped", "superseded", "rejected", "failed"]
Result = Literal["created", "updated", "adopted", "unchanged"]
Stage = Literal["ingest", "mapper", "writer"]


class Request(OwnData, frozen=True, kw_only=True):
    """One request to Halo: no body, no query values. `status` is absent when no reply came.

    A request that several commands shared is told with each of its `elements`; it counts once, where `place` is 0.
    """

    method: str
    """The HTTP method."""
    path: str
    """The path, without a query."""
    outcome: str
    """What the answer meant."""
    duration_ms: int
    """How long it took, in milliseconds."""
    status: int | None = None
    """The HTTP status."""
    elements: int = 1
    """How many records the request carried."""
    place: int = 0
    """This record's place among them."""


class Outcome(OwnData, frozen=True, kw_only=True):
    """The end of one command. `code` and `message` say why it was rejected, skipped or superseded; `fix` what to do."""

    command_id: Id
    """The id of the command."""
    command_type: Id
    """Its type."""
    target: Target
    """The record that it was about."""
    status: Status
    """How it ended."""
    basis: Basis
    """Why the command existed."""
    result: Result | None = None
    """What became of the record, when it was applied."""
    halo_id: int | None = None
    """The id of the record in Halo."""
    seq: tuple[int, ...] = ()
    """The command's place in the order."""
    state_hash: str = ""
    """The hash of the desired state."""
    answered_hash: str | None = None
    """The hash of the state as Halo answered it."""
    attempt: int = 0
    """How often it was tried again before."""
    code: str | None = None
    """A stable code of why."""
    message: str | None = None
    """Why, for a person."""
    fix: str | None = None
    """What to do."""
    superseded_by: str | None = None
    """The id of the newer command."""
    notices: tuple[Notice, ...] = ()
    """What a person should know."""
    requests: tuple[Request, ...] = ()
    """What was asked of Halo for it."""


class DuplicateSuspected(OwnData, frozen=True, kw_only=True):
    """Halo may hold two records of one target: `why` says what was seen, `halo_ids` which records to look at."""

    target: Target
    """The record."""
    halo_ids: tuple[int, ...]
    """The Halo records to look at."""
    why: str
    """What was seen."""


class DeadLetter(OwnData, frozen=True, kw_only=True):
    """A message that a person must look at, with its bytes as they came.

    `key` and `value` are base64 (null for a tombstone); `headers` pairs each name with its base64 value. A dead
    letter of a command carries that command's bytes; redriving it republishes the source event of its `basis`.
    """

    stage: Stage
    """Where it was set aside."""
    reason: Id
    """A stable code of why."""
    message: str
    """Why, for a person; it holds no values of the message."""
    topic: str
    """The topic that the message was on."""
    partition: int | None = None
    """Its partition."""
    offset: int | None = None
    """Its offset."""
    tenant: TenantName | None = None
    """The tenant's name, where the message told it."""
    event_id: str | None = None
    """The message's id."""
    event_type: str | None = None
    """The message's type."""
    subject: str | None = None
    """The id of the entity at its source."""
    key: str | None = None
    """Its key, base64."""
    value: str | None = None
    """Its value, base64; absent for a tombstone."""
    headers: tuple[tuple[str, str | None], ...] = ()
    """Its headers: name, and value in base64."""
    faults: tuple[Fault, ...] = ()
    """All that is wrong with it."""
    fix: str | None = None
    """What to do."""
    target: Target | None = None
    """The record, for a command."""
    basis: Basis | None = None
    """Why the command existed, for a command."""
