"""Every combination of row, command and knowledge that the plan can be asked about."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from schemas.commands import Command
from schemas.identity import group_hashes, id_of
from schemas.targets import Intent, TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from services.halo_writer.plan import plan
from tests.unit.halo_writer.build import Tool, sealed

SENT_AT = 1000.0
SETTLE_S = 180.0
BEFORE, AFTER = SENT_AT + SETTLE_S - 1, SENT_AT + SETTLE_S
HALO_ID, OTHER_ID = 7, 8
WRITES = (planned.Create, planned.Update)
ASKS = (planned.FindOurKey, planned.FindMatch, planned.ReadRecord)

FULL = Tool().quote(seq=(2, 1))
ENSURE = sealed(msgspec.structs.replace(FULL, seq=(), ensure=True))
REDRIVEN = tuple(
    msgspec.structs.replace(command, basis=msgspec.structs.replace(command.basis, cause="redrive-1"))
    for command in (FULL, ENSURE)
)


class Case(msgspec.Struct, frozen=True):
    """One question to the plan and its answer."""

    command: Command
    row: TargetState
    known: Known
    look_first: bool
    now: float
    said: planned.Decision


def rows(command: Command) -> Iterator[TargetState]:
    """Every row that a target can have, as far as the plan looks at it."""
    intents: tuple[Literal["create", "update"] | None, ...] = (None, "create", "update")
    hashes = (None, command.state_hash, "another")
    told = (None, id_of(command), "another")
    for operation, halo_id, owns, seq, settled, last, look_first in itertools.product(
        intents, (None, HALO_ID), (True, False), ((), (1, 1), (2, 1), (3, 1)), hashes, told, (False, True)
    ):
        if operation == "update" and halo_id is None:
            continue
        if operation == "create" and halo_id is not None:
            continue
        if halo_id is None and (settled is not None or seq or not owns):
            continue
        intent = None
        if operation is not None:
            intent = Intent(
                command_id="theirs", operation=operation, epoch=1, sent_at=SENT_AT, state_hash="sent"
            )
        yield TargetState(
            target=command.target,
            version=3,
            halo_id=halo_id,
            owns=owns,
            seq=seq,
            state_hash=settled,
            groups=group_hashes(command) if settled == command.state_hash else {},
            intent=intent,
            look_first=look_first,
            last_command_id=last,
            last_outcome=None if last is None else b"{}",
        )


def knowledge() -> Iterator[Known]:
    looks = (
        None,
        *(ByOurKey((), proven, at) for proven in (True, False) for at in (BEFORE, AFTER)),
        ByOurKey((HALO_ID,), True, BEFORE),
        ByOurKey((HALO_ID, OTHER_ID), True, AFTER),
    )
    matches = (
        None,
        planned.NoMatch(),
        planned.Matched(HALO_ID),
        planned.Matched(HALO_ID, owned=False),
        planned.Several((HALO_ID, OTHER_ID), "name 'Smith'"),
        planned.NoneOfThem(),
        planned.Reserved("acme/other"),
    )
    reads: tuple[tuple[ReadBack | None, frozenset[int]], ...] = (
        (None, frozenset()),
        (ReadBack(HALO_ID, exists=True, equal=True), frozenset()),
        (ReadBack(HALO_ID, exists=True, equal=False), frozenset()),
        (ReadBack(HALO_ID, exists=False), frozenset({HALO_ID})),
        (ReadBack(OTHER_ID, exists=False), frozenset({HALO_ID, OTHER_ID})),
    )
    for look, match, (read, gone) in itertools.product(looks, matches, reads):
        yield Known(by_our_key=look, match=match, read_back=read, gone=gone)


def cases_of(*commands: Command) -> list[Case]:
    everything = list(knowledge())
    return [
        Case(command, row, known, look_first, now, say(command, row, known, now, look_first))
        for command in commands
        for row in rows(command)
        for known in everything
        for look_first in (False, True)
        for now in (BEFORE, AFTER)
        # Time counts for an open intent only; one more demand to look first changes nothing.
        if (row.intent or now == AFTER) and not (look_first and row.look_first)
    ]


def say(
    command: Command, row: TargetState, known: Known, now: float, look_first: bool = False
) -> planned.Decision:
    demanded = msgspec.structs.replace(row, look_first=row.look_first or look_first)
    return plan(command, demanded, known, now=now, settle_s=SETTLE_S)


def every(cases: list[Case], applies: Callable[[Case], bool], holds: Callable[[Case], bool]) -> None:
    """`holds` for each case that it `applies` to; fails also when there are hardly any."""
    chosen = [case for case in cases if applies(case)]
    assert len(chosen) >= 100, f"only {len(chosen)} cases: this proves nothing"
    broken = next((case for case in chosen if not holds(case)), None)
    assert broken is None, broken
