"""What a person edits or deletes: in the rows and their change times, never in the log."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

LINES = [{"item_id": 51, "quantity": 2, "price": 10}, {"item_id": 52, "quantity": 1, "price": 5}]


@pytest.fixture
def quote(halo: httpx.Client) -> dict[str, Any]:
    deal = {"summary": "Deal", "tickettype_id": 6, "client_id": 12, "site_id": 22}
    ticket = halo.post("/Opportunities", json=[deal]).json()["id"]
    made: dict[str, Any] = halo.post(
        "/Quotation", json=[{"ticket_id": ticket, "site_id": 22, "title": "Q", "lines": LINES}]
    ).json()
    return made


def test_an_edit_changes_only_what_it_names(sandbox: Sandbox, halo: httpx.Client) -> None:
    before = halo.get("/Client/11").json()
    row = sandbox.edit("Client", 11, website="person.example")
    assert row["website"] == "person.example"
    assert halo.get("/Client/11").json() == {**before, "website": "person.example"}


def test_null_empties_a_field(sandbox: Sandbox, halo: httpx.Client) -> None:
    assert halo.get("/Client/11").json()["accountsid"] == "ALD001"
    sandbox.edit("Client", 11, accountsid=None)
    assert "accountsid" not in halo.get("/Client/11").json()


def test_an_edit_is_in_no_log_costs_nothing_and_is_nobodys_change(
    sandbox: Sandbox, halo: httpx.Client, quote: dict[str, Any]
) -> None:
    fault = sandbox.arm("error", times=0)
    sandbox.configure(budget={"limit": 1}, denied=[{"resource": "Client"}])
    log, counts = sandbox.last_request(), sandbox.counts()["requests"]
    sandbox.edit("Client", 11, website="w")
    sandbox.remove("Quotation", quote["id"])
    assert (sandbox.last_request(), sandbox.counts()["requests"]) == (log, counts)
    sandbox.disarm(fault)
    sandbox.configure(denied=[])
    halo.post("/Client", json=[{"id": 12, "website": "x"}])
    entry = sandbox.requests(since=log)[0]
    assert (entry["status"], entry["updated"], entry["deleted"]) == (
        201,
        [{"resource": "Client", "id": 12}],
        [],
    )


@pytest.mark.parametrize(("path", "field"), [("Client", "website"), ("Site", "name"), ("Users", "notes")])
def test_an_edit_is_found_by_the_time_of_change(
    sandbox: Sandbox, halo: httpx.Client, path: str, field: str
) -> None:
    rows = halo.get(f"/{path}").json()[path.lower() if path == "Users" else f"{path.lower()}s"]
    mark = datetime.now(UTC) + timedelta(milliseconds=1)
    query = {"lastupdatefromdate": mark.isoformat()}
    assert halo.get(f"/{path}", params=query).json()["record_count"] == 0
    while datetime.now(UTC) < mark:
        pass
    sandbox.edit(path, rows[0]["id"], **{field: "edited"})
    assert halo.get(f"/{path}", params=query).json()["record_count"] == 1


def test_an_edited_quote_is_computed_and_counted_up(
    sandbox: Sandbox, halo: httpx.Client, quote: dict[str, Any]
) -> None:
    first, second = quote["lines"]
    row = sandbox.edit("Quotation", quote["id"], lines=[{"id": first["id"], "quantity": 3}])
    assert [line["id"] for line in row["lines"]] == [first["id"]]
    assert (row["revenue"], row["change_seq"]) == (30.0, quote["change_seq"] + 1)
    assert row["last_update_time"] >= quote["last_update_time"]
    assert halo.get(f"/Quotation/{quote['id']}").json()["revenue"] == 30.0
    assert second["id"] not in {line["id"] for line in row["lines"]}


@pytest.mark.parametrize(
    ("path", "record", "time"), [("Item", 51, "lastmodified"), ("Supplier", 1, "last_modified")]
)
def test_an_edit_sets_the_change_time_that_the_row_shows(
    sandbox: Sandbox, halo: httpx.Client, path: str, record: int, time: str
) -> None:
    record = record if path == "Item" else halo.post("/Supplier", json=[{"name": "S"}]).json()["id"]
    row = sandbox.edit(path, record, name="Edited")
    assert halo.get(f"/{path}/{record}").json()[time] == row[time]


def test_a_persons_deletion_takes_along_what_halo_takes(
    sandbox: Sandbox, halo: httpx.Client, quote: dict[str, Any]
) -> None:
    sandbox.remove("Quotation", quote["id"])
    assert halo.get(f"/Quotation/{quote['id']}").status_code == 404
    sandbox.remove("client", 13)
    assert halo.get("/Client/13").status_code == 404
    assert halo.get("/Site", params={"client_id": 13}).json()["record_count"] == 0


def test_a_person_cannot_do_what_halo_refuses(
    sandbox: Sandbox, halo: httpx.Client, quote: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match=r"400.*obsolete"):
        sandbox.remove("Item", 51)
    with pytest.raises(AssertionError, match="400"):
        sandbox.edit("Client", 11, name=None)
    with pytest.raises(AssertionError, match=r"400.*ticket_id"):
        sandbox.edit("Quotation", quote["id"], ticket_id="x")


@pytest.mark.parametrize(
    ("resource", "record", "fields", "status"),
    [
        ("Gadget", 1, {"name": "x"}, 404),
        ("Client", 4711, {"name": "x"}, 404),
        ("Client", 11, {"shoe_size": 44}, 400),
        ("Client", 11, {"id": 12}, 400),
        ("Lookup", 1, {"name": "x"}, 404),
    ],
)
def test_an_edit_of_what_is_not_there_is_refused(
    sandbox: Sandbox, resource: str, record: int, fields: dict[str, Any], status: int
) -> None:
    with pytest.raises(AssertionError, match=str(status)):
        sandbox.edit(resource, record, **fields)
