"""The HTTP door before a real Kafka: a 202 means that the log has the event, whatever happens to the broker."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.bus.connect import bus_settings
from hub.bus.producer import Publisher
from hub.bus.reader import read_range
from hub.bus.topics import create_topics
from hub.settings import Settings
from hub.telemetry.metrics import Metrics
from schemas.envelope import from_headers
from schemas.topics import BY_NAME, QUOTES
from services.ingest.http import Door, Limits, make_app
from services.ingest.log import KafkaLog
from services.ingest.producers import ProducersFile
from tests.support.eventually import eventually
from tests.support.kafka import KafkaServer

BATCH = "application/cloudevents-batch+json"


@pytest.fixture
async def own_kafka(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    """A broker that the test may stop."""
    server = KafkaServer(tmp_path / "kafka")
    server.start()
    await create_topics(server.bootstrap, [BY_NAME[QUOTES]])
    yield server
    server.stop()


@pytest.fixture(params=[60.0])
async def client(
    own_kafka: KafkaServer, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[httpx.AsyncClient]:
    """A producer at the door; its parameter is for how long Kafka is waited for."""
    file = tmp_path / "producers.yaml"
    digest = hashlib.sha256(b"t0ken").hexdigest()
    file.write_text(f"producers: [{{name: quoter, token_sha256: {digest}, tenants: [acme], types: '*'}}]")
    settings = Settings(bootstrap_servers=own_kafka.bootstrap, publish_timeout_s=request.param)
    publisher = Publisher(bus_settings(settings, client_id="test-door"))
    await publisher.start()
    limits = Limits(max_body_bytes=4_000_000, max_events=100, body_timeout_s=60)
    door = Door(
        ProducersFile(file, lambda: 0.0),
        KafkaLog(publisher),
        limits,
        Metrics(),
        lambda: dt.datetime.now(dt.UTC),
    )
    headers = {"authorization": "Bearer t0ken"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(make_app(door)), base_url="http://hub", headers=headers, timeout=120
    ) as client:
        yield client
    await publisher.stop()


def batch(*ids: str, note: str = "") -> list[dict[str, Any]]:
    return [
        {
            "specversion": "1.0",
            "id": id_,
            "source": "/quoter",
            "type": "quote.updated.v1",
            "subject": f"Q-{id_}",
            "time": "2026-01-05T10:00:00Z",
            "tenant": "acme",
            "data": {"title": "t", "customer": {"name": "c"}, "lines": [], "note": note},
        }
        for id_ in ids
    ]


async def publish(client: httpx.AsyncClient, events: list[dict[str, Any]]) -> httpx.Response:
    return await client.post("/v1/events", json=events, headers={"content-type": BATCH})


async def ids_on_log(kafka: KafkaServer) -> list[str]:
    return [from_headers(record.headers).id async for record in read_range(kafka.bootstrap, QUOTES)]


@pytest.mark.feature("hub.contract", part="ingest")
async def test_every_accepted_event_is_on_the_log_under_its_entitys_key(
    client: httpx.AsyncClient, own_kafka: KafkaServer
) -> None:
    answer = await publish(client, batch("1", "2", "3"))
    assert (answer.status_code, answer.json()["ids"]) == (202, ["1", "2", "3"])
    records = [record async for record in read_range(own_kafka.bootstrap, QUOTES)]
    assert {record.key for record in records} == {f"acme/quote/Q-{n}".encode() for n in (1, 2, 3)}
    assert {from_headers(record.headers).correlationid for record in records} == {"1", "2", "3"}


@pytest.mark.parametrize("client", [2.0], indirect=True)
@pytest.mark.feature("hub.contract", part="ingest")
async def test_a_stopped_broker_means_503_and_never_a_202_that_the_log_does_not_hold(
    client: httpx.AsyncClient, own_kafka: KafkaServer
) -> None:
    accepted = ["before"]

    async def taken(id_: str) -> bool:
        return (await publish(client, batch(id_))).status_code == 202

    await eventually(lambda: taken("before"))
    own_kafka.stop()
    answer = await publish(client, batch("during"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    own_kafka.start()
    await eventually(lambda: taken("after"), timeout_s=120)
    accepted.append("after")
    assert set(accepted) <= set(await ids_on_log(own_kafka))


async def test_an_event_over_the_topics_limit_is_413_and_the_door_stays_open(
    client: httpx.AsyncClient, own_kafka: KafkaServer
) -> None:
    big = str(uuid.uuid4()) * 500
    many = batch(*(f"n{n}" for n in range(60)), note=big)
    assert (await publish(client, many)).status_code == 202
    one = batch("one")
    one[0]["data"]["extra"] = "x" * 2_200_000
    assert (await publish(client, one)).status_code == 413
    assert (await publish(client, batch("small"))).status_code == 202
