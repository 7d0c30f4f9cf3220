"""The log bears witness against a store that went back where no position moved.

What waits in the store settles without any offset: a store that forgets only that is ahead of Kafka's offsets as ever,
and what has settled would run again as if nothing had been sent. But each change of a target's row is published with
its version after it was committed, so a version on the log that is higher than the store's, and tells more of Halo,
proves the loss.
"""

from __future__ import annotations

import msgspec

from hub.bus.errors import StoreWentBack
from hub.bus.positions import committed_and_end
from hub.bus.reader import read_range
from hub.bus.records import Record
from hub.bus.settings import BusSettings
from hub.store import targets
from hub.store.engine import Store
from schemas.registry import decode
from schemas.targets import Target, TargetState
from schemas.topics import TARGETS

# Of each partition; the newest alone may be of a tenant whose row was in the copy already, and was told late.
_LAST = 20
_OF_HALO = ("halo_id", "owns", "children", "groups", "answered_hash", "intent")
"""What a target's state says of its record, beside how far its commands have come."""


async def check_targets(settings: BusSettings, store: Store, *, topic: str = TARGETS) -> None:
    """Return when the store knows the newest changes of targets that the log tells of.

    With `accept_start_position` nothing is checked. Raises StoreWentBack, StoreUnavailable.
    """
    if settings.accept_start_position:
        return
    # The log first: what is on it was in the store before.
    told = await _newest(settings, topic)
    async with store.read() as conn:
        restored = await targets.restored(conn)
        passed = {} if restored is None else restored.log_ends
        told = [(at, state) for at, state in told if at.offset >= passed.get((at.topic, at.partition), 0)]
        stored = await targets.load(conn, [state.target for _, state in told])
    found = []
    for _, state in told:
        row = stored.get(state.target)
        version = 0 if row is None else row.version
        if state.version > version and (row is None or _tells_more(state, row)):
            found.append(f"{topic} has version {state.version} of {state.target.key}, the store {version}")
    if found:
        raise StoreWentBack(settings.group, found[:3])


def _tells_more(state: TargetState, row: TargetState) -> bool:
    """Whether the newer state knows something of Halo that the row doesn't.

    A command that changed nothing in Halo is told before its row is saved: a writer killed between the two leaves the
    log one version ahead, and nothing was lost.
    """
    return any(getattr(state, name) != getattr(row, name) for name in _OF_HALO)


async def _newest(settings: BusSettings, topic: str) -> list[tuple[Record, TargetState]]:
    _, ends = await committed_and_end(settings, [topic])
    start = {at.partition: end - _LAST for at, end in ends.items()}
    records = read_range(settings.bootstrap_servers, topic, start=start, security=settings.security)
    newest: dict[Target, tuple[Record, TargetState]] = {}
    async for record in records:
        state = _state(record)
        if state is not None:
            newest[state.target] = (record, state)
    return list(newest.values())


def _state(record: Record) -> TargetState | None:
    try:
        state: TargetState = decode("target.changed.v1", record.value or b"")
    except msgspec.DecodeError:
        # Of a newer release, or no target at all: it bears no witness.
        return None
    return state
