"""What an item carries beside its price: type, numbers, accounts, group; and what a quote may not sell of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hub.store import catalogue
from schemas.commands import AccountCodes, ItemAccounts, Named
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.unit.halo_writer.build import always, basis, changed

# Items and groups of the packaged tenant.
HARDWARE, SERVICES, FIREWALL, ACCESS_POINT = 1, 3, 57, 58
ITEM_TYPES = {
    "Lookup": [
        {"lookupid": 11, "id": 44, "name": "Item type"},
        {"lookupid": 44, "id": 1, "name": "Hardware"},
        {"lookupid": 44, "id": 2, "name": "Service"},
    ]
}
CODES = AccountCodes(income="4000", expense="5000")


def group(name: str, **fields: Any) -> Named:
    return Named(lookup="asset_group", name=name, **fields)


def item_type(name: str) -> Named:
    return Named(lookup="item_type", name=name, missing="leave", setting="items.types")


@pytest.mark.feature("item.sku", part="writer")
@pytest.mark.feature("account.map", part="writer")
@pytest.mark.feature("extra.labor", part="writer")
@pytest.mark.feature("item.create", part="writer")
async def test_a_new_labour_item_has_type_number_sku_cost_and_the_codes_of_its_group(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(rows=ITEM_TYPES)
    services = group("Services")
    item = bench.tool.item(
        "HR-1",
        "Installation hour",
        group=services,
        price="95",
        cost="52",
        part_number=always("LAB-1"),
        sku=always("HR-1"),
        type=always(item_type("service")),
        accounts=always(ItemAccounts(group=services, own=CODES)),
        stocked=always(False),
    )
    await bench.settle(item)
    made = bench.row("Item", name="Installation hour")
    assert (made["assetgroup_id"], made["baseprice"], made["costprice"]) == (SERVICES, 95.0, 52.0)
    assert (made["internalreference"], made["supplier_part_code"], made["type"]) == ("LAB-1", "HR-1", 2)
    assert (made["nominalcode"], made["purchasenominalcode"]) == ("4000", "5000")
    assert made["dont_track_stock"] is True
    assert bench.outcome(item).notices == ()


@pytest.mark.feature("account.map", part="writer")
@pytest.mark.feature("item.sku", part="writer")
async def test_the_codes_are_those_of_the_group_that_halo_has_and_none_are_sent_empty(bench: Bench) -> None:
    tool = bench.tool
    absent, known, bare = (
        group("Hubs", fallback="Hardware"),
        group("Services", fallback="Hardware"),
        group("Software"),
    )
    other = AccountCodes(income="4200")
    items = [
        tool.item(
            "A", "A", group=absent, accounts=always(ItemAccounts(group=absent, own=other, fallback=CODES))
        ),
        tool.item(
            "B", "B", group=known, accounts=always(ItemAccounts(group=known, own=other, fallback=CODES))
        ),
        tool.item("C", "C", group=known, accounts=always(ItemAccounts(group=known, fallback=CODES))),
        tool.item("D", "D", group=bare),
    ]
    await bench.settle(*items)
    a, b, c, d = (bench.row("Item", name=name) for name in "ABCD")
    assert (a["assetgroup_id"], a["nominalcode"], a["purchasenominalcode"]) == (HARDWARE, "4000", "5000")
    assert (b["assetgroup_id"], b["nominalcode"]) == (SERVICES, "4200")
    posted = {element["name"]: element.keys() for element in bench.posts("Item")}
    assert "purchasenominalcode" not in posted["B"]
    for name in "CD":
        assert not posted[name] & {"nominalcode", "purchasenominalcode", "supplier_part_code"}
    assert (c["assetgroup_id"], d["assetgroup_id"]) == (SERVICES, 2)


@pytest.mark.feature("item.type", part="mapper")
async def test_an_item_type_that_halo_lacks_is_left_and_told_if_the_tenant_file_names_it(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(rows=ITEM_TYPES)
    named = bench.tool.item("A", "A", type=always(item_type("Wetware")))
    own = bench.tool.item("B", "B", type=always(Named(lookup="item_type", name="Wetware", missing="ignore")))
    await bench.settle(named, own)
    assert ["type" in post for post in bench.posts("Item")] == [False, False]
    assert [notice.code for notice in bench.outcome(named).notices] == ["item_type.unknown"]
    assert bench.outcome(own).notices == ()


@pytest.mark.feature("item.group.for_items", part="mapper")
async def test_a_group_that_the_file_chose_and_that_is_not_for_items_is_refused_by_name(bench: Bench) -> None:
    chosen = group("Servers", fallback="Hardware", setting="items.asset_groups", chosen=True)
    item = bench.tool.item("SH-1U", "Rack Shelf", group=chosen)
    await bench.settle(item)
    outcome = bench.outcome(item)
    assert (outcome.status, outcome.code) == ("rejected", "name.unknown")
    assert "'Servers'" in (outcome.message or "")
    assert "Use for Items" in (outcome.message or "")
    assert "items.asset_groups" in (outcome.fix or "")
    assert bench.requests() == []


@pytest.mark.feature("item.group.refresh", part="ingest")
@pytest.mark.feature("item.group.default", part="mapper")
async def test_a_group_added_in_halo_is_used_after_the_next_read_and_the_default_until_then(
    bench: Bench,
) -> None:
    chosen = group("Drones", fallback="Hardware", setting="items.asset_groups", chosen=True)
    before = bench.tool.item("DR-1", "Drone", group=chosen)
    bench.sandbox.load({"AssetGroup": [{"id": 90, "name": "Drones", "showasitem": True}]})
    await bench.settle(before)
    assert bench.row("Item", name="Drone")["assetgroup_id"] == HARDWARE
    (notice,) = bench.outcome(before).notices
    assert notice.code == "asset_group.fallback"
    assert "'Drones'" in notice.message
    assert "'Hardware'" in notice.message
    await bench.read_halo("asset_group")
    after = bench.tool.item("DR-2", "Big drone", group=chosen)
    await bench.settle(after)
    assert bench.row("Item", name="Big drone")["assetgroup_id"] == 90


@pytest.mark.feature("item.push", part="writer")
async def test_a_pushed_product_updates_its_item_in_one_request_and_a_repeat_in_none(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(tool.item("FW-100", "Firewall Appliance"))
    old, new, same = (
        changed(
            tool.item("FW-100", "Firewall Appliance 2", price=price, group=group("Services")),
            ensure=False,
            seq=(seq, 1),
            name=always("Firewall Appliance 2"),
            price=always(Decimal(price)),
        )
        for seq, price in ((1, "910"), (2, "920"), (3, "920"))
    )
    await bench.settle(new)
    made = bench.row("Item", id=FIREWALL)
    assert (made["name"], made["baseprice"]) == ("Firewall Appliance 2", 920.0)
    assert made["assetgroup_id"] == HARDWARE, "where a person put it, it stays"
    assert [request["path"] for request in bench.requests()] == ["/Item"]
    bench.marked()
    await bench.settle(old, same)
    assert bench.requests() == []
    assert [bench.outcome(one).status for one in (old, same)] == ["superseded", "applied"]


@pytest.mark.feature("item.push", part="writer")
async def test_a_pushed_product_that_halo_lacks_is_created_and_the_next_quote_sells_that_item(
    bench: Bench,
) -> None:
    tool = bench.tool
    pushed = changed(tool.item("SH-1U", "Rack Shelf"), ensure=False, seq=(1, 1))
    await bench.settle(pushed)
    lines = [tool.line("l1", "SH-1U", name="Rack Shelf")]
    await bench.settle(*tool.whole_quote(items=[tool.item("SH-1U", "Rack Shelf")], lines=lines))
    made = bench.row("Item", name="Rack Shelf")
    assert bench.row("Quotation", title="New office")["lines"][0]["item_id"] == made["id"]


# What a quote may not sell


@pytest.mark.feature("money.discount", part="writer")
async def test_a_discount_that_is_above_its_items_by_rounding_alone_is_taken(bench: Bench) -> None:
    """15 % off a document with one line of 99.99 is 15.00, which is 15.0015 % of the line."""
    bench.sandbox.edit("Item", FIREWALL, maxitemdiscount=15)
    await bench.read_halo("item")
    price, rounded = Decimal("84.99"), Decimal("15.0015")
    line = bench.tool.line("l1", base_price=Decimal("99.99"), price=price, discount_percent=rounded)
    await bench.settle(*bench.tool.whole_quote(lines=[line], net="84.99"))
    quote = bench.row("Quotation", title="New office")
    assert (quote["revenue"], quote["lines"][0]["discount_perc"]) == (84.99, 15)


@pytest.mark.feature("quote.lines.write", part="writer")
async def test_what_a_person_mended_in_halo_holds_before_the_items_are_read_again(bench: Bench) -> None:
    """As a dead letter told them to: an item that allows the discount, and one that recurs."""
    bench.sandbox.edit("Item", FIREWALL, maxitemdiscount=10)
    await bench.read_halo("item")
    tool = bench.tool
    lines = [
        tool.line("l1", price=Decimal(800), discount_percent=Decimal("11.01")),
        tool.line("l2", recurring=True, billing_period=Named(lookup="billing_period", name="Monthly")),
    ]
    commands = tool.whole_quote(lines=lines)
    await bench.settle(*commands)
    assert bench.outcome(commands[-1]).status == "rejected"
    bench.sandbox.edit("Item", FIREWALL, maxitemdiscount=0, isrecurringitem=True)
    bench.marked()
    again = changed(commands[-1], basis=basis(cause="redrive-1"))
    await bench.settle(again)
    assert bench.outcome(again).result == "created"
    assert [one["path"] for one in bench.requests("GET")].count(f"/Item/{FIREWALL}") == 1


@pytest.mark.feature("money.discount", part="writer")
async def test_an_item_that_halo_answers_without_a_bound_takes_any_discount(bench: Bench) -> None:
    """Halo's word for none is 0, also in its answer to the write that made the item."""
    tool, made = bench.tool, changed(bench.tool.item("SH-1U", "Rack Shelf"))
    await bench.settle(made)
    item, instance = bench.row("Item", name="Rack Shelf")["id"], tool.instance
    async with bench.store.write() as conn:
        await catalogue.upsert_own(conn, tool.tenant, instance, "item", item, {"maxitemdiscount": 0})
    half = tool.line("l1", "SH-1U", name="Rack Shelf", price=Decimal("449.5"), discount_percent=Decimal(50))
    await bench.settle(*tool.whole_quote(items=[made], lines=[half]))
    assert bench.row("Quotation", title="New office")["revenue"] == 449.5


