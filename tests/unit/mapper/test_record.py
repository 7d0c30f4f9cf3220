"""Whatever the order and number of deliveries, a history folds into one record."""

import itertools
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store.records import Record
from schemas.envelope import Envelope
from schemas.ordering import Seq, order_of
from schemas.quotes import Answers, Quote, QuoteConversion, QuoteStatus
from services.mapper.record import fold, seq_of, versions_of
from tests.unit.mapper.build import envelope, folded, line, quote, status

Event = tuple[Envelope, Quote | QuoteStatus | QuoteConversion]


def contents(record: Record) -> dict[str, tuple[int, str, bytes]]:
    return {name: (group.version, group.hash, bytes(group.data)) for name, group in record.groups.items()}


def place(record: Record, rule_sequence: int = 1) -> tuple[Seq, Seq]:
    return order_of(seq_of(record, rule_sequence))


def test_a_whole_quote_carries_head_and_lines_and_its_status_when_it_names_one() -> None:
    assert set(folded((envelope(1), quote())).groups) == {"head", "lines"}
    assert set(folded((envelope(1), quote(status="draft"))).groups) == {"head", "lines", "status"}


@pytest.mark.feature("quote.status.reflect", part="mapper")
def test_a_status_change_touches_the_status_alone() -> None:
    before = folded((envelope(1), quote(status="draft")))
    after = fold(before, status(2), QuoteStatus(status="sent"))
    assert (after.status, after.touched, after.changed) == (
        "effective",
        frozenset({"status"}),
        frozenset({"status"}),
    )
    assert versions_of(after.record) == {"head": 1, "lines": 1, "status": 2}
    assert after.record.groups["lines"] is before.groups["lines"]


@pytest.mark.feature("won.detect", part="mapper")
def test_a_conversion_and_its_answers_are_groups_of_their_own() -> None:
    before = folded((envelope(1), quote(status="draft")))
    answered = QuoteConversion(to="order", answers=Answers(opportunity_exists="convert"))
    after = fold(before, envelope(2, "quote.converted.v1"), answered)
    assert after.changed == frozenset({"conversion", "answers"})
    later = fold(after.record, envelope(3, "quote.converted.v1"), QuoteConversion(to="invoice"))
    assert later.changed == frozenset({"conversion"})
    assert versions_of(later.record) == {"head": 1, "lines": 1, "status": 1, "conversion": 3, "answers": 2}
    assert place(later.record) > place(after.record) > place(before)


@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_an_older_revision_that_comes_late_changes_nothing() -> None:
    newest = folded((envelope(5), quote(title="New")))
    late = fold(newest, envelope(4), quote(title="Old"))
    assert (late.status, late.changed) == ("stale", frozenset())
    assert late.record is newest


@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_a_late_revision_still_gives_what_no_newer_event_carried() -> None:
    record = folded((status(5), QuoteStatus(status="sent")))
    late = fold(record, envelope(4), quote(status="draft"))
    assert (late.status, late.changed) == ("effective", frozenset({"head", "lines"}))
    assert versions_of(late.record) == {"head": 4, "lines": 4, "status": 5}


def test_the_same_event_again_is_a_repeat_also_with_other_spelling_of_its_amounts() -> None:
    record = folded((envelope(1), quote(lines=[line(price="10.50")])))
    again = fold(record, envelope(1), quote(lines=[line(price="10.5")]))
    assert (again.status, again.record) == ("repeat", record)


def test_the_same_content_under_another_event_id_is_a_repeat() -> None:
    record = folded((envelope(1), quote()))
    assert fold(record, envelope(1, event_id="other"), quote()).status == "repeat"


def test_other_content_for_a_taken_revision_is_a_conflict_and_changes_nothing() -> None:
    record = folded((envelope(1), quote()))
    conflict = fold(record, envelope(1, event_id="other"), quote(title="Else"))
    assert (conflict.status, conflict.record) == ("conflict", record)


def test_a_revision_that_carried_other_groups_is_taken_too() -> None:
    record = folded((envelope(1), quote()))
    conflict = fold(record, status(1, event_id="other"), QuoteStatus(status="sent"))
    assert (conflict.status, conflict.record) == ("conflict", record)


@pytest.mark.parametrize(("first", "second"), [(1, None), (None, 2)])
def test_a_source_that_sends_revisions_and_none_is_told(first: int | None, second: int | None) -> None:
    record = folded((envelope(1, revision=first), quote()))
    mixed = fold(record, envelope(2, revision=second), quote(title="Else"))
    assert (mixed.status, mixed.record) == ("mixed", record)


