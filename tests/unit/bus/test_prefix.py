"""The commit prefix against a model that knows every record of every assignment."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hub.bus.prefix import PartitionPrefix, Prefixes
from hub.bus.records import Partition

PARTITIONS = [Partition("t", 0), Partition("t", 1)]


def test_position_follows_the_contiguous_prefix_only() -> None:
    prefix = PartitionPrefix()
    prefix.added([5, 6, 7], now=1.0)
    assert prefix.done(6)
    assert prefix.commit_position() is None
    assert prefix.done(5)
    assert prefix.commit_position() == 7
    prefix.committed(7)
    assert prefix.commit_position() is None


def test_gaps_in_offsets_do_not_hold_the_prefix_back() -> None:
    prefix = PartitionPrefix()
    prefix.added([3, 10, 11], now=1.0)
    prefix.done(3)
    assert prefix.commit_position() == 4
    prefix.done(10)
    prefix.done(11)
    assert prefix.commit_position() == 12


def test_done_twice_or_unknown_counts_once() -> None:
    prefix = PartitionPrefix()
    prefix.added([1], now=0.0)
    assert [prefix.done(1), prefix.done(1), prefix.done(2)] == [True, False, False]


def test_offsets_that_do_not_rise_are_refused() -> None:
    prefix = PartitionPrefix()
    prefix.added([1, 2], now=0.0)
    assert not prefix.follows(2)
    with pytest.raises(ValueError, match="offset 2 handed out after 3"):
        prefix.added([2], now=0.0)


def test_age_is_that_of_the_oldest_unfinished_record() -> None:
    prefix = PartitionPrefix()
    prefix.added([1, 2], now=1.0)
    prefix.added([3], now=2.0)
    prefix.done(3)
    prefix.done(1)
    assert prefix.oldest_unsettled_since() == 1.0
    prefix.added([4], now=3.0)
    prefix.done(2)
    assert prefix.oldest_unsettled_since() == 3.0
    prefix.done(4)
    assert prefix.oldest_unsettled_since() is None


class GroupMember(RuleBasedStateMachine):
    """Polls, finishes in any order, loses partitions and gets them back, commits, and finishes what it lost.

    The model keeps plain lists: what the log holds, what Kafka has committed, what was ever finished.
    """

    histories: Counter[str] = Counter()

    @initialize(gaps=st.lists(st.integers(1, 3), min_size=25, max_size=25))
    def begin(self, gaps: list[int]) -> None:
        self.prefixes = Prefixes()
        self.log = [sum(gaps[: number + 1]) for number in range(len(gaps))]
        self.kafka = dict.fromkeys(PARTITIONS, 0)
        self.ever_finished: dict[Partition, set[int]] = {partition: set() for partition in PARTITIONS}
        self.handed: dict[Partition, list[int]] = {partition: [] for partition in PARTITIONS}
        self.finished: dict[Partition, set[int]] = {partition: set() for partition in PARTITIONS}
        self.stale: list[tuple[Partition, PartitionPrefix, int]] = []
        self.classes: set[str] = {"all"}

    def left(self, partition: Partition) -> list[int]:
        return [offset for offset in self.handed[partition] if offset not in self.finished[partition]]

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 8))
    def poll(self, partition: Partition, count: int) -> None:
        handed = self.handed[partition]
        start = handed[-1] + 1 if handed else self.kafka[partition]
        batch = [offset for offset in self.log if offset >= start][:count]
        self.prefixes.current(partition).added(batch, now=0.0)
        handed += batch
        if set(batch) & self.ever_finished[partition]:
            self.classes.add("redelivery")

    @precondition(lambda self: any(self.left(partition) for partition in PARTITIONS))
    @rule(partition=st.sampled_from(PARTITIONS), picks=st.lists(st.integers(0, 7), min_size=1, max_size=6))
    def finish(self, partition: Partition, picks: list[int]) -> None:
        for pick in picks:
            left = self.left(partition)
            if not left:
                return
            offset = left[pick % len(left)]
            self.classes.add("in order" if offset == left[0] else "out of order")
            assert self.prefixes.current(partition).done(offset)
            self.finished[partition].add(offset)
            self.ever_finished[partition].add(offset)

    @precondition(lambda self: self.stale)
    @rule(pick=st.integers(0, 100))
    def finish_late(self, pick: int) -> None:
        partition, prefix, offset = self.stale.pop(pick % len(self.stale))
        before = self.prefixes.to_commit()
        prefix.done(offset)
        assert self.prefixes.to_commit() == before
        self.ever_finished[partition].add(offset)
        self.classes.add("late")

    @precondition(lambda self: self.prefixes.to_commit())
    @rule()
    def commit(self) -> None:
        for partition, (prefix, position) in self.prefixes.to_commit().items():
            assert position > self.kafka[partition]
            self.kafka[partition] = position
            prefix.committed(position)
            self.classes.add("commit")

    @rule(partition=st.sampled_from(PARTITIONS))
    def revoke(self, partition: Partition) -> None:
        prefix = self.prefixes.current(partition)
        left = self.left(partition)
        self.stale += [(partition, prefix, offset) for offset in left]
        self.prefixes.revoked([partition])
        assert not self.prefixes.is_current(partition, prefix)
        self.handed[partition], self.finished[partition] = [], set()

    def teardown(self) -> None:
        self.histories.update(getattr(self, "classes", ()))

    @invariant()
    def the_prefix_is_exact(self) -> None:
        for partition, (_, position) in self.prefixes.to_commit().items():
            below = [offset for offset in self.handed[partition] if offset < position]
            assert set(below) <= self.finished[partition]
            above = [offset for offset in self.handed[partition] if offset >= position]
            assert not above or above[0] not in self.finished[partition], "as long as it can be"

    @invariant()
    def everything_committed_was_finished(self) -> None:
        for partition, position in self.kafka.items():
            assert {offset for offset in self.log if offset < position} <= self.ever_finished[partition]


@pytest.mark.invariant("INV-8")
def test_no_interleaving_commits_past_an_unfinished_record() -> None:
    GroupMember.histories.clear()
    run_state_machine_as_test(
        GroupMember, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
    total = GroupMember.histories["all"]
    print({name: f"{count / total:.0%}" for name, count in GroupMember.histories.items()})
    for name in ("redelivery", "in order", "out of order", "late", "commit"):
        assert GroupMember.histories[name] >= total * 0.05, (name, GroupMember.histories)
