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
_NOT_PLAIN = frozenset({dict, list, tuple, Decimal})


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
    state = f"adopted {command.state_hash}" if command.adopt_only else command.state_hash
    return command_id(command.target, command.seq, state, command.basis.cause)


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
    """`str(uuid.uuid5(...))`, without the objects on the way: every message has at least one."""
    name = "\n".join([part.replace("\n", "\\n") for part in parts])
    digest = bytearray(hashlib.sha1(_NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _plain(value: Any) -> Any:
    """1.50 and 1.5 are one amount; written out plainly so that they are one text too. `value` is ours to change."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(item) in _NOT_PLAIN:
                value[key] = _plain(item)
        return value
    if kind is list or kind is tuple:
        return [_plain(item) if type(item) in _NOT_PLAIN else item for item in value]
    if kind is Decimal:
        return format(value.normalize() + 0, "f")
    return value
