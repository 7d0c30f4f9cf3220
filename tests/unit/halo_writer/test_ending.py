"""What is told of a command's end, and what its row becomes."""

from __future__ import annotations

import base64

import msgspec
import pytest

from hub.bus.producer import record_size
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from schemas.commands import Notice
from schemas.envelope import from_headers
from schemas.identity import group_hashes, id_of, outcome_id
from schemas.outcomes import DeadLetter, DuplicateSuspected, Outcome, Request
from schemas.registry import decode, encode
from schemas.targets import Intent, TargetState, our_key
from schemas.topics import DEAD_LETTERS, OUTCOMES, TARGETS
from services.halo_writer import ending as tell
from services.halo_writer.ending import Ending
from tests.unit.halo_writer.build import Tool, always, changed, work_of

NOW = 1_800_000_000.0
COMMAND = Tool().quote(seq=(3, 1))
ENSURE = changed(COMMAND, ensure=True, seq=())
INTENT = Intent(
    command_id=id_of(COMMAND), operation="create", epoch=1, sent_at=NOW - 5, state_hash=COMMAND.state_hash
)
ROW = TargetState(target=COMMAND.target, version=4, intent=INTENT)
CREATED = Ending(status="applied", result="created", halo_id=7, answered_hash="answered")
REJECTED = Ending(status="rejected", code="halo.rejected", message="No", fix="Do that")


def stored(ending: Ending, command: object = COMMAND) -> tell.Stored:
    work = work_of(command)  # type: ignore[arg-type]
    return tell.stored_outcome(tell.outcome_of(work, ending), "event-1", NOW)


def after(row: TargetState, ending: Ending, command: object = COMMAND) -> TargetState:
    found = tell.next_state(row, command, ending, stored(ending, command), generation=2)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_what_was_created_is_the_rows_new_state_and_its_outcome_is_kept() -> None:
    state = after(ROW, CREATED)
    assert (state.version, state.halo_id, state.seq, state.generation) == (5, 7, (3, 1), 2)
    assert state.intent is None
    assert (state.state_hash, state.groups) == (COMMAND.state_hash, group_hashes(COMMAND))
    assert state.answered_hash == "answered"
    assert state.last_command_id == id_of(COMMAND)
    assert tell.from_row(state.last_outcome or b"") == stored(CREATED)
    assert tell.halo_id_of(stored(CREATED)) == 7


@pytest.mark.fault("F29")
def test_an_outcome_and_the_row_that_keeps_it_fit_into_a_message_whatever_there_is_to_say() -> None:
    """What can't be published stays in the outbox for ever, and with it all that its tenant has to tell."""
    words = "\N{PILE OF POO}" * 5_000
    said = tuple(Notice(code=f"supplier.unknown.{number}", message=words) for number in range(2_000))
    ending = msgspec.structs.replace(CREATED, notices=said, message=words)
    children: dict[str, int] = {}
    for number in range(2_000):
        line_id = f"{'x' * 190}{number}"
        key = our_key(COMMAND.target, line_id)
        children |= {f"line:{line_id}": 2**31 - 1, f"item:{key}": 2**31 - 1, f"said:{key}": 31}
    row = msgspec.structs.replace(ROW, children=children)
    state = after(row, ending)
    messages = [tell.published(stored(ending)), tell.snapshot(state, NOW)]
    assert max(map(record_size, messages)) < DEFAULT_MAX_RECORD_BYTES
    shown = decode("command.applied.v1", stored(ending).value).notices
    assert (len(shown), shown[0].code, shown[-1].message) == (101, "supplier.unknown.0", "and 1900 more")


def test_an_ensure_settles_the_id_and_never_a_state() -> None:
    state = after(msgspec.structs.replace(ROW, seq=(2, 1), state_hash="kept"), CREATED, ENSURE)
    assert (state.halo_id, state.seq, state.state_hash) == (7, (2, 1), "kept")


def test_a_rejected_create_looks_first_the_next_time_and_leaves_what_had_settled() -> None:
    state = after(ROW, REJECTED)
    assert state.look_first
    assert state.intent is None
    assert (state.seq, state.state_hash) == ((), None)
    known = msgspec.structs.replace(ROW, halo_id=7, seq=(2, 1), state_hash="kept", intent=None)
    state = after(known, REJECTED)
    assert not state.look_first
    assert (state.halo_id, state.seq, state.state_hash) == (7, (2, 1), "kept")


@pytest.mark.parametrize(
    ("ending", "command"),
    [
        (Ending(status="superseded"), COMMAND),
        (Ending(status="applied", result="unchanged", halo_id=7), ENSURE),
    ],
)
def test_what_changes_nothing_writes_no_row(ending: Ending, command: object) -> None:
    assert tell.next_state(ROW, command, ending, stored(ending, command), generation=0) is None  # type: ignore[arg-type]


