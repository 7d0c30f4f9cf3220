"""Whatever comes through the door is answered 202 or with a counted 4xx problem; nothing is held that is too much."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.settings import Settings
from hub.telemetry.metrics import Metrics
from hub.telemetry.server import MAX_HEAD_BYTES, AsgiServer
from schemas.base import MAX_LINES
from services.ingest.http import MAX_HEADERS, make_app
from tests.security.door import (
    BATCH,
    BINARY,
    LIMITS,
    STRUCTURED,
    Log,
    client_of,
    event,
    make_door,
    post,
    token,
)
from tests.support.eventually import eventually


def refused(metrics: Metrics) -> dict[str, float]:
    """How many of each reason were refused."""
    found: dict[str, float] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "hub_events_rejected_total":
                reason = sample.labels["reason"]
                found[reason] = found.get(reason, 0) + sample.value
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def client(tmp_path: Path, log: Log, metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_door(tmp_path, log, metrics)) as client:
        yield client


# Each limit ---------------------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


def lines(count: int) -> list[dict[str, Any]]:
    return [{"id": str(n), "product": {"name": "n"}, "quantity": 1, "price": 1} for n in range(count)]


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"content": b" " * (LIMITS.max_body_bytes + 1)}, 413, "too_large"),
        ({"json": [event()] * (LIMITS.max_events + 1), "mode": BATCH}, 413, "batch.too_large"),
        ({"json": event(data=deep(30))}, 400, "data.too_deep"),
        ({"content": b"[" * 10_000}, 400, "data.too_deep"),
        ({"json": event(data={**event()["data"], "title": "x" * 300})}, 400, "event.invalid"),
        ({"json": event(data={**event()["data"], "note": "x" * 20_001})}, 413, "too_large"),
        (
            {"json": event(data={**event()["data"], "taxes": [{"name": "v", "amount": 1}] * 51})},
            400,
            "event.invalid",
        ),
        ({"json": event(subject="x" * 600)}, 400, "event.invalid"),
        ({"json": event(subject="a\u0000b")}, 400, "event.invalid"),
        ({"json": event(revision=10**15)}, 400, "event.invalid"),
        ({"json": event(), "headers": {f"x-{n}": "1" for n in range(MAX_HEADERS)}}, 431, "headers.too_large"),
        ({"json": event(), "headers": {"x": "y" * MAX_HEAD_BYTES}}, 431, "headers.too_large"),
        ({"json": event(), "query": "q" * MAX_HEAD_BYTES}, 431, "headers.too_large"),
        (
            {"content": gzip.compress(b" " * 10_000_000), "headers": {"content-encoding": "gzip"}},
            415,
            "media_type",
        ),
        ({"content": b"x", "headers": {"content-encoding": "deflate, identity"}}, 415, "media_type"),
        ({"json": event(), "mode": "text/plain"}, 415, "media_type"),
        ({"json": event(), "headers": {"authorization": "Bearer x"}}, 401, "unauthenticated"),
    ],
)
async def test_each_limit_is_a_problem_of_its_own_and_is_counted(
    sent: dict[str, Any], status: int, code: str, client: httpx.AsyncClient, log: Log, metrics: Metrics
) -> None:
    content = sent["content"] if "content" in sent else json.dumps(sent["json"]).encode()
    headers = {"content-type": sent.get("mode", STRUCTURED), **sent.get("headers", {})}
    answer = await client.post(f"/v1/events?{sent.get('query', '')}", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:halo-hub:problem:{code}"
    assert answer.json()["detail"]
    assert log.events == []
    assert set(refused(metrics)) == {code}


async def test_too_many_lines_are_told_at_once_and_as_that(tmp_path: Path) -> None:
    body = json.dumps(event(data={**event()["data"], "lines": lines(MAX_LINES + 1)}))
    door = make_door(tmp_path, Log(), Metrics())
    door._limits = LIMITS.__class__(max_body_bytes=1024 * 1024, max_events=1, body_timeout_s=5)
    async with client_of(door) as client:
        answer = await client.post("/v1/events", content=body, headers={"content-type": STRUCTURED})
    assert answer.status_code == 400
    assert {fault["at"] for fault in answer.json()["faults"]} == {"data.lines"}


def test_what_the_door_takes_kafka_takes() -> None:
    """A body within the limit is never too large for the log, envelope included."""
    largest = Settings.model_fields["max_body_bytes"].default
    assert largest + MAX_HEAD_BYTES * 6 < DEFAULT_MAX_RECORD_BYTES


# A real socket -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def listening(
    directory: Path, log: Log, metrics: Metrics, *, head_timeout_s: float = 60.0, body_timeout_s: float = 60.0
) -> AsyncIterator[int]:
    """The door on a port of its own; who is to be told that he is slow is told the sooner."""

    def count(code: str) -> None:
        metrics.events_rejected.labels(type="unknown", reason=code).inc()

    door = make_door(directory, log, metrics)
    door._limits = replace(LIMITS, body_timeout_s=body_timeout_s)
    app = make_app(door)
    async with AsgiServer(
        app, host="127.0.0.1", port=0, on_refused=count, head_timeout_s=head_timeout_s
    ) as server:
        yield server.port


@pytest.fixture
async def port(tmp_path: Path, log: Log, metrics: Metrics) -> AsyncIterator[int]:
    async with listening(tmp_path, log, metrics) as found:
        yield found


HEAD = (
    f"POST /v1/events HTTP/1.1\r\nHost: hub\r\nContent-Type: {STRUCTURED}\r\n"
    f"Authorization: Bearer {token('quoter')}\r\n"
)


async def answers(port: int, *pieces: bytes, pause_s: float = 0.0) -> str:
    """All that comes back for these pieces until the server closes; AssertionError when it keeps the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(reader.read())
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
            if reading.done():
                break
        return (await asyncio.wait_for(reading, 60.0)).decode(errors="replace")
    except (ConnectionError, BrokenPipeError):
        return (await reading).decode(errors="replace")
    finally:
        reading.cancel()
        writer.close()


