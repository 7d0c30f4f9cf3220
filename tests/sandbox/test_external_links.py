"""External links: made with the record, read back through it and through /ExternalLink."""

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

LINK = {"module_id": 77, "third_party_id": "key-1", "third_party_desc": "our key"}


def links(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get("/ExternalLink", params=query).json()["links"]
    return rows


@pytest.mark.parametrize(
    ("path", "table_id", "fields"),
    [
        ("/Client", 2, {"name": "x"}),
        ("/Site", 3, {"name": "x", "client_id": 11}),
        ("/Users", 4, {"name": "x", "site_id": 21}),
        ("/Item", 8, {"name": "x", "assetgroup_id": 1}),
        ("/Supplier", 9, {"name": "x"}),
        ("/Opportunities", 1, {"summary": "x", "tickettype_id": 6}),
    ],
)
def test_a_link_sent_with_the_record_is_found_by_each_filter(
    halo: httpx.Client, path: str, table_id: int, fields: dict[str, Any]
) -> None:
    made = halo.post(path, json=[{**fields, "new_external_link": LINK}]).json()
    assert "new_external_link" not in made
    read = halo.get(f"{path}/{made['id']}", params={"includedetails": "true"}).json()
    assert [link["third_party_id"] for link in read["external_links"]] == ["key-1"]
    assert "external_links" not in halo.get(f"{path}/{made['id']}").json()
    for query in (
        {"third_party_id": "key-1"},
        {"halo_id": made["id"], "table_id": table_id},
        {"module_id": 77},
        {"module_list": "5,77"},
        {"search": "key-"},
    ):
        assert [(row["table_id"], row["halo_id"]) for row in links(halo, **query)] == [(table_id, made["id"])]
    assert links(halo, third_party_id="key") == []
    assert links(halo, third_party_id="key-1", table_id=999) == []


def test_quotes_and_their_lines_are_linked(halo: httpx.Client) -> None:
    deal = halo.post("/Opportunities", json=[{"summary": "x", "tickettype_id": 6}]).json()
    line = {"name": "a", "quantity": 1, "new_external_link": {"module_id": 77, "third_party_id": "line-1"}}
    body = {"ticket_id": deal["id"], "new_external_link": LINK, "lines": [line, {"name": "b"}]}
    quote = halo.post("/Quotation", json=[body]).json()
    assert [row["table_id"] for row in links(halo, halo_id=quote["id"])] == [997]
    assert [row["halo_id"] for row in links(halo, third_party_id="line-1", table_id=990)] == [
        quote["lines"][0]["id"]
    ]
    read = halo.get(f"/Quotation/{quote['id']}", params={"includedetails": "true"}).json()
    assert read["lines"][0]["external_link"]["third_party_id"] == "line-1"
    assert "external_link" not in read["lines"][1]
    assert not any("new_external_link" in one for one in quote["lines"])


def test_a_link_can_be_posted_alone_and_deleted(halo: httpx.Client) -> None:
    made = halo.post("/ExternalLink", json=[{"table_id": 2, "halo_id": 11, **LINK}])
    assert made.status_code == 201
    read = halo.get("/Client/11", params={"includedetails": "true"}).json()
    assert [link["id"] for link in read["external_links"]] == [made.json()["id"]]
    assert halo.delete(f"/ExternalLink/{made.json()['id']}").status_code == 200
    assert links(halo, third_party_id="key-1") == []
    assert halo.post("/ExternalLink", json=[{"module_id": 1}]).status_code == 400


def test_a_tenant_can_ignore_links_on_write(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(external_link_on_write=False)
    assert halo.post("/Client", json=[{"name": "x", "new_external_link": LINK}]).status_code == 201
    assert links(halo) == []


def test_deleting_a_record_takes_its_links_with_it(halo: httpx.Client) -> None:
    made = halo.post("/Client", json=[{"name": "x", "new_external_link": LINK}]).json()
    halo.delete(f"/Client/{made['id']}")
    assert links(halo) == []
