"""Who gets a token, and what it opens."""

import time

import httpx
import pytest

from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, plain_client

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


def ask(sandbox: Sandbox, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": "all",
        **changes,
    }
    with plain_client(sandbox.auth_url) as client:
        return client.post("/token", params={"tenant": "acme"}, data=form)


def test_a_token_answer_has_the_six_members(sandbox: Sandbox) -> None:
    answer = ask(sandbox)
    assert answer.status_code == 200
    assert answer.json().keys() == {
        "scope",
        "token_type",
        "access_token",
        "expires_in",
        "refresh_token",
        "id_token",
    }
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3600


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"scope": "all read:actions"}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_bad_token_request_gets_an_oauth_error(
    sandbox: Sandbox, changes: dict[str, str], status: int, error: str
) -> None:
    answer = ask(sandbox, **changes)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_authinfo_names_the_token_server_to_anyone(sandbox: Sandbox) -> None:
    info = httpx.get(f"{sandbox.resource_url}/authinfo", trust_env=False, verify=False).json()
    assert info == {"auth_url": sandbox.auth_url, "tenant_id": sandbox.instance}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}]
)
def test_no_valid_bearer_means_an_empty_401(sandbox: Sandbox, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{sandbox.resource_url}/Client", headers=headers, trust_env=False, verify=False)
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_token_of_another_instance_opens_nothing(sandbox: Sandbox) -> None:
    with sandbox.named(f"{sandbox.instance}-other") as other, other.client() as client:
        assert client.get("/Client").status_code == 200
        assert client.get(f"{sandbox.resource_url}/Client").status_code == 401
        other.forget()


def test_tokens_expire(sandbox: Sandbox) -> None:
    with sandbox.client() as lasting:
        sandbox.configure(token_ttl_s=1)
        with sandbox.client() as client:
            time.sleep(1.05)  # the shortest life a token can be given
            assert client.get("/Tax").status_code == 401
        assert lasting.get("/Tax").status_code == 200


def test_revoked_tokens_end_at_once(sandbox: Sandbox, halo: httpx.Client) -> None:
    assert halo.get("/Tax").status_code == 200
    assert sandbox.revoke_tokens() >= 1
    assert halo.get("/Tax").status_code == 401


def test_own_credentials_replace_the_default_ones(sandbox: Sandbox) -> None:
    sandbox.configure(clients=[{"client_id": "mine", "client_secret": "s3"}])
    assert ask(sandbox).status_code == 401
    assert ask(sandbox, client_id="mine", client_secret="s3").status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read:customers", "GET", "/Site", 200),
        ("read:customers", "GET", "/Users", 200),
        ("read:customers", "POST", "/Client", 403),
        ("read:customers", "GET", "/Item", 403),
        ("edit:customers", "GET", "/Client", 200),
        ("edit:quotes", "GET", "/Opportunities", 403),
        ("edit:sales", "GET", "/Opportunities", 200),
        ("read:items", "GET", "/Lookup", 200),
        ("edit:items", "POST", "/Status", 403),
        ("admin", "GET", "/Quotation", 200),
    ],
)
def test_a_scope_narrows_what_a_token_reaches(
    sandbox: Sandbox, scope: str, method: str, path: str, status: int
) -> None:
    with sandbox.client(scope) as client:
        answer = client.request(method, path, json=[] if method == "POST" else None)
    assert answer.status_code == status
    assert status != 403 or answer.content == b""


def test_token_calls_are_logged_without_secrets_and_cost_no_budget(sandbox: Sandbox) -> None:
    sandbox.configure(budget={"limit": 1})
    for _ in range(3):
        ask(sandbox)
    with sandbox.client() as client:
        assert client.get("/Tax").status_code == 200
    logged = sandbox.requests(kind="token")
    assert len(logged) == 4
    assert CLIENT_SECRET not in str(logged)
    assert logged[0]["body"]["client_id"] == CLIENT_ID
