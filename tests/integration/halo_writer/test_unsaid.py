"""A later revision that no longer says what an earlier one did: Halo's totals are those of the later one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.commands import Named
from tests.integration.halo_writer.bench import Bench
from tests.unit.halo_writer.build import always


@pytest.mark.feature("money.tax", part="writer")
async def test_a_revision_without_taxes_has_halo_reckon_its_own(bench: Bench) -> None:
    tool = bench.tool
    taxed = tool.whole_quote(lines=[tool.line("l1", tax=Decimal(3))], net="899", tax="3")
    await bench.settle(*taxed)
    await bench.settle(tool.quote(seq=(2, 1), lines=[tool.line("l1")], net="899"))
    assert bench.row("Quotation", title="New office")["tax_total"] == 179.8


@pytest.mark.feature("item.shipping", part="mapper")
async def test_a_revision_without_a_charge_for_delivery_has_none_in_halo(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(net="899", carriage=always(Decimal("7.5"))))
    await bench.settle(tool.quote(seq=(2, 1), lines=[tool.line("l1"), tool.line("l2")], net="1798"))
    written = bench.row("Quotation", title="New office")
    assert (written["revenue"], written["carriage_price"]) == (1798.0, 0)
    assert written["total"] == pytest.approx(1798 * 1.2)


@pytest.mark.feature("item.shipping", part="mapper")
@pytest.mark.parametrize("said", [None, Decimal(0)])
async def test_a_charge_for_delivery_that_a_person_added_stays_where_the_source_never_had_one(
    bench: Bench, said: Decimal | None
) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(net="899", carriage=always(said)))
    quote = bench.row("Quotation", title="New office")["id"]
    with bench.sandbox.client() as halo:
        halo.post("/Quotation", json=[{"id": quote, "carriage_price": 20}]).raise_for_status()
    two = [tool.line("l1"), tool.line("l2")]
    await bench.settle(tool.quote(seq=(2, 1), lines=two, net="1798", carriage=always(said)))
    written = bench.row("Quotation", title="New office")
    assert (written["revenue"], written["carriage_price"]) == (1798.0, 20)
    charged = tool.quote(seq=(3, 1), lines=two, net="1798", carriage=always(Decimal(9)))
    await bench.settle(charged, tool.quote(seq=(4, 1), lines=two[:1], net="899", carriage=always(said)))
    await bench.settle(tool.quote(seq=(5, 1), lines=two, net="1798", carriage=always(said)))
    assert bench.row("Quotation", title="New office")["carriage_price"] == 20, "nothing was written of it"
    await bench.settle(tool.quote(seq=(6, 1), lines=two, net="1798", carriage=always(Decimal(9))))
    await bench.settle(tool.quote(seq=(7, 1), lines=two, net="1799", carriage=always(said)))
    assert bench.row("Quotation", title="New office")["carriage_price"] == 0, "the source's own charge goes"


@pytest.mark.feature("quote.upsert", part="writer")
async def test_texts_that_a_revision_no_longer_has_are_gone_and_those_of_a_person_stay(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(note=always("Half off until May")))
    quote = bench.row("Quotation", title="New office")["id"]
    with bench.sandbox.client() as halo:
        halo.post("/Quotation", json=[{"id": quote, "scope": "By hand"}]).raise_for_status()
    await bench.settle(tool.quote(seq=(2, 1), status="Accepted", note=always("Half off until May")))
    assert bench.row("Quotation", id=quote)["note"] == "Half off until May"
    await bench.settle(tool.quote(seq=(3, 1), title="Newer office"))
    after = bench.row("Quotation", id=quote)
    assert (after["title"], after["note"], after["scope"]) == ("Newer office", "", "By hand")


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_a_line_that_no_longer_recurs_has_no_billing_period_left(bench: Bench) -> None:
    tool = bench.tool
    monthly = Named(lookup="billing_period", name="Monthly")
    managed = Named(lookup="item", name="Managed Workstation")
    recurring = tool.line("l1", item=None, halo_item=managed, recurring=True, billing_period=monthly)
    quote = tool.whole_quote(lines=[recurring])
    await bench.settle(*quote)
    once = tool.line("l1", item=None, halo_item=Named(lookup="item", name="Rack Server"), name="Rack Server")
    await bench.settle(tool.quote(seq=(2, 1), lines=[once]))
    (line,) = bench.row("Quotation", title="New office")["lines"]
    assert (line["name"], line["item_recurring"], line.get("billingperiod") or 0) == ("Rack Server", False, 0)


NORTHGATE = Named(lookup="supplier", name="Northgate Distribution", missing="leave")


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_what_a_line_no_longer_says_is_gone_and_what_only_a_person_wrote_stays(bench: Bench) -> None:
    tool = bench.tool
    full = tool.line("l1", cost=Decimal(600), description="As agreed", supplier=NORTHGATE)
    await bench.settle(*tool.whole_quote(lines=[full, tool.line("l2", name="Bare")]))
    written = bench.row("Quotation", title="New office")
    first, second = written["lines"]
    by_hand = {"id": second["id"], "costprice": 5, "description": "By hand"}
    with bench.sandbox.client() as halo:
        halo.post("/Quotation", json=[{"id": written["id"], "lines": [{"id": first["id"]}, by_hand]}])
    await bench.settle(tool.quote(seq=(2, 1), lines=[tool.line("l1"), tool.line("l2", name="Bare")], net="1"))
    after = bench.row("Quotation", title="New office")["lines"]
    assert [line["id"] for line in after] == [first["id"], second["id"]]
    assert (after[0]["costprice"], after[0]["description"], after[0]["supplier_id"]) == (0, "", 0)
    assert (after[1]["costprice"], after[1]["description"]) == (5, "By hand")


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_a_line_that_sells_another_product_has_nothing_of_the_old_one(bench: Bench) -> None:
    tool = bench.tool
    items = [tool.item(sku, sku) for sku in ("FW-100", "DK-USBC-2")]
    old = tool.line("l1", cost=Decimal(600), description="A firewall", supplier=NORTHGATE)
    await bench.settle(*tool.whole_quote(items=items, lines=[old]))
    (before,) = bench.row("Quotation", title="New office")["lines"]
    dock = tool.line("l1", "DK-USBC-2", name="Dock", base_price=Decimal(159), price=Decimal(159))
    await bench.settle(tool.quote(seq=(2, 1), lines=[dock], net="159"))
    (after,) = bench.row("Quotation", title="New office")["lines"]
    assert after["id"] != before["id"]
    assert (after["name"], after["price"]) == ("Dock", 159)
    assert not {"costprice", "description", "supplier_id"} & {name for name, value in after.items() if value}
    bench.marked()
    await bench.settle(tool.quote(seq=(3, 1), lines=[dock, tool.line("l2")], net="1058"))
    again, _ = bench.row("Quotation", title="New office")["lines"]
    assert again["id"] == after["id"], "the new line keeps its id as any other"


@pytest.mark.feature("quote.revision.overwrite", part="writer")
@pytest.mark.fault("F3")
@pytest.mark.parametrize("stored", [True, False])
async def test_what_a_write_without_an_answer_may_have_said_is_cleared_too(
    bench: Bench, stored: bool
) -> None:
    """A revision whose answer was lost is passed by one that says less."""
    tool = bench.tool
    await bench.settle(*tool.whole_quote())
    bench.sandbox.arm(
        action="store_then_drop" if stored else "drop",
        method="POST",
        path="^/Quotation$",
        times=1,
    )
    lost = tool.quote(seq=(2, 1), lines=[tool.line("l1", cost=Decimal(600), description="Lost")])
    await bench.deliver(lost)
    await bench.settle(tool.quote(seq=(3, 1), title="Third", lines=[tool.line("l1")]))
    (line,) = bench.row("Quotation", title="Third")["lines"]
    assert not line.get("costprice")
    assert not line.get("description")
