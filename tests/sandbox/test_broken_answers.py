"""Answers that come and are of no use: byte by byte, cut, of another kind, or not at all."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

BODY = [{"name": "Faulty"}]
MATCH = {"method": "POST", "path": "^/Client$"}


def names(sandbox: Sandbox) -> list[str]:
    return [row["name"] for row in sandbox.state("Client") if row["name"] == "Faulty"]


def until(check: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def first(pieces: Iterator[bytes], count: int) -> bytes:
    """The first `count` pieces of `answer.iter_raw()`: a caller must hold that, or the connection is closed."""
    return b"".join(next(pieces) for _ in range(count))


def test_trickle_sends_the_right_body_byte_by_byte(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("trickle", delay_s=0.001, **MATCH)
    with halo.stream("POST", "/Client", json=BODY) as answer:
        pieces = list(answer.iter_raw())
    assert {len(piece) for piece in pieces} <= set(range(1, 20))
    assert len(pieces) > 20
    stored = next(row for row in sandbox.state("Client") if row["name"] == "Faulty")
    assert httpx.Response(answer.status_code, content=b"".join(pieces)).json()["id"] == stored["id"]
    assert int(answer.headers["content-length"]) == sum(map(len, pieces))
    assert answer.status_code == 201


def test_trickle_outlasts_a_timeout_of_each_read_and_has_stored_before(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    sandbox.arm("trickle", delay_s=0.1, **MATCH)
    came, gaps = time.monotonic(), []
    with halo.stream("POST", "/Client", json=BODY) as answer:
        pieces = answer.iter_raw()
        for _ in range(17):
            next(pieces)
            gaps.append(time.monotonic() - came)
            came = time.monotonic()
    assert sum(gaps) >= 1.5
    assert statistics.median(gaps) < 1.5
    assert names(sandbox) == ["Faulty"]
    assert sandbox.requests(method="POST")[-1]["fault"] == "trickle"


def test_trickle_can_store_once_the_caller_has_given_up(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("trickle", delay_s=0.2, apply="after", **MATCH)
    with halo.stream("POST", "/Client", json=BODY) as answer:
        assert (answer.status_code, answer.headers["content-type"][:16]) == (201, "application/json")
        pieces = answer.iter_raw()
        assert first(pieces, 3).strip() == b""
        assert names(sandbox) == []
    until(lambda: names(sandbox) == ["Faulty"])
    entry = sandbox.requests(method="POST")[-1]
    assert (entry["status"], entry["applied"]) == (201, True)


def test_cut_is_a_2xx_of_the_announced_length_that_is_no_json(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("cut", **MATCH)
    answer = halo.post("/Client", json=BODY)
    assert answer.status_code == 201
    assert int(answer.headers["content-length"]) == len(answer.content) > 20
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()
    assert names(sandbox) == ["Faulty"]


@pytest.mark.parametrize(
    ("rule", "status", "text", "stored"),
    [
        ({}, 200, "Sign in", []),
        ({"apply": "first"}, 200, "Sign in", ["Faulty"]),
        ({"answer": "<p>Proxy says no</p>"}, 200, "<p>Proxy says no</p>", []),
        ({"status": 502}, 502, "502 Bad Gateway", []),
        ({"status": 504, "apply": "first"}, 504, "504 Gateway Time-out", ["Faulty"]),
    ],
)
def test_html_comes_in_place_of_the_answer(
    sandbox: Sandbox, halo: httpx.Client, rule: dict[str, Any], status: int, text: str, stored: list[str]
) -> None:
    sandbox.arm("html", **MATCH, **rule)
    answer = halo.post("/Client", json=BODY)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert text in answer.text
    assert names(sandbox) == stored


def test_html_can_be_answered_before_it_is_stored(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("html", apply="after", delay_s=600, **MATCH)
    assert halo.post("/Client", json=BODY).status_code == 200
    assert names(sandbox) == []
    sandbox.arm("html", apply="after", delay_s=0.1, **MATCH)
    assert halo.post("/Client", json=BODY).status_code == 200
    until(lambda: names(sandbox) == ["Faulty"])


def test_drop_closes_without_a_byte_and_stores_nothing(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("drop", **MATCH)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        halo.post("/Client", json=BODY)
    assert names(sandbox) == []
    entry = sandbox.requests(method="POST")[-1]
    assert (entry["status"], entry["applied"], entry["fault"]) == (None, False, "drop")
    assert halo.post("/Client", json=BODY).status_code == 201
