"""Won quotes on the sandbox: opportunities completed, PO numbers, and a Halo quote for each state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.commands import Field, Named, UpsertQuote
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.unit.halo_writer.build import Tool, always, basis, by, changed, once
from tests.unit.halo_writer.won_build import won

CLIENT = "Brightwater Dental Group"


def state_of(tool: Tool, scope: str, *, status: str = "Sent", seq: tuple[int, ...] = (1, 1)) -> UpsertQuote:
    """The Halo quote of one (revision, status) of a source quote."""
    quote = tool.quote(status=status, seq=seq)
    return changed(quote, target=replace(quote.target, scope=scope))


async def a_quote(bench: Bench, **fields: Any) -> None:
    await bench.settle(*bench.tool.whole_quote(org_name=CLIENT, **fields))
    bench.marked()


# A Halo quote for each revision and status


@pytest.mark.feature("quote.revision.new", part="writer")
async def test_each_state_of_a_quote_is_a_halo_quote_on_the_same_opportunity_and_none_is_lost(
    bench: Bench,
) -> None:
    tool = bench.tool
    surroundings = tool.whole_quote(org_name=CLIENT)[:-1]
    states = [
        state_of(tool, "1:draft", status="Draft"),
        state_of(tool, "1:sent", seq=(2, 1)),
        state_of(tool, "3:sent", seq=(3, 1)),
    ]
    # All at once, as after an outage: what coalesces is one target's, and these are three.
    await bench.settle(*surroundings, *reversed(states))
    made = bench.rows("Quotation")
    assert len(made) == 3
    assert {row["ticket_id"] for row in made} == {bench.row("Faults", summary="New office")["id"]}
    assert sorted(row["status"] for row in made) == [1, 2, 2]
    assert len({row["third_party_number"] for row in made}) == 3
    bench.marked()
    await bench.settle(*surroundings, *states, *states)
    assert bench.requests() == [], "a redelivery or a replay creates nothing"


@pytest.mark.feature("quote.revision.new", part="writer")
async def test_a_state_whose_create_was_cut_off_is_not_made_twice(bench: Bench) -> None:
    await bench.prove_look_ups()
    tool = bench.tool
    await bench.settle(*tool.whole_quote(org_name=CLIENT)[:-1])
    states = [state_of(tool, "1:draft", status="Draft"), state_of(tool, "1:sent", seq=(2, 1))]
    bench.sandbox.arm(action="store_then_drop", method="POST", path="^/Quotation$", times=1)
    await bench.settle(*states)
    assert len(bench.rows("Quotation")) == 2


@pytest.mark.feature("quote.revision.overwrite", part="writer")
@pytest.mark.feature("quote.out_of_order", part="writer")
async def test_in_one_halo_quote_the_newest_state_stays_whatever_comes_late(bench: Bench) -> None:
    tool = bench.tool
    await a_quote(bench, seq=(3, 1), lines=[tool.line("l1"), tool.line("l2")])
    newest = tool.quote(seq=(5, 1), lines=[tool.line("l2", price=Decimal(850))], title="Five")
    await bench.settle(newest)
    await bench.settle(tool.quote(seq=(4, 1), title="Four"))
    (row,) = bench.rows("Quotation")
    assert row["title"] == "Five"
    assert [line["price"] for line in row["lines"]] == [850], (
        "a line that is gone at its source is gone in Halo"
    )


@pytest.mark.feature("quote.status.reflect", part="writer")
async def test_what_is_given_once_follows_no_later_revision_but_for_the_status(bench: Bench) -> None:
    """Mode first_only, as the mapper makes it: everything on creation, the status always."""
    tool = bench.tool

    def given_once(quote: UpsertQuote) -> UpsertQuote:
        fields = [name for group in ("head", "lines") for name in quote.groups[group]]
        present = {name: value for name in fields if isinstance(value := getattr(quote, name), Field)}
        return changed(quote, **{name: replace(field, write="on_create") for name, field in present.items()})

    commands = tool.whole_quote(org_name=CLIENT, net="899", tax="0")
    await bench.settle(*commands[:-1], given_once(commands[-1]))  # type: ignore[arg-type]
    before = bench.row("Quotation", title="New office")
    later = given_once(
        tool.quote(seq=(2, 1), title="Other", lines=[tool.line("l9")], status="Accepted", net="1")
    )
    await bench.settle(later)
    (after,) = bench.rows("Quotation")
    assert after["status"] == 3
    assert (after["title"], after["lines"]) == (before["title"], before["lines"])
    assert bench.outcome(later).notices == (), "totals that aren't written aren't compared"


# What a quote starts with, and what travels with it


@pytest.mark.feature("quote.status", part="mapper")
async def test_a_new_quote_starts_as_new_only_where_halo_lacks_its_status(make_bench: MakeBench) -> None:
    bench = await make_bench(rows={"Lookup": [{"lookupid": 63, "id": 9, "name": "New"}]})
    new = once(Named(lookup="quote_status", name="New", missing="ignore"))
    unknown = always(Named(lookup="quote_status", name="On hold", missing="leave"))
    quote = changed(bench.tool.quote(status=None), first_status=new, status=unknown)
    await bench.settle(*bench.tool.whole_quote(org_name=CLIENT)[:-1], quote)
    assert bench.row("Quotation", title="New office")["status"] == 9
    assert [notice.code for notice in bench.outcome(quote).notices] == ["quote_status.unknown"]
    known = changed(bench.tool.quote("q-2", opportunity="q-1", title="Known"), first_status=new)
    await bench.settle(known)
    assert bench.row("Quotation", title="Known")["status"] == 2


@pytest.mark.feature("extra.quote_dates", part="writer")
@pytest.mark.feature("extra.po_early", part="writer")
async def test_a_description_and_a_po_number_are_written_with_the_quote(bench: Bench) -> None:
    tool = bench.tool
    commands = tool.whole_quote(
        org_name=CLIENT, description=always("Phase one"), po_number=always("PO-1"), status="Draft"
    )
    commands[-2] = changed(commands[-2], po_number=always("PO-1"))
    await bench.settle(*commands)
    quote = bench.row("Quotation", title="New office")
    assert (quote["scope"], quote["ponumber"]) == ("Phase one", "PO-1")
    assert bench.row("Faults", summary="New office")["purchaseordernumber"] == "PO-1"


# Completing the opportunity


@pytest.mark.feature("won.opp.order", part="writer")
async def test_a_won_status_that_halo_lacks_is_told_and_the_step_is_made_once_halo_has_it(
    bench: Bench,
) -> None:
    await a_quote(bench)
    named = Field(value=Named(lookup="status", name="Sold", setting="opportunities.statuses", chosen=True))
    step = changed(won(bench.tool), status=named)
    await bench.settle(step)
    (letter,) = bench.dead_letters()
    assert (letter.reason, letter.message[:24]) == ("name.unknown", "Halo has no status 'Sold")
    assert "`opportunities.statuses`" in (letter.fix or "")
    assert bench.requests("POST") == []
    bench.sandbox.load({"Status": [{"id": 77, "name": "Sold"}]})
    await bench.read_halo("status")
    await bench.settle(changed(step, basis=basis(cause="redrive-1")))
    assert bench.row("Faults", summary="New office")["status_id"] == 77


@pytest.mark.feature("won.opp.order", part="writer")
@pytest.mark.feature("won.opp.invoice", part="writer")
async def test_a_converted_quote_completes_its_opportunity_with_one_request_and_only_once(
    bench: Bench,
) -> None:
    await a_quote(bench)
    first, again = won(bench.tool), won(bench.tool, seq=(3, 1))
    await bench.settle(first)
    row = bench.row("Faults", summary="New office")
    assert row["status_id"] == 22
    assert [request["path"] for request in bench.requests()] == ["/Opportunities"]
    assert bench.posts("Opportunities") == [{"id": row["id"], "status_id": 22}]
    bench.sandbox.edit("Opportunities", row["id"], status_id=2)
    bench.marked()
    await bench.settle(again, first)
    assert bench.requests() == [], "what a person does afterwards stands"
    assert bench.row("Faults", summary="New office")["status_id"] == 2


@pytest.mark.feature("won.opp.order", part="writer")
async def test_the_second_quote_on_an_opportunity_completes_it_as_well(bench: Bench) -> None:
    """Only one of two targets that adopt a record may update it; a step asks nobody whose it is."""
    tool = bench.tool
    with bench.sandbox.client() as halo:
        deal = {"summary": "By hand", "tickettype_id": 6, "client_id": 12}
        halo_id = halo.post("/Opportunities", json=[deal]).json()["id"]
    for quote in ("q-1", "q-2"):
        commands = tool.whole_quote(quote, org_name=CLIENT, title=f"Quote {quote}")
        commands[-2] = changed(tool.opportunity(quote, write="on_create"), match=by(halo_id=halo_id))
        await bench.settle(*commands)
    await bench.settle(won(tool, "q-2", po_number="PO-2"))
    row = bench.row("Faults", id=halo_id)
    assert (row["status_id"], row["purchaseordernumber"]) == (22, "PO-2")


@pytest.mark.feature("won.po", part="writer")
async def test_a_number_that_is_absent_leaves_the_one_in_halo(bench: Bench) -> None:
    await a_quote(bench)
    opportunity = bench.row("Faults", summary="New office")["id"]
    await bench.settle(won(bench.tool, status=None, po_number="PO-1"))
    assert bench.row("Faults", id=opportunity)["purchaseordernumber"] == "PO-1"
    await bench.settle(won(bench.tool, seq=(3, 1)), bench.tool.opportunity(seq=(3, 1), title="Else"))
    assert bench.row("Faults", id=opportunity)["purchaseordernumber"] == "PO-1"


async def test_a_completion_whose_answer_was_lost_is_read_back_and_not_repeated(bench: Bench) -> None:
    await a_quote(bench)
    bench.sandbox.arm(action="store_then_drop", method="POST", path="^/Opportunities$", times=1)
    await bench.settle(won(bench.tool))
    assert bench.row("Faults", summary="New office")["status_id"] == 22
    assert len(bench.requests("POST", "^/Opportunities$")) == 1


async def test_a_completion_waits_for_its_opportunity(bench: Bench) -> None:
    await bench.deliver(won(bench.tool))
    (waiting,) = await bench.pending()
    assert (waiting.reason, waiting.waits_for) == ("dependency", bench.tool.target("opportunity", "q-1").key)
    await bench.settle(*bench.tool.whole_quote(org_name=CLIENT))
    assert bench.row("Faults", summary="New office")["status_id"] == 22
