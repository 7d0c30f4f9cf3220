"""Which offset may be committed: the contiguous prefix of finished records, per assignment. Pure.

Invariants:
    * A commit position is never above an unfinished record that was handed out in this assignment.
    * A record of a former assignment, done late, moves nothing: its `PartitionPrefix` is no longer current.
    * Offsets may have gaps (compaction, transaction markers): a gap never holds the prefix back.
    * Commit positions of one `PartitionPrefix` only rise.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from hub.bus.records import Partition


class PartitionPrefix:
    """One partition's records in one assignment, from handed out to committed; amortised O(1) a record."""

    __slots__ = ("_added_at", "_committed", "_next_offset", "_order", "_position", "_unsettled")

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._unsettled: set[int] = set()
        self._added_at: deque[tuple[int, float]] = deque()
        self._position: int | None = None
        self._committed: int | None = None
        self._next_offset: int | None = None

    @property
    def next_offset(self) -> int | None:
        """One above the newest record handed out, or where reading starts; None while neither is known."""
        return self._next_offset

    @property
    def unsettled(self) -> int:
        """How many records were handed out and are not done."""
        return len(self._unsettled)

    def starts_at(self, offset: int) -> None:
        """Note where reading starts, if no record was handed out yet."""
        if self._next_offset is None:
            self._next_offset = offset

    def follows(self, offset: int) -> bool:
        """Tell whether `offset` can be handed out next; False after the log was truncated or made anew."""
        return self._next_offset is None or offset >= self._next_offset

    def added(self, offsets: Sequence[int], now: float) -> None:
        """Note that records were handed out, at `now` seconds of any monotonic clock.

        Raises:
            ValueError: the offsets do not rise, or do not follow those handed out before.
        """
        for offset in offsets:
            if not self.follows(offset):
                raise ValueError(f"offset {offset} handed out after {self._next_offset}")
            self._next_offset = offset + 1
        if offsets:
            self._order.extend(offsets)
            self._unsettled.update(offsets)
            self._added_at.append((offsets[-1], now))

    def done(self, offset: int) -> bool:
        """Note that a record is finished; False when it already was, or never was handed out."""
        if offset not in self._unsettled:
            return False
        self._unsettled.remove(offset)
        order = self._order
        while order and order[0] not in self._unsettled:
            self._position = order.popleft() + 1
        while self._added_at and (not order or self._added_at[0][0] < order[0]):
            self._added_at.popleft()
        return True

    def commit_position(self) -> int | None:
        """Return the offset to commit (the prefix's last, plus one), or None when nothing new is finished."""
        return None if self._position == self._committed else self._position

    def committed(self, position: int) -> None:
        """Note that `position` is committed."""
        if self._committed is None or position > self._committed:
            self._committed = position

    def oldest_unsettled_since(self) -> float | None:
        """Return when the oldest unfinished record was handed out, on the clock given to `added`."""
        return self._added_at[0][1] if self._added_at else None


class Prefixes:
    """The prefixes of the present assignment; each assignment of a partition begins with a new one."""

    __slots__ = ("_current",)

    def __init__(self) -> None:
        self._current: dict[Partition, PartitionPrefix] = {}

    def current(self, partition: Partition) -> PartitionPrefix:
        """Return the partition's prefix in the present assignment, beginning it if it is new."""
        prefix = self._current.get(partition)
        if prefix is None:
            prefix = self._current[partition] = PartitionPrefix()
        return prefix

    def is_current(self, partition: Partition, prefix: PartitionPrefix) -> bool:
        """Tell whether `prefix` belongs to the present assignment."""
        return self._current.get(partition) is prefix

    def revoked(self, partitions: Iterable[Partition]) -> None:
        """End the partitions' assignment: their prefixes count no longer."""
        for partition in partitions:
            self._current.pop(partition, None)

    def items(self) -> list[tuple[Partition, PartitionPrefix]]:
        return list(self._current.items())

    def unsettled(self, partitions: Iterable[Partition] | None = None) -> int:
        """Return how many records are unfinished, of the given partitions or of all."""
        if partitions is None:
            return sum(prefix.unsettled for prefix in self._current.values())
        return sum(
            self._current[partition].unsettled for partition in partitions if partition in self._current
        )

    def to_commit(self) -> dict[Partition, tuple[PartitionPrefix, int]]:
        """Return the positions not yet committed, each with the prefix to tell when it is."""
        found: dict[Partition, tuple[PartitionPrefix, int]] = {}
        for partition, prefix in self._current.items():
            position = prefix.commit_position()
            if position is not None:
                found[partition] = (prefix, position)
        return found
