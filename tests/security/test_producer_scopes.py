"""A producer publishes for its own tenants, its own types and under its own name: in each mode, and else nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.telemetry.metrics import Metrics
from services.ingest.producers import ProducersFile, ProducersInvalid, parse
from tests.security.door import (
    BATCH,
    BINARY,
    STRUCTURED,
    Log,
    client_of,
    event,
    make_door,
    post,
    producers_file,
    status_event,
    token,
)

MODES = [BINARY, STRUCTURED, BATCH]
FOREIGN: tuple[tuple[dict[str, str], str], ...] = (
    ({"tenant": "contoso"}, "tenant"),
    ({"tenant": "acme-2"}, "tenant"),
    ({"source": "/platform"}, "source"),
    ({"source": "/quoter/"}, "source"),
    ({"source": "/Quoter"}, "source"),
    ({"source": "/hub/cli"}, "source"),
)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:halo-hub:problem:{code}"
    return body


@pytest.mark.parametrize("mode", MODES)
async def test_its_own_events_are_taken_in_each_mode(mode: str, tmp_path: Path, log: Log) -> None:
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        for tenant in ("acme", "northwind"):
            assert (await post(client, mode, event(tenant=tenant))).status_code == 202
    assert [accepted.envelope.tenant for accepted in log.events] == ["acme", "northwind"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_foreign_event_is_refused_in_each_mode(
    mode: str, tmp_path: Path, log: Log, metrics: Metrics
) -> None:
    async with client_of(make_door(tmp_path, log, metrics)) as client:
        for changes, at in FOREIGN:
            told = problem(await post(client, mode, event(**changes)), 403, "not_allowed")
            assert [fault["at"] for fault in told["faults"]] == [at], changes
    assert log.events == []
    labels = {"type": "quote.published.v1", "reason": "not_allowed"}
    assert metrics.registry.get_sample_value("hub_events_rejected_total", labels) == len(FOREIGN)


@pytest.mark.parametrize("mode", MODES)
async def test_a_type_that_is_not_its_own_is_refused_in_each_mode(
    mode: str, tmp_path: Path, log: Log
) -> None:
    async with client_of(make_door(tmp_path, log, Metrics()), "status") as client:
        assert (await post(client, mode, status_event())).status_code == 202
        told = problem(await post(client, mode, event(source="/status")), 403, "not_allowed")
    assert [fault["at"] for fault in told["faults"]] == ["type"]
    assert len(log.events) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_foreign_event_refuses_its_whole_batch(place: int, tmp_path: Path, log: Log) -> None:
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        for changes, at in FOREIGN:
            batch = [event(id=f"e-{n}") for n in range(3)]
            batch[place] |= changes
            told = problem(await post(client, BATCH, *batch), 403, "not_allowed")
            assert [(fault.get("index"), fault["at"]) for fault in told["faults"]] == [(place, at)]
    assert log.events == []


@pytest.mark.parametrize("mode", [STRUCTURED, BATCH])
async def test_headers_that_say_another_thing_than_the_body_are_refused(
    mode: str, tmp_path: Path, log: Log
) -> None:
    """Whoever stands before the hub and reads headers alone must have judged the event that is published."""
    others = {"tenant": "northwind", "source": "/x", "type": "quote.updated.v1", "subject": "Q-2", "id": "2"}
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        for name, value in others.items():
            told = problem(await post(client, mode, event(), **{f"ce-{name}": value}), 400, "event.invalid")
            assert [fault["at"] for fault in told["faults"]] == [name]
        assert log.events == []
        same = await post(client, mode, event(), **{f"ce-{name}": event()[name] for name in others})
    assert same.status_code == 202


async def test_in_binary_mode_what_the_data_say_of_tenant_and_source_means_nothing(
    tmp_path: Path, log: Log
) -> None:
    data = {**event()["data"], "tenant": "contoso", "source": "/platform"}
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        assert (await post(client, BINARY, event(data=data))).status_code == 202
        refused = await post(client, BINARY, event(tenant="contoso", data={**data, "tenant": "acme"}))
    assert refused.status_code == 403
    (accepted,) = log.events
    assert (accepted.envelope.tenant, accepted.envelope.source) == ("acme", "/quoter")


@pytest.mark.parametrize(
    ("first", "last", "status"), [("contoso", "acme", 202), ("acme", "contoso", 403)], ids=["ours", "theirs"]
)
async def test_of_a_member_given_twice_the_one_that_is_judged_is_the_one_that_is_published(
    first: str, last: str, status: int, tmp_path: Path, log: Log
) -> None:
    body = json.dumps(event(tenant=first))[:-1] + f', "tenant": "{last}"}}'
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        answer = await client.post("/v1/events", content=body, headers={"content-type": STRUCTURED})
    assert answer.status_code == status
    assert [accepted.envelope.tenant for accepted in log.events] == ([last] if status == 202 else [])


@pytest.mark.parametrize("name", ["ce-tenant", "ce-source", "authorization", "content-type"])
async def test_a_header_given_twice_is_refused(name: str, tmp_path: Path, log: Log) -> None:
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        own = {f"ce-{key}": str(value) for key, value in event().items() if key != "data"}
        pairs = [*own.items(), ("content-type", BINARY), ("authorization", client.headers["authorization"])]
        pairs.append((name, dict(pairs)[name]))
        del client.headers["authorization"]
        answer = await client.post("/v1/events", json=event()["data"], headers=httpx.Headers(pairs))
    assert answer.status_code == 400
    assert log.events == []


# What an answer tells ---------------------------------------------------------------------------------------


async def test_an_unknown_token_is_401_and_a_known_one_without_the_right_403(
    tmp_path: Path, log: Log
) -> None:
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        for wrong in (
            "Bearer nobody's",
            "Bearer ",
            "Bearer",
            "",
            f"Basic {token('quoter')}",
            token("quoter"),
        ):
            answer = await post(client, STRUCTURED, event(), authorization=wrong)
            told = problem(answer, 401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "quoter" not in json.dumps(told)
        problem(await post(client, STRUCTURED, event(tenant="contoso")), 403, "not_allowed")
    assert log.events == []


async def test_a_stolen_hash_is_no_token(tmp_path: Path, log: Log) -> None:
    digest = hashlib.sha256(token("quoter").encode()).hexdigest()
    async with client_of(make_door(tmp_path, log, Metrics())) as client:
        assert (await post(client, STRUCTURED, event(), authorization=f"Bearer {digest}")).status_code == 401


async def test_a_refusal_tells_nothing_of_other_producers_and_tenants(tmp_path: Path, log: Log) -> None:
    """Whether a tenant exists, who else publishes for it, or what its rules are."""
    async with client_of(make_door(tmp_path, log, Metrics()), "status") as client:
        answers = [
            (await post(client, STRUCTURED, status_event(tenant=tenant))).text.replace(tenant, "X")
            for tenant in ("northwind", "no-such-tenant")
        ]
        everything = [
            *answers,
            (await post(client, STRUCTURED, status_event(tenant=""))).text,
            (await post(client, STRUCTURED, event(source="/status"))).text,
            (await post(client, STRUCTURED, {})).text,
            (await client.get("/v1/tenants/northwind")).text,
        ]
    assert answers[0] == answers[1]
    for told in everything:
        assert not any(name in told for name in ("platform", "quoter", "contoso"))


async def test_every_token_is_compared_whether_or_not_one_has_matched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of an answer must not tell how near a guess came, nor who else there is."""
    compared: list[str] = []

    same = hmac.compare_digest

    def compare(given: str, known: str) -> bool:
        compared.append(known)
        return same(given, known)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    known = ProducersFile(producers_file(tmp_path), lambda: 0.0).current()
    for given in (token("platform"), token("status"), "nobody's", ""):
        compared.clear()
        known.of_token(given)
        assert len(compared) == 3


