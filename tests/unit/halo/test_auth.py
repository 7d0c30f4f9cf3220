"""The token: asked for as Halo wants it, kept until shortly before it expires, refreshed once for all."""

import asyncio
import gc
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest

from halo import (
    AuthRefused,
    AuthThrottled,
    AuthUnreachable,
    Connection,
    InvalidClient,
    InvalidScope,
    Outcome,
    Secret,
)
from halo.auth import TokenSource
from halo.resources import CLIENT
from tests.unit.halo.support import (
    AUTHORIZATION,
    CANARY,
    RESOURCE,
    Clock,
    FakeHalo,
    Held,
    OpenGate,
    bearer,
    connection,
)


def source(halo: FakeHalo, clock: Clock | None = None, settings: Connection | None = None) -> TokenSource:
    return TokenSource(settings or connection(), halo.http, clock=clock or Clock(), timeout_s=5.0)


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_the_token_is_asked_for_by_client_credentials_in_a_form() -> None:
    halo = FakeHalo()
    assert await source(halo).get() == "token-1"
    request = halo.token_requests[0]
    assert (request.method, str(request.url)) == ("POST", f"{AUTHORIZATION}/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client-1"],
        "client_secret": [CANARY],
        "scope": ["all:standard edit:quotes"],
    }


@pytest.mark.feature("conn.tenant", part="halo client")
async def test_a_tenant_is_sent_on_the_token_call() -> None:
    halo = FakeHalo()
    await source(halo, settings=connection(tenant=" north wind ")).get()
    assert parse_qsl(halo.token_requests[0].url.query.decode()) == [("tenant", "north wind")]


@pytest.mark.feature("conn.tenant", part="halo client")
@pytest.mark.parametrize("blank", [None, "", "  "])
async def test_a_blank_tenant_leaves_the_parameter_out(blank: str | None) -> None:
    halo = FakeHalo()
    await source(halo, settings=connection(tenant=blank)).get()
    assert "tenant" not in str(halo.token_requests[0].url)
    assert b"tenant" not in halo.token_requests[0].content


@pytest.mark.feature("conn.servers", part="halo client")
async def test_tokens_come_from_the_authorization_server_and_data_from_the_resource_server_alone() -> None:
    halo = FakeHalo(lambda request: httpx.Response(200, json={"id": 1}))
    await halo.client().get(CLIENT, 1)
    assert [str(request.url) for request in halo.token_requests] == [f"{AUTHORIZATION}/token"]
    assert [str(request.url).split("?")[0] for request in halo.requests] == [f"{RESOURCE}/Client/1"]
    assert CANARY not in str(halo.requests[0].headers)
    assert CANARY.encode() not in halo.requests[0].content


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    halo, clock = FakeHalo(), Clock()
    tokens = source(halo, clock)
    first = await tokens.get()
    clock.now += 3539
    assert await tokens.get() == first
    clock.now += 1
    assert await tokens.get() == "token-2"


@pytest.mark.parametrize(
    ("expires_in", "lifetime_s"), [(10, 9), ("600", 540), (None, 270), (-5, 270), ("soon", 270)]
)
async def test_any_stated_lifetime_is_ended_early(expires_in: Any, lifetime_s: float) -> None:
    answer = {"access_token": "t", "expires_in": expires_in}
    halo, clock = FakeHalo(token=lambda request: httpx.Response(200, json=answer)), Clock()
    tokens = source(halo, clock)
    await tokens.get()
    clock.now += lifetime_s - 0.5
    await tokens.get()
    assert len(halo.token_requests) == 1
    clock.now += 1
    await tokens.get()
    assert len(halo.token_requests) == 2


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_many_who_need_a_token_at_once_cause_one_token_call() -> None:
    token = Held(httpx.Response(200, json={"access_token": "shared", "expires_in": 3600}))
    halo = FakeHalo(token=token)
    tokens = source(halo)
    waiting = [asyncio.create_task(tokens.get()) for _ in range(50)]
    await token.asked.wait()
    token.release.set()
    assert set(await asyncio.gather(*waiting)) == {"shared"}
    assert len(halo.token_requests) == 1


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_many_401s_of_one_token_cause_one_refresh() -> None:
    halo = FakeHalo(lambda request: httpx.Response(200, json={"id": 1}))
    client = halo.client()
    await client.get(CLIENT, 1)
    halo.dead = {"token-1"}
    replies = await asyncio.gather(*(client.get(CLIENT, n) for n in range(20)))
    assert {reply.outcome for reply in replies} == {Outcome.APPLIED}
    assert len(halo.token_requests) == 2


async def test_a_late_401_of_an_old_token_does_not_drop_the_new_one() -> None:
    halo = FakeHalo()
    tokens = source(halo)
    old = await tokens.get()
    tokens.invalidate(old)
    new = await tokens.get()
    tokens.invalidate(old)
    assert await tokens.get() == new
    assert len(halo.token_requests) == 2


async def test_a_caller_that_gives_up_does_not_take_the_refresh_from_the_others() -> None:
    token = Held(httpx.Response(200, json={"access_token": "shared", "expires_in": 3600}))
    halo = FakeHalo(token=token)
    tokens = source(halo)
    first, second = asyncio.create_task(tokens.get()), asyncio.create_task(tokens.get())
    await token.asked.wait()
    first.cancel()
    token.release.set()
    assert await second == "shared"
    assert len(halo.token_requests) == 1


