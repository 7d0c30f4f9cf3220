"""Opportunities in Halo: picked ones, their products, status, team and name; and what Halo refuses about them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from schemas.commands import Command, Named, UpsertOpportunity
from schemas.targets import our_key
from tests.integration.halo_writer.bench import Bench
from tests.unit.halo_writer.build import always, basis, by, changed, once

BRIGHTWATER = "Brightwater Dental Group"
ALEX = Named(lookup="agent", name="Alex Morgan", missing="leave")


def status(name: str) -> Any:
    return always(Named(lookup="status", name=name, missing="leave", setting="opportunities.statuses"))


def around(bench: Bench, **fields: Any) -> list[Command]:
    """What an opportunity refers to, and the opportunity."""
    whole = bench.tool.whole_quote(org_name=BRIGHTWATER)
    kinds = ("client", "site", "item")
    return [c for c in whole if c.kind in kinds] + [bench.tool.opportunity(**fields)]


def made_by_hand(bench: Bench, **fields: Any) -> dict[str, Any]:
    element = {"summary": "By hand", "tickettype_id": 6, "client_id": 12} | fields
    with bench.sandbox.client() as halo:
        answer = halo.post("/Opportunities", json=[element])
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()
    bench.marked()
    return made


def picked(bench: Bench, halo_id: int, **fields: Any) -> UpsertOpportunity:
    return changed(bench.tool.opportunity(write="on_create", **fields), match=by(halo_id=halo_id))


# Status, team, name, value


@pytest.mark.feature("opp.status.out", part="writer")
async def test_a_status_alone_is_posted_alone_and_what_halo_lacks_is_told(bench: Bench) -> None:
    await bench.settle(*around(bench, status=status("In Progress")))
    made = bench.row("Faults", summary="New office")
    assert made["status_id"] == 2
    bench.marked()
    await bench.settle(bench.tool.opportunity(seq=(2, 1), status=status("Quote Sent")))
    assert bench.posts("Opportunities") == [{"id": made["id"], "status_id": 21}]
    bench.marked()
    unknown = bench.tool.opportunity(seq=(3, 1), status=status("Pondered"))
    await bench.settle(unknown)
    assert bench.requests() == []
    assert [notice.code for notice in bench.outcome(unknown).notices] == ["status.unknown"]
    assert bench.row("Faults", id=made["id"])["status_id"] == 21


@pytest.mark.feature("opp.status.out", part="writer")
async def test_a_first_status_never_overwrites_a_later_one(bench: Bench) -> None:
    first = once(Named(lookup="status", name="Qualified", missing="leave"))
    await bench.settle(*around(bench, status=first))
    made = bench.row("Faults", summary="New office")
    assert made["status_id"] == 20
    bench.sandbox.edit("Opportunities", made["id"], status_id=22)
    await bench.settle(bench.tool.opportunity(seq=(2, 1), status=first, agent=ALEX))
    after = bench.row("Faults", id=made["id"])
    assert (after["status_id"], after["agent_id"]) == (22, 2)


async def test_a_team_goes_by_halos_own_spelling_and_one_that_halo_lacks_is_told(bench: Bench) -> None:
    sales = always(Named(lookup="team", name="sales ", missing="leave"))
    await bench.settle(*around(bench, team=sales))
    made = bench.row("Faults", summary="New office")
    assert made["team"] == "Sales"
    unknown = bench.tool.opportunity(
        seq=(2, 1), team=always(Named(lookup="team", name="EMEA", missing="leave"))
    )
    await bench.settle(unknown)
    assert bench.row("Faults", id=made["id"])["team"] == "Sales"
    assert [notice.code for notice in bench.outcome(unknown).notices] == ["team.unknown"]


@pytest.mark.feature("opp.name", part="writer")
async def test_an_opportunity_is_renamed_where_its_title_is_owned_and_else_keeps_its_name(
    bench: Bench,
) -> None:
    await bench.settle(*around(bench, title="First"))
    made = bench.row("Faults", summary="First")
    await bench.settle(bench.tool.opportunity(seq=(2, 1), title="Second", agent=ALEX))
    assert bench.row("Faults", id=made["id"])["summary"] == "First"
    renamed = changed(bench.tool.opportunity(seq=(3, 1), agent=ALEX), title=always("Third"))
    await bench.settle(renamed)
    assert bench.row("Faults", id=made["id"])["summary"] == "Third"


async def test_a_value_that_changes_is_posted_alone(bench: Bench) -> None:
    await bench.settle(*around(bench, value=always(Decimal("1200.50"))))
    made = bench.row("Faults", summary="New office")
    assert made["oppvalue"] == 1200.5
    bench.marked()
    await bench.settle(bench.tool.opportunity(seq=(2, 1), value=always(Decimal(900))))
    assert bench.posts("Opportunities") == [{"id": made["id"], "oppvalue": 900}]


async def test_a_ticket_type_that_halo_lacks_rejects_with_the_setting_and_near_names(bench: Bench) -> None:
    kind = Named(lookup="ticket_type", name="Oportunity", setting="opportunities.ticket_types", chosen=True)
    command = changed(bench.tool.opportunity(), ticket_type=once(kind))
    await bench.settle(*around(bench)[:-1], command)
    outcome = bench.outcome(command)
    assert (outcome.status, outcome.code) == ("rejected", "name.unknown")
    assert "opportunity" in (outcome.message or "").casefold()
    assert "opportunities.ticket_types" in (outcome.fix or "")
    assert bench.posts("Opportunities") == []


# Products


def products(bench: Bench, title: str = "New office") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.row("Faults", summary=title).get("items_issued") or []
    return found


@pytest.mark.feature("opp.lines", part="writer")
async def test_products_arrive_in_order_with_all_that_they_say(bench: Bench) -> None:
    tool = bench.tool
    lines = (
        tool.product("l1", quantity=Decimal(2), price=Decimal("809.10"), cost=Decimal(690), tax=Decimal(10)),
        tool.product("l2", name="Second", part_number="PN-2", price=Decimal(5)),
    )
    await bench.settle(*around(bench, lines=always(lines)))
    first, second = products(bench)
    assert (first["item_id"], first["supplier_part_code"], first["name"]) == (
        57,
        "FW-100",
        "Firewall Appliance",
    )
    assert (first["quantity"], first["price"], first["costprice"], first["tax"]) == (2.0, 809.1, 690.0, 10.0)
    assert (second["name"], second["supplier_part_code"]) == ("Second", "PN-2")
    assert "costprice" not in second
    assert first["note2"] == our_key(tool.target("opportunity", "q-1"), "l1")


@pytest.mark.feature("opp.lines", part="writer")
async def test_a_revision_replaces_the_products_and_each_that_stays_keeps_its_id(bench: Bench) -> None:
    tool = bench.tool
    three = [tool.product(f"l{n}", name=f"Line {n}", price=Decimal(n)) for n in (1, 2, 3)]
    await bench.settle(*around(bench, lines=always(tuple(three))))
    ids = {row["name"]: row["id"] for row in products(bench)}
    bench.marked()
    changed_line = tool.product("l3", name="Line 3", price=Decimal(30))
    lines = (changed_line, tool.product("l4", name="Line 4"), three[0])
    await bench.settle(tool.opportunity(seq=(2, 1), lines=always(lines)))
    after = products(bench)
    assert [row["name"] for row in after] == ["Line 3", "Line 4", "Line 1"]
    assert (after[0]["id"], after[2]["id"]) == (ids["Line 3"], ids["Line 1"])
    assert after[0]["price"] == 30.0
    (posted,) = bench.posts("Opportunities")
    assert posted.keys() == {"id", "items_issued"}
    assert len(posted["items_issued"]) == 3
    assert [method["method"] for method in bench.requests()] == ["POST"]


@pytest.mark.feature("opp.lines", part="writer")
async def test_products_that_did_not_change_are_not_sent_and_none_empties(bench: Bench) -> None:
    lines = always((bench.tool.product(),))
    await bench.settle(*around(bench, lines=lines))
    bench.marked()
    await bench.settle(bench.tool.opportunity(seq=(2, 1), lines=lines))
    assert bench.requests() == []
    await bench.settle(bench.tool.opportunity(seq=(3, 1), lines=always(())))
    assert products(bench) == []


@pytest.mark.feature("opp.lines", part="writer")
async def test_after_a_lost_reply_each_product_is_there_once_and_known_again(bench: Bench) -> None:
    await bench.prove_look_ups()
    tool = bench.tool
    lines = always(tuple(tool.product(f"l{n}", name=f"Line {n}") for n in (1, 2)))
    whole = around(bench, lines=lines)
    await bench.settle(*whole[:-1])
    bench.sandbox.arm("store_then_drop", method="POST", path="^/Opportunities$")
    await bench.settle(whole[-1])
    ids = [row["id"] for row in products(bench)]
    assert len(ids) == 2
    turned = always(tuple(tool.product(f"l{n}", name=f"Line {n}") for n in (2, 1)))
    await bench.settle(tool.opportunity(seq=(2, 1), lines=turned))
    assert [row["id"] for row in products(bench)] == ids[::-1], "found again by our key, not by their places"


@pytest.mark.feature("opp.lines", part="writer")
async def test_products_value_and_team_cost_a_quote_of_a_known_customer_no_request(bench: Bench) -> None:
    """Two for a known client and five known products, whatever the opportunity shows; none for a repeat."""
    tool = bench.tool
    skus = ("FW-100", "DK-USBC-2", "MN-27-QHD", "LT-14-G5", "SW-24-POE")
    items = [tool.item(sku, sku) for sku in skus]
    await bench.settle(*tool.whole_quote(org_name=BRIGHTWATER, items=items))
    bench.marked()
    lines = [tool.line(f"l{place}", sku) for place, sku in enumerate(skus)]
    second = tool.whole_quote("q-2", org_name=BRIGHTWATER, items=items, lines=lines)
    second[-2] = tool.opportunity(
        "q-2",
        team=always(Named(lookup="team", name="Sales", missing="leave")),
        value=always(Decimal(4495)),
        lines=always(tuple(tool.product(f"l{place}", sku) for place, sku in enumerate(skus))),
    )
    await bench.settle(*second)
    assert [request["path"] for request in bench.requests()] == ["/Opportunities", "/Quotation"]
    bench.marked()
    await bench.settle(*second)
    assert bench.requests() == []


# Picked ones


@pytest.mark.feature("opp.lines", part="writer")
async def test_what_a_person_put_on_a_picked_opportunity_stays_beside_the_documents_products(
    bench: Bench,
) -> None:
    tool = bench.tool
    own = [{"item_id": 60, "name": "By hand", "quantity": 1, "price": 35}]
    made = made_by_hand(bench, items_issued=own)
    two = tuple(tool.product(f"l{n}", name=f"Line {n}") for n in (1, 2))
    await bench.settle(*around(bench)[:-1], picked(bench, made["id"], lines=always(two)))
    found = products(bench, "By hand")
    assert sorted(row["name"] for row in found) == ["By hand", "Line 1", "Line 2"]
    await bench.settle(picked(bench, made["id"], seq=(2, 1), lines=always(two[:1])))
    found = products(bench, "By hand")
    assert sorted(row["name"] for row in found) == ["By hand", "Line 1"], "what the source took out goes"
    (stayed,) = [row for row in found if row["name"] == "By hand"]
    assert (stayed["id"], stayed["price"]) == (made["items_issued"][0]["id"], 35.0)


@pytest.mark.feature("opp.lines", part="writer")
async def test_products_alone_change_on_a_picked_opportunity_that_has_an_owner(bench: Bench) -> None:
    """What a person put there is read for the products' sake, without what else the command says."""
    made = made_by_hand(bench, items_issued=[{"item_id": 60, "name": "By hand", "quantity": 1, "price": 35}])
    two = tuple(bench.tool.product(f"l{n}", name=f"Line {n}") for n in (1, 2))
    await bench.settle(*around(bench)[:-1], picked(bench, made["id"], agent=ALEX, lines=always(two)))
    bench.marked()
    await bench.settle(picked(bench, made["id"], seq=(2, 1), agent=ALEX, lines=always(two[:1])))
    (sent,) = bench.posts("Opportunities")
    assert sent.keys() == {"id", "items_issued"}


