"""One exchange with Halo: classified, bounded, gated, recorded, and never an exception."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from halo import GateClosed, Outcome, Reply
from halo.exchange import MAX_RETRY_AFTER_S, retry_after_s
from halo.resources import CLIENT, ITEM, QUOTATION
from tests.unit.halo.support import CANARY, ClosingGate, FakeHalo, Handler, Held, Jump, OpenGate, bearer

LIMIT_TEXT = "Rate Limit Reached - 300 Requests per rolling 5 minute window."


class Stream(httpx.AsyncByteStream):
    """Gives `chunks`, then raises or waits for ever."""

    def __init__(self, *chunks: bytes, error: Exception | None = None, stall: bool = False) -> None:
        self.chunks, self.error, self.stall = chunks, error, stall
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.error is not None:
            raise self.error
        if self.stall:
            await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


def answering(status: int, body: str = "", **headers: str) -> Handler:
    return lambda request: httpx.Response(status, text=body, headers=headers)


def raising(error: Exception) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


def streaming(status: int, stream: Stream, **headers: str) -> Handler:
    return lambda request: httpx.Response(status, stream=stream, headers=headers)


async def write(handler: Handler, gate: OpenGate | None = None, *, timeout_s: float = 5.0) -> Reply:
    return await FakeHalo(handler).client(gate, timeout_s=timeout_s).post(QUOTATION, {"title": "a"})


@pytest.mark.parametrize(
    ("handler", "outcome", "status", "words"),
    [
        (answering(201, '{"id":1}'), Outcome.APPLIED, 201, ""),
        (answering(201), Outcome.AMBIGUOUS, 201, "the answer is empty"),
        (answering(201, '{"id":'), Outcome.AMBIGUOUS, 201, '{"id":'),
        (answering(200, "<html>maintenance</html>"), Outcome.AMBIGUOUS, 200, "maintenance"),
        (
            answering(400, '{"Message":"Password is mandatory"}'),
            Outcome.REJECTED,
            400,
            "Password is mandatory",
        ),
        (answering(400, '"These records"'), Outcome.REJECTED, 400, "These records"),
        (answering(400, '{"[0].x":["bad"]}'), Outcome.REJECTED, 400, "[0].x: bad"),
        (answering(403), Outcome.DENIED, 403, ""),
        (answering(404), Outcome.REJECTED, 404, ""),
        (answering(413), Outcome.REJECTED, 413, ""),
        (answering(415), Outcome.REJECTED, 415, ""),
        (answering(429, LIMIT_TEXT), Outcome.THROTTLED, 429, LIMIT_TEXT),
        (answering(302, location="https://elsewhere.example"), Outcome.AMBIGUOUS, 302, ""),
        (answering(408), Outcome.AMBIGUOUS, 408, ""),
        (answering(409, '"conflict"'), Outcome.AMBIGUOUS, 409, "conflict"),
        (answering(500), Outcome.AMBIGUOUS, 500, ""),
        (answering(504, "<html><h1>504 Gateway</h1></html>"), Outcome.AMBIGUOUS, 504, "504 Gateway"),
        (raising(httpx.ConnectError("refused")), Outcome.NOT_SENT, None, "connect error: refused"),
        (raising(httpx.ConnectTimeout("slow")), Outcome.NOT_SENT, None, "connect timeout"),
        (raising(httpx.PoolTimeout("busy")), Outcome.NOT_SENT, None, "no free connection"),
        (raising(httpx.ReadTimeout("slow")), Outcome.AMBIGUOUS, None, "read timeout"),
        (raising(httpx.WriteError("reset")), Outcome.AMBIGUOUS, None, "write error"),
        (raising(httpx.RemoteProtocolError("gone")), Outcome.AMBIGUOUS, None, "protocol error"),
        (raising(httpx.ProxyError("proxy")), Outcome.AMBIGUOUS, None, "network error"),
        (raising(OSError("odd")), Outcome.AMBIGUOUS, None, "network error"),
    ],
)
async def test_what_halo_or_the_network_does_becomes_a_reply(
    handler: Handler, outcome: Outcome, status: int | None, words: str
) -> None:
    reply = await write(handler)
    assert (reply.outcome, reply.status) == (outcome, status)
    assert words in reply.text
    assert [(line.status, line.outcome) for line in reply.lines] == [(status, outcome)]


@pytest.mark.parametrize(
    "stream",
    [
        Stream(b'{"id":', error=httpx.RemoteProtocolError("peer closed")),
        Stream(b'{"id":1}', error=httpx.ReadError("reset")),
        Stream(b'{"id":1}', error=httpx.ReadTimeout("slow")),
    ],
)
async def test_a_success_whose_body_breaks_off_is_ambiguous(stream: Stream) -> None:
    reply = await write(streaming(201, stream))
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, 201)
    assert "cut off" in reply.text
    assert stream.closed


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, Outcome.REJECTED), (429, Outcome.THROTTLED), (403, Outcome.DENIED)]
)
async def test_a_refusal_whose_body_breaks_off_is_still_that_refusal(status: int, outcome: Outcome) -> None:
    reply = await write(streaming(status, Stream(b'"half', error=httpx.ReadError("reset"))))
    assert reply.outcome is outcome
    assert "half" in reply.text


async def test_a_body_that_is_not_what_its_encoding_says_is_ambiguous() -> None:
    reply = await write(streaming(201, Stream(b"no gzip"), **{"content-encoding": "gzip"}))
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, 201)


async def test_the_deadline_covers_the_whole_exchange_and_not_each_chunk() -> None:
    jump = Jump()

    class Trickle(Stream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                jump.ahead_s += 400.0
                await asyncio.sleep(0.001)
                yield b" "

    stream = Trickle()
    reply = await write(streaming(201, stream), timeout_s=1_000.0)
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, 201)
    assert "total deadline" in reply.text
    assert stream.closed


async def test_a_halo_that_never_answers_ends_at_the_deadline() -> None:
    jump, silent = Jump(), Held(httpx.Response(200))
    writing = asyncio.create_task(write(silent, timeout_s=1_000.0))
    await silent.asked.wait()
    jump.ahead_s = 1_001.0
    reply = await writing
    assert (reply.outcome, reply.status, reply.text) == (Outcome.AMBIGUOUS, None, "total deadline passed")


async def test_an_outer_cancellation_is_not_mistaken_for_the_deadline() -> None:
    silent = Held(httpx.Response(200))
    task = asyncio.create_task(FakeHalo(silent).client().whoami())
    await silent.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_waiting_for_a_connection_ends_before_the_deadline() -> None:
    halo = FakeHalo()
    await halo.client(timeout_s=20.0).whoami()
    timeout = halo.requests[0].extensions["timeout"]
    assert timeout["connect"] + timeout["pool"] < 20.0
    assert timeout["read"] == 20.0


async def test_an_answer_over_the_size_limit_is_ambiguous_and_not_kept() -> None:
    stream = Stream(b'{"id":1,"note":"', b"x" * 2000, b'"}')
    reply = await FakeHalo(streaming(201, stream)).client(max_body_bytes=1000).post(QUOTATION, {})
    assert reply.outcome is Outcome.AMBIGUOUS
    assert "larger than 1000 bytes" in reply.text
    assert reply.body is None
    assert stream.closed


async def test_a_redirect_is_not_followed_even_when_the_shared_client_would() -> None:
    halo = FakeHalo(answering(307, location="https://elsewhere.example/api/Quotation"))
    halo.http.follow_redirects = True
    reply = await halo.client().post(QUOTATION, {})
    assert (reply.outcome, reply.status, len(halo.requests)) == (Outcome.AMBIGUOUS, 307, 1)


async def test_nothing_of_the_shared_client_travels_with_a_request() -> None:
    halo = FakeHalo(answering(200, "{}", **{"set-cookie": "session=of-this-tenant; Domain=acme.halopsa.com"}))
    halo.http.headers["x-other-tenant"] = "1"
    halo.http.cookies.set("session", "of-another", domain="acme.halopsa.com")
    client = halo.client()
    await client.whoami()
    await client.whoami()
    for request in halo.requests:
        assert "cookie" not in request.headers
        assert "x-other-tenant" not in request.headers


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_a_401_is_retried_once_with_a_fresh_token() -> None:
    halo = FakeHalo(answering(200, '{"id":1}'))
    halo.dead = {"token-1"}
    gate = OpenGate()
    reply = await halo.client(gate).get(CLIENT, 1)
    assert reply.outcome is Outcome.APPLIED
    assert [bearer(request) for request in halo.requests] == ["token-1", "token-2"]
    assert [line.outcome for line in reply.lines] == [Outcome.UNAUTHORISED, Outcome.APPLIED]
    assert len(gate.admitted) == 2


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_a_401_that_stays_is_unauthorised_after_one_refresh() -> None:
    halo = FakeHalo(answering(401))
    reply = await halo.client().get(CLIENT, 1)
    assert (reply.outcome, reply.status, len(reply.lines)) == (Outcome.UNAUTHORISED, 401, 2)
    assert (len(halo.requests), len(halo.token_requests)) == (2, 2)


async def test_a_login_lost_between_401_and_refresh_keeps_the_first_line() -> None:
    tokens = [httpx.Response(200, json={"access_token": "t", "expires_in": 60}), httpx.Response(401)]
    halo = FakeHalo(answering(401), token=lambda request: tokens.pop(0))
    reply = await halo.client().get(CLIENT, 1)
    assert (reply.outcome, reply.status, len(reply.lines)) == (Outcome.UNAUTHORISED, None, 1)


async def test_the_gate_is_asked_before_every_request_with_the_time_it_may_take() -> None:
    gate = OpenGate()
    client = FakeHalo(answering(200, '{"id":1}')).client(gate, timeout_s=12.0)
    await client.get(CLIENT, 1, details=False)
    await client.post(ITEM, {"name": "a"})
    await client.delete(ITEM, 3)
    assert gate.admitted == [("GET", "/Client/1", 12.0), ("POST", "/Item", 12.0), ("DELETE", "/Item/3", 12.0)]


async def test_a_closed_gate_raises_and_nothing_is_sent() -> None:
    halo = FakeHalo()
    with pytest.raises(GateClosed, match=r"not sent: the lease ends too soon; try again in 5 s") as closed:
        await halo.client(ClosingGate()).post(QUOTATION, {})
    assert closed.value.retry_after_s == 5.0
    assert halo.requests == []


async def test_the_gate_may_close_between_a_401_and_its_retry() -> None:
    halo = FakeHalo(answering(401))
    with pytest.raises(GateClosed):
        await halo.client(ClosingGate(open_for=1)).post(QUOTATION, {})
    assert len(halo.requests) == 1


@pytest.mark.parametrize(("headers", "wait_s"), [({}, None), ({"retry-after": "17"}, 17.0)])
async def test_a_429_tells_the_gate_how_long_to_wait(headers: dict[str, str], wait_s: float | None) -> None:
    gate = OpenGate()
    reply = await write(answering(429, LIMIT_TEXT, **headers), gate)
    assert (reply.outcome, reply.retry_after_s) == (Outcome.THROTTLED, wait_s)
    assert gate.throttles == [wait_s]


async def test_no_other_answer_throttles_the_gate() -> None:
    gate = OpenGate()
    reply = await write(answering(503, **{"retry-after": "17"}), gate)
    assert (reply.outcome, reply.retry_after_s) == (Outcome.AMBIGUOUS, 17.0)
    assert gate.throttles == []


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": " 60 "}, 60.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "999999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "Wed, 21 Oct 2026 07:30:00 GMT", "date": DATE}, 120.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:30:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:30:00", "date": DATE}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "soon", "date": DATE}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_else_unknown(
    headers: dict[str, str], wait_s: float | None
) -> None:
    assert retry_after_s(httpx.Headers([(k.encode(), v.encode()) for k, v in headers.items()])) == wait_s


async def test_lines_name_the_request_and_its_duration_and_no_body() -> None:
    halo = FakeHalo(answering(200, '{"id":1,"name":"PRIVATE"}'))
    reply = await halo.client().post(QUOTATION, {"title": "PRIVATE"})
    (line,) = reply.lines
    assert (line.method, line.path, line.status, line.duration_ms) == ("POST", "/Quotation", 200, 0)
    assert "PRIVATE" not in repr(reply)


async def test_lines_hide_what_was_searched_for() -> None:
    reply = await FakeHalo().client().list_page(CLIENT, search="jo@example.com", ticket_id=7)
    assert reply.lines[0].path == "/Client?search=***&ticket_id=7&pageinate=true&page_size=100&page_no=1"


@pytest.mark.feature("conn.credentials", part="halo client")
@pytest.mark.parametrize("status", [201, 400, 401, 403, 429, 500])
async def test_no_reply_shows_a_secret_that_halo_echoes(status: int) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=f"you are {bearer(request)}, {request.content.decode()}")

    reply = await FakeHalo(echo).client().post(QUOTATION, {"a": CANARY})
    assert CANARY not in repr(reply)
    assert "token-" not in repr(reply)


@pytest.mark.feature("conn.credentials", part="halo client")
@pytest.mark.parametrize("echo", [CANARY, "token-1", "Authorization: Bearer token-1"])
async def test_no_reply_shows_a_secret_of_a_failed_request(echo: str) -> None:
    reply = await FakeHalo(raising(httpx.ReadError(f"after {echo}"))).client().list_page(CLIENT, x=CANARY)
    assert CANARY not in repr(reply)
    assert "token-1" not in repr(reply)
