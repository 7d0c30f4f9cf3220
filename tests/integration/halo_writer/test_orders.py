"""The sales order of a won quote on the sandbox: one, also where Halo has made it itself, with its accounts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.commands import GroupIncome, Named
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.integration.halo_writer.test_won import CLIENT, a_quote, state_of
from tests.unit.halo_writer.build import always, basis, changed
from tests.unit.halo_writer.won_build import sales_order

WITH_ORDERS = "sources: {quoter: {quotes: {sales_order: true}}}"
"""The right to write orders is asked for only where a producer's quotes get them."""
APPROVED = {"Control": {"create_so_on_quote_approved": True}}


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return await make_bench(more_rules=WITH_ORDERS)


@pytest.mark.feature("won.sales_order", part="writer")
async def test_a_won_quote_gets_one_order_under_its_quote_and_opportunity(bench: Bench) -> None:
    tool = bench.tool
    lines = [tool.line("l1", quantity=Decimal(3), discount_percent=Decimal(10), price=Decimal("809.1"))]
    await a_quote(bench, lines=lines)
    order = sales_order(tool, lines=lines, po_number=always("PO-1"))
    await bench.settle(order)
    quote, row = bench.row("Quotation", title="New office"), bench.rows("SalesOrder")[0]
    assert (row["quotation_id"], row["ticket_id"]) == (quote["id"], quote["ticket_id"])
    assert (row["client_id"], row["site_id"], row["title"], row["po_number"]) == (
        12,
        22,
        "New office",
        "PO-1",
    )
    (line,) = row["lines"]
    assert (line["item_id"], line["quantity"], line["price"]) == (57, 3, 809.1)
    assert row["total"] == quote["revenue"] == 2427.3
    assert [(one["method"], one["path"]) for one in bench.requests()] == [
        ("GET", "/SalesOrder"),
        ("POST", "/SalesOrder"),
    ]
    bench.marked()
    await bench.settle(order, sales_order(tool, lines=[tool.line("l7")], title="Changed"))
    assert bench.requests() == [], "a later change makes no second one"
    assert len(bench.rows("SalesOrder")) == 1


@pytest.mark.feature("won.sales_order", part="writer")
async def test_an_order_that_a_person_deleted_stays_deleted_whatever_is_redriven_beside_it(
    bench: Bench,
) -> None:
    await a_quote(bench)
    order = sales_order(bench.tool)
    await bench.settle(order)
    with bench.sandbox.client() as person:
        person.delete(f"/SalesOrder/{bench.rows('SalesOrder')[0]['id']}").raise_for_status()
    await bench.settle(changed(order, basis=basis(cause="redrive-1")))
    assert bench.rows("SalesOrder") == []


@pytest.mark.feature("won.sales_order", part="writer")
@pytest.mark.parametrize("search_lag_s", [0, 30])
async def test_an_order_that_halo_made_on_approval_is_the_quotes_order(
    make_bench: MakeBench, search_lag_s: float
) -> None:
    """Told in the answer to the quote's own write: a list need not show it yet."""
    bench = await make_bench(rows=APPROVED, more_rules=WITH_ORDERS)
    tool = bench.tool
    await bench.settle(*tool.whole_quote(org_name=CLIENT))
    bench.sandbox.configure(search_lag_s=search_lag_s)
    bench.marked()
    await bench.settle(tool.quote(seq=(2, 1), status="Accepted"), sales_order(tool))
    (row,) = bench.rows("SalesOrder")
    assert bench.requests("POST", "^/SalesOrder$") == []
    assert bench.outcome(sales_order(tool)).halo_id == row["id"]
    assert bench.outcome(sales_order(tool)).result == "adopted"


@pytest.mark.feature("won.sales_order", part="writer")
@pytest.mark.feature("quote.revision.new", part="writer")
async def test_of_a_quote_that_is_several_halo_makes_an_order_each_and_the_hub_none_beside_them(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(rows=APPROVED, more_rules=WITH_ORDERS)
    tool = bench.tool
    await bench.settle(*tool.whole_quote(org_name=CLIENT)[:-1])
    orders = {scope: sales_order(tool, quote_scope=scope) for scope in ("1:accepted", "2:accepted")}
    for scope, order in orders.items():
        await bench.settle(state_of(tool, scope, status="Accepted"), order)
    assert bench.requests("POST", "^/SalesOrder$") == []
    assert len(bench.rows("SalesOrder")) == 2, "Halo's own: docs/halo-settings.md says to switch them off"
    found = {bench.outcome(order).halo_id for order in orders.values()}
    assert found == {min(row["id"] for row in bench.rows("SalesOrder"))}


@pytest.mark.feature("won.sales_order", part="writer")
async def test_an_order_of_another_halo_quote_of_the_same_source_quote_counts_and_a_strangers_does_not(
    bench: Bench,
) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(org_name=CLIENT)[:-1])
    await bench.settle(state_of(tool, "1:accepted", status="Accepted"), state_of(tool, "1:ordered"))
    await bench.settle(tool.quote("q-2", opportunity="q-1", title="Another"))
    approved, _, stranger = sorted(row["id"] for row in bench.rows("Quotation"))
    ticket = bench.row("Faults", summary="New office")["id"]
    with bench.sandbox.client() as halo:
        made = [
            halo.post("/SalesOrder", json=[{"ticket_id": ticket, "quotation_id": quotation}]).json()["id"]
            for quotation in (stranger, approved)
        ]
    order = sales_order(tool, quote_scope="1:ordered")
    await bench.settle(order)
    assert len(bench.rows("SalesOrder")) == 2
    assert bench.outcome(order).halo_id == made[1]


@pytest.mark.feature("won.sales_order", part="writer")
async def test_an_order_whose_answer_was_lost_is_found_by_our_key(bench: Bench) -> None:
    await bench.prove_look_ups()
    await a_quote(bench)
    bench.sandbox.arm(action="store_then_drop", method="POST", path="^/SalesOrder$", times=1)
    await bench.settle(sales_order(bench.tool))
    assert len(bench.rows("SalesOrder")) == 1
    assert len(bench.requests("POST", "^/SalesOrder$")) == 1


@pytest.mark.feature("account.flow", part="writer")
async def test_the_account_of_an_items_own_group_goes_on_its_line_and_no_empty_one_ever(bench: Bench) -> None:
    tool = bench.tool
    lines = [
        tool.line("l1", "FW-100"),
        tool.line("l2", "SV-INST", name="Installation Day", price=Decimal(720)),
    ]
    items = [tool.item(sku, sku) for sku in ("FW-100", "SV-INST")]
    await a_quote(bench, items=items, lines=lines)
    bench.sandbox.edit("AssetGroup", 3, nominalcode="SVC-DEFAULT")
    groups = [("Hardware", "4000"), ("Furniture", "4900")]
    accounts = [
        GroupIncome(group=Named(lookup="asset_group", name=name, missing="ignore"), account=account)
        for name, account in groups
    ]
    await bench.settle(sales_order(tool, lines=lines, accounts=accounts))
    ((sent,),) = [request["body"] for request in bench.requests("POST", "^/SalesOrder$")]
    assert [line.get("nominalcode") for line in sent["lines"]] == ["4000", None]
    (row,) = bench.rows("SalesOrder")
    assert [line["nominalcode"] for line in row["lines"]] == ["4000", "SVC-DEFAULT"]
