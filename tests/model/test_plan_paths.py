"""Every path through the planner's questions and all that can be answered to them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

from schemas.commands import Command
from schemas.targets import TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from tests.unit.halo_writer.plan_cases import (
    AFTER,
    ASKS,
    BEFORE,
    ENSURE,
    FULL,
    HALO_ID,
    OTHER_ID,
    REDRIVEN,
    SENT_AT,
    SETTLE_S,
    WRITES,
    rows,
    say,
)

Question = planned.FindOurKey | planned.FindMatch | planned.ReadRecord
Path = tuple[tuple[Question, Known], ...]
LOOKS = [
    (ids, proven, at)
    for ids in ((), (HALO_ID,), (HALO_ID, OTHER_ID))
    for proven in (True, False)
    for at in (BEFORE, AFTER)
]
MATCHES = (
    planned.NoMatch(),
    planned.Matched(HALO_ID),
    planned.NoneOfThem(),
    planned.Reserved("acme/other"),
)


def answers(question: Question, known: Known, now: float) -> Iterator[tuple[Known, float]]:
    """All that the shell could come back with, and the time that it may be then."""
    match question:
        case planned.FindOurKey():
            for ids, proven, at in LOOKS:
                if at >= now:
                    yield msgspec.structs.replace(known, by_our_key=ByOurKey(ids, proven, at)), at
        case planned.FindMatch():
            for match in MATCHES:
                yield msgspec.structs.replace(known, match=match), now
        case planned.ReadRecord(halo_id):
            for exists, equal in ((True, True), (True, False), (False, False)):
                yield known.having_read(ReadBack(halo_id, exists=exists, equal=equal)), now


def paths(
    command: Command, row: TargetState, known: Known, now: float, look_first: bool, path: Path = ()
) -> Iterator[tuple[Path, planned.Decision]]:
    """Each way from this question to something final, with what was asked and answered on it."""
    assert len(path) <= 6, "it never ends"
    said = say(command, row, known, now, look_first)
    if not isinstance(said, ASKS):
        yield path, said
        return
    for later in (now, AFTER) if now < AFTER else (now,):
        for more, at in answers(said, known, later):
            yield from paths(command, row, more, at, look_first, (*path, (said, more)))


def absence_is_proven(path: Path) -> bool:
    """Whether a look-up on this path was late and able enough, and all that it found turned out to be gone."""
    looks = [known.by_our_key for question, known in path if isinstance(question, planned.FindOurKey)]
    gone = path[-1][1].gone if path else frozenset()
    return any(
        look is not None and look.proven and look.at >= SENT_AT + SETTLE_S and not set(look.halo_ids) - gone
        for look in looks
    )


@pytest.mark.invariant("INV-1")
def test_no_path_leads_from_an_ambiguous_create_to_a_post_without_a_look_up_by_our_key() -> None:
    ends: Counter[str] = Counter()
    for command in (FULL, ENSURE, *REDRIVEN):
        for row, now in itertools.product(rows(command), (BEFORE, AFTER)):
            if row.intent is None or row.intent.operation != "create":
                continue
            for path, said in paths(command, row, Known(), now, look_first=False):
                ends[type(said).__name__] += 1
                if isinstance(said, WRITES):
                    assert isinstance(path[0][0], planned.FindOurKey), (row, path, said)
                if isinstance(said, planned.Create):
                    assert absence_is_proven(path), (row, path)
                if isinstance(said, planned.Update):
                    look = path[0][1].by_our_key
                    assert look is not None
                    assert said.halo_id in look.halo_ids
    print(sum(ends.values()), "paths:", dict(ends.most_common()))
    assert {"Create", "Update", "Settle", "Wait", "Decide"} <= ends.keys()
    assert ends["Create"] >= 50


@pytest.mark.invariant("INV-1")
def test_no_path_leads_to_a_post_without_a_look_up_where_one_is_demanded() -> None:
    ends: Counter[str] = Counter()
    for command in (FULL, ENSURE, *REDRIVEN):
        for row, demanded in itertools.product(rows(command), (True, False)):
            if row.intent is not None or row.halo_id is not None or not (demanded or row.look_first):
                continue
            for path, said in paths(command, row, Known(), AFTER, look_first=demanded):
                ends[type(said).__name__] += 1
                if isinstance(said, planned.Create):
                    assert any(isinstance(question, planned.FindOurKey) for question, _ in path)
                    look = path[-1][1].by_our_key
                    assert look is not None
                    assert not set(look.halo_ids) - path[-1][1].gone
    print(sum(ends.values()), "paths:", dict(ends.most_common()))
    assert ends["Create"] >= 50
