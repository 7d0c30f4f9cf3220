"""Several records in one request: as many requests as needed, and the same records whatever becomes of one.

The oracle is the sandbox: its request log and its rows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from hub.store import proofs
from schemas.commands import Command, Field, UpsertItem
from schemas.control import ArrayProof
from schemas.targets import KINDS, Kind
from tests.integration.halo_writer.bench import TIMING, Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, changed

UNHURRIED = replace(TIMING, send_within_s=30.0, settle_s=60.0)
"""For what is in no doubt: commands wait for each other as long as a slow machine takes."""
on_both_databases = pytest.mark.parametrize("writer_store_url", ["sqlite", "postgres"], indirect=True)


async def prove_arrays(bench: Bench, *kinds: Kind, atomic: bool = False) -> None:
    """As `hub tenant check --write-proof` leaves it."""
    found = [ArrayProof(kind=kind, ok=True, atomic=atomic) for kind in kinds or KINDS]
    async with bench.store.write() as conn:
        await proofs.put_arrays(conn, TENANT, bench.tool.instance, found, time.time())


async def known(bench: Bench, kind: Kind) -> ArrayProof:
    async with bench.store.read() as conn:
        return (await proofs.arrays_of(conn, TENANT, bench.tool.instance))[kind]


async def given_up(bench: Bench, kind: Kind) -> ArrayProof:
    """What is known once arrays are given up, which is noted after the commands have ended."""

    async def noted() -> ArrayProof | None:
        found = await known(bench, kind)
        return None if found.ok else found

    found = await eventually(noted)
    assert found is not None
    return found


def priced(bench: Bench, number: int, price: int, revision: int) -> UpsertItem:
    """The price that one product shall have."""
    item = bench.tool.item(f"SKU-{number}", f"Product {number}")
    return changed(item, ensure=False, seq=(revision, 1), price=Field(value=Decimal(price)))


async def sold(bench: Bench, count: int) -> None:
    """Products that Halo has, each at 40."""
    await bench.settle(*(priced(bench, number, 40, 1) for number in range(count)))
    bench.marked()


def prices(bench: Bench) -> dict[str, float]:
    return {row["name"]: row["baseprice"] for row in bench.rows("Item") if row["name"].startswith("Product ")}


def sizes(bench: Bench, resource: str = "Item") -> list[int]:
    return [len(request["body"]) for request in bench.requests("POST", f"^/{resource}$")]


def times_written(bench: Bench, resource: str = "Item") -> Counter[int]:
    """How often Halo changed each record since the mark."""
    changes = [
        one for request in bench.requests("POST") for one in (*request["created"], *request["updated"])
    ]
    return Counter(one["id"] for one in changes if one["resource"] == resource)


def break_item(bench: Bench, number: int) -> None:
    """The item's group is gone: Halo refuses any change of it."""
    row = bench.row("Item", name=f"Product {number}")
    bench.sandbox.load({"Item": [{**row, "assetgroup_id": 999}]})


def statuses(bench: Bench, commands: Sequence[Command]) -> list[str]:
    return [bench.outcome(command).status for command in commands]


@pytest.mark.feature("beyond.bulk", part="writer")
@on_both_databases
@pytest.mark.parametrize(("proven", "expected"), [(True, [20]), (False, [1] * 20)])
async def test_twenty_updates_are_one_request_where_arrays_are_proven_and_twenty_elsewhere(
    make_bench: MakeBench, proven: bool, expected: list[int]
) -> None:
    bench = await make_bench(timing=UNHURRIED)
    await sold(bench, 20)
    if proven:
        await prove_arrays(bench)
    commands = [priced(bench, number, 50 + number, 2) for number in range(20)]
    await bench.settle(*commands)
    assert sizes(bench) == expected
    assert len(bench.requests()) == len(expected)
    assert prices(bench) == {f"Product {number}": 50.0 + number for number in range(20)}
    outcomes = [bench.outcome(command) for command in commands]
    assert {(outcome.status, outcome.result) for outcome in outcomes} == {("applied", "updated")}
    told = [request for outcome in outcomes for request in outcome.requests]
    assert sum(request.place == 0 for request in told) == len(expected), "each request counts once"
    assert {request.elements for request in told} == set(expected)


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(("bulk", "expected"), [("off", [1] * 7), ("3", [3, 3, 1]), ("auto", [7])])
async def test_a_tenant_says_how_many_may_share_a_request(
    make_bench: MakeBench, bulk: str, expected: list[int]
) -> None:
    bench = await make_bench(bulk=bulk, timing=UNHURRIED)
    await sold(bench, 7)
    await prove_arrays(bench)
    await bench.settle(*(priced(bench, number, 50, 2) for number in range(7)))
    assert sizes(bench) == expected


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(
    ("mode", "bad"), [("partial", 0), ("partial", 2), ("partial", 5), ("atomic", 2), ("single_only", 5)]
)
async def test_one_bad_record_is_refused_by_itself_and_the_others_are_written_once(
    bench: Bench, mode: str, bad: int
) -> None:
    await sold(bench, 6)
    await prove_arrays(bench)
    bench.sandbox.configure(arrays=mode)
    break_item(bench, bad)
    commands = [priced(bench, number, 50, 2) for number in range(6)]
    await bench.settle(*commands)
    expected = {f"Product {number}": 40.0 if number == bad else 50.0 for number in range(6)}
    assert prices(bench) == expected
    assert statuses(bench, commands) == ["rejected" if number == bad else "applied" for number in range(6)]
    (letter,) = bench.dead_letters()
    assert (letter.reason, letter.target) == ("halo.rejected", commands[bad].target)
    assert "(547)" in letter.message, "Halo's own words"
    # What Halo had stored of the array is found and not sent again.
    assert sorted(times_written(bench).values()) == [1] * 5
    assert sizes(bench)[0] > 1
    refused = [len(request["body"]) for request in bench.requests("POST") if request["status"] == 400]
    assert refused[-1] == 1
    found = await given_up(bench, "item")
    assert "Halo answered 400 to an array" in str(found.why)