def chunks(size: int) -> Iterator[bytes]:
    while True:
        yield f"{size:x}\r\n".encode() + b"x" * size + b"\r\n"


@pytest.mark.parametrize(
    ("pieces", "status", "code"),
    [
        (
            [b"GET / HTTP/1.1\r\nHost: a\r\n", *[b"X: " + b"y" * 4_000 + b"\r\n"] * 20],
            431,
            "headers.too_large",
        ),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"], 400, "request.malformed"),
        ([HEAD.encode() + b"Content-Length: -1\r\n\r\n"], 400, "request.malformed"),
        ([HEAD.encode() + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"], 400, "request.malformed"),
        ([HEAD.encode() + b"Transfer-Encoding: gzip\r\n\r\n"], 400, "request.malformed"),
        ([HEAD.encode() + b"Bad Header: x\r\n\r\n"], 400, "request.malformed"),
        ([b"POST /v1/ev"], 408, "request.slow"),
        ([], 408, "request.slow"),
        ([HEAD.encode() + b"Content-Length: 99999999999999999999\r\n\r\n"], 413, "too_large"),
        ([HEAD.encode() + f"Content-Length: {LIMITS.max_body_bytes + 1}\r\n\r\n".encode()], 413, "too_large"),
        ([HEAD.encode() + b"Content-Length: 10\r\n\r\n{"], 408, "body.slow"),
        ([HEAD.replace("quoter", "x").encode() + b"Content-Length: 10000\r\n\r\n"], 401, "unauthenticated"),
    ],
)
async def test_on_the_wire_each_refusal_is_a_counted_problem_and_ends_the_connection(
    pieces: list[bytes], status: int, code: str, tmp_path: Path, log: Log, metrics: Metrics
) -> None:
    head_s, body_s = (0.3 if code == slow else 60.0 for slow in ("request.slow", "body.slow"))
    async with listening(tmp_path, log, metrics, head_timeout_s=head_s, body_timeout_s=body_s) as port:
        told = await answers(port, *pieces)
    head, _, body = told.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} "), told
    assert "content-type: application/problem+json" in head.lower()
    assert "connection: close" in head.lower()
    assert json.loads(body)["type"] == f"urn:halo-hub:problem:{code}"
    assert refused(metrics) == {code: 1}


async def test_a_chunked_body_is_refused_once_it_is_over_the_limit(port: int, metrics: Metrics) -> None:
    endless = chunks(4_096)
    pieces = [HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n", *(next(endless) for _ in range(50))]
    told = await answers(port, *pieces)
    assert told.startswith("HTTP/1.1 413 ")
    assert refused(metrics) == {"too_large": 1}


async def test_a_second_request_that_trickles_in_is_given_up_like_a_first(
    tmp_path: Path, log: Log, metrics: Metrics
) -> None:
    body = json.dumps(event()).encode()
    whole = HEAD.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    async with listening(tmp_path, log, metrics, head_timeout_s=1.0) as port:
        told = await answers(port, whole, b"POST /v1", b"/ev", b"ents", pause_s=0.4)
    assert told.startswith("HTTP/1.1 202 ")
    assert "HTTP/1.1 408 " in told
    assert refused(metrics) == {"request.slow": 1}


async def test_requests_one_behind_the_other_are_answered_each(port: int, log: Log) -> None:
    body = json.dumps(event()).encode()
    whole = HEAD.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    last = whole.replace(b"Host: hub", b"Host: hub\r\nConnection: close")
    told = await answers(port, whole + whole + last)
    assert told.count("HTTP/1.1 202 ") == 3
    assert len(log.events) == 3


async def test_whoever_hangs_up_in_the_middle_of_a_body_is_no_error_of_ours(
    port: int, metrics: Metrics
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD.encode() + b"Content-Length: 10\r\n\r\n{")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await eventually(lambda: refused(metrics))
    assert refused(metrics) == {"body.cut_off": 1}


# Any input -----------------------------------------------------------------------------------------------------

_NAMES = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "tenant",
    "revision",
    "data",
    "datacontenttype",
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["acme", "*", "/quoter", "quote.published.v1", "2026-03-02T08:59:00Z", "9999-12-31T23:59:59-23:59"]
    ),
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
_CHANGES = st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=3)
_DATA = st.dictionaries(
    st.sampled_from(["title", "customer", "lines", "discount", "date", "taxes", "custom"]), _JSON
)
_EVENTS = st.one_of(
    _CHANGES.map(lambda changes: event(**changes)),
    _DATA.map(lambda data: event(data={**event()["data"], **data})),
)
_BODIES = st.one_of(
    st.binary(max_size=40),
    _EVENTS.map(lambda one: json.dumps(one).encode()),
    st.lists(_EVENTS, max_size=4).map(lambda many: json.dumps(many).encode()),
    st.tuples(_EVENTS, st.integers(0, 400), st.binary(min_size=1, max_size=3)).map(
        lambda drawn: (raw := json.dumps(drawn[0]).encode())[: drawn[1]] + drawn[2] + raw[drawn[1] + 1 :]
    ),
)
_HEADER_VALUE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
_HEADERS = st.dictionaries(
    st.sampled_from([*(f"ce-{name}" for name in _NAMES), "traceparent", "content-encoding", "x"]),
    st.one_of(_HEADER_VALUE, st.sampled_from(["%ff", "%00", "%", "acme", "identity"])),
    max_size=3,
)
_MODES = st.one_of(st.sampled_from([BINARY, STRUCTURED, BATCH]), _HEADER_VALUE)


Send = Callable[[bytes, dict[str, str]], httpx.Response]


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """One door for all examples."""
    app = make_app(make_door(tmp_path_factory.mktemp("door"), Log(), Metrics()))
    own = {"authorization": f"Bearer {token('quoter')}"}
    with asyncio.Runner() as runner:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://hub", headers=own)
        yield lambda body, headers: runner.run(client.post("/v1/events", content=body, headers=headers))
        runner.run(client.aclose())


@settings(max_examples=400, deadline=None)
@given(body=_BODIES, headers=_HEADERS, mode=_MODES, whole=st.booleans())
def test_no_input_is_an_error_of_ours(
    send: Send, body: bytes, headers: dict[str, str], mode: str, whole: bool
) -> None:
    own = {f"ce-{name}": str(value) for name, value in event().items() if name != "data"} if whole else {}
    answer = send(body, {**own, **headers, "content-type": mode})
    assert answer.status_code == 202 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 202:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


async def test_the_events_that_the_fuzz_begins_from_are_right(client: httpx.AsyncClient) -> None:
    """Else it would only ever meet the first check."""
    assert [(await post(client, mode, event())).status_code for mode in (BINARY, STRUCTURED, BATCH)] == [
        202
    ] * 3
