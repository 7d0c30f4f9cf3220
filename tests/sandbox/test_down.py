"""A Halo that cannot be had for a while, and a soak's chaos."""

import time
from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox, plain_client

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

PATIENCE_S = 60.0


def recovers(client: httpx.Client) -> bool:
    """Whether the client is served again before patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if client.get("/Tax").status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False


def test_down_closes_every_connection_until_it_is_disarmed(sandbox: Sandbox, halo: httpx.Client) -> None:
    fault = sandbox.down()
    with plain_client(sandbox.url) as anyone:
        for address in (sandbox.resource_url + "/Tax", sandbox.resource_url + "/authinfo"):
            with pytest.raises(httpx.RemoteProtocolError):
                anyone.get(address)
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.token()
    with sandbox.named(f"{sandbox.instance}-up") as other:
        assert other.token()
        other.forget()
    assert sandbox.met(fault) == {"drop": 3}
    sandbox.disarm(fault)
    assert halo.get("/Tax").status_code == 200


@pytest.mark.parametrize("status", [502, 503, 504])
def test_down_can_be_a_gateways_page(sandbox: Sandbox, halo: httpx.Client, status: int) -> None:
    sandbox.down(status)
    answer = halo.post("/Client", json=[{"name": "Lost"}])
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert str(status) in answer.text
    assert "Lost" not in {row["name"] for row in sandbox.state("Client")}
    with pytest.raises(httpx.HTTPStatusError, match=str(status)):
        sandbox.token()


def test_what_never_reached_halo_costs_no_budget_and_needs_no_bearer(sandbox: Sandbox) -> None:
    sandbox.configure(budget={"limit": 1})
    fault = sandbox.down(503)
    with plain_client(sandbox.resource_url) as anyone:
        assert {anyone.get("/Tax").status_code for _ in range(3)} == {503}
    sandbox.disarm(fault)
    with sandbox.client() as client:
        assert client.get("/Tax").status_code == 200


def test_a_rule_ends_after_its_seconds(sandbox: Sandbox, halo: httpx.Client) -> None:
    lasting = sandbox.down(for_s=600)
    with pytest.raises(httpx.RemoteProtocolError):
        halo.get("/Tax")
    assert [one["spent"] for one in sandbox.faults() if one["id"] == lasting] == [False]
    sandbox.disarm(lasting)
    fault = sandbox.down(for_s=0.3)
    assert recovers(halo)
    assert [one["spent"] for one in sandbox.faults() if one["id"] == fault] == [True]


@pytest.mark.parametrize(("wait", "header"), [({}, None), ({"retry_after_s": 7}, "7")])
def test_everything_of_an_instance_can_be_throttled_for_a_while(
    sandbox: Sandbox, halo: httpx.Client, wait: dict[str, Any], header: str | None
) -> None:
    fault = sandbox.throttle_all(for_s=600, **wait)
    answers = [halo.get("/Tax"), halo.post("/Client", json=[{"name": "x"}])]
    assert [(one.status_code, one.headers.get("retry-after")) for one in answers] == [(429, header)] * 2
    assert answers[0].text.startswith("Rate Limit Reached - 300 Requests")
    with pytest.raises(httpx.HTTPStatusError, match="429"):
        sandbox.token()
    sandbox.disarm(fault)
    assert halo.get("/Tax").status_code == 200


def test_for_s_may_be_bounded_by_times_as_well(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.arm("error", path="/Tax", for_s=600, times=2)
    assert [halo.get("/Tax").status_code for _ in range(3)] == [500, 500, 200]


def statuses(sandbox: Sandbox, halo: httpx.Client, **chaos: Any) -> list[int]:
    fault = sandbox.chaos(0.5, {"action": "error", "status": 503, "weight": 3}, "throttle", **chaos)
    seen = [halo.get("/Tax").status_code for _ in range(40)]
    assert sandbox.met(fault) == {"error": seen.count(503), "throttle": seen.count(429)}
    assert next(one for one in sandbox.faults() if one["id"] == fault)["seen"] == 40
    sandbox.disarm(fault)
    return seen


def test_chaos_is_drawn_from_its_seed_at_its_rate_and_weights(sandbox: Sandbox, halo: httpx.Client) -> None:
    first = statuses(sandbox, halo, seed=3)
    assert first == statuses(sandbox, halo, seed=3)
    assert first != statuses(sandbox, halo, seed=4)
    assert 10 <= first.count(200) <= 30
    assert first.count(503) > first.count(429) > 0
    assert halo.get("/Tax").status_code == 200


def test_chaos_without_a_list_does_everything(sandbox: Sandbox, halo: httpx.Client) -> None:
    fault = sandbox.chaos(1.0, seed=2, path="^/Client/4711$")
    everything = {
        *("store_then_drop", "drop_then_store", "drop", "error_after_store", "error", "html"),
        *("throttle", "slow", "trickle", "truncate", "cut", "hang"),
    }
    deadline = time.monotonic() + PATIENCE_S
    while sandbox.met(fault).keys() != everything and time.monotonic() < deadline:
        try:
            halo.get("/Client/4711", timeout=0.15)
        except httpx.TransportError:
            pass
    assert halo.get("/Tax").status_code == 200
    assert sandbox.met(fault).keys() == everything


def test_chaos_stores_what_its_actions_store(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.chaos(1.0, {"action": "html", "apply": "first"}, path="^/Client$", for_s=600)
    assert halo.post("/Client", json=[{"name": "Stored"}]).headers["content-type"].startswith("text/html")
    assert "Stored" in {row["name"] for row in sandbox.state("Client")}
    assert sandbox.requests(path="^/Client$")[-1]["fault"] == "html"


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"action": "error", "chaos": {"rate": 1}},
        {"chaos": {"rate": 1.5}},
        {"chaos": {"rate": 1, "actions": ["explode"]}},
        {"action": "slow", "on": "all"},
        {"action": "html", "on": "all", "apply": "first"},
        {"chaos": {"rate": 1}, "on": "all"},
        {"action": "html", "answer": {"a": 1}},
        {"action": "trickle", "delay_s": 0},
        {"action": "error", "for_s": 0},
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(sandbox: Sandbox, rule: dict[str, Any]) -> None:
    with plain_client(sandbox.url) as admin:
        assert admin.post("/_sandbox/faults", json=rule).status_code == 400