@pytest.mark.feature("beyond.bulk", part="writer")
async def test_after_a_refusal_that_kind_goes_singly_until_the_next_proof(bench: Bench) -> None:
    await sold(bench, 4)
    await prove_arrays(bench)
    break_item(bench, 3)
    await bench.settle(*(priced(bench, number, 50, 2) for number in range(4)))
    bench.marked()
    await bench.settle(*(priced(bench, number, 60, 3) for number in range(3)))
    assert sizes(bench) == [1, 1, 1]
    await prove_arrays(bench)
    bench.marked()
    await bench.settle(*(priced(bench, number, 70, 4) for number in range(3)))
    assert max(sizes(bench)) > 1
    assert prices(bench) == {"Product 0": 70.0, "Product 1": 70.0, "Product 2": 70.0, "Product 3": 40.0}


@pytest.mark.feature("beyond.bulk", part="writer")
async def test_an_answer_that_tells_one_record_of_several_leaves_the_others_to_be_looked_up(
    bench: Bench,
) -> None:
    await sold(bench, 4)
    await prove_arrays(bench)
    bench.sandbox.configure(array_answer="one")
    commands = [priced(bench, number, 50, 2) for number in range(4)]
    await bench.settle(*commands)
    assert set(prices(bench).values()) == {50.0}
    assert set(times_written(bench).values()) == {1}, "Halo has them all: nothing is sent again"
    assert statuses(bench, commands) == ["applied"] * 4
    assert "told 1 of them" in str((await given_up(bench, "item")).why)


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize("action", ["store_then_drop", "drop_then_store", "error_after_store"])
async def test_a_lost_answer_to_an_array_loses_and_repeats_nothing(bench: Bench, action: str) -> None:
    await sold(bench, 5)
    await prove_arrays(bench)
    extra: dict[str, Any] = {"delay_s": 0.3} if action == "drop_then_store" else {}
    bench.sandbox.arm(action, method="POST", path="^/Item$", **extra)
    commands = [priced(bench, number, 50, 2) for number in range(5)]
    await bench.settle(*commands)
    assert set(prices(bench).values()) == {50.0}
    # What Halo stores late is not in the log of its request.
    assert set(times_written(bench).values()) <= {1}
    assert sum(sizes(bench)) == 5
    assert max(sizes(bench)) > 1
    assert statuses(bench, commands) == ["applied"] * 5


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize("step", ["after_intent", "before_send", "after_reply", "after_settle"])
async def test_a_crash_at_any_step_of_an_array_ends_at_the_newest_state(bench: Bench, step: str) -> None:
    await sold(bench, 4)
    await prove_arrays(bench)
    commands = [priced(bench, number, 50, 2) for number in range(4)]
    await bench.crash(step, *commands)
    newest = [priced(bench, number, 60, 3) for number in range(2)]
    await bench.settle(*commands, *newest)
    assert prices(bench) == {"Product 0": 60.0, "Product 1": 60.0, "Product 2": 50.0, "Product 3": 50.0}
    assert len(bench.rows("Item")) == len({row["name"] for row in bench.rows("Item")})


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(("atomic", "expected"), [(True, [6]), (False, [1] * 6)])
async def test_new_records_share_a_request_only_where_halo_keeps_all_or_none(
    make_bench: MakeBench, atomic: bool, expected: list[int]
) -> None:
    bench = await make_bench(halo={"arrays": "atomic" if atomic else "partial"}, timing=UNHURRIED)
    await prove_arrays(bench, atomic=atomic)
    await bench.prove_look_ups()
    items = [bench.tool.item(f"SKU-{number}", f"Product {number}") for number in range(6)]
    await bench.settle(*items)
    assert sizes(bench) == expected
    made = {row["name"]: row["id"] for row in bench.rows("Item") if row["name"].startswith("Product ")}
    assert made == {f"Product {number}": bench.outcome(items[number]).halo_id for number in range(6)}


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize("action", ["store_then_drop", "drop_then_store", "error"])
async def test_new_records_of_an_array_without_an_answer_are_each_made_once(
    make_bench: MakeBench, action: str
) -> None:
    bench = await make_bench(halo={"arrays": "atomic"})
    await prove_arrays(bench, atomic=True)
    await bench.prove_look_ups()
    settings: dict[str, dict[str, Any]] = {
        "drop_then_store": {"delay_s": 0.3},
        "error": {"status": 500, "answer": "out of order"},
    }
    extra = settings.get(action, {})
    bench.sandbox.arm(action, method="POST", path="^/Item$", **extra)
    items = [bench.tool.item(f"SKU-{number}", f"Product {number}") for number in range(4)]
    await bench.settle(*items)
    names = sorted(row["name"] for row in bench.rows("Item") if row["name"].startswith("Product "))
    assert names == [f"Product {number}" for number in range(4)]
    assert statuses(bench, items) == ["applied"] * 4