@pytest.mark.feature("money.discount", part="writer")
@pytest.mark.parametrize("known", [True, False], ids=["by the catalogue", "by Halo"])
async def test_a_discount_above_what_the_item_allows_rejects_the_quote_and_names_the_line(
    make_bench: MakeBench, known: bool
) -> None:
    bench = await make_bench()
    bench.sandbox.edit("Item", FIREWALL, maxitemdiscount=10)
    if known:
        await bench.read_halo("item")
    tool = bench.tool
    lines = [
        tool.line("l1", price=Decimal("809.10"), discount_percent=Decimal(10)),
        tool.line("l2", price=Decimal(800), discount_percent=Decimal("11.01")),
    ]
    commands = tool.whole_quote(lines=lines)
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert outcome.status == "rejected"
    assert "Firewall Appliance" in (outcome.message or "")
    assert "10%" in (outcome.message or "")
    assert bench.rows("Quotation") == []
    if known:
        assert outcome.code == "line.discount_too_high"
        assert "line l2" in (outcome.message or "")
        assert "maximum discount" in (outcome.fix or "")
        assert bench.requests("POST", "^/Quotation$") == []


@pytest.mark.feature("item.shipping", part="mapper")
async def test_the_shipping_product_is_a_line_of_the_quote_and_carriage_goes_beside_the_lines(
    bench: Bench,
) -> None:
    tool = bench.tool
    freight = Named(lookup="item", name="wi-fi 6 access point", setting="items.shipping", chosen=True)
    shipping = tool.line(
        "shipping",
        item=None,
        halo_item=freight,
        name="Freight",
        price=Decimal(12),
        base_price=Decimal(12),
        product_code=None,
    )
    quote = tool.whole_quote(lines=[tool.line("l1"), shipping], net="911", carriage=always(Decimal(0)))
    await bench.settle(*quote)
    written = bench.row("Quotation", title="New office")
    assert [(line["item_id"], line["price"]) for line in written["lines"]] == [
        (FIREWALL, 899.0),
        (ACCESS_POINT, 12.0),
    ]
    assert bench.outcome(quote[-1]).notices == ()
    carried = tool.quote(seq=(2, 1), lines=[tool.line("l1")], net="899", carriage=always(Decimal("7.5")))
    await bench.settle(carried)
    written = bench.row("Quotation", title="New office")
    assert (len(written["lines"]), written["carriage_price"], written["revenue"]) == (1, 7.5, 899.0)
    assert bench.outcome(carried).notices == ()


