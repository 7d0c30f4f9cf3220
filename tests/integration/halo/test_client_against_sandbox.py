"""The client over real HTTP against a Halo that behaves and misbehaves like Halo."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from halo import (
    Budget,
    Connection,
    GateClosed,
    HaloClient,
    Login,
    Outcome,
    Resource,
    Secret,
    as_id,
    derive_servers,
    known_fix,
)
from halo import resources as r
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, SandboxProcess
from tests.support.eventually import eventually


class OpenGate:
    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        return

    def throttled(self, retry_after_s: float | None) -> None:
        return


class BudgetGate:
    """What a writer's gate does with a budget, without a store."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.throttles = 0

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        now = time.monotonic()
        if not self.budget.spend(now):
            raise GateClosed("the request budget is spent", self.budget.next_free_at(now) - now)

    def throttled(self, retry_after_s: float | None) -> None:
        self.throttles += 1
        self.budget.throttled(time.monotonic(), retry_after_s)


def connection(sandbox: Sandbox, **changes: Any) -> Connection:
    values: dict[str, Any] = {
        "resource_server": sandbox.resource_url,
        "authorization_server": sandbox.auth_url,
        "client_id": CLIENT_ID,
        "client_secret": Secret(CLIENT_SECRET),
        "tenant": "acme",
        "scopes": ("all:standard",),
    }
    return Connection(**{**values, **changes})


def client_of(
    sandbox: Sandbox, http: httpx.AsyncClient, *, timeout_s: float = 60.0, **changes: Any
) -> HaloClient:
    return HaloClient(connection(sandbox, **changes), http, OpenGate(), timeout_s=timeout_s)


async def ids_of(client: HaloClient, resource: Resource, page_size: int, **filters: Any) -> list[int | None]:
    return [
        as_id(row["id"]) async for page in client.list_all(resource, page_size, **filters) for row in page
    ]


@pytest.mark.feature("conn.url", part="halo client")
async def test_one_address_is_enough_to_sign_in(process: SandboxProcess, http: httpx.AsyncClient) -> None:
    resource, authorization = derive_servers(f"{process.url}/tickets?area=1")
    with Sandbox(process.url) as default:
        assert (resource, authorization) == (default.resource_url, default.auth_url)
        client = client_of(default, http, resource_server=resource, authorization_server=authorization)
        assert (await client.whoami()).body["name"] == "Quoting Integration"


QUOTE_FAMILY = (
    *(
        r.CLIENT,
        r.SITE,
        r.USERS,
        r.ITEM,
        r.OPPORTUNITIES,
        r.QUOTATION,
        r.EXTERNAL_LINK,
        r.AGENT,
        r.TEAM,
        r.STATUS,
    ),
    *(r.TICKET_TYPE, r.ASSET_GROUP, r.CURRENCY, r.TAX, r.LOOKUP),
)


@pytest.mark.parametrize("resource", QUOTE_FAMILY, ids=lambda x: x.name)
async def test_every_resource_of_the_quote_family_can_be_listed(
    sandbox: Sandbox, http: httpx.AsyncClient, resource: Resource
) -> None:
    rows = [row async for page in client_of(sandbox, http).list_all(resource) for row in page]
    assert all("id" in row for row in rows)


