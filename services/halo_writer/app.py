"""The writer's composition root: commands from Kafka, through `writer.Writer`'s lanes, into Halo.

Main path: `Consumer` hands raw batches to `Writer.take`; a `Lane` per tenant orders them; `Executor` drives each
through `plan` to an outcome. `Feeds` keeps the catalogue and the proofs that `plan` relies on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import uuid
from collections.abc import Callable
from dataclasses import replace

import httpx
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
from hub.witness import check_targets
from schemas.topics import COMMANDS, CONTROL, HALO, TOPICS
from services.halo_writer.feeds import Feeds
from services.halo_writer.fetch import Fetcher, SystemNames
from services.halo_writer.files import FileRoom
from services.halo_writer.lane import LaneSettings, Services
from services.halo_writer.teller import Teller
from services.halo_writer.tools import Timing
from services.halo_writer.writer import Writer

GROUP = "hub-writer"
FEEDS_GROUP = "hub-writer-feeds"
_log = structlog.get_logger(__name__)


async def run(settings: Settings, service: Service) -> None:
    """Run until the service is told to stop; then finish what is in hand, commit, and give the leases back."""
    owner = f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    steps = Steps()
    # When partitions go, lanes stop first: waiting for what they left would only hold up the group.
    bus = replace(bus_settings(settings, client_id=GROUP, group=GROUP), revoke_drain_s=0.1)
    security = security_of(settings)
    counts = await check_topics(
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
        http = await stack.enter_async_context(
            httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=200))
        )
        follower = RulesFollower()
        service.run(follower.run(settings.bootstrap_servers, security), "rules")
        await follower.caught_up()
        keeper = LeaseKeeper(store, owner=owner, ttl_s=settings.lease_ttl_s)
        service.run(keeper.run(), "leases")
        shared = Services(
            store=store,
            publisher=publisher,
            keeper=keeper,
            steps=steps,
            settings=LaneSettings(timing=timing(settings), fresh_s=settings.full_read_every_s * 1.5),
            files=FileRoom(Fetcher(SystemNames(), _public_transport(httpx.create_ssl_context()))),
            told=Teller(service.metrics),
            metrics=service.metrics,
        )
        letters = DeadLetterBox(
            publisher.publish,
            service.health.condition("dead letters"),
            unwritten=service.metrics.dead_letters_unwritten.set,
        )
        service.run(letters.run(), "dead letters")
        writer = Writer(
            shared,
            follower,
            http,
            service.metrics,
            letters,
            partitions=counts[COMMANDS],
            request_timeout_s=settings.request_timeout_s,
        )
        broker = make_broker(bus)
        positions = Positions(store, settings.cluster)
        commands = Consumer(
            broker,
            bus,
            [COMMANDS],
            writer.take,
            position_store=positions,
            on_assigned=writer.assigned,
            on_revoked=writer.revoked,
            on_failure=service.failed,
        )
        feeds_bus = bus_settings(settings, client_id=FEEDS_GROUP, group=FEEDS_GROUP)
        feeds = Consumer(
            broker,
            feeds_bus,
            [HALO, CONTROL],
            Feeds(store).take,
            position_store=positions,
            on_failure=service.failed,
        )
        await check_targets(bus, store)
        await commands.check_start()
        await feeds.check_start()
        service.watch(GROUP, commands.health)
        service.watch(FEEDS_GROUP, feeds.health)
        await broker.start()
        service.run(writer.sweep(), "sweep")
        if steps.armed == "after_commit":
            service.run(_after_commit(commands, steps), "steps")
        await service.until_stopped()
        _log.info("writer.draining")
        await writer.stop()
        await letters.flush()
        # Lanes that have stopped finish nothing more: what is done is committed, the rest comes again.
        await commands.drain(timeout_s=0)
        await feeds.drain()
        with stray_cancellation_ignored():
            await broker.stop()


def timing(settings: Settings) -> Timing:
    """How long to wait for what; scaled with `settle_s` where tests and the demo scale it."""
    scale = min(1.0, settings.settle_s / Timing.settle_s)
    return Timing(
        settle_s=settings.settle_s,
        send_within_s=Timing.send_within_s * scale,
        first_look_s=Timing.first_look_s * scale,
        ambiguous_most_s=Timing.ambiguous_most_s * scale,
        unreachable_s=Timing.unreachable_s * max(scale, 0.05),
        unreachable_most_s=Timing.unreachable_most_s * max(scale, 0.05),
        denied_s=Timing.denied_s * max(scale, 0.05),
        denied_most_s=Timing.denied_most_s * max(scale, 0.05),
        catalogue_s=Timing.catalogue_s * max(scale, 0.1),
        dependency_s=Timing.dependency_s * max(scale, 0.05),
        file_s=Timing.file_s * max(scale, 0.05),
        file_most_s=Timing.file_most_s * max(scale, 0.05),
    )


def _public_transport(tls: ssl.SSLContext) -> Callable[[], httpx.AsyncBaseTransport]:
    """Connections for files: straight to the host, whatever proxy the environment names."""
    return lambda: httpx.AsyncHTTPTransport(verify=tls, trust_env=False)


async def _after_commit(consumer: Consumer, steps: Steps) -> None:
    """Only while that step is armed: the bus tells of its commits by a counter."""
    while not consumer.health().commits:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    steps.reached("after_commit")
    # A signal that doesn't end the process is no reason for this loop to end: that would fail the service.
    await asyncio.Event().wait()
