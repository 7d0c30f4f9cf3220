"""The property test can fail: a world with one thing wrong is found, and so is a hub that does one thing wrong."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from services.mapper import batch, lines, quote, winning, won
from services.mapper.lines import LinesMapped
from services.mapper.record import Folded, fold
from services.mapper.sales_order import sales_order_of
from tests.histories.checker import findings
from tests.histories.draw import Case, draw
from tests.histories.expected import Expected, expected
from tests.histories.ground import OPPORTUNITY_TYPE, WON
from tests.histories.hub_in_process import carry_out, place
from tests.histories.run import Counted, run
from tests.histories.seen import Row, Seen
from tests.histories.tell import told

Plant = Callable[[Seen], None]
_MOST_DRAWN = 400
_MOST_CARRIED_OUT = 12


def cases(wanted: Callable[[Case, Expected], bool], count: int = 1) -> Iterator[Case]:
    """The first drawn cases that have what is wanted."""
    found = (
        case for number in range(_MOST_DRAWN) if wanted(case := draw(f"planted/{number}"), expected(case))
    )
    for _ in range(count):
        yield next(found)


def has_everything(case: Case, want: Expected) -> bool:
    """An order of the hub's, an opportunity that it completed, a quote of several lines, and an item that it made."""
    own = [one for one in want.opportunities.values() if one.shows is not None and one.shows.own]
    return (
        bool(want.orders)
        and any(one.completed_by for one in own)
        and any(len(one.head.document["lines"]) > 1 for one in want.quotes.values())
        and any(one.order for one in want.quotes.values()) is False
        and bool(want.items)
        and bool(want.clients)
    )


CarryOut = Callable[[Case], Seen]