async def test_the_settings_record_is_read_without_an_id(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    assert (await client_of(sandbox, http).get(r.CONTROL)).body["default_currency"] == "GBP"


@pytest.mark.feature("hub.paging", part="halo client")
@pytest.mark.parametrize("page_size", [1, 4, 100])
async def test_paging_reads_a_list_that_halo_would_cut(
    sandbox: Sandbox, http: httpx.AsyncClient, page_size: int
) -> None:
    sandbox.configure(row_limit=5)
    client = client_of(sandbox, http)
    cut = await client.list_page(Resource("Users", "users"), includeinactive=True)
    assert len(cut.body["users"]) == 5
    found = await ids_of(client, r.USERS, page_size, includeinactive=True)
    assert sorted(found, key=int) == sorted(row["id"] for row in sandbox.state("Users"))  # type: ignore[arg-type]


async def test_a_record_is_created_updated_in_part_and_deleted(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    client = client_of(sandbox, http)
    made = await client.post(r.ITEM, {"name": "Cable", "assetgroup_id": 5, "baseprice": Decimal("19.90")})
    assert (made.outcome, made.status) == (Outcome.APPLIED, 201)
    item_id = as_id(made.body["id"])
    assert item_id is not None
    changed = await client.post(r.ITEM, {"id": item_id, "name": "Long cable"})
    assert as_id(changed.body["id"]) == item_id
    read = await client.get(r.ITEM, item_id)
    assert (read.body["name"], Decimal(str(read.body["baseprice"]))) == ("Long cable", Decimal("19.90"))
    assert (await client.delete(r.ITEM, item_id)).outcome is Outcome.APPLIED
    assert (await client.get(r.ITEM, item_id)).not_found
    assert [entry["method"] for entry in sandbox.requests(path="^/Item")] == [
        "POST",
        "POST",
        "GET",
        "DELETE",
        "GET",
    ]


@pytest.mark.feature("conn.grant.services", part="halo client")
async def test_revoked_tokens_cost_one_refresh_however_many_requests_meet_it(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    client = client_of(sandbox, http)
    await client.whoami()
    sandbox.revoke_tokens()
    replies = await asyncio.gather(*(client.get(r.CLIENT, 11) for _ in range(8)))
    assert {reply.outcome for reply in replies} == {Outcome.APPLIED}
    assert len(sandbox.requests(kind="token")) == 2


async def test_wrong_credentials_are_a_lost_login_with_its_hint(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    probe = await client_of(sandbox, http, client_secret=Secret("wrong-secret")).probe()
    assert probe.login is Login.LOST
    assert "application inactive or client id changed" in probe.reply.text
    assert "wrong-secret" not in repr(probe)
    assert sandbox.requests() == []


async def test_an_unknown_scope_is_named_and_not_asked_for_again(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    reply = await client_of(sandbox, http, scopes=("all:standard", "read:actions")).get(r.CLIENT, 11)
    assert reply.outcome is Outcome.UNAUTHORISED
    assert "read:actions" in reply.text
    assert len(sandbox.requests(kind="token")) == 1


async def test_a_missing_right_is_denied_while_the_login_stays_good(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    client = client_of(sandbox, http, scopes=("read:customers",))
    assert (await client.get(r.CLIENT, 11)).ok
    assert (await client.post(r.ITEM, {"name": "a"})).outcome is Outcome.DENIED
    assert (await client.probe()).login is Login.GOOD


async def test_a_compulsory_main_contact_is_rejected_with_its_fix(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    sandbox.configure(main_contact_compulsory=True)
    reply = await client_of(sandbox, http).post(r.CLIENT, {"name": "New Customer"})
    assert (reply.outcome, reply.status) == (Outcome.REJECTED, 400)
    assert "Make main contact details compulsory" in (known_fix(reply.text) or "")


async def test_a_value_of_the_wrong_type_is_rejected_in_halos_words(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    reply = await client_of(sandbox, http).post(r.ITEM, {"name": "a", "assetgroup_id": "abc"})
    assert reply.outcome is Outcome.REJECTED
    assert "assetgroup_id" in reply.text
    assert "wrong type" in (known_fix(reply.text) or "")


@pytest.mark.parametrize(
    ("action", "rule", "status", "stored"),
    [
        ("store_then_drop", {}, None, 1),
        ("error_after_store", {}, 500, 1),
        ("error_after_store", {"status": 504}, 504, 1),
        ("error", {"status": 503}, 503, 0),
        ("truncate", {}, 201, 1),
        ("hang", {"apply": "first"}, None, 1),
        ("hang", {}, None, 0),
    ],
)
async def test_a_write_whose_end_is_unknown_is_ambiguous_and_sent_once(
    sandbox: Sandbox,
    http: httpx.AsyncClient,
    action: str,
    rule: dict[str, Any],
    status: int | None,
    stored: int,
) -> None:
    sandbox.arm(action, method="POST", path="^/Item$", times=0, **rule)
    client = client_of(sandbox, http, timeout_s=2.0 if action == "hang" else 60.0)
    # Signing in takes nothing of the time that the request has to arrive.
    await eventually(lambda: signed_in(client))
    reply = await client.post(r.ITEM, {"name": "Once only", "assetgroup_id": 5})
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, status)
    assert len(sandbox.requests(method="POST", path="^/Item$")) == 1
    assert sum(row["name"] == "Once only" for row in sandbox.state("Item")) == stored


async def signed_in(client: HaloClient) -> bool:
    return (await client.whoami()).ok


async def test_a_write_that_lands_after_its_connection_broke_is_ambiguous(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    sandbox.arm("drop_then_store", method="POST", path="^/Item$", delay_s=0.05)
    reply = await client_of(sandbox, http).post(r.ITEM, {"name": "Late", "assetgroup_id": 5})
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, None)


async def test_a_refused_connection_is_not_sent(
    sandbox: Sandbox, http: httpx.AsyncClient, free_port: int
) -> None:
    nowhere = f"http://127.0.0.1:{free_port}/api"
    reply = await client_of(sandbox, http, resource_server=nowhere).post(r.ITEM, {"name": "a"})
    assert (reply.outcome, reply.status) == (Outcome.NOT_SENT, None)


async def test_a_request_that_gets_no_connection_is_not_sent(sandbox: Sandbox) -> None:
    sandbox.arm("hang", path="^/Client/11$")
    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=1)) as narrow:
        patient, client = client_of(sandbox, narrow), client_of(sandbox, narrow, timeout_s=4.0)
        await eventually(lambda: signed_in(client))
        stuck = asyncio.create_task(patient.get(r.CLIENT, 11))
        await eventually(lambda: sandbox.faults()[0]["met"])
        reply = await client.post(r.ITEM, {"name": "a"})
        assert (reply.outcome, reply.text.split(":")[0]) == (Outcome.NOT_SENT, "no free connection in time")
        stuck.cancel()
    assert sandbox.requests(method="POST") == []


async def test_an_unreachable_authorization_server_sends_nothing(
    sandbox: Sandbox, http: httpx.AsyncClient, free_port: int
) -> None:
    nowhere = f"http://127.0.0.1:{free_port}/auth"
    reply = await client_of(sandbox, http, authorization_server=nowhere).post(r.ITEM, {"name": "a"})
    assert reply.outcome is Outcome.NOT_SENT
    assert sandbox.requests() == []


@pytest.mark.parametrize("said", [True, False])
async def test_a_429_is_throttled_with_the_wait_that_halo_states(
    sandbox: Sandbox, http: httpx.AsyncClient, said: bool
) -> None:
    sandbox.configure(budget={"limit": 2, "window_s": 3600, "retry_after": said})
    client = client_of(sandbox, http)
    replies = [await client.get(r.CLIENT, 11) for _ in range(3)]
    assert [reply.outcome for reply in replies] == [Outcome.APPLIED, Outcome.APPLIED, Outcome.THROTTLED]
    assert "Rate Limit Reached" in replies[2].text
    wait_s = replies[2].retry_after_s
    assert (wait_s is not None and 3000 < wait_s <= 3600) if said else wait_s is None


async def test_a_client_that_keeps_its_budget_never_meets_a_429(
    sandbox: Sandbox, http: httpx.AsyncClient
) -> None:
    """Scaled: 5 requests in any 0.2 s instead of 300 in 300 s; the budget's window has 2 s of slack."""
    sandbox.configure(budget={"limit": 5, "window_s": 0.2})
    gate = BudgetGate(Budget(5, 2.2, 0.1))
    client = HaloClient(connection(sandbox), http, gate, timeout_s=60.0)

    async def once() -> Outcome:
        while True:
            try:
                return (await client.get(r.CLIENT, 11)).outcome
            except GateClosed as closed:
                await asyncio.sleep(closed.retry_after_s or 0.0)

    assert set(await asyncio.gather(*(once() for _ in range(9)))) == {Outcome.APPLIED}
    assert gate.throttles == 0
    assert [entry["status"] for entry in sandbox.requests()] == [200] * 9
