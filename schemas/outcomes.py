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
    path: str
    outcome: str
    duration_ms: int
    status: int | None = None
    elements: int = 1
    place: int = 0


class Outcome(OwnData, frozen=True, kw_only=True):
    """The end of one command. `code` and `message` say why it was rejected, skipped or superseded; `fix` what to do."""

    command_id: Id
    command_type: Id
    target: Target
    status: Status
    basis: Basis
    result: Result | None = None
    halo_id: int | None = None
    seq: tuple[int, ...] = ()
    state_hash: str = ""
    answered_hash: str | None = None
    attempt: int = 0
    code: str | None = None
    message: str | None = None
    fix: str | None = None
    superseded_by: str | None = None
    notices: tuple[Notice, ...] = ()
    requests: tuple[Request, ...] = ()


class DuplicateSuspected(OwnData, frozen=True, kw_only=True):
    """Halo may hold two records of one target: `why` says what was seen, `halo_ids` which records to look at."""

    target: Target
    halo_ids: tuple[int, ...]
    why: str


class DeadLetter(OwnData, frozen=True, kw_only=True):
    """A message that a person must look at, with its bytes as they came.

    `key` and `value` are base64 (null for a tombstone); `headers` pairs each name with its base64 value. A dead
    letter of a command carries that command's bytes; redriving it republishes the source event of its `basis`.
    """

    stage: Stage
    reason: Id
    message: str
    topic: str
    partition: int | None = None
    offset: int | None = None
    tenant: TenantName | None = None
    event_id: str | None = None
    event_type: str | None = None
    subject: str | None = None
    key: str | None = None
    value: str | None = None
    headers: tuple[tuple[str, str | None], ...] = ()
    faults: tuple[Fault, ...] = ()
    fix: str | None = None
    target: Target | None = None
    basis: Basis | None = None