@pytest.fixture(scope="module")
def carried_out() -> Iterator[CarryOut]:
    """Carries out cases, in one place for the whole module."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        where = runner.run(stack.enter_async_context(place()))
        yield lambda case: runner.run(carry_out(case, where))[0][-1]
        runner.run(stack.aclose())


@pytest.fixture(scope="module")
def world(carried_out: CarryOut) -> tuple[Case, Seen]:
    (case,) = cases(has_everything)
    return case, carried_out(case)


def a_quote(seen: Seen) -> Row:
    return max(seen.new("Quotation"), key=lambda row: len(row["lines"]))


def again(rows: list[Row], row: Row) -> None:
    rows.append({**copy.deepcopy(row), "id": max(one["id"] for one in rows) + 1})


def lose_a_line(seen: Seen) -> None:
    a_quote(seen)["lines"].pop()


def swap_lines(seen: Seen) -> None:
    row = a_quote(seen)
    first, second, *rest = row["lines"]
    row["lines"] = [{**second, "name": f"{second['name']}!"}, first, *rest]


def a_cent_off(seen: Seen) -> None:
    row = a_quote(seen)
    row["revenue"], row["total"] = row["revenue"] + 0.01, row["total"] + 0.01


def a_line_off(seen: Seen) -> None:
    """Two lines are wrong by as much, so that their sum is right."""
    first, second, *_ = a_quote(seen)["lines"]
    first["total_price"], second["total_price"] = first["total_price"] + 0.05, second["total_price"] - 0.05


def another_tax(seen: Seen) -> None:
    a_quote(seen)["tax_total"] += 0.01


def double_the_quote(seen: Seen) -> None:
    again(seen.tables["Quotation"], a_quote(seen))


def lose_the_quote(seen: Seen) -> None:
    seen.tables["Quotation"].remove(a_quote(seen))


def double_the_order(seen: Seen) -> None:
    again(seen.tables["SalesOrder"], seen.new("SalesOrder")[0])


def lose_the_order(seen: Seen) -> None:
    seen.tables["SalesOrder"].clear()


def complete_twice(seen: Seen) -> None:
    request = next(
        one
        for one in seen.requests
        if one["method"] == "POST" and any(e.get("status_id") == WON for e in one["body"])
    )
    seen.requests.append(request)


def complete_another(seen: Seen) -> None:
    done = {one["id"] for one in seen.posted("Opportunities") if one.get("status_id") == WON}
    row = next(
        row
        for row in seen.new("Faults")
        if row["tickettype_id"] == OPPORTUNITY_TYPE and row["id"] not in done
    )
    seen.requests.append(
        {
            "method": "POST",
            "path": "/Opportunities",
            "status": 201,
            "body": [{"id": row["id"], "status_id": WON}],
        }
    )


def make_a_group(seen: Seen) -> None:
    seen.tables["AssetGroup"].append({"id": 99, "name": "Laptops"})


def make_an_item_without_a_group(seen: Seen) -> None:
    del seen.new("Item")[0]["assetgroup_id"]


def double_the_client(seen: Seen) -> None:
    again(seen.tables["Client"], seen.new("Client")[0])


def double_the_item(seen: Seen) -> None:
    again(seen.tables["Item"], seen.new("Item")[0])


def double_the_opportunity(seen: Seen) -> None:
    again(seen.tables["Faults"], seen.new("Faults")[0])


PLANTS: Sequence[tuple[Plant, str]] = (
    (lose_a_line, "lines"),
    (swap_lines, "lines"),
    (a_cent_off, "amount"),
    (a_line_off, "amount"),
    (another_tax, "amount"),
    (double_the_quote, "count"),
    (lose_the_quote, "count"),
    (double_the_order, "won"),
    (lose_the_order, "won"),
    (complete_twice, "won"),
    (complete_another, "won"),
    (make_a_group, "group"),
    (make_an_item_without_a_group, "group"),
    (double_the_client, "count"),
    (double_the_item, "count"),
    (double_the_opportunity, "count"),
)


def test_a_world_as_it_should_be_has_nothing_to_find(world: tuple[Case, Seen]) -> None:
    case, seen = world
    assert findings(case, expected(case), seen) == [], told(case)


@pytest.mark.parametrize(("plant", "kind"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_one_wrong_thing_in_halo_is_found(world: tuple[Case, Seen], plant: Plant, kind: str) -> None:
    case, seen = world
    wrong = copy.deepcopy(seen)
    plant(wrong)
    assert kind in {one.kind for one in findings(case, expected(case), wrong)}


# A hub that does one thing wrong ------------------------------------------------------------------------------


def mode(name: str, **more: bool) -> Callable[[Case, Expected], bool]:
    """Cases of one revision mode in which several states of a quote reach Halo."""

    def holds(case: Case, want: Expected) -> bool:
        several = any(sum(of == quote for of, _ in want.quotes) > 1 for quote in case.quotes)
        won_there = bool(want.orders) or not more.get("won")
        return case.setting.quotes_mode == name and won_there and (several or name != "new")

    return holds


def one_halo_quote_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quote, "quote_target", lambda record, head, word, scope: scope.target("quote", record.id))


def every_revision_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quote, "as_revision", lambda mapped, rules: mapped)


def the_last_line_left_out(patch: pytest.MonkeyPatch) -> None:
    whole = lines.map_lines

    def shorter(source: Any, scope: Any) -> LinesMapped:
        mapped = whole(source, scope)
        return replace(mapped, lines=mapped.lines[:-1])

    patch.setattr(quote, "map_lines", shorter)


def discounts_not_spread(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("services.mapper.money._document_discount", lambda net, discount, faults: 0)


def an_order_for_each_state(patch: pytest.MonkeyPatch) -> None:
    def another(quote_id: str, mapped: Any, scope: Any) -> Any:
        made = sales_order_of(quote_id, mapped, scope)
        return replace(made, match=(), target=replace(made.target, scope=f"order {mapped.state_hash}"))

    patch.setattr(won, "sales_order_of", another)


def the_newest_to_arrive_wins(patch: pytest.MonkeyPatch) -> None:
    arrived = iter(range(1_000_000, 2_000_000))

    def by_arrival(record: Any, envelope: Any, data: Any) -> Folded:
        revision = None if envelope.revision is None else next(arrived)
        return fold(record, replace(envelope, revision=revision), data)

    patch.setattr(batch, "fold", by_arrival)


def never_won(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(winning, "_has_won_status", lambda record, rules: False)


WRONG: Sequence[tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Case, Expected], bool]]] = (
    (one_halo_quote_for_all, mode("new")),
    (every_revision_written, mode("first_only")),
    (the_last_line_left_out, mode("overwrite")),
    (discounts_not_spread, mode("overwrite")),
    (an_order_for_each_state, mode("new", won=True)),
    (the_newest_to_arrive_wins, mode("overwrite")),
    (never_won, mode("overwrite", won=True)),
)


@pytest.mark.parametrize(("switch", "wanted"), WRONG, ids=[switch.__name__ for switch, _ in WRONG])
def test_a_hub_with_one_thing_wrong_is_found_out(
    carried_out: CarryOut,
    monkeypatch: pytest.MonkeyPatch,
    switch: Callable[[pytest.MonkeyPatch], None],
    wanted: Callable[[Case, Expected], bool],
) -> None:
    switch(monkeypatch)
    for case in cases(wanted, _MOST_CARRIED_OUT):
        if findings(case, expected(case), carried_out(case)):
            return
    pytest.fail("none of the drawn cases shows it")


async def test_a_counter_example_is_made_small_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    the_last_line_left_out(monkeypatch)
    (drawn,) = cases(mode("overwrite"))
    (example,) = [example async for example in run([drawn.seed], Counted())]
    assert len(example.case.sendings) <= 2 < len(drawn.sendings), "a quote, and what wins it if need be"
    assert "lines" in {one.kind for one in example.found}, str(example)
    assert f"python -m tests.histories --only {drawn.seed}" in str(example)
