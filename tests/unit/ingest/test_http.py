"""The HTTP door over ASGI, with a log that acknowledges, refuses or hangs as told."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.telemetry.metrics import Metrics
from schemas.faults import MAX_DEPTH
from services.ingest.http import Door, Limits, LogUnavailable, MessageTooLarge, make_app
from services.ingest.producers import ProducersFile
from services.ingest.validate import Accepted
from tests.support.eventually import eventually

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
TOKEN = "quoter-token-1"
ROTATED = "quoter-token-2"
QUOTE: dict[str, Any] = {
    "title": "Laptops for the new office",
    "customer": {"name": "Bright Dental"},
    "lines": [{"id": "1", "product": {"name": "Laptop"}, "quantity": 2, "price": "10.10"}],
}
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class FakeLog:
    def __init__(self) -> None:
        self.events: list[Accepted] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, events: Sequence[Accepted]) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.events += events


def sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


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
    return {name: value for name, value in (base | changes).items() if value is not None}


def binary_headers(**changes: Any) -> dict[str, str]:
    attributes = event(data=None, **changes)
    return {f"ce-{name}": str(value) for name, value in attributes.items()} | {
        "content-type": "application/json"
    }


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def door(tmp_path: Path, log: FakeLog, metrics: Metrics) -> Door:
    file = tmp_path / "producers.yaml"
    file.write_text(
        f"""
producers:
  - name: quoter
    token_sha256: [{sha(TOKEN)}, {sha(ROTATED)}]
    tenants: [acme]
    types: [quote.published.v1, quote.updated.v1]
  - name: platform
    token_sha256: {sha("platform-token")}
    tenants: "*"
    types: "*"
