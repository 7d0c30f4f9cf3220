"""Identities that never depend on arrival: hashes of canonical JSON and the ids made from them."""

from __future__ import annotations

import hashlib
import uuid
from decimal import Decimal
from typing import Any

import msgspec

from schemas.base import Utc
from schemas.commands import Command
from schemas.targets import Target

_NAMESPACE = uuid.UUID("5d2d7a3c-4c0e-5c8e-9f0b-2f6c1f4f7a51")
_CANONICAL = msgspec.json.Encoder(order="deterministic")
_TIE_BITS = 20


def canonical(value: Any) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, decimals without trailing zeros."""
    return _CANONICAL.encode(_plain(msgspec.to_builtins(value, builtin_types=(Decimal,))))


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def group_hashes(command: Command) -> dict[str, str]:
    """A hash for each field group of which the command carries at least one field.

    What is written on creation alone doesn't count: a record that exists is in the desired state without it.
    """
    hashes: dict[str, str] = {}
    for group, names in command.groups.items():
        values = {name: getattr(command, name) for name in names}
        present = {
            name: value
            for name, value in values.items()
            if value is not msgspec.UNSET and value.write != "on_create"
        }
        if present:
            hashes[group] = content_hash(present)
    return hashes


def state_hash(command: Command) -> str:
    """The hash of the desired state: the kind's fields alone, whatever rules and events led to it."""
    return state_hash_of(group_hashes(command))


def state_hash_of(hashes: dict[str, str]) -> str:
    """The hash of the desired state, from the hashes of its groups: `content_hash` of them, without the detours."""
    return hashlib.sha256(_CANONICAL.encode(hashes)).hexdigest()


def command_id(target: Target, seq: tuple[int, ...], state: str, cause: str) -> str:
    """The same command has the same id, however often and in whatever order it is made."""
    return _uuid5("command", target.key, ",".join(map(str, seq)), state, cause)


def id_of(command: Command) -> str:
    return command_id(command.target, command.seq, command.state_hash, command.basis.cause)


def outcome_id(command: str, status: str, attempt: int) -> str:
    """`attempt` counts redrives, not deliveries."""
    return _uuid5("outcome", command, status, str(attempt))


def derived_id(kind: str, *parts: str) -> str:
    """An id for any other message that is a function of its parts (dead letters, snapshots, Halo events)."""
    return _uuid5(kind, *parts)


def version_of(revision: int | None, time: Utc, event_id: str) -> int:
    """The order of one entity's events as an integer: its revision, or for a source without revisions its time.

    Times order to the millisecond; within one millisecond a hash of the event's id decides, so that the order is
    total and the same in whatever order the events arrive.
    """
    if revision is not None:
        return revision
    tie = int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:4]) >> (32 - _TIE_BITS)
    return (int(time.timestamp() * 1000) << _TIE_BITS) | tie


def _uuid5(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "\n".join(part.replace("\n", "\\n") for part in parts)))


def _plain(value: Any) -> Any:
    """1.50 and 1.5 are one amount; written out plainly so that they are one text too."""
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
