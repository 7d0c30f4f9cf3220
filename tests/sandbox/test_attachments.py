"""Files on tickets: what a POST takes, what lists show, and that a GET by id answers the file itself."""

import base64
from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

CONTENT = b"%PDF-1.7 \x00\xff"
BASE64 = base64.b64encode(CONTENT).decode()


@pytest.fixture
def ticket(halo: httpx.Client) -> int:
    made = halo.post("/Opportunities", json=[{"summary": "Office", "tickettype_id": 6, "client_id": 12}])
    number: int = made.json()["id"]
    return number


def attach(halo: httpx.Client, **fields: Any) -> httpx.Response:
    return halo.post("/Attachment", json=[{"filename": "a.pdf", "data_base64": BASE64, **fields}])


@pytest.mark.parametrize("data", [BASE64, f"data:application/pdf;base64,{BASE64}", f"data:;base64,{BASE64}"])
def test_a_file_is_taken_in_both_forms_and_answered_as_it_was(
    halo: httpx.Client, ticket: int, data: str
) -> None:
    made = attach(halo, ticket_id=ticket, data_base64=data, note="n")
    assert made.status_code == 201
    assert made.json()["filesize"] == len(CONTENT)
    assert "data_base64" not in made.json()
    file = halo.get(f"/Attachment/{made.json()['id']}")
    assert (file.content, file.headers["content-type"]) == (CONTENT, "application/pdf")


def test_a_list_shows_one_tickets_files_without_their_bytes(halo: httpx.Client, ticket: int) -> None:
    other = halo.post("/Tickets", json=[{"summary": "Other", "client_id": 12}]).json()["id"]
    first, _ = attach(halo, ticket_id=ticket, note="one").json(), attach(halo, ticket_id=other)
    second = attach(halo, ticket_id=ticket, filename="b.txt").json()
    listed = halo.get("/Attachment", params={"ticket_id": ticket}).json()
    assert listed["record_count"] == 2
    assert [row["id"] for row in listed["attachments"]] == [first["id"], second["id"]]
    assert listed["attachments"][0]["note"] == "one"
    assert all("data_base64" not in row for row in listed["attachments"])


def test_a_list_of_nobodys_files_is_refused(halo: httpx.Client) -> None:
    assert halo.get("/Attachment").status_code == 400
    assert halo.get("/Attachment", params={"type": 1, "unique_id": 5}).json()["attachments"] == []


@pytest.mark.parametrize(
    "wrong", [{"filename": ""}, {"data_base64": "no base64!"}, {"data_base64": ""}, {"ticket_id": 4711}]
)
def test_what_is_no_file_is_refused(halo: httpx.Client, ticket: int, wrong: dict[str, Any]) -> None:
    assert attach(halo, **({"ticket_id": ticket} | wrong)).status_code == 400
    assert attach(halo).status_code == 400, "nobody's file"


def test_the_same_file_twice_is_there_twice_and_can_be_deleted(
    halo: httpx.Client, sandbox: Sandbox, ticket: int
) -> None:
    first, second = (attach(halo, ticket_id=ticket).json()["id"] for _ in range(2))
    assert halo.delete(f"/Attachment/{first}").status_code == 200
    assert halo.get(f"/Attachment/{first}").status_code == 404
    assert [row["id"] for row in sandbox.state("Attachment")] == [second]


def test_no_external_link_is_made_for_a_file(halo: httpx.Client, sandbox: Sandbox, ticket: int) -> None:
    attach(halo, ticket_id=ticket, new_external_link={"third_party_id": "x"})
    assert [row for row in sandbox.state("ExternalLink") if row.get("third_party_id") == "x"] == []
