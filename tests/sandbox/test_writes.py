"""POST and DELETE: arrays, partial updates, silent duplicates, the shapes of refusal."""

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

EXCEPTION_MEMBERS = {
    *("ClassName", "Message", "Data", "InnerException", "HelpURL", "StackTraceString"),
    *("RemoteStackTraceString", "RemoteStackIndex", "ExceptionMethod", "HResult", "Source", "WatsonBuckets"),
}


def made(client: httpx.Client, path: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(path, json=[fields])
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()
    return row


def message(answer: httpx.Response) -> str:
    assert answer.status_code == 400
    assert answer.json().keys() == EXCEPTION_MEMBERS
    text: str = answer.json()["Message"]
    return text


def test_one_element_is_answered_with_one_object_and_several_with_an_array(halo: httpx.Client) -> None:
    one = halo.post("/Client", json=[{"name": "One"}])
    assert (one.status_code, one.json()["name"]) == (201, "One")
    several = halo.post("/Client", json=[{"name": "Two"}, {"name": "Three", "id": 0}])
    assert several.status_code == 201
    assert [client["name"] for client in several.json()] == ["Two", "Three"]


def test_a_bare_object_is_refused_by_path(halo: httpx.Client) -> None:
    answer = halo.post("/Client", json={"name": "One"})
    assert answer.status_code == 400
    assert isinstance(answer.json()[""], list)


def test_a_body_that_is_no_json_is_415_or_400(halo: httpx.Client) -> None:
    typed = {"content-type": "text/plain"}
    wrong_type = halo.post("/Client", content="[]", headers=typed)
    assert (wrong_type.status_code, wrong_type.content) == (415, b"")
    broken = halo.post("/Client", content="[{", headers={"content-type": "application/json"})
    assert (broken.status_code, list(broken.json())) == (400, [""])


def test_an_update_keeps_fields_that_are_absent_or_null(halo: httpx.Client) -> None:
    client = made(halo, "/Client", name="Acme", accountsid="A1", website="acme.example")
    updated = halo.post("/Client", json=[{"id": client["id"], "accountsid": "A2", "website": None}])
    assert updated.status_code == 201
    stored = halo.get(f"/Client/{client['id']}").json()
    assert (stored["name"], stored["accountsid"], stored["website"]) == ("Acme", "A2", "acme.example")


def test_an_unknown_id_is_an_empty_404(halo: httpx.Client) -> None:
    for answer in (halo.post("/Client", json=[{"id": 99999, "name": "x"}]), halo.get("/Client/99999")):
        assert (answer.status_code, answer.content) == (404, b"")
    assert halo.get("/Client/probe").json() == {"id": ["The value 'probe' is not valid."]}


def test_posting_twice_makes_two_records(halo: httpx.Client) -> None:
    body = [{"name": "Same", "new_external_link": {"module_id": 1, "third_party_id": "same"}}]
    ids = {halo.post("/Client", json=body).json()["id"] for _ in range(3)}
    assert len(ids) == 3
    assert halo.get("/ExternalLink", params={"third_party_id": "same"}).json()["record_count"] == 3


def test_unknown_body_fields_are_ignored(halo: httpx.Client) -> None:
    client = made(halo, "/Client", name="Acme", shoe_size=44, _novalidate=True)
    assert not {"shoe_size", "_novalidate"} & client.keys()


def test_type_faults_are_named_by_path_all_at_once(halo: httpx.Client) -> None:
    body = [{"summary": "x", "client_id": "abc", "targetdate": "soon", "oppvalue": "much"}]
    answer = halo.post("/Opportunities", json=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"[0].client_id", "[0].targetdate", "[0].oppvalue"}
    text = answer.json()["[0].client_id"][0]
    assert text.startswith("Could not convert string to integer: abc. Path '[0].client_id'")


def test_a_float_is_refused_for_an_integer_id(halo: httpx.Client) -> None:
    answer = halo.post("/Quotation", json=[{"ticket_id": 1, "site_id": 95.0}])
    assert list(answer.json()) == ["[0].site_id"]
    assert made(halo, "/Users", name="A B", site_id=21.0, client_id="11")["client_id"] == 11


def test_dates_come_back_without_a_zone(halo: httpx.Client) -> None:
    fields = {"summary": "Deal", "tickettype_id": 6, "targetdate": "2026-08-01T08:30:00+02:00"}
    assert made(halo, "/Opportunities", **fields)["targetdate"] == "2026-08-01T06:30:00"


def test_delete_is_200_and_the_record_is_gone(halo: httpx.Client) -> None:
    client = made(halo, "/Client", name="Gone", newclient_contactname="Gone Too")
    assert halo.delete(f"/Client/{client['id']}").status_code == 200
    for path in (f"/Client/{client['id']}", f"/Site/{client['main_site_id']}"):
        assert halo.get(path).status_code == 404
    assert halo.delete(f"/Client/{client['id']}").status_code == 404


def test_there_is_no_put_or_patch(halo: httpx.Client) -> None:
    assert halo.put("/Client", json=[]).status_code == 405
    assert halo.patch("/Client/11", json=[]).status_code == 405


def test_a_new_client_has_a_site_called_main(halo: httpx.Client) -> None:
    client = made(halo, "/Client", name="Acme")
    assert halo.get(f"/Site/{client['main_site_id']}").json()["name"] == "Main"
    assert "main_contact_id" not in client
    assert message(halo.post("/Client", json=[{"accountsid": "x"}])).startswith(
        "A database error occurred (515)"
    )


def test_newclient_fields_make_the_first_site_and_contact(halo: httpx.Client) -> None:
    client = made(
        halo,
        "/Client",
        name="Acme",
        newclient_sitename="HQ",
        newclient_contactname="Ada Lovelace",
        newclient_contactemail="ada@acme.example",
        newclient_contactphonenumber="123",
        newclient_delivery_address={"line1": "1 High Street", "postcode": "X1"},
    )
    assert not any(name.startswith("newclient_") for name in client)
    site = halo.get(f"/Site/{client['main_site_id']}", params={"includedetails": "true"}).json()
    assert (site["name"], site["maincontact_name"]) == ("HQ", "Ada Lovelace")
    assert site["delivery_address"] == {"line1": "1 High Street", "postcode": "X1"}
    user = halo.get(f"/Users/{client['main_contact_id']}").json()
    assert (user["firstname"], user["surname"], user["phonenumber"]) == ("Ada", "Lovelace", "123")
    assert user["emailaddress"] == "ada@acme.example"
    assert (user["client_id"], user["site_id"]) == (client["id"], float(site["id"]))


def test_addresses_show_in_lists_only_when_asked_for(halo: httpx.Client) -> None:
    query = {"client_id": 11}
    assert "delivery_address" not in halo.get("/Site", params=query).json()["sites"][0]
    asked = halo.get("/Site", params={**query, "includeaddress": "true"}).json()["sites"][0]
    assert asked["delivery_address"]["postcode"] == "SE1 2AB"


def test_the_main_contact_can_be_made_compulsory_and_free_again(sandbox: Sandbox, halo: httpx.Client) -> None:
    made(halo, "/Client", name="A")
    sandbox.configure(main_contact_compulsory=True)
    assert message(halo.post("/Client", json=[{"name": "A"}])) == "Please populate main contact name"
    assert message(halo.post("/Client", json=[{"name": "A", "newclient_contactname": ""}]))
    named = made(halo, "/Client", name="A", newclient_contactname="B")
    assert halo.get(f"/Users/{named['main_contact_id']}").json()["name"] == "B"
    made(halo, "/Client", id=named["id"], website="an update needs no contact")
    sandbox.configure(main_contact_compulsory=False)
    made(halo, "/Client", name="A")


def test_a_site_needs_a_client_and_a_name(halo: httpx.Client) -> None:
    assert made(halo, "/Site", client_id=11, name="Annexe")["client_name"] == "Alder & Finch Architects"
    assert "(515)" in message(halo.post("/Site", json=[{"name": "No client"}]))
    assert "(547)" in message(halo.post("/Site", json=[{"name": "x", "client_id": 4711}]))


def test_a_contact_belongs_to_the_client_of_its_site(halo: httpx.Client) -> None:
    user = made(halo, "/Users", firstname="Ann", surname="Bee", site_id=23, client_id=11)
    assert (user["name"], user["client_id"], user["site_id"]) == ("Ann Bee", 12, 23.0)
    assert made(halo, "/Users", name="C", client_id=13)["site_id"] == 24.0
    assert "(515)" in message(halo.post("/Users", json=[{"name": "Nowhere"}]))


def test_an_item_needs_an_existing_group(halo: httpx.Client) -> None:
    assert "(515)" in message(halo.post("/Item", json=[{"name": "No group"}]))
    assert "(547)" in message(halo.post("/Item", json=[{"name": "Odd group", "assetgroup_id": 4711}]))
    item = made(halo, "/Item", name="Widget", assetgroup_id=1, third_party_id="THIRD-1")
    assert (item["status"], item["assetgroup_name"]) == (14, "Hardware")
    assert halo.get("/Item", params={"search": "THIRD-1"}).json()["record_count"] == 0
    halo.post("/Item", json=[{"id": item["id"], "status": 15}])
    assert halo.get("/Item", params={"search": "Widget"}).json()["record_count"] == 0


def test_opportunities_are_rows_of_the_ticket_table(halo: httpx.Client) -> None:
    ticket = made(halo, "/Opportunities", summary="Only a ticket")
    assert ticket["is_opportunity"] is False
    deal = made(
        halo, "/Opportunities", summary="Deal 7", tickettype_id=6, user_id=34, third_party_id_string="Q-7"
    )
    assert (deal["client_id"], deal["site_id"], deal["is_opportunity"]) == (12, 23, True)

    def ids(path: str, **query: Any) -> list[int]:
        return [row["id"] for row in halo.get(path, params=query).json()["tickets"]]

    assert ids("/Opportunities") == [deal["id"]]
    assert ids("/Tickets") == [ticket["id"], deal["id"]]
    assert ids("/Tickets", domain="opps") == [deal["id"]]
    assert halo.get(f"/Tickets/{deal['id']}").json()["third_party_id_string"] == "Q-7"
    assert ids("/Opportunities", client_id=11) == []
    assert ids("/Opportunities", search="deal 7") == [deal["id"]]
    assert ids("/Opportunities", third_party_id_string="another") == [deal["id"]]


def test_an_opportunity_needs_a_summary_and_a_known_type(halo: httpx.Client) -> None:
    assert message(halo.post("/Opportunities", json=[{"tickettype_id": 6}]))
    assert message(halo.post("/Opportunities", json=[{"summary": "x", "tickettype_id": 4711}]))
    moved = made(halo, "/Opportunities", summary="x", tickettype_id=6)
    assert made(halo, "/Tickets", id=moved["id"], status_id=22)["status_name"] == "Won"


def test_small_records_are_accepted_with_the_least(halo: httpx.Client) -> None:
    assert made(halo, "/Supplier", name="S")["id"]
    assert made(halo, "/AssetGroup", name="Group")["id"]
    assert made(halo, "/Address", line1="1 Road", site_id=21)["site_name"] == "Main"
    assert made(halo, "/CustomIntegration", name="Hub")["module_id"]
    assert halo.post("/Supplier", json=[{}]).status_code == 400


def test_an_item_in_use_cannot_be_deleted(halo: httpx.Client) -> None:
    deal = made(halo, "/Opportunities", summary="x", tickettype_id=6, client_id=11)
    made(halo, "/Quotation", ticket_id=deal["id"], lines=[{"item_id": 51, "quantity": 1}])
    assert "obsolete" in message(halo.delete("/Item/51"))
    assert halo.delete("/Item/52").status_code == 200


def test_control_is_one_object(halo: httpx.Client) -> None:
    assert halo.get("/Control").json()["default_currency"] == "GBP"
