"""The HTTP door with a log that remembers: three producers, of which each may do less than the one before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from hub.telemetry.metrics import Metrics
from services.ingest.http import Door, Limits, make_app
from services.ingest.producers import ProducersFile
from services.ingest.validate import Accepted

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BINARY = "application/json"
QUOTE: dict[str, Any] = {"title": "Laptops", "customer": {"name": "Bright Dental"}, "lines": []}
PRODUCERS = """
producers:
  - {{name: platform, token_sha256: {platform}, tenants: "*", types: "*"}}
  - {{name: quoter, token_sha256: {quoter}, tenants: [acme, northwind], types: "*"}}
  - {{name: status, token_sha256: {status}, tenants: [acme], types: [quote.status_changed.v1]}}
"""
LIMITS = Limits(max_body_bytes=16_384, max_events=3, body_timeout_s=60.0)


class Log:
    def __init__(self) -> None:
        self.events: list[Accepted] = []

    async def append(self, events: Sequence[Accepted]) -> None:
        self.events += events


def producers_file(directory: Path) -> Path:
    path = directory / "producers.yaml"
    names = ("platform", "quoter", "status")
    path.write_text(
        PRODUCERS.format(**{name: hashlib.sha256(token(name).encode()).hexdigest() for name in names})
    )
    return path


def token(producer: str) -> str:
    return f"the-token-of-{producer}"


def make_door(directory: Path, log: Log, metrics: Metrics) -> Door:
    return Door(ProducersFile(producers_file(directory), lambda: 0.0), log, LIMITS, metrics, lambda: NOW)


@asynccontextmanager
async def client_of(door: Door, producer: str = "quoter") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(door), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {token(producer)}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
        yield client


def event(**changes: Any) -> dict[str, Any]:
    base = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/quoter",
        "type": "quote.published.v1",
        "subject": "Q-1",
        "time": "2026-03-02T08:59:00Z",
        "tenant": "acme",
        "data": QUOTE,
    }
    return base | changes


def status_event(**changes: Any) -> dict[str, Any]:
    return event(
        **{"source": "/status", "type": "quote.status_changed.v1", "data": {"status": "won"}} | changes
    )


async def post(
    client: httpx.AsyncClient, mode: str, *events: dict[str, Any], **headers: str
) -> httpx.Response:
    """The events in one request of a mode; binary and structured take one."""
    if mode == BATCH:
        body: Any = list(events)
    elif mode == STRUCTURED:
        (body,) = events
    else:
        (told,) = events
        body = told["data"]
        attributes = {f"ce-{name}": str(value) for name, value in told.items() if name != "data"}
        headers = attributes | headers
    content = json.dumps(body).encode()
    return await client.post("/v1/events", content=content, headers={"content-type": mode, **headers})
