"""A login that is revoked or refused, and rights that are missing: on a resource, a method, one record."""

from typing import Any

import httpx
import pytest

from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, plain_client

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


def asked(sandbox: Sandbox) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    with plain_client(sandbox.auth_url) as client:
        return client.post("/token", data={**form, "scope": "all"})


def test_a_revoked_login_ends_every_token_and_is_an_invalid_client_until_restored(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    sandbox.login("revoked")
    answer = halo.get("/Tax")
    assert (answer.status_code, answer.content) == (401, b"")
    refused = asked(sandbox)
    assert (refused.status_code, refused.json()) == (401, {"error": "invalid_client"})
    sandbox.login("good")
    assert halo.get("/Tax").status_code == 401
    with sandbox.client() as anew:
        assert anew.get("/Tax").status_code == 200


def test_a_refused_login_gets_tokens_that_open_nothing_until_restored(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    sandbox.login("refused")
    with sandbox.client() as anew:
        for client in (halo, anew):
            answer = client.post("/Client", json=[{"name": "Shut out"}])
            assert (answer.status_code, answer.content) == (401, b"")
    assert "Shut out" not in {row["name"] for row in sandbox.state("Client")}
    sandbox.login("good")
    assert halo.get("/Tax").status_code == 200


@pytest.mark.parametrize(
    ("rule", "method", "path", "status"),
    [
        ({"resource": "Item"}, "GET", "/Item", 403),
        ({"resource": "Item"}, "GET", "/Item/51", 403),
        ({"resource": "item", "status": 401}, "POST", "/Item", 401),
        ({"resource": "Item", "method": "POST"}, "GET", "/Item", 200),
        ({"resource": "Item", "method": "DELETE"}, "DELETE", "/Item/52", 403),
        ({"resource": "Item"}, "GET", "/Supplier", 200),
        ({"resource": "Opportunities", "method": "GET"}, "GET", "/Tickets", 200),
        ({"resource": "Control", "status": 401}, "GET", "/Control", 401),
        ({"resource": "Item", "id": 51}, "GET", "/Item/51", 403),
        ({"resource": "Item", "id": 51}, "GET", "/Item/52", 200),
        ({"resource": "Item", "id": 51}, "GET", "/Item", 200),
        ({"resource": "Item", "id": 52, "method": "DELETE", "status": 401}, "DELETE", "/Item/52", 401),
        ({"resource": "Item", "id": 52, "method": "DELETE"}, "GET", "/Item/52", 200),
    ],
)
def test_a_missing_right_is_an_empty_refusal_of_just_what_it_names(
    sandbox: Sandbox, halo: httpx.Client, rule: dict[str, Any], method: str, path: str, status: int
) -> None:
    sandbox.deny(rule)
    answer = halo.request(method, path, json=[{"name": "x"}] if method == "POST" else None)
    assert answer.status_code == status
    assert status == 200 or answer.content == b""


def test_one_record_can_be_closed_to_writes_while_others_are_not(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    sandbox.deny({"resource": "Client", "method": "POST", "id": 11})
    assert halo.post("/Client", json=[{"id": 11, "website": "no"}]).status_code == 403
    assert halo.post("/Client", json=[{"id": 12, "website": "yes"}]).status_code == 201
    assert halo.post("/Client", json=[{"name": "New"}]).status_code == 201
    stored = {row["id"]: row.get("website") for row in sandbox.state("Client")}
    assert (stored[11] == "no", stored[12]) == (False, "yes")
    sandbox.deny()
    assert halo.post("/Client", json=[{"id": 11, "website": "now"}]).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"login": "lost"},
        {"denied": [{"resource": "Gadget"}]},
        {"denied": [{"resource": "Item", "status": 500}]},
        {"denied": [{"resource": "Item", "method": "PUT"}]},
    ],
)
def test_rights_that_make_no_sense_are_refused(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="400"):
        sandbox.configure(**changes)
