"""The log as this service writes to it: events with their topic, key and headers, acknowledged or an error."""

from collections.abc import Sequence

from hub.bus.errors import PublishFailed, RecordInvalid, RecordTooLarge
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing
from schemas.envelope import Envelope, headers_of
from schemas.registry import TYPES, encode
from schemas.topics import BY_NAME
from services.ingest.catalogue import Seen
from services.ingest.http import LogUnavailable, MessageTooLarge
from services.ingest.validate import Accepted


def record_of(envelope: Envelope, value: bytes) -> Outgoing:
    """The record of one message: its type says the topic, and the topic what it is keyed by."""
    topic = TYPES[envelope.type].topic
    key = envelope.tenant.encode() if BY_NAME[topic].key == "tenant" else envelope.key
    return Outgoing(topic, key, value, headers_of(envelope))


class KafkaLog:
    """Appends through the bus; returns only when all in-sync replicas have every record."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def append(self, events: Sequence[Accepted]) -> None:
        """Raises LogUnavailable, MessageTooLarge."""
        await self._publish([record_of(event.envelope, event.data) for event in events])

    async def append_seen(self, events: Sequence[Seen]) -> None:
        """Raises LogUnavailable, MessageTooLarge."""
        await self._publish([record_of(event.envelope, encode(event.data)) for event in events])

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        try:
            await self._publisher.publish(records)
        except PublishFailed as error:
            raise LogUnavailable(str(error)) from error
        except (RecordTooLarge, RecordInvalid) as error:
            raise MessageTooLarge(str(error)) from error
