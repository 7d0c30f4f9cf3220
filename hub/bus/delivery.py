"""What a handler gets: a record, and the means to say that it is finished."""

from collections.abc import Callable

from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Partition, Record


class Intake:
    """The records of one partition in one assignment, on their way through the service."""

    __slots__ = ("_on_settled", "active", "partition", "paused", "prefix")

    def __init__(
        self, partition: Partition, prefix: PartitionPrefix, on_settled: Callable[["Intake"], None]
    ) -> None:
        self.partition = partition
        self.prefix = prefix
        self.active = True
        self.paused = False
        self._on_settled = on_settled

    def settle(self, offset: int) -> None:
        if self.prefix.done(offset) and self.active:
            self._on_settled(self)


class Delivery:
    """One record handed to a service. Use it from the event loop's thread alone."""

    __slots__ = ("_intake", "record")

    def __init__(self, record: Record, intake: Intake) -> None:
        self.record = record
        self._intake = intake

    @property
    def active(self) -> bool:
        """Whether the partition is still assigned as when the record was handed out.

        When it is not, another process may have the record already: finish nothing new for it.
        """
        return self._intake.active

    def done(self) -> None:
        """Say that the record is finished: what it caused is durable, and it may be committed.

        Calling it again, or after the partition was revoked, changes nothing.
        """
        self._intake.settle(self.record.offset)
