"""What a handler gets: a record, and the means to say that it is finished, or that it waits."""

import asyncio
from collections.abc import Callable, Sequence

from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Partition, Record


class Intake:
    """The records of one partition in one assignment, on their way through the service."""

    __slots__ = ("_on_settled", "active", "partition", "paused", "prefix", "show_life")

    def __init__(
        self,
        partition: Partition,
        prefix: PartitionPrefix,
        on_settled: Callable[["Intake"], None],
        show_life: Callable[[], None] = lambda: None,
    ) -> None:
        self.partition = partition
        self.prefix = prefix
        self.active = True
        self.paused = False
        self._on_settled = on_settled
        self.show_life = show_life

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

    def waits(self) -> None:
        """Say that the handler is alive and can't go on: what it needs is away, and it has just looked again.

        A handler that keeps its batch for long without saying so is taken to hang, and its process is not live.
        """
        self._intake.show_life()


async def held_up(batch: Sequence[Delivery], for_s: float) -> bool:
    """Wait before the next try, showing life; whether any of the batch is still this process's to finish."""
    batch[0].waits()
    await asyncio.sleep(for_s)
    batch[0].waits()
    return any(delivery.active for delivery in batch)
