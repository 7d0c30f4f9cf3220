"""All that a running hub has written and says, as bytes under the name of their place."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
import msgspec

from hub.bus.reader import read_range
from schemas.topics import DEAD_LETTERS, TOPICS
from tests.support.hub import Hub


def command_lines() -> bytes:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(lines)


def topics(hub: Hub) -> Iterator[tuple[str, bytes]]:
    async def read(topic: str) -> list[Any]:
        return [record async for record in read_range(hub.bootstrap, topic)]

    for topic in TOPICS:
        for record in asyncio.run(read(topic.name)):
            headers = b"\n".join(name.encode() + b": " + (value or b"") for name, value in record.headers)
            yield (
                f"{topic.name} {record.offset}",
                b"\n".join([record.key or b"", headers, record.value or b""]),
            )
            if topic.name == DEAD_LETTERS:
                yield f"{topic.name} {record.offset}, decoded", _decoded(record.value or b"{}")


def _decoded(value: bytes) -> bytes:
    letter = msgspec.json.decode(value)
    kept = [letter.get("key"), letter.get("value"), *(told for _, told in letter.get("headers", ()))]
    return b"\n".join(base64.b64decode(one) for one in kept if one)


async def tables(url: str) -> dict[str, bytes]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        dumped = {}
        for (name,) in names:
            rows = await connection.fetch(f'SELECT * FROM "{name}"')
            values = [value for row in rows for value in row.values()]
            dumped[name] = b"\n".join(
                value if isinstance(value, bytes) else str(value).encode() for value in values
            )
        return dumped
    finally:
        await connection.close()


def pages(hub: Hub) -> Iterator[tuple[str, bytes]]:
    for name in ("ingest", "mapper", "writer"):
        for page in ("health/live", "health/ready", "metrics"):
            address = f"http://127.0.0.1:{hub.processes[name].health_port}/{page}"
            yield f"{page} of {name}", httpx.get(address, trust_env=False, timeout=60).content
    for page in ("openapi.json", "nowhere"):
        yield page, httpx.get(f"http://127.0.0.1:{hub.http_port}/{page}", trust_env=False, timeout=60).content