@pytest.mark.feature("hub.order", part="mapper")
def test_without_revisions_the_events_own_time_orders_them() -> None:
    older, newer = envelope(1, revision=None), envelope(2, revision=None)
    one = folded((older, quote(title="Old")), (newer, quote(title="New")))
    other = folded((newer, quote(title="New")), (older, quote(title="Old")))
    assert contents(one) == contents(other)
    assert b"New" in bytes(one.groups["head"].data)


def test_two_events_of_one_millisecond_have_an_order_that_is_not_their_arrival() -> None:
    one = envelope(1, revision=None, event_id="a"), quote(title="A")
    other = envelope(1, revision=None, event_id="b"), quote(title="B")
    assert contents(folded(one, other)) == contents(folded(other, one))


@pytest.mark.feature("hub.order", part="mapper")
def test_seq_rises_when_a_group_that_was_missing_arrives_with_a_low_version() -> None:
    before = folded((envelope(3), quote()))
    after = fold(before, status(2), QuoteStatus(status="draft")).record
    assert place(after) > place(before)


def test_seq_rises_with_the_rules_alone() -> None:
    record = folded((envelope(3), quote()))
    assert place(record, 10) > place(record, 9)


def test_a_first_revision_of_zero_counts() -> None:
    before = folded((envelope(1), quote()))
    after = fold(before, status(0), QuoteStatus(status="draft"))
    assert after.status == "effective"
    assert place(after.record) > place(before)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A producer's history of one quote: each event a revision of its own, or none with any."""
    with_revisions = draw(st.booleans())
    choices = ["quote", "quote+status", "status", "converted", "converted+answer"]
    kinds = draw(st.lists(st.sampled_from(choices), min_size=1, max_size=7))
    history: list[Event] = []
    for number, kind in enumerate(kinds, start=1):
        revision = number if with_revisions else None
        if kind == "status":
            about = status(number, revision=revision)
            history.append((about, QuoteStatus(status=draw(st.sampled_from(["draft", "sent", "won"])))))
        elif kind.startswith("converted"):
            said: Any = draw(st.sampled_from(["convert", "leave"])) if kind == "converted+answer" else None
            to: Any = draw(st.sampled_from(["order", "invoice"]))
            about = envelope(number, "quote.converted.v1", revision=revision)
            history.append((about, QuoteConversion(to=to, answers=Answers(opportunity_exists=said))))
        else:
            named = draw(st.sampled_from(["draft", "sent"])) if kind == "quote+status" else None
            about = envelope(number, revision=revision)
            history.append((about, quote(title=f"T{draw(st.integers(0, 2))}", status=named)))
    return history


@pytest.mark.invariant("INV-11")
@pytest.mark.invariant("INV-11")
def test_any_arrival_of_a_history_gives_the_same_record_and_seq_never_falls() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        history = data.draw(histories())
        again = data.draw(st.lists(st.sampled_from(history), max_size=4))
        arrival = data.draw(st.permutations(history + again))
        expected = folded(*history)
        record: Record | None = None
        seqs = []
        for about, content in arrival:
            result = fold(record, about, content)
            assert result.status in ("effective", "repeat", "stale")
            if record is not None:
                rises = place(result.record) > place(record)
                assert rises == (result.status == "effective")
            record = result.record
            seqs.append(place(record))
            seen[result.status] += 1
        assert record is not None
        assert contents(record) == contents(expected)
        assert seqs == sorted(seqs)
        seen["histories"] += 1
        seen["reordered"] += arrival[: len(history)] != history
        seen["redelivered"] += bool(again)
        seen["by time"] += history[0][0].revision is None
        seen["converted"] += any(isinstance(content, QuoteConversion) for _, content in history)

    check()
    print(dict(seen))
    for interesting in ("reordered", "redelivered", "by time", "converted"):
        assert seen[interesting] >= 0.05 * seen["histories"], seen
    folds = seen["effective"] + seen["repeat"] + seen["stale"]
    for interesting in ("effective", "repeat", "stale"):
        assert seen[interesting] >= 0.05 * folds, seen


@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_every_order_of_a_short_history_ends_in_the_newest_state() -> None:
    history: list[Event] = [
        (envelope(1), quote(title="One", status="draft")),
        (status(2), QuoteStatus(status="sent")),
        (envelope(3), quote(title="Three")),
        (status(4), QuoteStatus(status="approved")),
    ]
    ends = {
        msgspec.json.encode(contents(folded(*order)), order="sorted")
        for order in itertools.permutations(history)
    }
    assert len(ends) == 1
    record = folded(*history)
    assert versions_of(record) == {"head": 3, "lines": 3, "status": 4}
