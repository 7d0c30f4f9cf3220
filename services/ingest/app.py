"""The ingest service, from its settings to its last answer. `hub run ingest` runs it.

Main path of an event: `http.Door.take` → `producers` (whose token) → `content` (which events) → `validate` (all of
them or none) → `log.KafkaLog.append` (acknowledged) → 202. Main path of a read: `reading.Reading` (a lane for each
tenant) → `catalogue.Reader` (one kind, whole) → `log.KafkaLog.append_seen`.
"""

import asyncio
import datetime as dt
import os
import time
import uuid
from contextlib import AsyncExitStack

import httpx
import structlog

from hub.bus.connect import bus_settings, security_of
from hub.bus.producer import Publisher
from hub.bus.topics import check_topics
from hub.lease_keeper import LeaseKeeper
from hub.runtime import Service, ServiceFailed
from hub.settings import Settings
from hub.store.engine import Store
from hub.telemetry.server import AsgiServer
from hub.tenants.follower import RulesFollower
from schemas.topics import TOPICS
from services.ingest.control import follow_control
from services.ingest.http import Door, Limits, make_app
from services.ingest.log import KafkaLog
from services.ingest.producers import ProducersFile, ProducersInvalid
from services.ingest.reading import Reading, Timing

_log = structlog.get_logger(__name__)
_READING_MAX_AGE_S = 60.0


async def run(settings: Settings, service: Service) -> None:
    """Serves until told to stop, then answers what is under way. Raises ServiceFailed, and what a start raises."""
    at_kafka, caught_up = service.health.condition("kafka"), service.health.condition("settings")
    bus = bus_settings(settings, client_id="hub-ingest")
    try:
        producers = ProducersFile(settings.producers_file, time.monotonic)
    except ProducersInvalid as error:
        raise ServiceFailed(str(error)) from None
    service.metrics.producers_file_invalid.set_function(producers.is_refused)
    await check_topics(
        settings.bootstrap_servers,
        TOPICS,
        security=security_of(settings),
        any_partition_count=settings.any_partition_count,
    )
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.store_url)
        stack.push_async_callback(store.close)
        await store.migrate()
        publisher = Publisher(bus, told=service.metrics.tell_published)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        at_kafka.holds()
        log = KafkaLog(publisher)

        rules = RulesFollower()
        keeper = LeaseKeeper(store, owner=_owner(), ttl_s=settings.lease_ttl_s)
        # Bounded, it would be what tenants whose Halos hang keep from the others.
        halo_http = await stack.enter_async_context(
            httpx.AsyncClient(limits=httpx.Limits(max_connections=None))
        )
        progress = service.health.progress("reading", max_age_s=_READING_MAX_AGE_S)
        reading = Reading(store, keeper, log, halo_http, rules, progress, _timing(settings), service.metrics)
        stack.push_async_callback(reading.stop)
        service.run(follow_control(bus, rules, reading, caught_up), "control")
        service.run(keeper.run(), "leases")
        service.run(reading.run(), "reading")

        door = Door(producers, log, _limits(settings), service.metrics, lambda: dt.datetime.now(dt.UTC))
        server = AsgiServer(
            make_app(door),
            host=settings.http_host,
            port=settings.http_port,
            on_refused=lambda code: service.metrics.events_rejected.labels(type="unknown", reason=code).inc(),
        )
        await stack.enter_async_context(server)
        _log.info("ingest.started", listening=server.port, **settings.summary())
        await service.until_stopped()
        await _drain(door, settings.drain_s)
    _log.info("ingest.stopped")


async def _drain(door: Door, drain_s: float) -> None:
    try:
        async with asyncio.timeout(drain_s):
            await door.drain()
    except TimeoutError:
        _log.warning("ingest.drain_cut_short", drain_s=drain_s)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.max_body_bytes, settings.max_batch_events, settings.body_timeout_s)


def _timing(settings: Settings) -> Timing:
    return Timing(
        reference_every_s=settings.reference_read_every_s,
        full_every_s=settings.full_read_every_s,
        fresh_enough_s=settings.fresh_enough_s,
        request_timeout_s=settings.request_timeout_s,
    )


def _owner() -> str:
    return f"ingest-{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
