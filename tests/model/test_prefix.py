"""The commit prefix against lists of what was handed out and what was finished, whatever becomes of the partition."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from hub.bus.prefix import PartitionPrefix, Prefixes
from hub.bus.records import Partition
from tests.model.machines import Machine, run

PARTITIONS = [Partition("commands", 0), Partition("commands", 1)]
partitions = st.sampled_from(PARTITIONS)


class Member(Machine):
    """A group member whose records finish in any order, and a broker that takes partitions away and cuts logs.

    A log maps offsets to records: one that was cut and written anew has other records at the same offsets.
    """

    @initialize()
    def begin(self) -> None:
        self.prefixes = Prefixes()
        self.made = 0
        self.clock = 0.0
        self.log: dict[Partition, dict[int, int]] = {partition: {} for partition in PARTITIONS}
        self.end = dict.fromkeys(PARTITIONS, 0)
        self.kafka = dict.fromkeys(PARTITIONS, 0)
        self.done: set[int] = set()
        self.late: list[tuple[Partition, PartitionPrefix, int]] = []
        for partition in PARTITIONS:
            self.appends(partition, [0, 1, 0, 2])
        self.handed: dict[Partition, list[tuple[int, float]]] = {}
        self.unfinished: dict[Partition, set[int]] = {}
        self.committed: dict[Partition, int | None] = {}
        self.read_from: dict[Partition, int] = {}
        for partition in PARTITIONS:
            self.assigned(partition, 0)

    def appends(self, partition: Partition, gaps: list[int]) -> None:
        for gap in gaps:
            offset = self.end[partition] + gap
            self.made += 1
            self.log[partition][offset] = self.made
            self.end[partition] = offset + 1

    def assigned(self, partition: Partition, start: int) -> None:
        self.handed[partition], self.unfinished[partition] = [], set()
        self.committed[partition], self.read_from[partition] = None, start

    def unassigned(self, partition: Partition) -> None:
        prefix = self.prefixes.current(partition)
        self.late += [(partition, prefix, offset) for offset in sorted(self.unfinished[partition])]
        self.prefixes.revoked([partition])
        assert not self.prefixes.is_current(partition, prefix)

    def position(self, partition: Partition) -> int | None:
        """The model: after the last record before the first unfinished one."""
        position = None
        for offset, _ in self.handed[partition]:
            if offset in self.unfinished[partition]:
                break
            position = offset + 1
        return position

    # The broker -------------------------------------------------------------------------------------------

    @rule(partition=partitions, gaps=st.lists(st.integers(0, 3), min_size=1, max_size=6))
    def publish(self, partition: Partition, gaps: list[int]) -> None:
        """Between records may be what compaction took, and markers of transactions."""
        self.appends(partition, gaps)

    @rule(partition=partitions)
    def rebalance(self, partition: Partition) -> None:
        """Taken away and given back; what another member would have committed meanwhile is for others to test."""
        self.unassigned(partition)
        self.assigned(partition, self.kafka[partition])
        self.saw("rebalance")

    @precondition(lambda self: any(self.handed.values()))
    @rule(pick=st.integers(0, 20), gaps=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def the_log_goes_back(self, pick: int, gaps: list[int]) -> None:
        """A cluster restored from a moment ago: its end and committed offsets are older, and other records follow."""
        partition = next(each for each in PARTITIONS if self.handed[each])
        cut = self.handed[partition][pick % len(self.handed[partition])][0]
        self.log[partition] = {
            offset: record for offset, record in self.log[partition].items() if offset < cut
        }
        self.end[partition], self.kafka[partition] = cut, min(self.kafka[partition], cut)
        self.appends(partition, [0, *gaps])
        start = min(self.log[partition])
        assert not self.prefixes.current(partition).follows(start)
        self.unassigned(partition)
        self.assigned(partition, start)
        self.saw("log went back")

    # The member -------------------------------------------------------------------------------------------

    @rule(partition=partitions, count=st.integers(1, 6))
    def poll(self, partition: Partition, count: int) -> None:
        self.clock += 1
        prefix, start = self.prefixes.current(partition), self.read_from[partition]
        prefix.starts_at(start)
        batch = sorted(offset for offset in self.log[partition] if offset >= start)[:count]
        assert prefix.follows(start)
        prefix.added(batch, self.clock)
        if not batch:
            return
        self.handed[partition] += [(offset, self.clock) for offset in batch]
        self.unfinished[partition] |= set(batch)
        self.read_from[partition] = batch[-1] + 1
        if any(self.log[partition][offset] in self.done for offset in batch):
            self.saw("redelivery")
        if batch[-1] - batch[0] >= len(batch):
            self.saw("gap")
        with pytest.raises(ValueError, match="handed out after"):
            prefix.added([batch[-1]], self.clock)

    @precondition(lambda self: any(self.unfinished.values()))
    @rule(picks=st.lists(st.integers(0, 9), min_size=1, max_size=6))
    def finish(self, picks: list[int]) -> None:
        partition = next(each for each in reversed(PARTITIONS) if self.unfinished[each])
        for pick in picks:
            left = sorted(self.unfinished[partition])
            if left:
                offset = left[pick % len(left)]
                self.finishes(partition, offset)

    @rule(partition=partitions, leaves=st.integers(0, 3), backwards=st.booleans())
    def work_through(self, partition: Partition, leaves: int, backwards: bool) -> None:
        self.poll(partition, 4)
        left = sorted(self.unfinished[partition], reverse=backwards)
        for offset in left[: len(left) - leaves]:
            self.finishes(partition, offset)

    def finishes(self, partition: Partition, offset: int) -> None:
        self.saw("in order" if offset == min(self.unfinished[partition]) else "out of order")
        self.unfinished[partition].remove(offset)
        self.done.add(self.log[partition][offset])
        assert self.prefixes.current(partition).done(offset)
        assert not self.prefixes.current(partition).done(offset), "finished once"

    @precondition(lambda self: self.late)
    @rule(pick=st.integers(0, 100))
    def finish_late(self, pick: int) -> None:
        """A record of a former assignment: it may be done, but says nothing about the present one."""
        partition, prefix, offset = self.late.pop(pick % len(self.late))
        before = self.prefixes.to_commit()
        prefix.done(offset)
        assert self.prefixes.to_commit() == before
        assert not self.prefixes.is_current(partition, prefix)
        self.saw("late")

    @rule(refused=st.booleans())
    def commit(self, refused: bool) -> None:
        """A refused commit changes nothing: the position stays to be committed."""
        for partition, (prefix, position) in self.prefixes.to_commit().items():
            assert self.prefixes.is_current(partition, prefix)
            self.saw("commit refused" if refused else "commit")
            if not refused:
                earlier, self.committed[partition] = self.committed[partition], position
                self.kafka[partition] = position
                prefix.committed(position)
                if earlier is not None:
                    # The answer to an earlier commit, come late.
                    prefix.committed(earlier)

    # What must hold ---------------------------------------------------------------------------------------

    @invariant()
    def the_position_is_the_models(self) -> None:
        due = {partition: position for partition, (_, position) in self.prefixes.to_commit().items()}
        positions = {partition: self.position(partition) for partition in PARTITIONS}
        assert due == {
            partition: position
            for partition, position in positions.items()
            if position is not None and position != self.committed[partition]
        }

    @invariant()
    def what_is_unfinished_is_counted_with_its_age(self) -> None:
        for partition in PARTITIONS:
            prefix, unfinished = self.prefixes.current(partition), self.unfinished[partition]
            assert prefix.unsettled == self.prefixes.unsettled([partition]) == len(unfinished)
            since = [at for offset, at in self.handed[partition] if offset in unfinished]
            assert prefix.oldest_unsettled_since() == (min(since) if since else None)
        assert self.prefixes.unsettled() == sum(map(len, self.unfinished.values()))

    @invariant()
    def everything_below_a_committed_offset_was_finished(self) -> None:
        for partition, committed in self.kafka.items():
            below = {record for offset, record in self.log[partition].items() if offset < committed}
            assert below <= self.done


@pytest.mark.invariant("INV-8")
def test_the_committed_position_is_the_end_of_what_is_finished_without_a_hole() -> None:
    run(
        Member,
        interesting=[
            "redelivery",
            "in order",
            "out of order",
            "gap",
            "late",
            "commit",
            "commit refused",
            "rebalance",
            "log went back",
        ],
        examples=150,
        steps=40,
    )
