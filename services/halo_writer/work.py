"""One command on its way through the writer, with all that must be told when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from halo import Reply
from hub.store.pending import Pending
from schemas.commands import Basis, Command
from schemas.envelope import Envelope
from schemas.outcomes import Request
from schemas.registry import decode
from schemas.targets import KINDS

# A row stays bounded even when a target is flooded while it waits; the oldest are told by the log alone.
_MOST_SUPERSEDED = 200
_MOST_REQUESTS = 50


class Superseded(msgspec.Struct, frozen=True, kw_only=True):
    """An older command of the same target, kept until its successor has settled."""

    command_id: str
    command_type: str
    basis: Basis
    seq: tuple[int, ...]
    correlation_id: str | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What a pending row keeps beside the command: its envelope, those that it replaced, its requests and its place."""

    envelope: Envelope
    superseded: tuple[Superseded, ...] = ()
    requests: tuple[Request, ...] = ()
    position: tuple[int, int] | None = None
    failing_since: float | None = None


@dataclass
class Work:
    """A command, where it came from, and whom to tell.

    `done` are called once it has settled or waits in the store: only then may offsets advance. `requests` are all
    that were made for it since it was taken up. `position` is its partition and offset on the commands topic (the
    oldest of those that it replaced), `taken_at` when it came, in the store's seconds. The first `counted` requests
    are in the metrics already. `durable` says that a row of the store has it as it is,
    `failing_since` since when a file of it could not be had.
    """

    command: Command
    envelope: Envelope
    value: bytes
    done: list[Callable[[], None]] = field(default_factory=list)
    superseded: list[Superseded] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    row: Pending | None = None
    position: tuple[int, int] | None = None
    taken_at: float = 0.0
    counted: int = 0
    durable: bool = False
    failing_since: float | None = None

    @property
    def command_id(self) -> str:
        return self.envelope.id

    @property
    def target_key(self) -> str:
        return self.command.target.key

    @property
    def phase(self) -> int:
        """The place of the command's kind in the order of dependencies."""
        return KINDS.index(self.command.target.kind)

    @property
    def row_key(self) -> str:
        """The key of the row that keeps it, which for a command of a newer release isn't its target's."""
        return self.target_key if self.row is None else self.row.target_key

    @property
    def attempts(self) -> int:
        """How often it was tried before."""
        return 0 if self.row is None else self.row.attempts

    def replaces(self, older: Work) -> None:
        """Take over what another command of this target, which will not run, must still be told."""
        same = older.command_id == self.command_id
        self.superseded = [
            *older.superseded,
            *(() if same else (older.as_superseded(),)),
            *self.superseded,
        ]
        self.done = [*older.done, *self.done]
        self.durable = False
        self.requests = [*older.requests, *self.requests]
        self.counted += older.counted
        self.row = self.row or older.row
        self.taken_at = min(self.taken_at, older.taken_at)
        if self.position is None or (older.position is not None and older.position < self.position):
            self.position = older.position

    def noted(self, reply: Reply) -> None:
        """Keep what was asked of Halo, for the outcome to tell."""
        self.requests += [
            Request(
                method=line.method,
                path=line.path,
                outcome=str(line.outcome),
                duration_ms=line.duration_ms,
                status=line.status,
                elements=line.elements,
                place=line.place,
            )
            for line in reply.lines
        ]

    def as_superseded(self) -> Superseded:
        return Superseded(
            command_id=self.command_id,
            command_type=self.envelope.type,
            basis=self.command.basis,
            seq=self.command.seq,
            correlation_id=self.envelope.correlationid,
        )

    def told(self) -> None:
        """Everything about this command is durable: its offsets may advance."""
        for tell in self.done:
            tell()
        self.done.clear()


def pending_row(
    work: Work,
    *,
    reason: str,
    now: float,
    not_before: float,
    waits_for: str | None = None,
    note: str | None = None,
    tried: bool = False,
) -> Pending:
    """The row that keeps a command until it can go on; `tried` counts one more attempt."""
    return Pending(
        tenant=work.command.target.tenant,
        stage="writer",
        target_key=work.row_key,
        message_id=work.command_id,
        message_type=work.envelope.type,
        headers=msgspec.json.encode(
            Waiting(
                envelope=work.envelope,
                superseded=tuple(work.superseded[-_MOST_SUPERSEDED:]),
                requests=tuple(work.requests[-_MOST_REQUESTS:]),
                position=work.position,
                failing_since=work.failing_since,
            )
        ),
        value=work.value,
        reason=reason,
        waits_for=waits_for,
        not_before=not_before,
        since=work.row.since if work.row else min(now, work.taken_at or now),
        seq=work.command.seq,
        attempts=work.attempts + tried,
        note=note,
    )


def from_pending(row: Pending) -> Work:
    """The work that a row kept. Raises msgspec.DecodeError or KeyError for a row of a newer release."""
    waiting = msgspec.json.decode(row.headers, type=Waiting)
    command = decode(row.message_type, row.value)
    return Work(
        command=command,
        envelope=waiting.envelope,
        value=row.value,
        superseded=list(waiting.superseded),
        requests=list(waiting.requests),
        counted=len(waiting.requests),
        row=row,
        position=waiting.position,
        failing_since=waiting.failing_since,
        durable=True,
    )
