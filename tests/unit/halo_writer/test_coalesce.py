"""Which commands run and in what order; nobody who must be told is forgotten."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.store.pending import Pending
from schemas.commands import Command
from schemas.targets import KINDS
from services.halo_writer.coalesce import coalesce, in_order, newest
from services.halo_writer.work import Work, from_pending, pending_row
from tests.unit.halo_writer.build import Tool, changed, work_of

TOOL = Tool()


def full(quote: str, seq: int, title: str = "T") -> Command:
    return TOOL.quote(quote, seq=(seq, 1), title=title)


def ensure(quote: str, title: str = "T") -> Command:
    return changed(TOOL.quote(quote, title=title), ensure=True, seq=())


def parked(command: Command) -> Work:
    work = work_of(command)
    work.row = row_of(work)
    return work


def row_of(work: Work) -> Pending:
    return pending_row(work, reason="limited", now=1.0, not_before=2.0, waits_for=None, note=None)


ARRIVALS = st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(1, 4)), max_size=12)


@pytest.mark.invariant("INV-6")
@pytest.mark.invariant("INV-7")
@given(arrivals=ARRIVALS, waiting=ARRIVALS.filter(lambda rows: len({row[0] for row in rows}) == len(rows)))
@settings(derandomize=True)
def test_per_target_only_the_newest_runs_and_everyone_is_told_once(
    arrivals: list[tuple[str, int | None]], waiting: list[tuple[str, int | None]]
) -> None:
    def made(quote: str, seq: int | None) -> Work:
        return work_of(ensure(quote) if seq is None else full(quote, seq))

    told: Counter[int] = Counter()
    rows = {work.target_key: work for work in (made(*spec) for spec in waiting)}
    works = [made(*spec) for spec in arrivals]
    for number, work in enumerate(works):
        work.done.append(partial(told.update, [number]))
    ready, for_rows = coalesce(works, rows)
    kept = {key: newest(rows[key], work) for key, work in for_rows.items()}
    for work in [*ready, *kept.values()]:
        work.told()
    assert told == Counter(range(len(works))), "each delivery advances its offset, once"
    places = [(work.target_key, work.command.ensure) for work in ready]
    assert len(set(places)) == len(places)
    assert not {work.target_key for work in ready} & rows.keys(), "a target that waits goes on waiting"
    for work in ready:
        same = [
            w for w in works if w.target_key == work.target_key and w.command.ensure == work.command.ensure
        ]
        assert work.command.seq == max(w.command.seq for w in same)
        ids = {w.command_id for w in same} - {work.command_id}
        assert {older.command_id for older in work.superseded} == ids
    for key, work in kept.items():
        there = [w for w in works if w.target_key == key] + [rows[key]]
        assert work.command.seq == max(w.command.seq for w in there)
        assert work.command_id not in {older.command_id for older in work.superseded}


@pytest.mark.invariant("INV-7")
def test_an_ensure_and_a_full_command_both_run_the_ensure_first() -> None:
    ready, _ = coalesce([work_of(full("a", 1)), work_of(ensure("a"))], {})
    assert [work.command.ensure for work in in_order(ready)] == [True, False]


def test_dependencies_come_before_what_refers_to_them_whatever_the_order_of_arrival() -> None:
    works = [work_of(command) for command in TOOL.whole_quote(person="p-1")]
    for seed in range(20):
        random.Random(seed).shuffle(works)
        kinds = [work.command.target.kind for work in in_order(works)]
        assert kinds == sorted(kinds, key=KINDS.index)


def test_a_newer_command_takes_the_row_of_the_one_that_waits_and_what_it_cost() -> None:
    old, new = parked(full("a", 1)), work_of(full("a", 2, "New"))
    _, for_rows = coalesce([new], {old.target_key})
    work = newest(old, for_rows[old.target_key])
    assert work is new
    assert work.row is old.row
    assert [older.command_id for older in work.superseded] == [old.command_id]


def test_an_ensure_that_may_end_without_its_record_replaces_none_that_makes_it() -> None:
    """Else a quote that isn't won would take the place of the client that a won one waits for."""
    client, site = TOOL.client(), TOOL.site()
    in_place = msgspec.structs.replace(site.client, missing="skip")  # type: ignore[type-var]
    for making, conditional in (
        (client, changed(client, adopt_only=True)),
        (site, changed(site, client=in_place)),
    ):
        assert conditional.conditional
        assert not making.conditional
        for first, second in ((making, conditional), (conditional, making)):
            assert newest(work_of(first), work_of(second)).command == making
            (ready,), _ = coalesce([work_of(first), work_of(second)], {})
            assert ready.command == making


def test_a_row_brings_back_the_command_with_all_that_it_replaced() -> None:
    old, new = work_of(full("a", 1)), work_of(full("a", 2, "New"))
    new.replaces(old)
    back = from_pending(row_of(new))
    assert back.command == new.command
    assert back.envelope == new.envelope
    assert back.value == new.value
    assert back.superseded == new.superseded


def test_a_row_stays_bounded_however_often_its_target_is_replaced_while_it_waits() -> None:
    work = work_of(full("a", 1))
    for seq in range(2, 500):
        newer = work_of(full("a", seq))
        newer.replaces(work)
        work = newer
    assert len(from_pending(row_of(work)).superseded) == 200
    assert from_pending(row_of(work)).superseded[-1].seq == (498, 1)


def test_a_row_keeps_since_when_it_waits_and_counts_its_attempts() -> None:
    work = parked(full("a", 1))
    put_off = pending_row(work, reason="limited", now=50.0, not_before=60.0)
    assert (put_off.since, put_off.attempts) == (1.0, 0), "waiting for its turn is no attempt"
    again = pending_row(work, reason="denied", now=50.0, not_before=60.0, tried=True)
    assert (again.since, again.attempts) == (1.0, 1)