"""
    )
    limits = Limits(max_body_bytes=8_192, max_events=3, body_timeout_s=60.0)
    return Door(ProducersFile(file, lambda: 0.0), log, limits, metrics, lambda: NOW)


@pytest.fixture
async def client(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(door), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers) as client:
        yield client


async def post(client: httpx.AsyncClient, body: Any, content_type: str, **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await client.post("/v1/events", content=raw, headers={"content-type": content_type, **headers})


def faults(answer: httpx.Response) -> set[tuple[int | None, str]]:
    return {(fault.get("index"), fault["at"]) for fault in answer.json()["faults"]}


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()
    return body


@pytest.mark.feature("hub.contract", part="ingest")
async def test_binary_mode_appends_the_bodys_own_bytes(client: httpx.AsyncClient, log: FakeLog) -> None:
    body = json.dumps(QUOTE, indent=3).encode()
    answer = await client.post("/v1/events", content=body, headers=binary_headers(revision=7))
    assert (answer.status_code, answer.json()) == (202, {"ids": ["e-1"]})
    assert log.events[0].data == body
    assert log.events[0].envelope.revision == 7


async def test_binary_attributes_are_percent_decoded(client: httpx.AsyncClient, log: FakeLog) -> None:
    headers = binary_headers(subject="Q%20%C3%A9%201")
    assert (await client.post("/v1/events", json=QUOTE, headers=headers)).status_code == 202
    assert log.events[0].envelope.subject == "Q é 1"


@pytest.mark.feature("hub.contract", part="ingest")
async def test_structured_mode_keeps_the_datas_bytes_so_that_money_stays_exact(
    client: httpx.AsyncClient, log: FakeLog
) -> None:
    data = b'{"title": "t","customer":{"name":"\\u00e9"} , "lines":[], "unknown":0.1000000000000000055}'
    envelope = json.dumps(event(data=None))[:-1].encode()
    answer = await post(client, envelope + b',"data":' + data + b"}", STRUCTURED)
    assert answer.status_code == 202, answer.text
    assert log.events[0].data == data


@pytest.mark.feature("hub.contract", part="ingest")
async def test_a_batch_is_appended_in_order(client: httpx.AsyncClient, log: FakeLog) -> None:
    batch = [event(id=f"e-{n}") for n in range(3)]
    answer = await post(client, batch, BATCH)
    assert (answer.status_code, answer.json()) == (202, {"ids": ["e-0", "e-1", "e-2"]})
    assert [accepted.envelope.id for accepted in log.events] == ["e-0", "e-1", "e-2"]


@pytest.mark.feature("hub.contract", part="ingest")
async def test_a_batch_is_all_or_nothing_and_names_every_fault_of_every_event(
    client: httpx.AsyncClient, log: FakeLog
) -> None:
    bad_line = {"id": "", "product": {}, "quantity": "many", "price": 1}
    batch = [
        event(id="e-0"),
        event(id=None, subject=None, data={**QUOTE, "lines": [bad_line]}),
        event(id="e-2", time="2026-03-02T09:06:00Z", data={"title": 5}),
    ]
    problem = assert_problem(await post(client, batch, BATCH), 400)
    found = {(fault.get("index"), fault["at"]) for fault in problem["faults"]}
    assert found >= {
        (1, "id"),
        (1, "subject"),
        (1, "data.lines[0].id"),
        (1, "data.lines[0].quantity"),
        (2, "time"),
        (2, "data.title"),
    }
    assert all(index != 0 for index, _ in found)
    assert log.events == []


async def test_a_missing_correlation_id_is_the_events_own_id(client: httpx.AsyncClient, log: FakeLog) -> None:
    await post(client, [event(), event(id="e-2", correlationid="deal-9")], BATCH)
    assert [accepted.envelope.correlationid for accepted in log.events] == ["e-1", "deal-9"]


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"source": "/other"}, "source"),
        ({"tenant": "northwind"}, "tenant"),
        ({"type": "quote.status_changed.v1", "data": {"status": "won"}}, "type"),
    ],
)
async def test_a_producer_publishes_only_what_is_its_own(
    client: httpx.AsyncClient, log: FakeLog, changes: dict[str, Any], at: str
) -> None:
    answer = await post(client, event(**changes), STRUCTURED)
    assert_problem(answer, 403)
    assert faults(answer) == {(None, at)}
    assert log.events == []


async def test_a_star_allows_every_tenant_and_type(client: httpx.AsyncClient) -> None:
    body = event(
        source="/platform", tenant="any-other", type="quote.status_changed.v1", data={"status": "won"}
    )
    assert (await post(client, body, STRUCTURED, authorization="Bearer platform-token")).status_code == 202


async def test_each_token_of_a_rotation_is_good(client: httpx.AsyncClient) -> None:
    assert (await post(client, event(), STRUCTURED, authorization=f"bearer {ROTATED}")).status_code == 202


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", sha(TOKEN)])
async def test_without_a_good_token_nothing_is_read(
    client: httpx.AsyncClient, log: FakeLog, authorization: str
) -> None:
    answer = await post(client, b"not json", STRUCTURED, authorization=authorization)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert log.events == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/xml", "application/json; charset=latin-1"]
)
async def test_other_media_types_are_415(client: httpx.AsyncClient, content_type: str) -> None:
    assert_problem(await post(client, event(), content_type), 415)


async def test_a_compressed_body_is_415(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, event(), STRUCTURED, **{"content-encoding": "gzip"}), 415)


async def test_a_long_body_is_refused_by_its_told_length(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, b"x" * 8_193, STRUCTURED), 413)


async def test_a_long_body_of_untold_length_is_refused_before_it_is_all_read(
    client: httpx.AsyncClient,
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000_000:
            sent += 4_096
            yield b"x" * 4_096

    answer = await client.post("/v1/events", content=endless(), headers={"content-type": STRUCTURED})
    assert_problem(answer, 413)
    assert sent <= 4 * 4_096


async def test_a_body_that_trickles_in_is_given_up(client: httpx.AsyncClient, door: Door) -> None:
    door._limits = Limits(max_body_bytes=8_192, max_events=3, body_timeout_s=0.3)

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" "
            await asyncio.sleep(0.05)

    answer = await client.post("/v1/events", content=trickle(), headers={"content-type": STRUCTURED})
    assert_problem(answer, 408)


async def test_too_many_events_are_413(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, [event()] * 4, BATCH), 413)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (STRUCTURED, b"[1]"),
        (STRUCTURED, b"\xff"),
        (STRUCTURED, b"{"),
        (STRUCTURED, b'{"specversion":"1.0","specversion":{}}'),
        (BATCH, b"{}"),
        (BATCH, b"[]"),
        (BATCH, b"[1]"),
        ("application/json", b""),
        ("application/json", b"[" * 9_000),
    ],
)
async def test_whatever_the_body_is_the_answer_is_a_4xx_problem(
    client: httpx.AsyncClient, log: FakeLog, content_type: str, body: bytes
) -> None:
    answer = await post(client, body, content_type)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code in (400, 413)
    assert log.events == []


@pytest.mark.parametrize("content_type", [STRUCTURED, "application/json"])
async def test_deep_data_are_refused_in_each_mode(client: httpx.AsyncClient, content_type: str) -> None:
    nested = json.loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    data = {**QUOTE, "extra": nested}
    if content_type == STRUCTURED:
        answer = await post(client, event(data=data), STRUCTURED)
    else:
        answer = await client.post("/v1/events", json=data, headers=binary_headers())
    assert "nested deeper" in json.dumps(assert_problem(answer, 400))


async def test_base64_data_and_foreign_data_types_are_named(client: httpx.AsyncClient) -> None:
    body = event(data=None, datacontenttype="text/xml") | {"data_base64": base64.b64encode(b"<x/>").decode()}
    answer = await post(client, body, STRUCTURED)
    assert_problem(answer, 400)
    assert faults(answer) == {(None, "data_base64"), (None, "datacontenttype")}


async def test_an_attribute_given_twice_is_a_fault(client: httpx.AsyncClient) -> None:
    pairs = [*binary_headers().items(), ("ce-tenant", "acme")]
    answer = await client.post("/v1/events", json=QUOTE, headers=httpx.Headers(pairs))
    assert_problem(answer, 400)
    assert (None, "tenant") in faults(answer)


async def test_nothing_is_accepted_until_the_log_has_acknowledged(
    client: httpx.AsyncClient, log: FakeLog
) -> None:
    log.gate.clear()
    sent = asyncio.create_task(post(client, event(), STRUCTURED))
    await asyncio.wait({sent}, timeout=0.1)
    assert not sent.done()
    log.gate.set()
    assert (await sent).status_code == 202


async def test_no_acknowledgement_is_503_with_retry_after(client: httpx.AsyncClient, log: FakeLog) -> None:
    log.error = LogUnavailable("no broker")
    answer = await post(client, event(), STRUCTURED)
    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


async def test_what_the_broker_finds_too_large_is_413(client: httpx.AsyncClient, log: FakeLog) -> None:
    log.error = MessageTooLarge("too large for the topic")
    assert_problem(await post(client, event(), STRUCTURED), 413)


async def test_errors_of_the_framework_and_of_ours_are_problems_too(
    client: httpx.AsyncClient, log: FakeLog
) -> None:
    assert_problem(await client.get("/nowhere"), 404)
    assert_problem(await client.post("/v1/events/", content=b"{}"), 404)
    answer = await client.get("/v1/events")
    assert_problem(answer, 405)
    assert answer.headers["allow"] == "POST"
    log.error = RuntimeError("secret detail")
    problem = assert_problem(await post(client, event(), STRUCTURED), 500)
    assert "secret detail" not in json.dumps(problem)


async def test_draining_waits_for_what_is_under_way_and_refuses_the_rest(
    client: httpx.AsyncClient, door: Door, log: FakeLog
) -> None:
    log.gate.clear()
    sent = asyncio.create_task(post(client, event(), STRUCTURED))
    await eventually(lambda: door._open)
    draining = asyncio.create_task(door.drain())
    await asyncio.sleep(0)
    assert_problem(await post(client, event(id="e-2"), STRUCTURED), 503)
    assert not draining.done()
    log.gate.set()
    await draining
    assert (await sent).status_code == 202


async def test_refused_and_accepted_events_are_counted(client: httpx.AsyncClient, metrics: Metrics) -> None:
    await post(client, event(), STRUCTURED)
    await post(client, event(data={}), STRUCTURED)
    value = metrics.registry.get_sample_value
    assert value("hub_events_accepted_total", {"type": "quote.published.v1"}) == 1
    assert value("hub_events_rejected_total", {"type": "quote.published.v1", "reason": "event.invalid"}) == 1


async def test_each_answer_is_counted_and_an_event_that_kafka_did_not_take_is_a_refused_one(
    client: httpx.AsyncClient, log: FakeLog, metrics: Metrics
) -> None:
    await post(client, event(), STRUCTURED)
    await client.get("/elsewhere")
    log.error = LogUnavailable("no answer")
    await post(client, event(), STRUCTURED)
    log.error = RuntimeError("a fault of ours")
    await post(client, event(), STRUCTURED)
    value = metrics.registry.get_sample_value
    assert {
        status: value("hub_http_answers_total", {"status": status}) for status in ("202", "404", "503", "500")
    } == {"202": 1, "404": 1, "503": 1, "500": 1}
    refused = {"type": "quote.published.v1", "reason": "not_acknowledged"}
    assert value("hub_events_rejected_total", refused) == 1