async def test_a_picked_opportunity_that_was_deleted_later_is_told_by_its_own_code_and_not_made_anew(
    bench: Bench,
) -> None:
    made = made_by_hand(bench)
    await bench.settle(*around(bench)[:-1], picked(bench, made["id"]))
    bench.sandbox.remove("Opportunities", made["id"])
    bench.marked()
    later = picked(bench, made["id"], seq=(2, 1), agent=ALEX)
    await bench.settle(later)
    outcome = bench.outcome(later)
    assert (outcome.status, outcome.code) == ("rejected", "opportunity.gone")
    assert "asking for a new one" in (outcome.fix or "")
    again = changed(later, basis=basis(cause="redrive-1"))
    await bench.settle(again)
    assert bench.outcome(again).code == "opportunity.gone"
    assert [request for request in bench.requests("POST") if request["applied"]] == []


# What Halo refuses


@pytest.mark.feature("gotcha.appointments", part="writer")
async def test_the_appointment_check_is_recognised_and_its_setting_named(bench: Bench) -> None:
    bench.sandbox.load({"Control": {"checkreassignappclashes": True}})
    commands = around(bench, agent=ALEX)
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.code) == ("rejected", "halo.rejected")
    assert "ongoing Appointments" in (outcome.message or ""), "Halo's own words"
    assert "check for ongoing Appointments" in (outcome.fix or "")
    assert "Configuration > Tickets > General Settings" in (outcome.fix or "")
    (letter,) = bench.dead_letters()
    assert letter.fix == outcome.fix
    bench.sandbox.load({"Control": {"checkreassignappclashes": False}})
    again = changed(commands[-1], basis=basis(cause="redrive-1"))
    await bench.settle(again)
    assert bench.outcome(again).result == "created"


