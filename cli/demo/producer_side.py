"""The quoting tool's part: events over HTTP with a token, and one that goes past HTTP straight to Kafka."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from cli import context
from cli.demo.day import Event
from cli.demo.place import Place
from cli.errors import CommandFailed
from hub.settings import Settings
from schemas.envelope import from_structured
from services.ingest.log import record_of

_BATCH = 12
_TIMEOUT_S = 20.0


def publish(place: Place, events: Sequence[Event]) -> None:
    """Returns when the hub has acknowledged all, in batches as a busy producer sends them. Raises CommandFailed."""
    for start in range(0, len(events), _BATCH):
        answer = _post(place, list(events[start : start + _BATCH]))
        if answer.status_code != HTTPStatus.ACCEPTED:
            raise CommandFailed(f"the hub refused the day's events ({answer.status_code}): {answer.text}")


def refused(place: Place, event: Event) -> dict[str, Any]:
    """The hub's answer to an event that it must not take. Raises CommandFailed when it takes it."""
    answer = _post(place, [event])
    if not HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise CommandFailed(f"the hub was to refuse a faulty event and answered {answer.status_code}")
    problem: dict[str, Any] = answer.json()
    return problem


async def smuggle(settings: Settings, event: Event) -> None:
    """Publishes to Kafka what HTTP would refuse."""
    attributes = {name: value for name, value in event.items() if name != "data"}
    record = record_of(from_structured(attributes), msgspec.json.encode(event["data"]))
    await context.publish(settings, [record])


def _post(place: Place, events: list[Event]) -> httpx.Response:
    headers = {
        "content-type": "application/cloudevents-batch+json",
        # All of a request's events are one producer's.
        "authorization": f"Bearer {place.tokens[events[0]['source'].removeprefix('/')]}",
    }
    try:
        return httpx.post(
            place.events_url,
            content=msgspec.json.encode(events),
            headers=headers,
            timeout=_TIMEOUT_S,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise CommandFailed(f"{place.events_url} did not answer: {error}") from None
