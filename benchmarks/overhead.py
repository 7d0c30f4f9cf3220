"""Line 4: how long after its acknowledgement an event's first request reaches Halo, on an idle hub."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import quotes
from benchmarks.quotes import Event
from benchmarks.report import Figure, percentile
from benchmarks.stack import Door, hub_on_real_parts, wait_for_catalogue, wait_until_quiet
from benchmarks.steady import logged_at
from hub.bus.reader import read_range
from schemas.envelope import from_headers
from schemas.topics import COMMANDS
from tests.support.hub import Hub

LINE = 4
P50_MS = 30.0
P99_MS = 150.0
_WARM_UP = 10


@dataclass(frozen=True)
class Sample:
    """One event: when it was acknowledged, and when its first request reached Halo. Seconds since the epoch."""

    event_id: str
    acknowledged_at: float
    request_at: float


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Publish events one at a time, each when the hub has finished the one before."""
    with hub_on_real_parts(directory) as hub:
        hub.start_all()
        wait_for_catalogue(hub)
        door = Door(hub)
        try:
            status, published = _samples(hub, door, events=20 if quick else 250)
        finally:
            door.close()
        commands = asyncio.run(_command_times(hub))
    return [
        *_figures("event acknowledged to Halo request", [*status, *published], aims=True),
        *_figures("  of these, changes of status", status),
        *_figures("  of these, new quotes", published),
        *_stages([*status, *published], commands),
    ]


def _samples(hub: Hub, door: Door, *, events: int) -> tuple[list[Sample], list[Sample]]:
    """Three changes of status for each two new quotes."""
    status: list[Sample] = []
    published: list[Sample] = []
    quote, revision = "", 1
    for number in range(-_WARM_UP, events):
        kept = published if number % 5 in (0, 3) else status
        if kept is published:
            quote, revision = f"q{number}", 1
            event = quotes.known(quote)
        else:
            revision += 1
            event = quotes.status_changed(quote, revision)
        sample = _one(hub, door, event)
        if number >= 0:
            kept.append(sample)
    return status, published


def _one(hub: Hub, door: Door, event: Event) -> Sample:
    before = hub.sandbox.last_request()
    acknowledged_at = door.publish(event)
    wait_until_quiet(hub, after=before)
    first, *others = hub.sandbox.requests(since=before)
    if any(request["status"] not in (200, 201) for request in (first, *others)):
        raise RuntimeError(f"Halo refused a request for {event['id']}: its time means nothing")
    return Sample(event["id"], acknowledged_at, logged_at(first["at"]))


async def _command_times(hub: Hub) -> dict[str, float]:
    """When the first command of each event was published, by the event's id."""
    found: dict[str, float] = {}
    async for record in read_range(hub.bootstrap, COMMANDS):
        event_id = from_headers(record.headers).causationid
        if event_id is not None:
            found[event_id] = min(found.get(event_id, float("inf")), record.timestamp_ms / 1000)
    return found


def _figures(what: str, samples: Sequence[Sample], *, aims: bool = False) -> list[Figure]:
    taken = [(sample.request_at - sample.acknowledged_at) * 1000 for sample in samples]
    detail = f"{len(taken)} events, at most {max(taken):.0f} ms"
    return [
        Figure(LINE, f"{what}, p50", percentile(taken, 50), "ms", P50_MS if aims else None),
        Figure(LINE, f"{what}, p99", percentile(taken, 99), "ms", P99_MS if aims else None, detail=detail),
    ]


def _stages(samples: Sequence[Sample], commands: dict[str, float]) -> list[Figure]:
    mapper = [(commands[sample.event_id] - sample.acknowledged_at) * 1000 for sample in samples]
    writer = [(sample.request_at - commands[sample.event_id]) * 1000 for sample in samples]
    return [
        Figure(LINE, "  mapper's part (to its command on the log), p50", percentile(mapper, 50), "ms"),
        Figure(LINE, "  mapper's part, p99", percentile(mapper, 99), "ms"),
        Figure(LINE, "  writer's part (from there to the request), p50", percentile(writer, 50), "ms"),
        Figure(LINE, "  writer's part, p99", percentile(writer, 99), "ms"),
    ]
