"""Quotes: lines that keep or lose their ids, totals and tax computed by the server."""

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


@pytest.fixture
def deal(halo: httpx.Client) -> int:
    fields = {"summary": "Deal", "tickettype_id": 6, "client_id": 11, "site_id": 21}
    number: int = halo.post("/Opportunities", json=[fields]).json()["id"]
    return number


def save(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = client.post("/Quotation", json=[fields])
    assert answer.status_code == 201, answer.text
    quote: dict[str, Any] = answer.json()
    return quote


TWO_LINES = [
    {
        "name": "Laptop",
        "item_id": 51,
        "quantity": 3,
        "baseprice": 949.99,
        "discount_perc": 10,
        "costprice": 760,
    },
    {"name": "Set-up", "quantity": 1.5, "price": 95, "costprice": 50},
]


def test_totals_are_recomputed_from_the_lines(halo: httpx.Client, deal: int) -> None:
    quote = save(halo, ticket_id=deal, client_id=11, site_id=21, lines=TWO_LINES, revenue=1, total=2)
    laptop, setup = quote["lines"]
    assert laptop["price"] == pytest.approx(854.991)
    assert (laptop["total_price"], setup["total_price"]) == (2564.97, 142.5)
    assert quote["revenue"] == 2707.47
    assert quote["cost"] == 2355.0
    assert quote["profit"] == 352.47
    assert quote["tax_total"] == 541.49
    assert quote["total"] == 3248.96


def test_a_quote_without_a_site_bears_no_tax_until_it_has_one(halo: httpx.Client, deal: int) -> None:
    quote = save(halo, ticket_id=deal, client_id=11, lines=TWO_LINES)
    assert (quote["tax_total"], quote["total"]) == (0.0, 2707.47)
    assert save(halo, id=quote["id"], site_id=21)["tax_total"] == 541.49


@pytest.mark.parametrize(
    ("line", "client_id", "tax"),
    [
        ({}, 11, 20.0),
        ({"item_tax_code": 2}, 11, 5.0),
        ({"item_tax_code": -1}, 11, 20.0),
        ({"item_tax_code": 2, "override_tax_code": 3}, 11, 0.0),
        ({"item_taxable": False}, 11, 0.0),
        ({"ignoretaxcalc": True, "tax": 7.77}, 11, 7.77),
        ({"tax": 7.77}, 11, 20.0),
        ({}, 14, 0.0),
    ],
)
def test_line_tax_follows_its_code(
    halo: httpx.Client, deal: int, line: dict[str, Any], client_id: int, tax: float
) -> None:
    sent = [{"name": "x", "quantity": 1, "price": 100, **line}]
    quote = save(halo, ticket_id=deal, client_id=client_id, site_id=21, lines=sent)
    assert quote["tax_total"] == quote["lines"][0]["total_tax"] == tax


def test_sent_lines_replace_the_stored_ones_by_id(halo: httpx.Client, deal: int) -> None:
    quote = save(halo, ticket_id=deal, lines=[*TWO_LINES, {"name": "Cable", "quantity": 1, "price": 4}])
    laptop, setup, _ = quote["lines"]
    sent = [{"id": setup["id"], "quantity": 2}, {"name": "New", "quantity": 1, "price": 10}]
    updated = save(halo, id=quote["id"], lines=sent)
    kept, new = updated["lines"]
    assert (kept["id"], kept["name"], kept["quantity"], kept["price"]) == (setup["id"], "Set-up", 2.0, 95.0)
    assert new["id"] not in {line["id"] for line in quote["lines"]}
    assert updated["revenue"] == 200.0
    assert laptop["id"] not in {line["id"] for line in updated["lines"]}
    assert all(line["qhid"] == quote["id"] for line in updated["lines"])


def test_an_update_without_lines_keeps_them_and_an_empty_list_clears_them(
    halo: httpx.Client, deal: int
) -> None:
    quote = save(halo, ticket_id=deal, lines=TWO_LINES)
    assert save(halo, id=quote["id"], title="New title")["lines"] == quote["lines"]
    cleared = save(halo, id=quote["id"], lines=[])
    assert (cleared["lines"], cleared["total"]) == ([], 0.0)


def test_a_line_of_another_quote_is_refused(halo: httpx.Client, deal: int) -> None:
    first, second = (save(halo, ticket_id=deal, lines=TWO_LINES) for _ in range(2))
    sent = [{"id": first["lines"][0]["id"]}]
    answer = halo.post("/Quotation", json=[{"id": second["id"], "lines": sent}])
    assert answer.status_code == 400


@pytest.mark.parametrize("mark", [{"item_recurring": True}, {"billingperiod": 2}])
@pytest.mark.parametrize("sold", [{}, {"item_id": 51}])
def test_a_recurring_line_needs_a_recurring_item(
    halo: httpx.Client, deal: int, mark: dict[str, Any], sold: dict[str, Any]
) -> None:
    lines = [{"name": "Fine", "quantity": 1}, {"name": "Care plan", "quantity": 1, **mark, **sold}]
    answer = halo.post("/Quotation", json=[{"ticket_id": deal, "lines": lines}])
    assert answer.status_code == 400
    assert "Line 2 'Care plan'" in answer.json()["Message"]
    lines[1]["item_id"] = 65
    assert halo.post("/Quotation", json=[{"ticket_id": deal, "lines": lines}]).status_code == 201


def test_a_discount_above_the_items_highest_is_refused_and_the_line_named(
    halo: httpx.Client, deal: int
) -> None:
    halo.post("/Item", json=[{"id": 57, "maxitemdiscount": 10}]).raise_for_status()
    lines = [{"name": "Fine", "item_id": 51, "discount_perc": 60}, {"name": "Wall", "item_id": 57}]
    lines[1]["discount_perc"] = 10
    assert halo.post("/Quotation", json=[{"ticket_id": deal, "lines": lines}]).status_code == 201
    lines[1]["discount_perc"] = 10.5
    answer = halo.post("/Quotation", json=[{"ticket_id": deal, "lines": lines}])
    assert answer.status_code == 400
    assert answer.json()["Message"] == "Line 2 'Wall': the maximum discount for this item is 10%"


def test_carriage_is_in_the_total_and_not_in_the_revenue(halo: httpx.Client, deal: int) -> None:
    quote = save(
        halo, ticket_id=deal, lines=[{"item_id": 51, "quantity": 1, "price": 100}], carriage_price=12.5
    )
    assert (quote["revenue"], quote["carriage_price"]) == (100.0, 12.5)
    assert quote["total"] == quote["revenue"] + quote["tax_total"] + 12.5


def test_line_type_faults_name_the_line(halo: httpx.Client, deal: int) -> None:
    lines = [{"name": "x"}, {"quantity": "three"}]
    answer = halo.post("/Quotation", json=[{"ticket_id": deal, "lines": lines}])
    assert list(answer.json()) == ["[0].lines[1].quantity"]


def test_a_quote_needs_an_existing_ticket(halo: httpx.Client) -> None:
    for body in ({"title": "x"}, {"title": "x", "ticket_id": 4711}):
        assert halo.post("/Quotation", json=[body]).status_code == 400


def test_lists_show_status_and_date_but_no_totals_and_no_lines(halo: httpx.Client, deal: int) -> None:
    save(halo, ticket_id=deal, status=2, lines=TWO_LINES)
    row = halo.get("/Quotation").json()["quotes"][0]
    assert (row["status"], row["status_name"]) == (2, "Sent")
    assert row["expiry_date"] > row["date"]
    assert not {"total", "tax_total", "lines"} & row.keys()
    row = halo.get("/Quotation", params={"includelines": "true"}).json()["quotes"][0]
    assert len(row["lines"]) == 2
    assert "total" not in row


def test_lines_come_by_id_with_details_only(halo: httpx.Client, deal: int) -> None:
    quote = save(halo, ticket_id=deal, lines=TWO_LINES)
    assert "lines" not in halo.get(f"/Quotation/{quote['id']}").json()
    read = halo.get(f"/Quotation/{quote['id']}", params={"includedetails": "true"}).json()
    assert (len(read["lines"]), read["total"]) == (2, quote["total"])


def test_quotes_are_filtered_by_ticket_client_status_and_title(halo: httpx.Client, deal: int) -> None:
    one = save(halo, ticket_id=deal, title="Laptops", status=1, third_party_number="N-1", user_id=31)["id"]
    two = save(halo, ticket_id=deal, title="Servers", status=3, client_id=12)["id"]

    def ids(**query: Any) -> list[int]:
        return [row["id"] for row in halo.get("/Quotation", params=query).json()["quotes"]]

    assert ids(ticket_id=deal) == [one, two]
    assert ids(ticket_id=deal + 1) == []
    assert ids(client_id=12) == [two]
    assert ids(user_id=31) == [one]
    assert ids(quote_status="3,4") == [two]
    assert ids(search="laptop") == [one]
    assert ids(search="N-1") == []
    assert ids(third_party_number="N-1") == [one, two]


def test_each_save_moves_the_change_mark(halo: httpx.Client, deal: int) -> None:
    quote = save(halo, ticket_id=deal, title="a")
    again = save(halo, id=quote["id"], title="b")
    assert again["change_seq"] == quote["change_seq"] + 1
    assert again["last_update_time"] >= quote["last_update_time"]


def test_a_fixture_can_carry_quotes(sandbox: Sandbox, halo: httpx.Client, deal: int) -> None:
    sandbox.load(
        {"Quotation": [{"id": 42, "ticket_id": deal, "site_id": 21, "lines": [{"id": 9, "price": 3}]}]}
    )
    read = halo.get("/Quotation/42", params={"includedetails": "true"}).json()
    assert [line["id"] for line in read["lines"]] == [9]
    assert save(halo, id=42, lines=[{"id": 9, "quantity": 2}])["total"] == 7.2
