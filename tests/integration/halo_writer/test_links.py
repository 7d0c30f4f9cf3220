"""Linked fields and the addresses of quotes, in Halo: custom fields by id, others' kept, nothing sent twice."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import Linked, Named, SiteAddress
from tests.integration.halo_writer.bench import Bench
from tests.unit.halo_writer.build import always, changed

INDUSTRY, LOYALTY, CAMPAIGN, MARGIN, VENDOR = 201, 202, 203, 204, 205
"""The custom fields of the packaged tenant."""


def custom(name: str, value: str) -> Linked:
    named = Named(
        lookup="custom_field", name=name, missing="leave", setting="fields.quotes.custom.x", chosen=True
    )
    return Linked(custom_field=named, value=value)


def held(row: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field["value"] for field in row.get("customfields") or ()}


@pytest.mark.feature("field.links.write", part="writer")
async def test_linked_values_are_written_with_each_record_custom_fields_by_their_ids(bench: Bench) -> None:
    await bench.read_halo()
    tool = bench.tool
    links = (custom("cfindustry", "Food"), Linked(field="ref", value="C-1"))
    dated = (Linked(field="targetdate", value="2026-04-01", type="date"), custom("CFCampaign", "Spring"))
    numbered = (Linked(field="oppvalue_monthly", value="12.5", type="number"),)
    line = tool.line(links=(custom("CFVendor", "Ingram"), Linked(field="note", value="Room 12")))
    commands = [
        tool.client(links=always(links)),
        tool.site(),
        tool.user(links=always((custom("CFLoyalty", "77"), Linked(field="mobilenumber", value="+44 7")))),
        tool.item("FW-100", "Firewall Appliance"),
        tool.opportunity(links=always((*dated, *numbered))),
        tool.quote(lines=[line], links=always((custom("CFMargin", "17"), Linked(field="risk", value="low")))),
    ]
    await bench.settle(*commands)
    client = bench.row("Client", name="Brackenridge Foods")
    assert (client["ref"], held(client)) == ("C-1", {"CFIndustry": "Food"})
    user = bench.row("Users", name="Nina Park")
    assert (user["mobilenumber"], held(user)) == ("+44 7", {"CFLoyalty": "77"})
    opportunity = bench.row("Opportunities", summary="New office")
    assert opportunity["targetdate"] == "2026-04-01T00:00:00"
    assert opportunity["oppvalue_monthly"] == 12.5
    assert held(opportunity) == {"CFCampaign": "Spring"}
    quote = bench.row("Quotation", title="New office")
    assert (quote["risk"], held(quote)) == ("low", {"CFMargin": "17"})
    assert (quote["lines"][0]["note"], held(quote["lines"][0])) == ("Room 12", {"CFVendor": "Ingram"})
    (sent,) = bench.posts("Client")
    assert sent["customfields"] == [{"id": INDUSTRY, "value": "Food"}]
    assert all(not bench.outcome(command).notices for command in commands)


@pytest.mark.feature("field.links.write", part="writer")
async def test_a_changed_link_is_sent_alone_and_custom_fields_that_it_does_not_own_stay(bench: Bench) -> None:
    await bench.read_halo()
    tool = bench.tool
    first = tool.quote(links=always((custom("CFMargin", "17"),)))
    await bench.settle(
        tool.client(), tool.site(), tool.item("FW-100", "Firewall Appliance"), tool.opportunity(), first
    )
    row = bench.row("Quotation", title="New office")
    by_hand = {"id": CAMPAIGN, "name": "CFCampaign", "value": "Spring"}
    bench.sandbox.edit("Quotation", row["id"], customfields=[*row["customfields"], by_hand])
    bench.marked()
    second = changed(first, seq=(2, 1), links=always((custom("CFMargin", "18"),)))
    await bench.settle(second, changed(second, seq=(3, 1)))
    (sent,) = bench.posts("Quotation")
    assert sent == {"id": row["id"], "customfields": [{"id": MARGIN, "value": "18"}]}
    assert held(bench.row("Quotation", title="New office")) == {"CFMargin": "18", "CFCampaign": "Spring"}


@pytest.mark.feature("field.links.write", part="writer")
async def test_a_custom_field_that_halo_lacks_is_left_out_with_a_warning_that_says_what_is_near(
    bench: Bench,
) -> None:
    await bench.read_halo()
    command = bench.tool.client(
        links=always((custom("CFIndustri", "Food"), Linked(field="ref", value="C-1")))
    )
    await bench.settle(command)
    assert bench.row("Client", name="Brackenridge Foods")["ref"] == "C-1"
    (notice,) = bench.outcome(command).notices
    assert notice.code == "custom_field.unknown"
    assert "'CFIndustri'" in notice.message
    assert "CFIndustry" in notice.message


@pytest.mark.feature("field.links.write", part="writer")
async def test_of_several_custom_fields_with_one_name_halo_takes_the_records_own(bench: Bench) -> None:
    bench.sandbox.load({"FieldInfo": [{"id": 301, "name": "CFIndustry", "label": "Industry", "usage": 4}]})
    await bench.read_halo()
    await bench.settle(bench.tool.client(links=always((custom("CFIndustry", "Food"),))))
    (sent,) = bench.posts("Client")
    assert sent["customfields"] == [{"name": "CFIndustry", "value": "Food"}]


@pytest.mark.feature("extra.addresses", part="writer")
async def test_the_addresses_of_a_quote_are_written_and_an_unmapped_line_stays(bench: Bench) -> None:
    await bench.read_halo()
    tool = bench.tool
    sold = SiteAddress(line1="1 High St", line3="Bath", postcode="BA1")
    ship = SiteAddress(line1="Dock 2", line2="", postcode="")
    first = tool.quote(sold_to=always(sold), ship_to=always(ship))
    await bench.settle(
        tool.client(), tool.site(), tool.item("FW-100", "Firewall Appliance"), tool.opportunity(), first
    )
    row = bench.row("Quotation", title="New office")
    assert (row["address"]["line1"], row["address"]["line3"], row["address"]["postcode"]) == (
        "1 High St",
        "Bath",
        "BA1",
    )
    assert row["delivery_address"]["line1"] == "Dock 2"
    by_hand = {**row["address"], "line2": "By hand"}
    bench.sandbox.edit("Quotation", row["id"], address=by_hand)
    bench.marked()
    moved = changed(
        first, seq=(2, 1), sold_to=always(SiteAddress(line1="2 Low St", line3="", postcode="BA2"))
    )
    await bench.settle(moved)
    address = bench.row("Quotation", title="New office")["address"]
    assert (address["line1"], address["line2"], address["line3"], address["postcode"]) == (
        "2 Low St",
        "By hand",
        "",
        "BA2",
    )
    assert [request["method"] for request in bench.requests()] == ["GET", "POST"]
    bench.marked()
    await bench.settle(changed(moved, seq=(3, 1), title=always("Renamed")))
    assert [request["method"] for request in bench.requests()] == ["POST"]
