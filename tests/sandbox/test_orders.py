"""Sales orders: posted, listed, and made by Halo itself of an approved quote where the tenant has it so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


@pytest.fixture
def deal(halo: httpx.Client) -> int:
    made = halo.post("/Opportunities", json=[{"summary": "Deal", "tickettype_id": 6, "client_id": 12}])
    number: int = made.json()["id"]
    return number


def post(halo: httpx.Client, resource: str, **fields: Any) -> dict[str, Any]:
    answer = halo.post(f"/{resource}", json=[fields])
    assert answer.status_code == 201, answer.text
    saved: dict[str, Any] = answer.json()
    return saved


def approve(sandbox: Sandbox, *, on: bool) -> None:
    sandbox.load({"Control": {"create_so_on_quote_approved": on}})


def test_an_order_is_kept_with_its_lines_and_listed_by_its_ticket(halo: httpx.Client, deal: int) -> None:
    quote = post(halo, "Quotation", ticket_id=deal)
    line = {"item_id": 57, "quantity": 2, "price": 899, "nominalcode": "4000"}
    order = post(halo, "SalesOrder", ticket_id=deal, quotation_id=quote["id"], lines=[line])
    assert (order["client_id"], order["total"]) == (12, 1798)
    listed = halo.get("/SalesOrder", params={"ticket_id": deal}).json()
    assert (listed["record_count"], listed["salesorders"][0]["quotation_id"]) == (1, quote["id"])
    assert "lines" not in listed["salesorders"][0]
    assert halo.get("/SalesOrder", params={"ticket_id": 1}).json()["record_count"] == 0
    one = halo.get(f"/SalesOrder/{order['id']}", params={"includedetails": True}).json()
    assert one["lines"][0]["nominalcode"] == "4000"
    assert halo.post("/SalesOrder", json=[{"title": "No ticket"}]).status_code == 400


def test_the_same_order_posted_twice_is_there_twice(halo: httpx.Client, deal: int) -> None:
    first, second = (post(halo, "SalesOrder", ticket_id=deal)["id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(("on", "status", "made"), [(True, 3, 1), (True, 2, 0), (False, 3, 0)])
def test_an_approved_quote_gets_an_order_where_the_tenant_has_it_so(
    sandbox: Sandbox, halo: httpx.Client, deal: int, on: bool, status: int, made: int
) -> None:
    approve(sandbox, on=on)
    line = {"item_id": 57, "quantity": 2, "price": 899}
    quote = post(halo, "Quotation", ticket_id=deal, status=1, lines=[line], ponumber="PO-1")
    answer = post(halo, "Quotation", id=quote["id"], status=status)
    orders = sandbox.state("SalesOrder")
    assert len(orders) == made
    assert [order["id"] for order in orders] == ([answer["salesorder_id"]] if made else [])
    for order in orders:
        assert (order["quotation_id"], order["ticket_id"], order["po_number"]) == (quote["id"], deal, "PO-1")
        assert (order["total"], order["lines"][0]["item_id"]) == (1798, 57)
    post(halo, "Quotation", id=quote["id"], status=1)
    post(halo, "Quotation", id=quote["id"], status=status)
    assert len(sandbox.state("SalesOrder")) == made, "once for a quote"


def test_a_line_without_an_account_has_its_groups(sandbox: Sandbox, halo: httpx.Client, deal: int) -> None:
    sandbox.edit("AssetGroup", 1, nominalcode="GROUP")
    lines = [{"item_id": 57}, {"item_id": 57, "nominalcode": "OWN"}]
    order = post(halo, "SalesOrder", ticket_id=deal, lines=lines)
    assert [line["nominalcode"] for line in order["lines"]] == ["GROUP", "OWN"]
