"""From a record on the commands topic to work, or to the reason why it can't be. Pure.

Invariants:
    * a command runs for the tenant of its key, and for no other: its envelope, its target and every record that it
      refers to are that tenant's, in that tenant's Halo.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hub.bus.records import Record
from hub.store.pending import Pending
from schemas.commands import COMMANDS, Command, Field, OrderLines, QuoteLine
from schemas.envelope import Envelope, EnvelopeInvalid, Fault, from_headers
from schemas.registry import decode
from schemas.targets import Target
from services.halo_writer.work import Waiting, Work


class Unreadable(Exception):
    """A record that is no command this release can read; `newer` is its envelope when a later release made it."""

    def __init__(
        self, reason: str, message: str, *, faults: tuple[Fault, ...] = (), newer: Envelope | None = None
    ) -> None:
        self.reason = reason
        self.faults = faults
        self.newer = newer
        super().__init__(message)


def read_command(record: Record) -> Work:
    """The command in a record. Raises Unreadable."""
    if record.value is None:
        raise Unreadable("ignored.tombstone", "a tombstone is no command")
    try:
        envelope = from_headers(record.headers)
    except EnvelopeInvalid as error:
        raise Unreadable("envelope.invalid", str(error), faults=error.faults) from None
    if record.key != envelope.tenant.encode():
        raise _foreign(Fault("key", f"must be {envelope.tenant!r}, the tenant that the command is for"))
    if envelope.type not in COMMANDS:
        raise Unreadable("version", f"{envelope.type} is not known to this release", newer=envelope)
    try:
        command = decode(envelope.type, record.value)
    except msgspec.ValidationError as error:
        raise Unreadable("version", f"{envelope.type}: {error}", newer=envelope) from None
    except msgspec.DecodeError as error:
        raise Unreadable("data.not_json", str(error)) from None
    for at, target in _targets(command):
        if target.tenant != envelope.tenant:
            raise _foreign(
                Fault(at, f"is a record of {target.tenant!r}, the command is for {envelope.tenant!r}")
            )
        if target.instance != command.target.instance:
            raise _foreign(
                Fault(at, f"is a record in {target.instance!r}, not in {command.target.instance!r}")
            )
    return Work(
        command=command,
        envelope=envelope,
        value=record.value,
        position=(record.partition, record.offset),
    )


def _foreign(fault: Fault) -> Unreadable:
    return Unreadable("tenant.mismatch", str(fault), faults=(fault,))


def _targets(command: Command) -> Iterator[tuple[str, Target]]:
    """The command's own target and those that it refers to, each with its place."""
    yield "target", command.target
    for name in command.state_fields():
        field = getattr(command, name)
        if not isinstance(field, Field):
            continue
        if isinstance(field.value, Target):
            yield name, field.value
        lines = field.value.lines if isinstance(field.value, OrderLines) else field.value
        if isinstance(lines, tuple):
            for place, line in enumerate(lines):
                if isinstance(line, QuoteLine) and line.item is not None:
                    yield f"lines[{place}].item", line.item


def of_newer_release(record: Record, envelope: Envelope, now: float) -> Pending:
    """A row that waits for the upgrade: this release must not guess at what it can't read."""
    assert record.value is not None
    return Pending(
        tenant=envelope.tenant,
        stage="writer",
        target_key=f"version/{envelope.id}",
        message_id=envelope.id,
        message_type=envelope.type,
        headers=msgspec.json.encode(Waiting(envelope=envelope)),
        value=record.value,
        reason="version",
        not_before=now + 3600.0,
        since=now,
    )