@pytest.mark.feature("item.shipping", part="mapper")
async def test_a_shipping_product_that_halo_lacks_rejects_the_quote_and_is_never_created(
    bench: Bench,
) -> None:
    tool = bench.tool
    freight = Named(lookup="item", name="Wifi 6 access point", setting="items.shipping", chosen=True)
    commands = tool.whole_quote(
        lines=[tool.line("l1"), tool.line("s", item=None, halo_item=freight, name="Freight")]
    )
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.code) == ("rejected", "name.unknown")
    assert "Wi-Fi 6 Access Point" in (outcome.message or ""), "the near match is named"
    assert "items.shipping" in (outcome.fix or "")
    assert (bench.posts("Item"), bench.rows("Quotation")) == ([], [])


@pytest.mark.feature("period.map.out", part="mapper")
@pytest.mark.feature("money.currency", part="mapper")
async def test_an_unmapped_frequency_or_currency_rejects_and_is_never_something_else(bench: Bench) -> None:
    tool = bench.tool
    fortnight = Named(lookup="billing_period", name="fortnight", setting="billing_periods")
    items = [tool.item("MSP-WS", "Managed Workstation")]
    line = tool.line("l9", "MSP-WS", name="Care", recurring=True, billing_period=fortnight)
    recurring = tool.whole_quote("q-1", items=items, lines=[tool.line("l1", "MSP-WS"), line])
    doubloons = Named(lookup="currency", name="Doubloon", setting="currencies")
    foreign = tool.whole_quote("q-2", currency=always(doubloons))
    await bench.settle(*recurring, *foreign)
    first, second = bench.outcome(recurring[-1]), bench.outcome(foreign[-1])
    assert (first.status, second.status) == ("rejected", "rejected")
    assert "line l9 (Care)" in (first.message or "")
    assert "'fortnight'" in (first.message or "")
    assert "billing_periods" in (first.fix or "")
    assert "'Doubloon'" in (second.message or "")
    assert "currencies" in (second.fix or "")
    assert bench.rows("Quotation") == []
