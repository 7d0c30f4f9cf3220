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
    assert (line["name"], line["item_recurring"], line["billingperiod"]) == ("Rack Server", False, 0)
