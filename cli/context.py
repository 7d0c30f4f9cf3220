"""What commands share: the settings, Kafka and the store, opened for as long as a command needs them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError

from cli.errors import BadInput, CommandFailed
from hub.bus import reader
from hub.bus.connect import KafkaError, bus_settings, security_of
from hub.bus.errors import BusError
from hub.bus.producer import Publisher
from hub.bus.records import Outgoing, Record
from hub.settings import Settings
from hub.store.engine import Store, missing_file
from hub.store.errors import StoreNotSupported
from hub.telemetry.logging import hide

T = TypeVar("T")
STDIN = "-"
_WHICH_STORE = "set HUB_STORE_URL to the one that the services use: they make its tables when they start"


def settings() -> Settings:
    """The settings of this process. Raises BadInput."""
    try:
        read = Settings()
    except ValidationError as error:
        raise BadInput("; ".join(map(_fault, error.errors(include_input=False)))) from None
    hide(*read.secrets())
    return read


def _fault(error: ErrorDetails) -> str:
    variable = "".join(f"HUB_{str(name).upper()}: " for name in error["loc"][:1])
    return variable + error["msg"].removeprefix("Value error, ")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a command's asynchronous part."""
    return asyncio.run(work)


def read_file(path: Path) -> bytes:
    """The bytes of a file, or of stdin for `-`. Raises BadInput."""
    try:
        if str(path) == STDIN:
            import sys

            return sys.stdin.buffer.read()
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from None


async def records_of(
    settings: Settings, topic: str, *, key_filter: reader.KeyFilter | None = None
) -> AsyncIterator[Record]:
    """Every record of a topic, up to its present end. Raises CommandFailed when Kafka can't be reached."""
    try:
        found = reader.read_range(
            settings.bootstrap_servers, topic, key_filter=key_filter, security=security_of(settings)
        )
        async for record in found:
            yield record
    except KafkaError as error:
        raise unreachable(settings, error) from None


@asynccontextmanager
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    """A publisher, connected. Raises CommandFailed when Kafka can't be reached."""
    opened = Publisher(bus_settings(settings, client_id="hub-cli"))
    try:
        await opened.start()
    except KafkaError as error:
        raise unreachable(settings, error) from None
    try:
        yield opened
    finally:
        await opened.stop()


async def publish(settings: Settings, records: Sequence[Outgoing]) -> None:
    """Returns when Kafka has acknowledged all. Raises CommandFailed."""
    async with publisher(settings) as opened:
        try:
            await opened.publish(records)
        except BusError as error:
            raise CommandFailed(str(error)) from None


@asynccontextmanager
async def store(settings: Settings, *, make: bool = False) -> AsyncIterator[Store]:
    """The hub's store, opened; its schema is left as it is, and no file is made unless asked. Raises BadInput."""
    try:
        missing = None if make else missing_file(settings.store_url)
        if missing is not None:
            raise BadInput(f"there is no store at {missing}; {_WHICH_STORE}")
        opened = await Store.open(settings.store_url)
    except StoreNotSupported as error:
        raise BadInput(str(error)) from None
    except DBAPIError as error:
        raise _no_store(error) from None
    try:
        yield opened
    except DBAPIError as error:
        raise _no_store(error) from None
    finally:
        await opened.close()


def _no_store(error: DBAPIError) -> BadInput:
    return BadInput(f"this is not the hub's store ({error.orig}); {_WHICH_STORE}")


def unreachable(settings: Settings, error: Exception) -> CommandFailed:
    return CommandFailed(
        f"Kafka at {settings.bootstrap_servers} can't be used ({error}); check HUB_BOOTSTRAP_SERVERS and the broker"
    )
