"""Follows the control topic: accepted rules for the readers, and requests to read Halo again."""

import asyncio

import msgspec
import structlog

from hub.bus.reader import follow
from hub.bus.records import Record
from hub.bus.settings import BusSettings
from hub.telemetry.health import Condition
from hub.tenants.follower import RulesFollower
from schemas.control import SyncRequested
from schemas.envelope import EnvelopeInvalid, Fault, from_headers
from schemas.registry import decode
from schemas.topics import CONTROL, is_keyed_by
from services.ingest.reading import Reading

SYNC_REQUESTED = "sync.requested.v1"
_log = structlog.get_logger(__name__)


async def follow_control(
    bus: BusSettings, rules: RulesFollower, reading: Reading, caught_up: Condition
) -> None:
    """Takes in the whole topic, then on for ever. Raises what the bus raises."""
    async with follow(bus.bootstrap_servers, CONTROL, security=bus.security) as feed:
        telling = asyncio.create_task(_tell(feed.caught_up, caught_up))
        try:
            async for record in feed:
                rules.apply(record)
                request_read(record, reading)
        finally:
            telling.cancel()


def request_read(record: Record, reading: Reading) -> None:
    """Passes a `sync.requested` on; what is none is passed over, what can't be read is reported."""
    try:
        envelope = from_headers(record.headers)
        if envelope.type != SYNC_REQUESTED:
            return
        if not is_keyed_by(CONTROL, record.key, envelope.tenant):
            raise EnvelopeInvalid([Fault("key", f"must be {envelope.tenant!r}")])
        asked: SyncRequested = decode(envelope.type, record.value or b"")
    except (EnvelopeInvalid, msgspec.DecodeError) as error:
        _log.error("control.unreadable", offset=record.offset, partition=record.partition, problem=str(error))
        return
    reading.request(envelope.tenant, asked.kinds, envelope.time.timestamp())


async def _tell(event: asyncio.Event, caught_up: Condition) -> None:
    await event.wait()
    caught_up.holds()