def test_a_record_that_another_target_owns_stays_its_own() -> None:
    state = tell.next_state(ROW, ENSURE, CREATED, stored(CREATED), generation=0, owns=False)
    assert state is not None
    assert not state.owns
    assert not after(state, CREATED, ENSURE).owns


def test_an_open_write_hides_what_had_settled_and_a_withdrawn_one_brings_it_back() -> None:
    settled = after(ROW, CREATED)
    open_ = tell.with_intent(settled, msgspec.structs.replace(INTENT, operation="update"))
    assert (open_.state_hash, open_.groups) == (None, {})
    assert tell.withdrawn(settled, 9) == msgspec.structs.replace(settled, version=9)


def test_an_outcomes_id_follows_from_its_command_and_status_alone() -> None:
    first, second = stored(CREATED), stored(msgspec.structs.replace(CREATED, halo_id=8))
    assert first.envelope.id == second.envelope.id == outcome_id(id_of(COMMAND), "applied", 0)
    assert stored(REJECTED).envelope.id != first.envelope.id


def test_an_outcome_carries_its_requests_its_notices_and_no_more_than_the_last_fifty() -> None:
    work = work_of(COMMAND)
    work.requests = [
        Request(method="GET", path=f"/Quotation/{n}", outcome="applied", duration_ms=1) for n in range(70)
    ]
    notice = Notice(code="a", message="b")
    outcome = tell.outcome_of(work, msgspec.structs.replace(CREATED, notices=(notice,)))
    assert [request.path for request in outcome.requests][::49] == ["/Quotation/20", "/Quotation/69"]
    assert outcome.notices == (notice,)
    assert (outcome.basis, outcome.seq, outcome.target) == (COMMAND.basis, COMMAND.seq, COMMAND.target)


def test_messages_go_to_their_topics_under_the_keys_that_the_log_promises() -> None:
    row = after(ROW, CREATED)
    work = work_of(COMMAND)
    older = work_of(changed(COMMAND, seq=(2, 1)))
    work.replaces(older)
    published = tell.published(stored(CREATED))
    (superseded,) = tell.superseded_messages(work, NOW)
    letter = tell.rejected_command(work, REJECTED, NOW)
    snapshot = tell.snapshot(row, NOW)
    alarm = tell.duplicate_suspected(COMMAND.target, (7, 8), "why", NOW)
    tenant = COMMAND.target.tenant.encode()
    assert [(m.topic, m.key) for m in (published, superseded, letter, snapshot, alarm)] == [
        (OUTCOMES, tenant),
        (OUTCOMES, tenant),
        (DEAD_LETTERS, tenant),
        (TARGETS, COMMAND.target.key.encode()),
        (OUTCOMES, tenant),
    ]
    types = [from_headers(m.headers).type for m in (published, superseded, letter, snapshot, alarm)]
    assert types == [
        "command.applied.v1",
        "command.superseded.v1",
        "dead_letter.recorded.v1",
        "target.changed.v1",
        "duplicate.suspected.v1",
    ]
    told = decode("command.superseded.v1", superseded.value or b"")
    assert isinstance(told, Outcome)
    assert (told.command_id, told.superseded_by) == (older.command_id, work.command_id)
    assert decode("target.changed.v1", snapshot.value or b"") == row
    suspected = decode("duplicate.suspected.v1", alarm.value or b"")
    assert isinstance(suspected, DuplicateSuspected)
    assert suspected.halo_ids == (7, 8)


def test_a_dead_letter_holds_the_command_byte_for_byte_and_what_to_do() -> None:
    work = work_of(COMMAND)
    letter = decode("dead_letter.recorded.v1", tell.rejected_command(work, REJECTED, NOW).value or b"")
    assert isinstance(letter, DeadLetter)
    assert base64.b64decode(letter.value or "") == encode(COMMAND)
    assert (letter.reason, letter.message, letter.fix) == ("halo.rejected", "No", "Do that")
    assert letter.basis == COMMAND.basis
    headers = tuple((name, base64.b64decode(value or "")) for name, value in letter.headers)
    assert from_headers(headers) == work.envelope


def test_a_state_that_has_settled_before_keeps_its_groups_and_another_brings_its_own() -> None:
    settled = after(ROW, CREATED)
    again = changed(COMMAND, seq=(4, 1))
    other = changed(COMMAND, seq=(4, 1), title=always("Another title"))

    assert after(settled, CREATED, again).groups == settled.groups == group_hashes(COMMAND)
    assert after(settled, CREATED, other).groups == group_hashes(other) != settled.groups
