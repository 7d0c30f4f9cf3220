"""Products on a ticket, and what a ticket type and Halo's settings demand of a new one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

BASE = {"summary": "New office", "tickettype_id": 6, "client_id": 12}
TWO = [
    {"item_id": 57, "quantity": 2, "price": 800.005, "note2": "a"},
    {"item_id": 60, "quantity": 1, "price": 35},
]


def post(halo: httpx.Client, **fields: Any) -> httpx.Response:
    return halo.post("/Opportunities", json=[fields])


def saved(halo: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = post(halo, **fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def field(label: str, technew: int, name: str) -> dict[str, Any]:
    return {"fieldname": label, "technew": technew, "fieldinfo": {"id": 9, "name": name, "label": label}}


def test_products_get_ids_amounts_and_their_items_number(halo: httpx.Client) -> None:
    made = saved(halo, **BASE, items_issued=TWO)
    first, second = made["items_issued"]
    assert first["id"] != second["id"]
    assert (first["total_price"], first["supplier_part_code"], first["note2"]) == (1600.01, "FW-100", "a")
    assert (made["items_issued_count"], made["itemsprice"]) == (2, 1635.01)


def test_products_are_shown_with_details_only(halo: httpx.Client) -> None:
    made = saved(halo, **BASE, items_issued=TWO)
    path = f"/Opportunities/{made['id']}"
    assert "items_issued" not in halo.get(path).json()
    assert halo.get(path, params={"includedetails": "true"}).json()["items_issued"] == made["items_issued"]
    listed = halo.get("/Opportunities").json()["tickets"]
    assert all("items_issued" not in row for row in listed)


def test_products_in_an_update_are_the_whole_new_list(halo: httpx.Client) -> None:
    made = saved(halo, **BASE, items_issued=TWO)
    first = made["items_issued"][0]
    after = saved(
        halo, id=made["id"], items_issued=[{"item_id": 51, "quantity": 1, "price": 1}, {"id": first["id"]}]
    )
    assert after["items_issued"][1] == first, "a known id keeps its unsent fields"
    assert len(after["items_issued"]) == 2
    assert saved(halo, id=made["id"], summary="Other")["items_issued"] == after["items_issued"]
    assert saved(halo, id=made["id"], items_issued=[])["items_issued"] == []


def test_a_product_of_another_ticket_or_of_no_item_is_refused(halo: httpx.Client) -> None:
    other = saved(halo, **BASE, items_issued=TWO)["items_issued"][0]["id"]
    assert post(halo, **BASE, items_issued=[{"id": other}]).status_code == 400
    assert post(halo, **BASE, items_issued=[{"item_id": 4711}]).status_code == 400
    answer = post(halo, **BASE, items_issued=[{"quantity": "many"}])
    assert list(answer.json()) == ["[0].items_issued[0].quantity"]


def test_mandatory_fields_of_the_type_are_demanded_of_a_new_ticket_by_name(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    fields = [
        field("Budget", 2, "CFBudget"),
        field("Target Date", 2, "targetdate"),
        field("Details", 1, "details"),
    ]
    sandbox.load({"TicketType": [{"id": 6, "name": "Opportunity", "use": "opportunity", "fields": fields}]})
    refused = post(halo, **BASE)
    assert refused.json()["Message"] == "Please complete the following mandatory fields: Budget, Target Date"
    given = {"targetdate": "2026-04-01T00:00:00", "customfields": [{"name": "CFBudget", "value": "5"}]}
    made = saved(halo, **BASE, **given)
    assert saved(halo, id=made["id"], summary="Later")["summary"] == "Later"
    kind = halo.get("/TicketType/6", params={"includedetails": "true"}).json()
    assert [entry["fieldname"] for entry in kind["fields"]] == ["Budget", "Target Date", "Details"]
    assert "fields" not in halo.get("/TicketType/6").json()


@pytest.mark.parametrize("on", [True, False])
def test_the_appointment_check_refuses_a_new_ticket_with_an_agent(
    sandbox: Sandbox, halo: httpx.Client, on: bool
) -> None:
    sandbox.load({"Control": {"checkreassignappclashes": on}})
    assert halo.get("/Control").json()["checkreassignappclashes"] is on
    assert post(halo, **BASE, agent_id=2).status_code == (400 if on else 201)
    assert post(halo, **BASE).status_code == 201


def test_a_compulsory_main_contact_shows_in_the_settings(sandbox: Sandbox, halo: httpx.Client) -> None:
    assert halo.get("/Control").json()["clientMainContactCompulsary"] is False
    sandbox.configure(main_contact_compulsory=True)
    assert halo.get("/Control").json()["clientMainContactCompulsary"] is True
