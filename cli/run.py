"""`hub run`: one service as a process of its own."""

from __future__ import annotations

import asyncio
import importlib
import os
from enum import StrEnum
from typing import Annotated

import structlog
import typer
from sqlalchemy.exc import DBAPIError

from cli import context
from cli.errors import CommandFailed
from hub.bus.connect import KafkaError, security_of
from hub.bus.errors import BusError
from hub.bus.settings import client_options
from hub.bus.topics import partition_counts
from hub.runtime import ServiceFailed, serving
from hub.settings import Settings
from hub.store.engine import Store
from hub.store.errors import StoreError, StoreUnavailable
from hub.telemetry.logging import configure_logging
from hub.telemetry.redaction import Redactor

_log = structlog.get_logger(__name__)


class Name(StrEnum):
    """The services, each a package with an `app.run`."""

    INGEST = "ingest"
    MAPPER = "mapper"
    WRITER = "writer"


_PACKAGES = {Name.INGEST: "ingest", Name.MAPPER: "mapper", Name.WRITER: "halo_writer"}


def run(service: Annotated[Name, typer.Argument(help="which service this process is")]) -> None:
    """Run one service until SIGTERM; settings come from HUB_* variables."""
    settings = context.settings()
    configure_logging(
        service.value,
        redactor=Redactor(settings.secrets()),
        level=settings.log_level,
        console=os.environ.get("HUB_LOG") == "console",
    )
    _log.info("service.starting", **settings.summary())
    try:
        asyncio.run(_run(service, settings))
    except DBAPIError as error:
        # The driver's own words: SQLAlchemy's carry the statement's parameters.
        raise CommandFailed(f"{service.value} stopped: the store refuses: {error.orig}") from error
    except (ServiceFailed, BusError, StoreError) as error:
        raise CommandFailed(f"{service.value} stopped: {error}") from error


async def _run(name: Name, settings: Settings) -> None:
    app = importlib.import_module(f"services.{_PACKAGES[name]}.app")
    async with serving(name.value, host=settings.health_host, port=settings.health_port) as service:
        options = client_options(settings.bootstrap_servers, security=security_of(settings))
        # A start that comes while Kafka or the store is away isn't worth a crash loop.
        there = await service.wait_for("Kafka", lambda: partition_counts(options, ()), KafkaError)
        there = there and await service.wait_for("the store", lambda: _opened(settings), StoreUnavailable)
        if there:
            await app.run(settings, service)


async def _opened(settings: Settings) -> None:
    store = await Store.open(settings.store_url)
    await store.close()
