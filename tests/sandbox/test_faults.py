"""Each way of misbehaving: what the caller sees, what is stored, what the log says."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

BODY = [{"name": "Faulty"}]
MATCH = {"method": "POST", "path": "^/Client$"}
NEVER_S = 600.0
"""Longer than any test waits."""
IMPATIENT = httpx.Timeout(60.0, read=0.2)


def names(sandbox: Sandbox) -> list[str]:
    return [row["name"] for row in sandbox.state("Client") if row["name"] == "Faulty"]


def logged(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.requests(method="POST")[-1]


def until(check: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_store_then_drop_stores_and_closes_without_a_byte(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("store_then_drop", **MATCH)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        halo.post("/Client", json=BODY)
    assert names(sandbox) == ["Faulty"]
    entry = logged(sandbox)
    assert (entry["status"], entry["applied"], entry["fault"]) == (None, True, "store_then_drop")
    assert {made["resource"] for made in entry["created"]} == {"Client", "Site"}


def test_drop_then_store_stores_after_the_connection_is_gone(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("drop_then_store", delay_s=NEVER_S, **MATCH)
    with pytest.raises(httpx.RemoteProtocolError):
        halo.post("/Client", json=BODY)
    assert names(sandbox) == []
    assert logged(sandbox)["applied"] is False
    sandbox.arm("drop_then_store", delay_s=0.3, **MATCH)
    start = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        halo.post("/Client", json=BODY)
    until(lambda: names(sandbox) == ["Faulty"])
    assert time.monotonic() - start >= 0.3
    assert (logged(sandbox)["status"], logged(sandbox)["applied"]) == (None, True)


def test_error_after_store_answers_an_empty_500(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("error_after_store", **MATCH)
    answer = halo.post("/Client", json=BODY)
    assert (answer.status_code, answer.content) == (500, b"")
    assert names(sandbox) == ["Faulty"]
    assert (logged(sandbox)["status"], logged(sandbox)["applied"]) == (500, True)


@pytest.mark.parametrize(
    ("rule", "status", "body"),
    [
        ({}, 500, b""),
        ({"status": 504, "answer": "<html>gateway</html>"}, 504, b"<html>gateway</html>"),
        ({"status": 400, "answer": {"Message": "No"}}, 400, b'{"Message":"No"}'),
        ({"status": 403}, 403, b""),
    ],
)
def test_error_answers_anything_and_stores_nothing(
    sandbox: Sandbox, halo: httpx.Client, rule: dict[str, Any], status: int, body: bytes
) -> None:
    sandbox.arm("error", **MATCH, **rule)
    answer = halo.post("/Client", json=BODY)
    assert (answer.status_code, answer.content) == (status, body)
    assert names(sandbox) == []
    assert logged(sandbox)["applied"] is False


def test_throttle_is_the_budgets_own_429(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("throttle", **MATCH)
    sandbox.arm("throttle", retry_after_s=61.2, **MATCH)
    first, second = (halo.post("/Client", json=BODY) for _ in range(2))
    text = "Rate Limit Reached - 300 Requests per rolling 5 minute window."
    assert [(one.status_code, one.text) for one in (first, second)] == [(429, text)] * 2
    assert "retry-after" not in first.headers
    assert second.headers["retry-after"] == "62"
    assert names(sandbox) == []


def test_slow_stores_first_and_answers_late(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("slow", delay_s=NEVER_S, **MATCH)
    with pytest.raises(httpx.ReadTimeout):
        halo.post("/Client", json=BODY, timeout=IMPATIENT)
    until(lambda: names(sandbox) == ["Faulty"])
    sandbox.arm("slow", delay_s=0.2, **MATCH)
    start = time.monotonic()
    assert halo.post("/Client", json=BODY).status_code == 201
    assert time.monotonic() - start >= 0.2
    until(lambda: [entry["status"] for entry in sandbox.requests(method="POST")] == [None, 201])


def test_slow_can_store_after_the_caller_gave_up(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("slow", delay_s=NEVER_S, apply="after", **MATCH)
    with pytest.raises(httpx.ReadTimeout):
        halo.post("/Client", json=BODY, timeout=IMPATIENT)
    until(lambda: len(sandbox.requests(method="POST")) == 1)
    assert names(sandbox) == []
    sandbox.arm("slow", delay_s=0.4, apply="after", **MATCH)
    # On a machine that stands still it may be answered in time.
    with suppress(httpx.ReadTimeout):
        halo.post("/Client", json=BODY, timeout=IMPATIENT)
    until(lambda: names(sandbox) == ["Faulty"])


def test_truncate_breaks_off_in_the_middle_of_the_body(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("truncate", **MATCH)
    with halo.stream("POST", "/Client", json=BODY) as answer:
        assert answer.status_code == 201
        whole = int(answer.headers["content-length"])
        with pytest.raises(httpx.RemoteProtocolError, match=f"received {whole // 2} bytes, expected {whole}"):
            answer.read()
    assert names(sandbox) == ["Faulty"]


@pytest.mark.parametrize(("rule", "stored"), [({}, []), ({"apply": "first"}, ["Faulty"])])
def test_hang_never_answers(
    sandbox: Sandbox, halo: httpx.Client, rule: dict[str, Any], stored: list[str]
) -> None:
    sandbox.arm("hang", **MATCH, **rule)
    with pytest.raises(httpx.ReadTimeout):
        halo.post("/Client", json=BODY, timeout=IMPATIENT)
    until(lambda: len(sandbox.requests(method="POST")) == 1)
    assert names(sandbox) == stored
    assert logged(sandbox)["status"] is None


def test_a_rule_skips_then_meets_so_many_and_no_more(sandbox: Sandbox, halo: httpx.Client) -> None:
    fault = sandbox.arm("error", status=503, skip=1, times=2, **MATCH)
    statuses = [halo.post("/Client", json=BODY).status_code for _ in range(5)]
    assert statuses == [201, 503, 503, 201, 201]
    assert {one["id"]: (one["seen"], one["met"]) for one in sandbox.faults()}[fault] == (3, 2)


def test_times_0_lasts_until_it_is_cleared(sandbox: Sandbox, halo: httpx.Client) -> None:
    fault = sandbox.arm("error", times=0, path="/Tax")
    assert {halo.get("/Tax").status_code for _ in range(4)} == {500}
    sandbox.disarm(fault)
    assert halo.get("/Tax").status_code == 200


def test_a_rule_meets_only_its_method_path_body_and_instance(sandbox: Sandbox, halo: httpx.Client) -> None:
    fault = sandbox.arm("error", body="Marked", **MATCH)
    assert halo.get("/Client").status_code == 200
    assert halo.post("/Client", json=BODY).status_code == 201
    assert halo.post("/Site", json=[{"name": "Marked", "client_id": 11}]).status_code == 201
    with sandbox.named(f"{sandbox.instance}-b") as other, other.client() as client:
        assert client.post("/Client", json=[{"name": "Marked"}]).status_code == 201
        other.forget()
    assert {one["id"]: one["seen"] for one in sandbox.faults()}[fault] == 0
    assert halo.post("/Client", json=[{"name": "Marked"}]).status_code == 500


def test_a_refused_bearer_does_not_use_a_fault_up(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("error", path="/Tax")
    assert halo.get("/Tax", headers={"Authorization": "Bearer no"}).status_code == 401
    assert halo.get("/Tax").status_code == 500


def test_the_token_endpoint_can_misbehave_too(sandbox: Sandbox) -> None:
    sandbox.arm("error", on="token", status=503)
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        sandbox.token()
    assert sandbox.token()


def test_one_slow_request_holds_up_no_other(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("slow", delay_s=NEVER_S, **MATCH)
    with suppress(httpx.ReadTimeout):
        halo.post("/Client", json=BODY, timeout=IMPATIENT)
    until(lambda: names(sandbox) == ["Faulty"])
    assert halo.post("/Client", json=[{"name": "Quick"}]).status_code == 201
    assert [entry["status"] for entry in sandbox.requests(method="POST")] == [None, 201]


@pytest.mark.parametrize("rule", [{"path": "("}, {"times": -1}, {"colour": "red"}, {"status": 200}])
def test_a_rule_that_makes_no_sense_is_refused(sandbox: Sandbox, rule: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="400"):
        sandbox.arm("error", **rule)
    with pytest.raises(AssertionError, match="400"):
        sandbox.arm("explode")