@pytest.mark.feature("gotcha.required_fields", part="writer")
async def test_mandatory_fields_of_the_ticket_type_are_named_with_where_to_switch_them_off(
    bench: Bench,
) -> None:
    bench.sandbox.load({"TicketType": [OPPORTUNITY_TYPE]})
    commands = around(bench)
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.code) == ("rejected", "halo.rejected")
    for name in ("Budget Holder", "Region of Sale"):
        assert name in (outcome.message or "")
        assert name in (outcome.fix or "")
    assert "Field List" in (outcome.fix or "")
    assert bench.rows("Faults") == []


@pytest.mark.feature("gotcha.required_fields", part="writer")
async def test_a_required_target_date_is_explained_by_its_own_fix(bench: Bench) -> None:
    kind = {"id": 6, "name": "Opportunity", "use": "opportunity", "cancreate": True, "fields": [TARGET_DATE]}
    bench.sandbox.load({"TicketType": [kind]})
    commands = around(bench)
    await bench.settle(*commands)
    fix = bench.outcome(commands[-1]).fix or ""
    assert "Field List > Target Date" in fix
    assert "Visible - Not Required" in fix


def mandatory(number: int, name: str, label: str) -> dict[str, Any]:
    info = {"id": number, "name": name, "label": label}
    return {"id": number, "fieldid": number, "fieldname": label, "technew": 2, "fieldinfo": info}


TARGET_DATE = mandatory(11, "targetdate", "Target Date")
OPPORTUNITY_TYPE = {
    "id": 6,
    "name": "Opportunity",
    "use": "opportunity",
    "cancreate": True,
    "fields": [
        mandatory(21, "CFBudgetHolder", "Budget Holder"),
        mandatory(22, "CFRegion", "Region of Sale"),
        {"id": 23, "fieldid": 23, "fieldname": "Details", "technew": 1, "fieldinfo": {"name": "details"}},
    ],
}
