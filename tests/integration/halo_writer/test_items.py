"""Products: matched, remembered, created once, and never in a group that Halo doesn't have."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.commands import Named
from schemas.targets import our_key
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.unit.halo_writer.build import always, by

# Items of the packaged tenant.
LAPTOP, DOCK, FIREWALL = 51, 53, 57


@pytest.mark.feature("item.create", part="writer")
async def test_an_unmatched_product_becomes_an_item_with_all_that_the_line_says(bench: Bench) -> None:
    item = bench.tool.item(
        "SH-1U", "Rack Shelf", price="40.50", cost="25.25", description=always("1U, vented")
    )
    await bench.settle(item)
    made = bench.row("Item", name="Rack Shelf")
    assert (made["assetgroup_id"], made["baseprice"], made["costprice"]) == (1, 40.5, 25.25)
    assert made["description"] == "1U, vented"
    assert made["isrecurringitem"] is False
    assert made["third_party_id"] == our_key(item.target)
    assert bench.outcome(item).result == "created"


@pytest.mark.feature("item.create", part="writer")
async def test_a_recurring_product_becomes_a_recurring_item_with_its_period(bench: Bench) -> None:
    item = bench.tool.item("MB-1", "Mailbox", price="4", cost="2", recurring=True, period="Monthly")
    await bench.settle(item)
    made = bench.row("Item", name="Mailbox")
    assert made["isrecurringitem"] is True
    assert made["item_default_billing_period"] == 2
    assert (made["baseprice"], made["recurringprice"]) == (4.0, 4.0)
    assert (made["costprice"], made["recurringcost"]) == (2.0, 2.0)


@pytest.mark.feature("item.create", part="writer")
@pytest.mark.feature("quote.lines.create", part="writer")
async def test_one_new_product_on_two_lines_and_two_quotes_becomes_one_item(bench: Bench) -> None:
    tool = bench.tool
    new = tool.item("SH-1U", "Rack Shelf")
    lines = [tool.line("l1", "SH-1U", name="Rack Shelf"), tool.line("l2", "SH-1U", name="Rack Shelf")]
    first = tool.whole_quote("q-1", items=[new], lines=lines)
    second = tool.whole_quote("q-2", items=[new], lines=lines[:1])
    await bench.settle(*first, *second)
    made = bench.row("Item", name="Rack Shelf")
    sold = [line["item_id"] for quote in bench.rows("Quotation") for line in quote["lines"]]
    assert sold == [made["id"]] * 3
    posts = [request["path"] for request in bench.requests("POST")]
    assert posts.index("/Item") < posts.index("/Quotation")


@pytest.mark.feature("item.create", part="writer")
async def test_two_products_with_one_sku_at_two_sources_become_one_item(bench: Bench) -> None:
    first = bench.tool.item("SH-1U", "Rack Shelf", id="a")
    second = bench.tool.item("SH-1U", "Shelf for racks", id="b")
    await bench.settle(first, second)
    assert len(bench.posts("Item")) == 1
    assert bench.outcome(first).halo_id == bench.outcome(second).halo_id


@pytest.mark.feature("item.group.never_create", part="writer")
async def test_a_group_that_halo_lacks_rejects_the_item_and_creates_neither(bench: Bench) -> None:
    groups = bench.rows("AssetGroup")
    group = Named(lookup="asset_group", name="Hardwear", setting="items.asset_group")
    item = bench.tool.item("SH-1U", "Rack Shelf", group=group)
    await bench.settle(item)
    outcome = bench.outcome(item)
    assert (outcome.status, outcome.code) == ("rejected", "name.unknown")
    assert "'Hardwear'" in (outcome.message or "")
    assert "hardware" in (outcome.message or "").casefold(), "the near match is named"
    assert "items.asset_group" in (outcome.fix or "")
    assert bench.requests() == []
    assert bench.rows("AssetGroup") == groups
    (letter,) = bench.dead_letters()
    assert letter.event_id == outcome.command_id
    assert letter.target == item.target


@pytest.mark.feature("item.group.never_create", part="writer")
async def test_a_group_that_halo_does_not_offer_for_items_is_no_group_and_the_default_is_taken(
    bench: Bench,
) -> None:
    group = Named(lookup="asset_group", name="Servers", fallback="Hardware")
    item = bench.tool.item("SH-1U", "Rack Shelf", group=group)
    await bench.settle(item)
    assert bench.row("Item", name="Rack Shelf")["assetgroup_id"] == 1


@pytest.mark.feature("item.group.never_create", part="writer")
async def test_without_a_group_and_without_a_default_the_item_is_rejected(bench: Bench) -> None:
    group = Named(lookup="asset_group", name="Servers", fallback="Network Equipment")
    item = bench.tool.item("SH-1U", "Rack Shelf", group=group)
    await bench.settle(item)
    assert bench.outcome(item).status == "rejected"
    assert bench.requests() == []


@pytest.mark.feature("quote.lines.match", part="writer")
async def test_a_lines_halo_id_wins_over_sku_and_name(bench: Bench) -> None:
    item = bench.tool.item(match=by(halo_id=DOCK, sku="LT-14-G5", name="Firewall Appliance"))
    await bench.settle(item)
    assert bench.outcome(item).halo_id == DOCK
    assert bench.requests("POST") == []


@pytest.mark.feature("quote.lines.match", part="writer")
async def test_a_halo_id_that_no_longer_exists_falls_to_the_sku(bench: Bench) -> None:
    item = bench.tool.item(match=by(halo_id=4711, sku="LT-14-G5", name="Firewall Appliance"))
    await bench.settle(item)
    assert bench.outcome(item).halo_id == LAPTOP
    assert bench.requests("POST") == []


@pytest.mark.feature("quote.lines.match", part="writer")
async def test_the_sku_wins_over_the_name_and_the_name_is_the_last_resort(bench: Bench) -> None:
    by_sku = bench.tool.item("LT-14-G5", "Firewall Appliance", id="a")
    by_name = bench.tool.item("UNKNOWN", "Firewall Appliance", id="b")
    await bench.settle(by_sku, by_name)
    assert bench.outcome(by_sku).halo_id == LAPTOP
    assert bench.outcome(by_name).halo_id == FIREWALL
    assert bench.requests() == []


@pytest.mark.feature("quote.lines.match", part="writer")
async def test_a_product_is_matched_by_its_own_sku_though_another_of_its_name_is_on_the_quote(
    bench: Bench,
) -> None:
    new = bench.tool.item("SH-1U", "Rack Shelf", id="a")
    known = bench.tool.item("LT-14-G5", "Rack Shelf", id="b")
    await bench.settle(new, known)
    assert bench.outcome(known).halo_id == LAPTOP
    assert bench.outcome(new).halo_id == bench.row("Item", name="Rack Shelf")["id"]


@pytest.mark.feature("quote.lines.match", part="writer")
@pytest.mark.parametrize("fresh_s", [3600.0, 0.0], ids=["by the catalogue", "by asking Halo"])
@pytest.mark.parametrize(
    "name", ["firewall appliance", "Firewall  Appliance", " Firewall Appliance", "Firewall Appliances"]
)
async def test_exact_means_exact_case_and_spaces_count(
    make_bench: MakeBench, fresh_s: float, name: str
) -> None:
    bench = await make_bench(fresh_s=fresh_s)
    item = bench.tool.item(None, name)
    await bench.settle(item)
    assert bench.outcome(item).result == "created"
    assert bench.outcome(item).halo_id != FIREWALL


@pytest.mark.feature("quote.lines.match", part="writer")
@pytest.mark.parametrize("fresh_s", [3600.0, 0.0], ids=["by the catalogue", "by asking Halo"])
async def test_of_two_items_with_one_sku_the_lowest_active_is_taken_and_told(
    make_bench: MakeBench, fresh_s: float
) -> None:
    twins = [
        {
            "id": 900 + n,
            "name": f"Twin {n}",
            "supplier_part_code": "TW-1",
            "assetgroup_id": 1,
            "status": status,
        }
        for n, status in enumerate((15, 14, 14))
    ]
    bench = await make_bench(rows={"Item": twins}, fresh_s=fresh_s)
    item = bench.tool.item("TW-1", "Twin")
    await bench.settle(item)
    outcome = bench.outcome(item)
    assert outcome.halo_id == 901, "900 is obsolete"
    (notice,) = outcome.notices
    assert notice.code == "item.sku_doubled"
    assert "901, 902" in notice.message
    assert "TW-1" in notice.message


@pytest.mark.feature("quote.lines.remember", part="writer")
async def test_a_matched_item_is_known_to_the_next_quote_even_when_halo_renames_it(bench: Bench) -> None:
    item = bench.tool.item("LT-14-G5", "14-inch Business Laptop")
    await bench.settle(item)
    with bench.sandbox.client() as halo:
        renamed = [{"id": LAPTOP, "name": "Renamed", "supplier_part_code": "OTHER"}]
        halo.post("/Item", json=renamed).raise_for_status()
    await bench.read_halo("item")
    await bench.settle(item)
    assert bench.outcome(item).halo_id == LAPTOP
    assert bench.requests() == []


@pytest.mark.feature("quote.lines.remember", part="writer")
async def test_a_created_item_is_known_to_the_next_quote_at_once_and_after_a_restart(bench: Bench) -> None:
    tool = bench.tool
    new = tool.item("SH-1U", "Rack Shelf")
    lines = [tool.line("l1", "SH-1U", name="Rack Shelf")]
    await bench.settle(*tool.whole_quote("q-1", items=[new], lines=lines))
    bench.marked()
    await bench.settle(*tool.whole_quote("q-2", items=[new], lines=lines))
    assert [request["path"] for request in bench.requests()] == ["/Opportunities", "/Quotation"]
    made = bench.row("Item", name="Rack Shelf")
    assert {quote["lines"][0]["item_id"] for quote in bench.rows("Quotation")} == {made["id"]}


@pytest.mark.feature("quote.lines.remember", part="writer")
async def test_a_created_item_is_found_by_its_sku_by_another_source_before_halo_was_read_again(
    bench: Bench,
) -> None:
    with_code = {"sku": always("SH-1U")}
    await bench.settle(bench.tool.item("SH-1U", "Rack Shelf", **with_code))
    other = bench.tool.item("SH-1U", "A shelf", id="other-source")
    await bench.settle(other)
    assert bench.outcome(other).halo_id == bench.row("Item", name="Rack Shelf")["id"]
    assert len(bench.posts("Item")) == 1


@pytest.mark.feature("quote.lines.create", part="writer")
async def test_a_quote_waits_whole_for_an_item_that_could_not_be_created_and_goes_on_with_it(
    bench: Bench,
) -> None:
    tool = bench.tool
    bad = tool.item("SH-1U", "Rack Shelf", group=Named(lookup="asset_group", name="Nowhere"))
    good = tool.item("SH-1U", "Rack Shelf")
    known = tool.item("FW-100", "Firewall Appliance")
    lines = [tool.line("l1", "FW-100"), tool.line("l2", "SH-1U", name="Rack Shelf")]
    commands = tool.whole_quote(items=[known, bad], lines=lines)
    quote = commands[-1]
    async with bench.lane() as lane:
        await bench.submit(lane, commands)
        (waiting,) = await bench.pending()
        assert (waiting.target_key, waiting.waits_for) == (quote.target.key, bad.target.key)
        assert bench.rows("Quotation") == [], "never half-written"
        assert bench.requests("POST", "^/Quotation$") == []
        assert bench.outcome(bad).status == "rejected"
        # The group is set right in the tenant file, and any quote with this product comes by.
        await bench.submit(lane, [good])
        await bench.until_nothing_waits()
    written = bench.row("Quotation", title="New office")
    assert [line["name"] for line in written["lines"]] == ["Firewall Appliance", "Rack Shelf"]
    assert written["lines"][1]["item_id"] == bench.row("Item", name="Rack Shelf")["id"]
    assert written["lines"][0]["price"] == float(Decimal(899))
