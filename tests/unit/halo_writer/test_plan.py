"""The plan over every combination of row, command and knowledge: what it may never say, and that it always ends."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from schemas.answers import UNPROVEN
from schemas.identity import group_hashes, id_of
from schemas.targets import Intent, TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.decisions import ByOurKey, Known, ReadBack
from services.halo_writer.ending import forgotten
from tests.unit.halo_writer.build import Tool
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
    Case,
    cases_of,
    every,
    say,
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return cases_of(FULL, ENSURE)


@pytest.fixture(scope="module")
def redriven() -> list[Case]:
    return cases_of(*REDRIVEN)


def test_the_enumeration_reaches_each_decision_often_enough(cases: list[Case], redriven: list[Case]) -> None:
    seen = Counter(type(case.said).__name__ for case in (*cases, *redriven))
    print(len(cases) + len(redriven), "cases:", dict(seen.most_common()))
    wanted = {kind.__name__ for kind in planned.Decision.__args__}
    assert seen.keys() == wanted
    assert min(seen.values()) >= 50


@pytest.mark.invariant("INV-1")
def test_an_open_create_is_never_followed_by_another_without_a_proven_late_absence(cases: list[Case]) -> None:
    def proven_absent(case: Case) -> bool:
        look, intent = case.known.by_our_key, case.row.intent
        if look is None or intent is None:
            return False
        nothing = not set(look.halo_ids) - case.known.gone
        return nothing and look.proven and look.at >= intent.sent_at + SETTLE_S

    every(
        cases,
        lambda case: case.row.intent is not None and isinstance(case.said, planned.Create),
        lambda case: (
            case.row.intent is not None and case.row.intent.operation == "create" and proven_absent(case)
        ),
    )
    every(
        cases,
        lambda case: (
            case.row.intent is not None
            and case.row.intent.operation == "create"
            and isinstance(case.said, planned.Update | planned.Settle)
        ),
        lambda case: (
            case.known.by_our_key is not None
            and isinstance(case.said, planned.Update | planned.Settle)
            and case.said.halo_id in case.known.by_our_key.halo_ids
        ),
    )


@pytest.mark.invariant("INV-1")
def test_a_target_that_has_a_record_is_never_created_again(cases: list[Case]) -> None:
    every(
        cases,
        lambda case: case.row.halo_id is not None,
        lambda case: not isinstance(case.said, planned.Create),
    )


@pytest.mark.invariant("INV-1")
def test_after_a_restore_or_a_rejection_a_create_comes_only_after_a_look_up_by_our_key(
    cases: list[Case],
) -> None:
    every(
        cases,
        lambda case: (case.look_first or case.row.look_first) and isinstance(case.said, planned.Create),
        lambda case: (
            case.known.by_our_key is not None and not set(case.known.by_our_key.halo_ids) - case.known.gone
        ),
    )


@pytest.mark.invariant("INV-2")
def test_an_older_command_never_writes_or_settles_anything(cases: list[Case]) -> None:
    every(
        cases,
        lambda case: not case.command.ensure and case.command.seq < case.row.seq,
        lambda case: isinstance(case.said, planned.Superseded | planned.Repeat),
    )


@pytest.mark.invariant("INV-3")
@pytest.mark.feature("beyond.noop", part="writer")
def test_a_settled_state_asks_nothing_of_halo(cases: list[Case]) -> None:
    every(
        cases,
        lambda case: (
            case.row.intent is None
            and case.row.halo_id is not None
            and (case.command.ensure or case.row.state_hash == case.command.state_hash)
        ),
        lambda case: not isinstance(case.said, (*WRITES, *ASKS)),
    )


@pytest.mark.invariant("INV-3")
def test_a_repeat_of_the_last_command_tells_its_outcome_again_and_asks_nothing(cases: list[Case]) -> None:
    every(
        cases,
        lambda case: (
            case.row.intent is None
            and case.row.last_command_id == id_of(case.command)
            and not (case.command.ensure and case.row.halo_id is None)
        ),
        lambda case: isinstance(case.said, planned.Repeat),
    )


@pytest.mark.invariant("INV-4")
def test_an_ensure_never_updates_a_record(cases: list[Case]) -> None:
    every(cases, lambda case: case.command.ensure, lambda case: not isinstance(case.said, planned.Update))
    every(
        cases,
        lambda case: case.command.ensure and case.row.halo_id is not None,
        lambda case: isinstance(case.said, planned.Unchanged | planned.Repeat),
    )


@pytest.mark.invariant("INV-5")
def test_an_open_update_is_followed_by_another_only_after_settling_and_reading_back(
    cases: list[Case],
) -> None:
    def read_late(case: Case) -> bool:
        read, intent = case.known.read_back, case.row.intent
        return (
            read is not None
            and intent is not None
            and read.exists
            and read.halo_id == case.row.halo_id
            and case.now >= intent.sent_at + SETTLE_S
        )

    open_update = [c for c in cases if c.row.intent is not None and c.row.intent.operation == "update"]
    every(open_update, lambda case: isinstance(case.said, WRITES), read_late)
    every(open_update, lambda case: True, lambda case: not isinstance(case.said, planned.Create))


def test_a_record_that_another_target_owns_is_never_updated(cases: list[Case]) -> None:
    every(
        cases,
        lambda case: case.row.intent is None and not case.row.owns,
        lambda case: not isinstance(case.said, WRITES),
    )
    every(
        cases,
        lambda case: (
            case.row.intent is None
            and case.row.halo_id is None
            and isinstance(case.known.match, planned.Matched)
            and not case.known.match.owned
            and not (case.look_first or case.row.look_first)
        ),
        lambda case: not isinstance(case.said, WRITES),
    )


def test_nothing_is_asked_twice_and_every_command_ends_or_waits(cases: list[Case]) -> None:
    """Answers are taken from a world in which everything that can be asked has one answer."""
    worlds = [
        (ids, match, alive, equal)
        for ids in ((), (HALO_ID,), (HALO_ID, OTHER_ID))
        for match in (planned.NoMatch(), planned.Matched(HALO_ID), planned.Reserved("acme/other"))
        for alive in ((), (HALO_ID,), (HALO_ID, OTHER_ID))
        for equal in (True, False)
    ]
    starts = {
        (msgspec.json.encode(case.row), case.command.ensure, case.look_first, case.now): case
        for case in cases
        if case.known == Known()
    }
    steps: Counter[int] = Counter()
    for start in starts.values():
        for ids, match, alive, equal in worlds:
            known, asked = Known(), 0
            while isinstance(said := say(start.command, start.row, known, start.now, start.look_first), ASKS):
                asked += 1
                assert asked <= 5, (start, ids, match, alive)
                if isinstance(said, planned.FindOurKey):
                    assert known.by_our_key is None
                    known = msgspec.structs.replace(known, by_our_key=ByOurKey(ids, True, start.now))
                elif isinstance(said, planned.FindMatch):
                    assert known.match is None
                    known = msgspec.structs.replace(known, match=match)
                else:
                    assert said.halo_id not in known.gone
                    exists = said.halo_id in alive
                    known = known.having_read(ReadBack(said.halo_id, exists=exists, equal=exists and equal))
            steps[asked] += 1
    print("look-ups before an end:", dict(sorted(steps.items())))
    assert steps[2] > 100


def test_only_changed_groups_are_sent_and_all_after_an_ambiguous_write() -> None:
    before = Tool().quote(seq=(1, 1), status="Draft")
    row = TargetState(
        target=before.target,
        version=1,
        halo_id=HALO_ID,
        seq=before.seq,
        state_hash=before.state_hash,
        groups=group_hashes(before),
    )
    after = Tool().quote(seq=(2, 1), status="Sent")
    assert say(after, row, Known(), AFTER) == planned.Update(HALO_ID, ("status",))
    unsure = msgspec.structs.replace(
        row,
        intent=Intent(command_id="x", operation="update", epoch=1, sent_at=SENT_AT, state_hash="x"),
    )
    known = Known(read_back=ReadBack(HALO_ID, exists=True, equal=False))
    assert say(after, unsure, known, AFTER) == planned.Update(HALO_ID, ("head", "status", "lines"))
    assert say(after, unsure, known, BEFORE) == planned.Wait("ambiguous", not_before=AFTER)


@pytest.mark.invariant("INV-2")
@pytest.mark.parametrize(
    ("settled", "sent", "older"),
    [
        ((5, 5, 5, 3), (5, 5, 5, 3), False),
        ((5, 5, 5, 3), (5, 5, 5, 2, 3), False),
        ((5, 5, -1, 9), (5, 5, 3, 2, 1), False),
        ((5, 5, 5, -1, -1, -1, -1, 3), (5, 5, 5, 3), False),
        ((5, 5, 5, 2, 3), (5, 5, 5, 9), True),
        ((5, 5, 5, -1, -1, 9), (5, 5, 4, 2, 9), True),
    ],
)
def test_a_row_of_another_release_supersedes_only_what_is_older(
    settled: tuple[int, ...], sent: tuple[int, ...], older: bool
) -> None:
    """Releases know different field groups, and write a different number of versions."""
    row = TargetState(target=FULL.target, version=1, halo_id=HALO_ID, seq=settled, state_hash="another")
    command = msgspec.structs.replace(FULL, seq=sent)
    assert isinstance(say(command, row, Known(), AFTER), planned.Superseded) == older
    intent = Intent(command_id="x", operation="update", epoch=1, sent_at=SENT_AT, state_hash="x", seq=settled)
    row = TargetState(target=FULL.target, version=1, halo_id=HALO_ID, intent=intent)
    waits = isinstance(say(command, row, Known(), AFTER), planned.Wait)
    assert waits == older, "nor is an older state written over one that is being written"


def test_several_matches_are_a_persons_decision_that_names_them() -> None:
    known = Known(match=planned.Several((11, 12), "name 'Smith'"))
    said = say(FULL, TargetState(target=FULL.target), known, AFTER)
    assert isinstance(said, planned.Decide)
    assert said.choices == ("11", "12", "new")
    assert "11, 12" in said.message
    assert "name 'Smith'" in said.message


def test_none_of_several_is_created_only_once_our_key_is_proven_to_be_nowhere() -> None:
    row = TargetState(target=FULL.target)
    known = Known(match=planned.NoneOfThem())
    assert say(FULL, row, known, AFTER) == planned.FindOurKey()
    unproven = msgspec.structs.replace(known, by_our_key=ByOurKey((), proven=False, at=AFTER))
    said = say(FULL, row, unproven, AFTER)
    assert isinstance(said, planned.Decide)
    assert said.question == UNPROVEN
    nowhere = msgspec.structs.replace(known, by_our_key=ByOurKey((), proven=True, at=AFTER))
    assert say(FULL, row, nowhere, AFTER) == planned.Create()
    there = msgspec.structs.replace(known, by_our_key=ByOurKey((HALO_ID,), proven=True, at=AFTER))
    assert say(FULL, row, there, AFTER) == planned.ReadRecord(HALO_ID)


def test_an_unproven_look_up_never_ends_in_a_second_create() -> None:
    row = TargetState(
        target=FULL.target,
        version=1,
        intent=Intent(command_id="x", operation="create", epoch=1, sent_at=SENT_AT, state_hash="x"),
    )
    said = say(FULL, row, Known(by_our_key=ByOurKey((), proven=False, at=AFTER + 1e9)), AFTER + 1e9)
    assert isinstance(said, planned.Decide)
    assert "hub tenant check" in said.message


def test_a_record_with_our_key_twice_is_settled_once_and_told() -> None:
    row = TargetState(
        target=FULL.target,
        version=1,
        intent=Intent(command_id="x", operation="create", epoch=1, sent_at=SENT_AT, state_hash="x"),
    )
    known = Known(
        by_our_key=ByOurKey((HALO_ID, OTHER_ID), proven=True, at=BEFORE),
        read_back=ReadBack(HALO_ID, exists=True, equal=True),
    )
    assert say(FULL, row, known, BEFORE) == planned.Settle(HALO_ID, "created", duplicates=(OTHER_ID,))


def test_an_update_of_a_deleted_record_is_rejected_and_never_created_anew() -> None:
    row = TargetState(
        target=FULL.target,
        version=1,
        halo_id=HALO_ID,
        intent=Intent(command_id="x", operation="update", epoch=1, sent_at=SENT_AT, state_hash="x"),
    )
    known = Known().having_read(ReadBack(HALO_ID, exists=False))
    said = say(FULL, row, known, AFTER)
    assert said == planned.Reject("halo.gone", "the record 7 was deleted in Halo")


def test_a_redrive_relies_on_no_record_that_it_has_not_read(redriven: list[Case]) -> None:
    every(
        redriven,
        lambda case: (
            isinstance(case.said, planned.Update | planned.Unchanged)
            and bool(case.row.halo_id)
            and not case.row.intent
        ),
        lambda case: case.known.read_back is not None and case.known.read_back.exists,
    )


def test_only_a_redrive_forgets_a_record_and_only_one_that_is_gone(
    cases: list[Case], redriven: list[Case]
) -> None:
    assert not any(isinstance(case.said, planned.Forget) for case in cases)
    every(
        redriven,
        lambda case: isinstance(case.said, planned.Forget),
        lambda case: (
            case.known.read_back is not None and not case.known.read_back.exists and case.row.intent is None
        ),
    )


def test_a_forgotten_record_is_looked_for_before_it_is_made_anew() -> None:
    row = TargetState(target=FULL.target, version=3, halo_id=HALO_ID, children={"line:a": 7}, seq=(1, 1))
    again = forgotten(row)
    assert (again.halo_id, again.children, again.groups) == (None, {}, {})
    assert isinstance(say(REDRIVEN[0], again, Known(), AFTER), planned.FindOurKey)