@pytest.mark.feature("beyond.bulk", part="writer")
async def test_quotes_share_a_request_for_their_status_and_go_singly_with_a_new_line(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(timing=UNHURRIED)
    tool = bench.tool
    commands: list[Command] = []
    for number in range(3):
        commands += tool.whole_quote(f"q-{number}", title=f"Quote {number}")
    await bench.settle(*commands)
    await prove_arrays(bench)
    bench.marked()
    await bench.settle(
        *(
            tool.quote(f"q-{number}", seq=(2, 1), title=f"Quote {number}", status="Accepted")
            for number in range(3)
        )
    )
    assert sizes(bench, "Quotation") == [3]
    bench.marked()
    lines = [tool.line("l1"), tool.line("l2", name="Second")]
    await bench.settle(
        *(tool.quote(f"q-{number}", seq=(3, 1), title=f"Quote {number}", lines=lines) for number in range(3))
    )
    assert sizes(bench, "Quotation") == [1, 1, 1]
    assert [len(row["lines"]) for row in bench.rows("Quotation")] == [2, 2, 2]


async def test_a_limit_that_stops_an_array_leaves_nothing_in_doubt(bench: Bench) -> None:
    await sold(bench, 3)
    await prove_arrays(bench)
    bench.sandbox.arm("throttle", method="POST", path="^/Item$", retry_after_s=1)
    commands = [priced(bench, number, 50, 2) for number in range(3)]
    await bench.settle(*commands)
    assert statuses(bench, commands) == ["applied"] * 3
    first, *rest = bench.requests()
    assert (first["status"], len(first["body"]) > 1) == (429, True)
    assert {(request["method"], request["status"]) for request in rest} == {("POST", 201)}, (
        "none is looked up"
    )
    assert set(times_written(bench).values()) == {1}
    assert (await known(bench, "item")).ok, "a limit says nothing about arrays"


async def test_a_right_that_is_missing_for_one_record_holds_up_that_one_alone(bench: Bench) -> None:
    """Halo finds it out at that record, after those before it were stored: nothing is taken for undone."""
    await sold(bench, 3)
    await prove_arrays(bench)
    closed = bench.row("Item", name="Product 1")["id"]
    bench.sandbox.configure(denied=[{"resource": "Item", "method": "POST", "id": closed}])
    first = [priced(bench, number, 50, 2) for number in range(3)]
    async with bench.lane() as lane:
        await bench.submit(lane, first)
        await eventually(lambda: prices(bench)["Product 2"] == 50.0 or None)
        bench.sandbox.configure(denied=[])
        await bench.until_nothing_waits()
    assert set(prices(bench).values()) == {50.0}
    assert statuses(bench, first) == ["applied"] * 3
    assert (await known(bench, "item")).ok, "a missing right says nothing about arrays"