async def test_a_failed_refresh_is_shared_and_the_next_need_tries_again() -> None:
    answers = [httpx.Response(503), httpx.Response(200, json={"access_token": "late", "expires_in": 60})]
    halo = FakeHalo(token=lambda request: answers.pop(0))
    tokens = source(halo)
    ends = await asyncio.gather(tokens.get(), tokens.get(), return_exceptions=True)
    assert [type(end) for end in ends] == [AuthUnreachable, AuthUnreachable]
    assert await tokens.get() == "late"


async def test_a_refresh_that_fails_with_nobody_waiting_is_not_reported_as_lost() -> None:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    token = Held(httpx.Response(503))
    halo = FakeHalo(token=token)
    tokens = source(halo)
    only = asyncio.create_task(tokens.get())
    await token.asked.wait()
    only.cancel()
    await asyncio.wait([only])
    token.release.set()
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()
    assert problems == []


def refusing(status: int, body: Any = None, **headers: str) -> FakeHalo:
    content = {"text": body} if isinstance(body, str) else {"json": body} if body is not None else {}
    return FakeHalo(token=lambda request: httpx.Response(status, headers=headers, **content))


@pytest.mark.parametrize(
    ("halo", "error", "words"),
    [
        (
            refusing(401, {"error": "invalid_client"}),
            InvalidClient,
            "application inactive or client id changed",
        ),
        (
            refusing(400, {"error": "unauthorized_client"}),
            InvalidClient,
            "application inactive or client id changed",
        ),
        (refusing(401), InvalidClient, "Halo can change the client id unexpectedly"),
        (refusing(400, {"error": "invalid_scope"}), InvalidScope, "all:standard edit:quotes"),
        (refusing(400, {"error": "invalid_request", "error_description": "odd"}), AuthRefused, "odd"),
        (refusing(400), AuthRefused, "application inactive or client id changed"),
        (refusing(404), AuthRefused, "API Details"),
        (refusing(200, "<html>sign in</html>"), AuthRefused, "API Details"),
        (refusing(200, {"access_token": ""}), AuthRefused, "API Details"),
        (refusing(302, location="https://elsewhere.example/token"), AuthRefused, "redirect"),
        (refusing(408), AuthUnreachable, "try again later"),
        (refusing(500), AuthUnreachable, "status 500"),
        (refusing(429), AuthThrottled, "whole window"),
    ],
)
async def test_each_refusal_says_what_it_is_and_what_to_do(
    halo: FakeHalo, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await source(halo).get()
    assert len(halo.token_requests) == 1


@pytest.mark.feature("conn.test.client_id", part="halo client")
async def test_an_invalid_client_says_that_halo_can_change_the_id_and_where_to_compare_it() -> None:
    halo = refusing(401, {"error": "invalid_client"})
    reply = await halo.client().whoami()
    assert reply.outcome is Outcome.UNAUTHORISED
    assert "Halo can change the client id unexpectedly" in reply.text
    assert "Compare client id and secret with the application in Halo" in reply.text


async def test_a_connection_failure_of_the_token_call_is_unreachable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    with pytest.raises(AuthUnreachable, match="no route"):
        await source(FakeHalo(token=refuse)).get()


async def test_a_token_call_that_is_never_answered_ends_at_the_deadline() -> None:
    halo = FakeHalo(token=Held(httpx.Response(200)))
    tokens = TokenSource(connection(), halo.http, clock=Clock(), timeout_s=0.01)
    with pytest.raises(AuthUnreachable, match="deadline"):
        await tokens.get()


@pytest.mark.feature("conn.credentials", part="halo client")
async def test_a_refusal_that_echoes_the_secret_does_not_show_it() -> None:
    halo = refusing(400, {"error": "invalid_request", "error_description": f"bad secret {CANARY}"})
    with pytest.raises(AuthRefused) as refused:
        await source(halo).get()
    assert CANARY not in str(refused.value)
    assert CANARY not in repr(refused.value)


@pytest.mark.parametrize(
    ("halo", "outcome"),
    [
        (refusing(401, {"error": "invalid_client"}), Outcome.UNAUTHORISED),
        (refusing(400, {"error": "invalid_scope"}), Outcome.UNAUTHORISED),
        (refusing(404), Outcome.UNAUTHORISED),
        (refusing(503), Outcome.NOT_SENT),
        (refusing(429, **{"retry-after": "7"}), Outcome.THROTTLED),
    ],
)
async def test_without_a_token_no_data_request_is_sent_nor_asked_of_the_gate(
    halo: FakeHalo, outcome: Outcome
) -> None:
    gate = OpenGate()
    reply = await halo.client(gate).get(CLIENT, 1)
    assert (reply.outcome, reply.status, reply.lines) == (outcome, None, ())
    assert halo.requests == []
    assert gate.admitted == []
    assert gate.throttles == ([7.0] if outcome is Outcome.THROTTLED else [])


async def test_the_data_request_carries_the_token() -> None:
    halo = FakeHalo()
    await halo.client(connection=connection(client_secret=Secret("another"))).whoami()
    assert bearer(halo.requests[0]) == "token-1"
