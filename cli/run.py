"""`hub run`: one service as a process of its own."""

from __future__ import annotations

import asyncio
import importlib
import os
from enum import StrEnum
from types import ModuleType
from typing import Annotated

import structlog
import typer
from sqlalchemy.exc import DBAPIError

from cli import context
from cli.errors import BadInput, CommandFailed
from hub.bus.connect import KafkaError, security_of
from hub.bus.errors import BusError
from hub.bus.settings import client_options
from hub.bus.topics import partition_counts
from hub.runtime import Service, ServiceFailed, serving
from hub.settings import Settings, mistyped
from hub.store.engine import Store, missing_file
from hub.store.errors import StoreError, StoreNotSupported, StoreUnavailable
from hub.telemetry.logging import configure_logging
from hub.telemetry.redaction import Redactor

_log = structlog.get_logger(__name__)


class Name(StrEnum):
    """The services, each a package with an `app.run`."""

    INGEST = "ingest"
    MAPPER = "mapper"
    WRITER = "writer"


_AGAIN_S = 1.0
_PACKAGES = {Name.INGEST: "ingest", Name.MAPPER: "mapper", Name.WRITER: "halo_writer"}


def run(
    service: Annotated[Name, typer.Argument(metavar="SERVICE", help="ingest, mapper or writer.")],
) -> None:
    """Run one service until SIGTERM; settings come from HUB_* variables."""
    settings = context.settings()
    try:
        # What no waiting can mend is told before any.
        missing_file(settings.store_url)
    except StoreNotSupported as error:
        raise BadInput(str(error)) from None
    configure_logging(
        service.value,
        redactor=Redactor(settings.secrets()),
        level=settings.log_level,
        console=os.environ.get("HUB_LOG") == "console",
    )
    _log.info("service.starting", **settings.summary())
    for name, meant in mistyped(os.environ).items():
        _log.warning("setting.unknown", variable=name, message=f"{name} is no setting; did you mean {meant}?")
    try:
        asyncio.run(_run(service, settings))
    except DBAPIError as error:
        # The driver's own words: SQLAlchemy's carry the statement's parameters.
        raise CommandFailed(f"{service.value} stopped: the store refuses: {error.orig}") from error
    except (ServiceFailed, BusError, StoreError) as error:
        raise CommandFailed(f"{service.value} stopped: {error}") from error


async def _run(name: Name, settings: Settings) -> None:
    app = importlib.import_module(f"services.{_PACKAGES[name]}.app")
    anew = True
    while anew:
        async with serving(name.value, host=settings.health_host, port=settings.health_port) as service:
            anew = not await _served(app, service, settings)
        anew = anew and not service.stopping


async def _served(app: ModuleType, service: Service, settings: Settings) -> bool:
    """Whether the service ran until it was told to stop; False when what it needs went away while it started."""
    options = client_options(settings.bootstrap_servers, security=security_of(settings))
    # A start that comes while Kafka or the store is away isn't worth a crash loop.
    there = await service.wait_for("Kafka", lambda: partition_counts(options, ()), KafkaError)
    there = there and await service.wait_for("the store", lambda: _opened(settings), StoreUnavailable)
    if not there:
        return True
    try:
        await service.host(app.run(settings, service))
    except (KafkaError, StoreUnavailable) as error:
        if service.stopping:
            # Nothing is lost: what isn't committed comes again.
            _log.warning("service.drain_cut_short", what=service.name, error=str(error))
            return True
        _log.warning("service.starting_anew", what=service.name, error=str(error))
        await service.pause(_AGAIN_S)
        return False
    return True


async def _opened(settings: Settings) -> None:
    store = await Store.open(settings.store_url)
    await store.close()
