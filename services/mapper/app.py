"""The mapper's composition root: source events from Kafka, through `service.Mapper`, to commands on Kafka.

Main path of an event: `Consumer` → `service.Mapper.handle` → `intake.read` (is it one) → `batch.Batch` → `record.fold`
(the whole of its entity) → `quote.desired` and `quote.commands` (the mapping) → `emit.command_message` → `Publisher`.
Where a quote's status is mapped: `status.quote_status`. Beside it `shared_duty.SharedDuty` publishes tenant files and
releases what waited for them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import uuid
from functools import partial

import structlog

from hub.bus.broker import make_broker
from hub.bus.closing import stray_cancellation_ignored
from hub.bus.connect import bus_settings, security_of
from hub.bus.consumer import Consumer
from hub.bus.producer import Publisher
from hub.bus.topics import check_topics
from hub.dead_letter_box import DeadLetterBox
from hub.lease_keeper import LeaseKeeper
from hub.runtime import Service
from hub.settings import Settings
from hub.steps import Steps
from hub.store.engine import Store
from hub.store.positions import Positions
from hub.tenants.follower import RulesFollower
from hub.tenants.publisher import SettingsPublisher
from schemas.topics import CONTROL, PRODUCTS, QUOTES, TOPICS
from services.mapper.release import release_waiting
from services.mapper.service import Mapper
from services.mapper.shared_duty import SharedDuty

GROUP = "hub-mapper"
SOURCES = (QUOTES, PRODUCTS, CONTROL)
"""The topics of source events that are mapped, and that of the answers of people, which change what they map to."""
_DUTY_EVERY_S = 2.0
_DUTY_MAX_AGE_S = 120.0
_log = structlog.get_logger(__name__)


async def run(settings: Settings, service: Service) -> None:
    """Map until the service is told to stop, then drain. Raises what keeps it from starting, or ServiceFailed."""
    steps = Steps()
    bus = bus_settings(settings, client_id=GROUP, group=GROUP)
    security = security_of(settings)
    await check_topics(
        settings.bootstrap_servers,
        TOPICS,
        security=security,
        any_partition_count=settings.any_partition_count,
    )
    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(settings.store_url)
        stack.push_async_callback(store.close)
        await store.migrate()
        publisher = Publisher(bus, told=service.metrics.tell_published)
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        follower = RulesFollower()
        service.run(follower.run(settings.bootstrap_servers, security), "rules")
        caught_up = service.health.condition("settings")
        await follower.caught_up()
        caught_up.holds()
        keeper = LeaseKeeper(store, owner=_owner(), ttl_s=settings.lease_ttl_s)
        service.run(keeper.run(), "leases")
        files = SettingsPublisher(settings.tenants_dir, follower, publisher.publish, now=_now)
        progress = service.health.progress("settings files", max_age_s=_DUTY_MAX_AGE_S)
        release = partial(release_waiting, store, follower, publisher.publish)
        duty = SharedDuty(keeper, files, release, progress, service.metrics, every_s=_DUTY_EVERY_S)
        service.run(duty.run(), "settings files")
        letters = DeadLetterBox(
            publisher.publish,
            service.health.condition("dead letters"),
            unwritten=service.metrics.dead_letters_unwritten.set,
        )
        service.run(letters.run(), "dead letters")
        mapper = Mapper(
            store,
            follower,
            publisher.publish,
            letters,
            service.metrics,
            max_message_bytes=bus.max_record_bytes,
            now=_now,
            steps=steps,
        )
        broker = make_broker(bus)
        events = Consumer(
            broker,
            bus,
            SOURCES,
            mapper.handle,
            position_store=Positions(store, settings.cluster),
            on_failure=service.failed,
        )
        await events.check_start()
        service.watch(GROUP, events.health)
        await broker.start()
        _log.info("mapper.started", **settings.summary())
        await service.until_stopped()
        _log.info("mapper.draining")
        await events.drain()
        with stray_cancellation_ignored():
            await broker.stop()
        await duty.stop()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _owner() -> str:
    return f"mapper-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
