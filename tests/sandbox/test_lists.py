"""Lists as Halo answers them: wrappers, filters, search, paging, hidden rows."""

import json
import time

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/Client", "clients"),
        ("/Site", "sites"),
        ("/Users", "users"),
        ("/Item", "items"),
        ("/Opportunities", "tickets"),
        ("/Tickets", "tickets"),
        ("/Quotation", "quotes"),
        ("/ExternalLink", "links"),
        ("/Supplier", "suppliers"),
        ("/TopLevel", "tree"),
    ],
)
def test_records_come_in_a_wrapper_with_their_count(halo: httpx.Client, path: str, key: str) -> None:
    answer = halo.get(path).json()
    assert answer.keys() == {"record_count", key}
    assert answer["record_count"] == len(answer[key])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/Status",
            "/TicketType",
            "/Team",
            "/Currency",
            "/Tax",
            "/Lookup",
            "/Address",
            "/AssetGroup",
            "/Agent",
        ),
        "/CustomIntegration",
    ],
)
def test_code_lists_are_bare_arrays(halo: httpx.Client, path: str) -> None:
    assert isinstance(halo.get(path).json(), list)


def test_paths_are_matched_without_case_and_unknown_ones_are_an_empty_404(halo: httpx.Client) -> None:
    assert halo.get("/client").status_code == 200
    missing = halo.get("/Nothing")
    assert (missing.status_code, missing.content) == (404, b"")


def test_pageinate_walks_all_rows_once(halo: httpx.Client) -> None:
    seen: list[int] = []
    for page_no in (1, 2, 3):
        page = halo.get("/Item", params={"pageinate": "true", "page_size": 9, "page_no": page_no}).json()
        assert (page["record_count"], page["page_no"], page["page_size"]) == (20, page_no, 9)
        seen += [row["id"] for row in page["items"]]
    assert len(seen) == len(set(seen)) == 20


def test_page_numbers_mean_nothing_without_pageinate(halo: httpx.Client) -> None:
    answer = halo.get("/Item", params={"page_size": 2, "page_no": 2}).json()
    assert len(answer["items"]) == 20
    assert "page_no" not in answer


def test_count_limits_the_rows_and_not_the_record_count(halo: httpx.Client) -> None:
    answer = halo.get("/Item", params={"count": 3}).json()
    assert (answer["record_count"], len(answer["items"])) == (20, 3)


