"""Lines that Halo no longer has, since a person deleted them: no later revision stops at them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.integration.halo_writer.bench import Bench
from tests.integration.halo_writer.test_quotes import three_items, three_lines


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_a_line_that_a_person_deleted_in_halo_is_there_again_with_the_next_revisions_lines(
    bench: Bench,
) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(items=three_items(tool), lines=three_lines(tool)))
    quote = bench.row("Quotation", title="New office")
    kept = [{"id": line["id"]} for line in quote["lines"][1:]]
    with bench.sandbox.client() as halo:
        halo.post("/Quotation", json=[{"id": quote["id"], "lines": kept}]).raise_for_status()
    bench.marked()
    again = tool.quote(seq=(2, 1), lines=three_lines(tool), net="1307")
    await bench.settle(again)
    assert bench.outcome(again).result == "updated"
    assert [(one["method"], one["status"]) for one in bench.requests()] == [
        ("POST", 400),
        ("GET", 200),
        ("POST", 201),
    ]
    after = bench.row("Quotation", id=quote["id"])
    assert (len(after["lines"]), after["revenue"]) == (3, 1307.0)
    assert [line["id"] for line in after["lines"][1:]] == [line["id"] for line in kept]


@pytest.mark.feature("quote.revision.overwrite", part="writer")
async def test_lines_that_halo_refuses_for_another_reason_are_sent_once(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(lines=[tool.line("l1"), tool.line("l2")]))
    settled = (await bench.state(tool.quote())).children
    bench.sandbox.arm(action="error", status=400, answer="No", method="POST", path="^/Quotation$", times=1)
    bench.marked()
    command = tool.quote(seq=(2, 1), lines=[tool.line("l1", quantity=Decimal(2))])
    await bench.settle(command)
    assert (bench.outcome(command).status, bench.outcome(command).message) == ("rejected", "No")
    assert len(bench.requests("POST")) == 1
    state = await bench.state(command)
    assert (state.intent, state.children) == (None, settled)
