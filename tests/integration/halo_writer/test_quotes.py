"""A quote with its opportunity: created, overwritten, reflected; its lines, its money, its people."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from schemas.commands import Field, Named, QuoteLine
from schemas.targets import our_key
from tests.integration.halo_writer.bench import Bench
from tests.unit.halo_writer.build import Tool, always, by, changed

ALEX = Named(lookup="agent", name="Alex Morgan", missing="leave")


def lines_of(bench: Bench, quote: str = "New office") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.row("Quotation", title=quote)["lines"]
    return found


def three_lines(tool: Tool) -> list[QuoteLine]:
    return [
        tool.line("l1", "FW-100"),
        tool.line("l2", "DK-USBC-2", name="USB-C Docking Station", price=Decimal(159)),
        tool.line("l3", "MN-27-QHD", name="27-inch Monitor", price=Decimal(249)),
    ]


def three_items(tool: Tool) -> list[Any]:
    return [tool.item(sku, sku) for sku in ("FW-100", "DK-USBC-2", "MN-27-QHD")]


@pytest.mark.feature("opp.upsert", part="writer")
async def test_a_quote_has_one_opportunity_which_later_revisions_update_by_its_id(bench: Bench) -> None:
    tool = bench.tool
    first = tool.whole_quote(org_name="Brightwater Dental Group")
    await bench.settle(*first)
    made = bench.row("Faults", summary="New office")
    assert (made["client_id"], made["site_id"], made["tickettype_id"]) == (12, 22, 6)
    assert made["third_party_id_string"] == our_key(tool.target("opportunity", "q-1"))
    bench.marked()
    await bench.settle(tool.opportunity(seq=(2, 1), agent=ALEX, title="Another title"))
    assert bench.posts("Opportunities") == [{"id": made["id"], **bench.posts("Opportunities")[0]}]
    after = bench.row("Faults", id=made["id"])
    assert after["agent_id"] == 2
    assert after["summary"] == "New office", "its title is given at creation only"


@pytest.mark.feature("opp.upsert", part="writer")
async def test_an_opportunity_that_the_quote_names_is_used_and_not_created(bench: Bench) -> None:
    with bench.sandbox.client() as halo:
        made = halo.post(
            "/Opportunities", json=[{"summary": "By hand", "tickettype_id": 6, "client_id": 12}]
        ).json()
    bench.marked()
    commands = bench.tool.whole_quote(org_name="Brightwater Dental Group")
    named = changed(bench.tool.opportunity(write="on_create"), match=by(halo_id=made["id"]))
    commands[-2] = named
    await bench.settle(*commands)
    assert bench.posts("Opportunities") == []
    assert bench.row("Quotation", title="New office")["ticket_id"] == made["id"]
    assert bench.row("Faults", id=made["id"])["summary"] == "By hand"


@pytest.mark.feature("opp.upsert", part="writer")
async def test_an_opportunity_that_the_quote_names_but_halo_lost_rejects_by_its_id(bench: Bench) -> None:
    commands = bench.tool.whole_quote(org_name="Brightwater Dental Group")
    commands[-2] = changed(bench.tool.opportunity(), match=by(halo_id=4711))
    await bench.deliver(*commands)
    outcome = bench.outcome(commands[-2])
    assert (outcome.status, outcome.code) == ("rejected", "opportunity.gone")
    assert "4711" in (outcome.message or "")
    assert bench.requests("POST", "^/(Opportunities|Quotation)$") == []


@pytest.mark.feature("quote.upsert", part="writer")
@pytest.mark.feature("hub.order", part="writer")
async def test_a_published_quote_becomes_a_quote_under_its_opportunity_after_all_it_refers_to(
    bench: Bench,
) -> None:
    tool = bench.tool
    commands = tool.whole_quote(
        person="p-1",
        agent=ALEX,
        date=always(dt.date(2026, 3, 2)),
        expiry_date=always(dt.date(2026, 4, 1)),
        note=always("Valid for 30 days"),
        currency=always(Named(lookup="currency", name="USD")),
    )
    # The order of arrival doesn't matter.
    await bench.settle(*reversed(commands))
    assert [request["path"] for request in bench.requests("POST")] == [
        "/Client",
        "/Users",
        "/Opportunities",
        "/Quotation",
    ]
    client = bench.row("Client", name="Brackenridge Foods")
    opportunity = bench.row("Faults", summary="New office")
    quote = bench.row("Quotation", title="New office")
    assert quote["ticket_id"] == opportunity["id"]
    assert quote["client_id"] == opportunity["client_id"] == client["id"]
    assert (quote["status"], quote["currency_code"]) == (2, 2)
    assert (quote["date"][:10], quote["expiry_date"][:10]) == ("2026-03-02", "2026-04-01")
    assert quote["note"] == "Valid for 30 days"
    assert quote["third_party_number"] == our_key(commands[-1].target)
    assert bench.outcome(commands[-1]).result == "created"
    assert bench.outcome(commands[-1]).halo_id == quote["id"]


@pytest.mark.feature("quote.upsert", part="writer")
async def test_an_updated_quote_is_the_same_record_with_its_new_values(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(note=always("First")))
    quote = bench.row("Quotation", title="New office")
    bench.marked()
    update = tool.quote(seq=(2, 1), title="New offices", note=always("Second"))
    await bench.settle(update)
    (posted,) = bench.posts("Quotation")
    assert posted["id"] == quote["id"]
    assert "lines" not in posted, "they did not change"
    after = bench.row("Quotation", id=quote["id"])
    assert (after["title"], after["note"]) == ("New offices", "Second")
    assert [line["id"] for line in after["lines"]] == [line["id"] for line in quote["lines"]]
    assert len(bench.rows("Quotation")) == 1


@pytest.mark.feature("user.quote", part="writer")
async def test_the_quote_names_the_person_it_was_prepared_for(bench: Bench) -> None:
    tool = bench.tool
    commands = tool.whole_quote(
        org_name="Brightwater Dental Group",
        person="maya",
        user=tool.user("maya", "Maya Osei", email="maya.osei@brightwater.example"),
    )
    await bench.settle(*commands)
    assert bench.row("Quotation", title="New office")["user_id"] == 33
    assert bench.row("Faults", summary="New office")["user_id"] == 33


@pytest.mark.feature("agent.both", part="writer")
async def test_the_agent_is_on_the_quote_and_on_its_opportunity(bench: Bench) -> None:
    await bench.settle(*bench.tool.whole_quote(agent=ALEX))
    quote = bench.row("Quotation", title="New office")
    assert (quote["agent_id"], quote["assigned_agent"]) == (2, 2)
    assert bench.row("Faults", summary="New office")["agent_id"] == 2


@pytest.mark.feature("agent.both", part="writer")
async def test_an_agent_that_halo_does_not_know_is_told_and_the_document_still_goes(bench: Bench) -> None:
    commands = bench.tool.whole_quote(agent=Named(lookup="agent", name="Alex Morgen", missing="leave"))
    await bench.settle(*commands)
    assert "agent_id" not in bench.posts("Quotation")[0]
    (notice,) = bench.outcome(commands[-1]).notices
    assert notice.code == "agent.unknown"
    assert "alex morgan" in notice.message.casefold(), "the near match is named"


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_a_revision_replaces_the_lines_and_those_gone_at_the_source_vanish(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(items=three_items(tool), lines=three_lines(tool)))
    first, second, third = lines_of(bench)
    lines = three_lines(tool)
    changed_line = tool.line(
        "l3", "MN-27-QHD", name="27-inch Monitor", price=Decimal(240), quantity=Decimal(4)
    )
    new = tool.line("l4", "FW-100", name="Second firewall")
    await bench.settle(tool.quote(seq=(2, 1), lines=[changed_line, new, lines[0]]))
    after = lines_of(bench)
    assert [line["name"] for line in after] == ["27-inch Monitor", "Second firewall", "Firewall Appliance"]
    assert after[0]["id"] == third["id"], "a line keeps its Halo id wherever it moves"
    assert after[2]["id"] == first["id"]
    assert after[1]["id"] not in {first["id"], second["id"], third["id"]}
    assert (after[0]["price"], after[0]["quantity"]) == (240.0, 4.0)
    assert len(bench.rows("Quotation")) == 1
    # And back again: three revisions are three changes.
    await bench.settle(tool.quote(seq=(3, 1), lines=three_lines(tool)))
    assert [line["productcode"] for line in lines_of(bench)] == ["FW-100", "DK-USBC-2", "MN-27-QHD"]


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_a_revision_without_lines_empties_the_quote(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(items=three_items(tool), lines=three_lines(tool)))
    await bench.settle(tool.quote(seq=(2, 1), lines=[]))
    assert lines_of(bench) == []


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_lines_that_a_person_added_in_halo_go_with_the_next_revisions_lines(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(items=three_items(tool), lines=three_lines(tool)))
    quote = bench.row("Quotation", title="New office")
    by_hand = [{"id": line["id"]} for line in quote["lines"]] + [{"item_id": 60, "quantity": 1, "price": 35}]
    with bench.sandbox.client() as halo:
        halo.post("/Quotation", json=[{"id": quote["id"], "lines": by_hand}]).raise_for_status()
    await bench.settle(tool.quote(seq=(2, 1), lines=three_lines(tool)[:2]))
    assert [line["name"] for line in lines_of(bench)] == ["Firewall Appliance", "USB-C Docking Station"]


@pytest.mark.feature("quote.status.reflect", part="writer")
async def test_a_status_alone_is_posted_without_lines_or_head(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote())
    before = bench.row("Quotation", title="New office")
    with bench.sandbox.client() as halo:
        by_hand = {"id": before["id"], "lines": [{"id": before["lines"][0]["id"], "quantity": 7}]}
        halo.post("/Quotation", json=[by_hand]).raise_for_status()
    bench.marked()
    await bench.settle(tool.quote(seq=(2, 1), status="Accepted"))
    assert bench.posts("Quotation") == [{"id": before["id"], "status": 3}]
    after = bench.row("Quotation", id=before["id"])
    assert after["status"] == 3
    assert after["lines"][0]["quantity"] == 7.0, "what a person did to the lines stands"


@pytest.mark.feature("quote.status.reflect", part="writer")
async def test_a_status_that_halo_does_not_have_changes_nothing_and_is_told(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote())
    bench.marked()
    command = tool.quote(seq=(2, 1), status="Pondered")
    await bench.settle(command)
    assert bench.requests() == []
    assert bench.row("Quotation", title="New office")["status"] == 2
    assert [notice.code for notice in bench.outcome(command).notices] == ["quote_status.unknown"]


@pytest.mark.feature("quote.out_of_order", part="writer")
async def test_an_older_revision_that_comes_late_does_not_overwrite_a_newer_one(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(seq=(3, 1), title="Third"))
    bench.marked()
    old = [tool.quote(seq=(2, 1), title="Second"), tool.opportunity(seq=(2, 1), agent=ALEX)]
    await bench.settle(*old)
    assert bench.requests() == []
    assert [row["title"] for row in bench.rows("Quotation")] == ["Third"]
    assert {bench.outcome(command).status for command in old} == {"superseded"}


@pytest.mark.feature("quote.out_of_order", part="writer")
@pytest.mark.invariant("INV-6")
async def test_of_many_revisions_that_arrive_at_once_only_the_newest_is_sent_and_all_are_told(
    bench: Bench,
) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(seq=(1, 1)))
    bench.marked()
    revisions = [tool.quote(seq=(n, 1), title=f"Revision {n}") for n in (3, 5, 2, 4)]
    await bench.settle(*revisions)
    assert [post["title"] for post in bench.posts("Quotation")] == ["Revision 5"]
    assert bench.outcome(revisions[1]).status == "applied"
    others = [revisions[0], revisions[2], revisions[3]]
    assert {bench.outcome(command).status for command in others} == {"superseded"}
    newest = bench.outcome(revisions[1]).command_id
    assert {bench.outcome(command).superseded_by for command in others} == {newest}


@pytest.mark.feature("quote.lines.write", part="writer")
async def test_recurring_and_one_time_lines_arrive_in_order_with_all_that_they_say(bench: Bench) -> None:
    tool = bench.tool
    northgate = Named(lookup="supplier", name="Northgate Distribution", missing="leave")
    monthly = Named(lookup="billing_period", name="Monthly")
    lines = [
        tool.line(
            "l1",
            "MSP-WS",
            name="Managed Workstation",
            quantity=Decimal(12),
            base_price=Decimal(32),
            price=Decimal("28.80"),
            discount_percent=Decimal(10),
            cost=Decimal("14.00"),
            recurring=True,
            billing_period=monthly,
            description="Per device",
        ),
        tool.line(
            "l2",
            "FW-100",
            quantity=Decimal("1.5"),
            cost=Decimal(690),
            tax=Decimal("269.70"),
            supplier=northgate,
        ),
    ]
    items = [tool.item("MSP-WS", "Managed Workstation"), tool.item("FW-100", "Firewall Appliance")]
    await bench.settle(*tool.whole_quote(items=items, lines=lines, net="1694.10"))
    recurring, single = lines_of(bench)
    assert (recurring["item_id"], recurring["item_recurring"], recurring["billingperiod"]) == (68, True, 2)
    assert (recurring["quantity"], recurring["baseprice"], recurring["price"]) == (12.0, 32.0, 28.8)
    assert (recurring["discount_perc"], recurring["costprice"]) == (10.0, 14.0)
    assert recurring["description"] == "Per device"
    assert (single["item_id"], single["item_recurring"], single["quantity"]) == (57, False, 1.5)
    assert (single["tax"], single["supplier_id"], single["productcode"]) == (269.7, 1, "FW-100")
    assert [recurring["sort_seq"], single["sort_seq"]] == [1, 2]


@pytest.mark.feature("quote.lines.write", part="writer")
async def test_a_recurring_line_on_a_one_time_item_is_rejected_by_name_and_not_sent(bench: Bench) -> None:
    tool = bench.tool
    line = tool.line(
        "l9", "FW-100", recurring=True, billing_period=Named(lookup="billing_period", name="Monthly")
    )
    commands = tool.whole_quote(lines=[tool.line("l1"), line])
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.code) == ("rejected", "line.item_not_recurring")
    assert "l9" in (outcome.message or "")
    assert "Firewall Appliance" in (outcome.message or "")
    assert "recurring" in (outcome.fix or "")
    assert bench.rows("Quotation") == []
    assert bench.requests("POST", "^/Quotation$") == []


@pytest.mark.feature("money.discount", part="writer")
async def test_discounts_show_on_the_lines_and_the_total_matches_to_the_cent(bench: Bench) -> None:
    tool = bench.tool
    lines = [
        tool.line(
            "l1",
            quantity=Decimal(3),
            base_price=Decimal(899),
            price=Decimal("599.333333"),
            discount_percent=Decimal("33.333333"),
        ),
        tool.line("l2", price=Decimal("809.10"), base_price=Decimal(899), discount_percent=Decimal(10)),
    ]
    commands = tool.whole_quote(lines=lines, net="2607.10")
    await bench.settle(*commands)
    quote = bench.row("Quotation", title="New office")
    assert [line["discount_perc"] for line in quote["lines"]] == [33.333333, 10.0]
    assert Decimal(str(quote["revenue"])) == Decimal("2607.10")
    assert bench.outcome(commands[-1]).notices == ()


@pytest.mark.feature("money.discount", part="writer")
async def test_a_discount_that_halo_refuses_rejects_the_quote_in_halos_words(bench: Bench) -> None:
    said = "Line 1 'Firewall Appliance': the maximum discount for this item is 10%"
    bench.sandbox.arm("error", path="^/Quotation$", status=400, answer=said)
    commands = bench.tool.whole_quote(lines=[bench.tool.line(discount_percent=Decimal(60))])
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.message) == ("rejected", said)
    (letter,) = bench.dead_letters()
    assert "Firewall Appliance" in letter.message
    assert bench.rows("Quotation") == []


@pytest.mark.feature("money.tax", part="writer")
async def test_the_sources_tax_is_kept_as_given_and_the_site_is_always_sent(bench: Bench) -> None:
    tool = bench.tool
    lines = [tool.line("l1", tax=Decimal("71.92")), tool.line("l2", tax=Decimal(0))]
    commands = tool.whole_quote(lines=lines, net="1798", tax="71.92")
    await bench.settle(*commands)
    (posted,) = bench.posts("Quotation")
    assert posted["site_id"] == bench.row("Site", id=posted["site_id"])["id"]
    assert [line["ignoretaxcalc"] for line in posted["lines"]] == [True, True]
    quote = bench.row("Quotation", title="New office")
    assert quote["tax_total"] == 71.92, "Halo's own rate would be 20 %"
    assert bench.outcome(commands[-1]).notices == ()


@pytest.mark.feature("money.tax", part="writer")
async def test_without_pushed_taxes_halo_calculates_its_own(bench: Bench) -> None:
    commands = bench.tool.whole_quote(net="899")
    await bench.settle(*commands)
    assert "ignoretaxcalc" not in bench.posts("Quotation")[0]["lines"][0]
    assert bench.row("Quotation", title="New office")["tax_total"] == 179.8
    assert bench.outcome(commands[-1]).notices == ()


@pytest.mark.feature("money.tax", part="writer")
async def test_totals_that_differ_from_the_sources_are_told_with_both_numbers(bench: Bench) -> None:
    lines = [bench.tool.line("l1", tax=Decimal(10))]
    commands = bench.tool.whole_quote(lines=lines, net="900.01", tax="12")
    await bench.settle(*commands)
    notices = {notice.code: notice.message for notice in bench.outcome(commands[-1]).notices}
    assert notices.keys() == {"totals.net", "totals.tax"}
    assert "899" in notices["totals.net"]
    assert "900.01" in notices["totals.net"]
    assert "10" in notices["totals.tax"]
    assert bench.outcome(commands[-1]).result == "created"


async def test_a_field_that_the_rules_give_only_when_present_is_left_in_halo_when_empty(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(note=Field(value="Keep me", write="if_present")))
    await bench.settle(tool.quote(seq=(2, 1), title="Other", note=Field(value="", write="if_present")))
    assert bench.row("Quotation", title="Other")["note"] == "Keep me"