def test_a_list_without_paging_is_cut_without_an_error(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.load({"Client": [{"name": f"Customer {n}"} for n in range(1200)]})
    answer = halo.get("/Client")
    assert answer.status_code == 200
    assert len(answer.json()["clients"]) == 1000
    assert answer.json()["record_count"] > 1200


def test_a_misspelt_parameter_returns_unfiltered_data(halo: httpx.Client) -> None:
    assert halo.get("/Site", params={"clientid": 12}).json() == halo.get("/Site").json()


def test_filters_filter(halo: httpx.Client) -> None:
    sites = halo.get("/Site", params={"client_id": 12}).json()["sites"]
    assert {site["id"] for site in sites} == {22, 23}
    users = halo.get("/Users", params={"site_id": 23}).json()["users"]
    assert [user["id"] for user in users] == [34]
    recurring = halo.get("/Item", params={"recurringonly": "true"}).json()["items"]
    assert {item["isrecurringitem"] for item in recurring} == {True}


def test_an_unreadable_filter_value_is_named(halo: httpx.Client) -> None:
    answer = halo.get("/Site", params={"client_id": "x"})
    assert (answer.status_code, answer.json()) == (400, {"client_id": ["The value 'x' is not valid."]})


@pytest.mark.parametrize(
    ("path", "text", "key", "ids"),
    [
        ("/Client", "FINCH", "clients", [11]),
        ("/Client", "ALD001", "clients", []),
        ("/Users", "hannah@alder", "users", [31]),
        ("/Item", "lt-14-g5", "items", [51]),
        ("/Item", "Laptop", "items", [51, 52]),
        ("/Supplier", "cloud", "suppliers", [2]),
    ],
)
def test_search_is_contains_over_fixed_columns(
    halo: httpx.Client, path: str, text: str, key: str, ids: list[int]
) -> None:
    rows = halo.get(path, params={"search": text}).json()[key]
    assert [row["id"] for row in rows] == ids


def test_inactive_records_and_obsolete_items_are_hidden_unless_asked_for(halo: httpx.Client) -> None:
    everything = {"includeinactive": "true"}
    assert 16 not in {row["id"] for row in halo.get("/Client").json()["clients"]}
    assert 16 in {row["id"] for row in halo.get("/Client", params=everything).json()["clients"]}
    assert halo.get("/Item", params={"search": "OF-2019"}).json()["record_count"] == 0
    assert halo.get("/Item", params={"search": "OF-2019", **everything}).json()["record_count"] == 1
    assert halo.get("/Item/64").json()["status"] == 15


def test_agents_hide_the_api_agent_that_me_shows(halo: httpx.Client) -> None:
    assert {agent["id"] for agent in halo.get("/Agent").json()} == {2, 3, 4}
    everyone = halo.get("/Agent", params={"includeapiagents": "true", "includedisabled": "true"}).json()
    assert {agent["id"] for agent in everyone} == {1, 2, 3, 4, 5}
    assert halo.get("/Agent/me").json()["isapiagent"] is True


def test_order_sorts_and_orderdesc_turns_it_round(halo: httpx.Client) -> None:
    query = {"order": "baseprice", "orderdesc": "true", "count": "2"}
    assert [row["id"] for row in halo.get("/Item", params=query).json()["items"]] == [59, 52]


def test_idonly_gives_ids_only(halo: httpx.Client) -> None:
    assert halo.get("/Supplier", params={"idonly": "true"}).json()["suppliers"] == [{"id": 1}, {"id": 2}]


def test_lookup_11_names_the_other_lookups(halo: httpx.Client) -> None:
    types = {row["name"]: row["id"] for row in halo.get("/Lookup", params={"lookupid": 11}).json()}
    statuses = halo.get("/Lookup", params={"lookupid": types["Quote status"]}).json()
    assert {"Draft", "Sent", "Accepted", "Rejected"} <= {row["name"] for row in statuses}
    periods = halo.get("/Lookup", params={"lookupid": types["Billing period"]}).json()
    assert {row["name"]: row["id"] for row in periods}["Monthly"] == 2
    one = halo.get("/Lookup/3", params={"lookupid": types["Billing period"]}).json()
    assert one["name"] == "Yearly"


def test_domain_opps_keeps_opportunity_types(halo: httpx.Client) -> None:
    kinds = halo.get("/TicketType", params={"domain": "opps"}).json()
    assert {kind["name"] for kind in kinds} == {"Opportunity", "Lead"}


def test_some_ids_are_floats_and_nulls_are_left_out(halo: httpx.Client) -> None:
    assert '"site_id":21.0' in halo.get("/Users/31").text
    assert '"client_id":11.0' in halo.get("/Site/21").text
    assert "null" not in halo.get("/Site").text


def test_lastupdatefromdate_keeps_rows_changed_since(halo: httpx.Client) -> None:
    halo.post("/Client", json=[{"name": "Early"}])
    time.sleep(0.01)
    mark = halo.post("/Client", json=[{"name": "Late"}]).json()["datecreated"]
    for zone in ("", "Z"):
        rows = halo.get("/Client", params={"lastupdatefromdate": mark + zone}).json()["clients"]
        assert [row["name"] for row in rows] == ["Late"]
    assert halo.get("/Client", params={"lastupdatefromdate": "2999-01-01"}).json()["record_count"] == 0


def test_advanced_search_is_exact_and_for_known_fields_only(sandbox: Sandbox, halo: httpx.Client) -> None:
    def ask(field: str, value: str) -> httpx.Response:
        condition = {"filter_name": field, "filter_type": 2, "filter_value": value}
        return halo.get("/Client", params={"advanced_search": json.dumps([condition])})

    refused = ask("accountsid", "ALD001")
    assert refused.status_code == 400
    assert "Invalid advanced search parameter" in refused.json()
    sandbox.configure(advanced_search={"Client": ["accountsid"]})
    assert [row["id"] for row in ask("accountsid", "ALD001").json()["clients"]] == [11]
    assert ask("accountsid", "ALD").json()["record_count"] == 0


def test_a_new_record_lags_in_searches_but_not_by_id(sandbox: Sandbox, halo: httpx.Client) -> None:
    def made(name: str) -> int:
        link = {"module_id": 9, "third_party_id": name}
        number: int = halo.post("/Client", json=[{"name": name, "new_external_link": link}]).json()["id"]
        return number

    def found(name: str) -> tuple[int, int]:
        clients = halo.get("/Client", params={"search": name}).json()["record_count"]
        links = halo.get("/ExternalLink", params={"third_party_id": name}).json()["record_count"]
        return clients, links

    sandbox.configure(search_lag_s=600)
    assert halo.get(f"/Client/{made('Lagging')}").status_code == 200
    assert found("Lagging") == (0, 0)
    sandbox.configure(search_lag_s=0.4)
    start = time.monotonic()
    made("Late")
    while found("Late") != (1, 1):
        assert time.monotonic() - start < 60
        time.sleep(0.02)
    assert time.monotonic() - start >= 0.4
