"""What a test puts on a hub's topics by hand, byte for byte, and what the hub has put there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from cli.dead_letters import Letter, read_letters
from hub.bus.producer import partition_of
from hub.bus.reader import read_range
from hub.bus.records import Record
from schemas.envelope import Envelope, from_headers, from_structured, headers_of
from schemas.outcomes import Outcome
from schemas.registry import decode
from schemas.topics import BY_NAME, CONTROL, DEAD_LETTERS, OUTCOMES, QUOTES
from tests.support.hub import Hub

Headers = Sequence[tuple[str, bytes | None]]
_LIMIT_BYTES = 4 * 1024 * 1024


def envelope_of(event: Mapping[str, Any]) -> Envelope:
    """The envelope of a structured event."""
    return from_structured({name: value for name, value in event.items() if name != "data"})


def put(hub: Hub, topic: str, *records: tuple[bytes | None, bytes | None, Headers]) -> None:
    """Append (key, value, headers) as they are, one after another, with a producer that is not the hub's."""

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=hub.bootstrap, acks="all", max_request_size=_LIMIT_BYTES
        )
        await producer.start()
        try:
            for key, value, headers in records:
                await producer.send_and_wait(topic, value, key=key, headers=list(headers))
        finally:
            await producer.stop()

    asyncio.run(send())


def put_events(hub: Hub, *events: Mapping[str, Any]) -> None:
    """Append events to the quotes topic as a producer with an ACL does, past the HTTP door."""
    envelopes = [envelope_of(event) for event in events]
    values = [json.dumps(event["data"]).encode() for event in events]
    put(
        hub,
        QUOTES,
        *((about.key, value, headers_of(about)) for about, value in zip(envelopes, values, strict=True)),
    )


def quote_in_partition(prefix: str, partition: int, tenant: str = "acme") -> str:
    """The id of a quote whose events lie in this partition of the quotes topic."""
    count = BY_NAME[QUOTES].partitions
    return next(
        quote
        for number in range(1000)
        if partition_of(f"{tenant}/quote/{(quote := f'{prefix}-{number}')}".encode(), count) == partition
    )


def records(hub: Hub, topic: str) -> list[Record]:
    """All of a topic, up to its present end."""

    async def read() -> list[Record]:
        return [record async for record in read_range(hub.bootstrap, topic)]

    return asyncio.run(read())


def letters(hub: Hub, **expected: Any) -> list[Letter]:
    """The dead letters whose data have these values, a repeated one once; as `hub dlq list` knows them."""

    async def read() -> list[Letter]:
        return await read_letters(read_range(hub.bootstrap, DEAD_LETTERS), read_range(hub.bootstrap, CONTROL))

    return [
        letter
        for letter in asyncio.run(read())
        if all(getattr(letter.data, name) == value for name, value in expected.items())
    ]


def outcomes(hub: Hub, kind: str, source_id: str) -> dict[str, Outcome]:
    """The outcomes of one target's commands by the ids of their messages: a repeated one counts once."""
    found: dict[str, Outcome] = {}
    for record in records(hub, OUTCOMES):
        about = from_headers(record.headers)
        data = decode(about.type, record.value or b"")
        if isinstance(data, Outcome) and (data.target.kind, data.target.id) == (kind, source_id):
            found[about.id] = data
    return found
