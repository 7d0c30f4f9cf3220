"""What can go wrong on the bus, each error saying what to do next.

BusError
├── PublishFailed            some records of a publish have no acknowledgement
├── RecordTooLarge           a record exceeds the limit
├── RecordInvalid            Kafka cannot carry the record; nothing was sent
├── TopicMissing             a topic that the hub needs does not exist
├── PartitionCountDiffers    a topic exists with another number of partitions
├── TopicCreationFailed      the broker refused to create topics
├── StartPositionMismatch    the group would start far behind where it stopped
├── StoreWentBack            the store has forgotten what was finished: it was restored
├── GroupInUse               a group's offsets can't be moved while it has members
├── HandlerFailed            a service's handler raised: its batch stays uncommitted
├── BatchLost                the framework dropped a batch before the handler saw it
├── PollFailed               polling broke in a way that is not Kafka's
└── EmbeddedBrokerFailed     the in-process broker did not start
"""

from collections.abc import Mapping, Sequence


class BusError(Exception):
    """Root of the bus package's errors."""


class PublishFailed(BusError):
    """Some of the records have no acknowledgement, and which ones is unknown: publish all of them again."""

    def __init__(self, count: int, reason: str) -> None:
        super().__init__(f"{count} record(s) not acknowledged by Kafka ({reason}); publish all of them again")
        self.count = count
        self.reason = reason


class RecordTooLarge(BusError):
    """A record exceeds the size limit: shrink it or reject its source; sending it again cannot succeed.

    Where the hub's own limit refused it (`limit_bytes` is set) nothing of its batch was sent. Where the
    topic's `max.message.bytes` refused it, the rest of the batch may have been, and has to be published
    again.
    """

    def __init__(self, topic: str, size_bytes: int, limit_bytes: int | None = None) -> None:
        limit = f"the limit of {limit_bytes}" if limit_bytes else "the topic's max.message.bytes"
        super().__init__(f"record of {size_bytes} bytes for {topic} exceeds {limit}")
        self.topic = topic
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class RecordInvalid(BusError):
    """Kafka cannot carry this record (no key and no value, bad header name); nothing was sent."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"record for {topic} cannot be sent: {reason}")
        self.topic = topic


class TopicMissing(BusError):
    """Topics that the hub needs do not exist: create them (`hub topics apply`), then start again."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"missing topics: {', '.join(names)}; create them with `hub topics apply`")
        self.names = tuple(names)


class PartitionCountDiffers(BusError):
    """Topics exist with another partition count than their version fixes; keys would map elsewhere."""

    def __init__(self, found: Mapping[str, tuple[int, int]]) -> None:
        counts = sorted(found.items())
        listed = ", ".join(f"{name} has {has}, not {wants}" for name, (has, wants) in counts)
        super().__init__(
            f"partition counts are fixed for a topic's version: {listed}; set the deployed count in the topic "
            "definition, or recreate the topic before anything is published"
        )
        self.found = dict(found)


class TopicCreationFailed(BusError):
    """The broker refused to create topics: repair what it says, or create them by hand."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())))
        self.reasons = dict(reasons)


class StartPositionMismatch(BusError):
    """The group's offsets are far from what the store remembers: a start would lose or repeat."""

    def __init__(self, group: str, found: Sequence[str]) -> None:
        super().__init__(
            f"group {group} would not start where it stopped: {'; '.join(found)}. Its offsets were reset, have "
            "expired or belong to another cluster: if that was meant, start once with "
            "HUB_ACCEPT_START_POSITION=true"
        )
        self.group = group
        self.found = tuple(found)


class StoreWentBack(BusError):
    """The store is older than what was finished: records that it has forgotten would never be handed out again."""

    def __init__(self, group: str, found: Sequence[str]) -> None:
        super().__init__(
            f"the store has gone back behind what group {group} has finished: {'; '.join(found)}. It was restored, "
            "or failed over to an older copy: stop all services, run `hub store restored`, start them again. (If "
            "instead the group's offsets were moved ahead on purpose, start once with "
            "HUB_ACCEPT_START_POSITION=true)"
        )
        self.group = group
        self.found = tuple(found)


class GroupInUse(BusError):
    """Processes are members of a group whose offsets are to be moved: stop them, then try again."""

    def __init__(self, members: Sequence[str]) -> None:
        super().__init__(
            f"still running: {', '.join(members)}. Stop them first; one that was killed counts until its session "
            "has timed out (HUB_KAFKA_SESSION_TIMEOUT_S)"
        )
        self.members = tuple(members)


class HandlerFailed(BusError):
    """A handler raised. Intake has stopped, its batch is uncommitted: repair the cause and restart."""


class BatchLost(BusError):
    """The framework dropped a batch before the handler. Intake has stopped, it is uncommitted: restart."""


class PollFailed(BusError):
    """Polling broke in a way that is not Kafka's. Intake has stopped: report it and restart the process."""


class EmbeddedBrokerFailed(BusError):
    """The in-process broker did not start; the message holds its output."""