# The star ---------------------------------------------------------------------------------------------------


async def test_a_star_means_every_tenant_and_type_and_still_the_producers_own_name(
    tmp_path: Path, log: Log
) -> None:
    async with client_of(make_door(tmp_path, log, Metrics()), "platform") as client:
        own = event(source="/platform", tenant="contoso")
        assert (await post(client, STRUCTURED, own)).status_code == 202
        assert (await post(client, STRUCTURED, event(tenant="contoso"))).status_code == 403
        assert (await post(client, STRUCTURED, own | {"tenant": "*"})).status_code == 400


@pytest.mark.parametrize(
    "names",
    ['["*"]', '[acme, "*"]', '"acme*"', "all", "[Acme]", '["acme/quote"]', "null", "true", "[[acme]]", '""'],
)
@pytest.mark.parametrize("key", ["tenants", "types"])
def test_a_star_stands_alone_or_the_file_is_refused(names: str, key: str) -> None:
    """`["*"]` would mean nothing, and someone would think that it meant all."""
    if (key, names) == ("types", "[Acme]"):
        names = "[Quote.published.v1]"
    rights = {"tenants": "[acme]", "types": "[quote.updated.v1]", key: names}
    text = f"producers: [{{name: a, token_sha256: {'0' * 64}, {', '.join(f'{k}: {v}' for k, v in rights.items())}}}]"
    with pytest.raises(ProducersInvalid, match=key):
        parse(text.encode())


def test_a_right_given_twice_is_refused_and_not_the_last_one_taken() -> None:
    rights = 'tenants: [acme], types: "*", tenants: "*"'
    with pytest.raises(ProducersInvalid, match="given twice"):
        parse(f"producers: [{{name: a, token_sha256: {'0' * 64}, {rights}}}]".encode())


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize(
    "text",
    [
        "producers: [{name: a, token_sha256: GHJKMNPQ, tenants: '*', types: '*'}]",
        "producers: [{name: a, GHJKMNPQ, tenants: '*', types: '*'}]",
        "producers: [{name: a, token_sha256:GHJKMNPQ, tenants: '*', types: '*'}]",
        "producers: [{name: a, token: GHJKMNPQ, tenants: '*', types: '*'}]",
        "producers: [{name: a, token_sha256: *GHJKMNPQ }]",
        "producers: [{name: a, token_sha256: !GHJKMNPQ!x }]",
        "producers:\n  - name: a\n\ttoken: GHJKMNPQ",
        "producers:\n  - name: a\n  token: GHJKMNPQ: x",
        "GHJKMNPQ",
        "GHJKMNPQ: [",
        "producers: [{name: 'GHJKMNPQ GHJKMNPQ', token_sha256: x, tenants: '*', types: '*'}]",
    ],
)
def test_a_token_anywhere_in_a_bad_file_is_not_repeated(text: str) -> None:
    with pytest.raises(ProducersInvalid) as refused:
        parse(text.encode())
    assert "GHJKMNPQ" not in str(refused.value)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"a: " * 50_000, b"\xff\xfe", b"- x\n" * 200_000, b"&a [*a, *a]"]
)
def test_no_file_is_more_than_refused(text: bytes) -> None:
    with pytest.raises(ProducersInvalid):
        parse(text)
