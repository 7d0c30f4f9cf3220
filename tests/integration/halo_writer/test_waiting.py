"""What waits, why and for how long; how it goes on by itself; and that every command is told of once."""

from __future__ import annotations

import datetime as dt

import pytest

from schemas.commands import Command, Named
from schemas.identity import id_of
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import work_of

on_both_databases = pytest.mark.parametrize("writer_store_url", ["sqlite", "postgres"], indirect=True)


@pytest.mark.feature("hub.order", part="writer")
async def test_a_quote_waits_for_what_it_refers_to_and_goes_on_by_itself(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    async with bench.lane() as lane:
        await bench.submit(lane, [commands[-1]])
        (waiting,) = await bench.pending()
        assert waiting.reason == "dependency"
        assert waiting.waits_for in {command.target.key for command in commands[:-1]}
        assert bench.requests() == []
        await bench.submit(lane, commands[:-1])
        await bench.until_nothing_waits()
    assert bench.row("Quotation", title="New office")["client_id"] == bench.outcome(commands[0]).halo_id


@pytest.mark.invariant("INV-16")
async def test_a_command_that_comes_while_rows_are_being_written_is_sent_at_once(bench: Bench) -> None:
    """The runner sleeps for as long as a lane may be idle, unless it is told of every command that was taken in."""
    client = bench.tool.client()
    async with bench.lane() as lane:
        await eventually(lambda: lane.held is not None and not lane._backlog.lock.locked())
        async with lane._backlog.lock:
            lane._came.set()
            await eventually(lambda: not lane._came.is_set())
            lane.submit(work_of(client))
        await eventually(lambda: bool(bench.outcomes(client)), timeout_s=10)


@pytest.mark.feature("hub.order", part="writer")
async def test_what_waits_is_taken_up_by_another_owner_in_order(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    await bench.deliver(commands[-1])
    await bench.deliver(commands[-2])
    assert len(await bench.pending()) == 2
    async with bench.lane(owner="another") as lane:
        await bench.submit(lane, commands[:-2])
        await bench.until_nothing_waits()
    assert len(bench.rows("Quotation")) == 1


@pytest.mark.invariant("INV-6")
async def test_a_command_that_waits_and_comes_again_is_told_once_and_never_as_superseded(
    bench: Bench,
) -> None:
    commands = bench.tool.whole_quote()
    quote = commands[-1]
    async with bench.lane() as lane:
        await bench.submit(lane, [quote])
        await bench.submit(lane, [quote, quote])
        await bench.submit(lane, commands[:-1])
        await bench.until_nothing_waits()
    assert [outcome.status for outcome in bench.outcomes(quote)] == ["applied"]


@pytest.mark.invariant("INV-6")
async def test_a_command_delivered_twice_in_one_batch_is_told_once(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    await bench.settle(*commands, *commands)
    for command in commands:
        assert {outcome.status for outcome in bench.outcomes(command)} == {"applied"}


async def test_an_older_command_that_comes_with_a_repeat_of_the_newer_one_is_told_too(bench: Bench) -> None:
    """Every command that was delivered has an outcome, in whatever company it came."""
    tool = bench.tool
    await bench.settle(*tool.whole_quote(seq=(2, 1), title="Second"))
    first, second = tool.quote(seq=(1, 1), title="First"), tool.quote(seq=(2, 1), title="Second")
    bench.marked()
    await bench.settle(second, first)
    assert [outcome.status for outcome in bench.outcomes(first)] == ["superseded"]
    assert bench.outcome(first).superseded_by == id_of(second)
    assert bench.requests() == []


@pytest.mark.invariant("INV-6")
@on_both_databases
async def test_newer_commands_of_a_target_that_waits_replace_it_and_all_are_told(bench: Bench) -> None:
    tool = bench.tool
    commands = tool.whole_quote(seq=(1, 1), title="First")
    revisions = [tool.quote(seq=(n, 1), title=f"Revision {n}") for n in (3, 2)]
    async with bench.lane() as lane:
        await bench.submit(lane, [commands[-1]])
        await bench.submit(lane, revisions)
        (waiting,) = await bench.pending()
        assert waiting.seq == (3, 1)
        await bench.submit(lane, commands[:-1])
        await bench.until_nothing_waits()
    assert [row["title"] for row in bench.rows("Quotation")] == ["Revision 3"]
    assert len(bench.posts("Quotation")) == 1
    assert bench.outcome(revisions[0]).status == "applied"
    assert bench.outcome(revisions[1]).status == bench.outcome(commands[-1]).status == "superseded"


async def test_a_rejected_command_is_a_dead_letter_and_the_next_revision_passes_it(bench: Bench) -> None:
    tool = bench.tool
    commands = tool.whole_quote()
    bench.sandbox.arm("error", path="^/Quotation$", status=400, answer="The status is wrong")
    await bench.settle(*commands)
    outcome = bench.outcome(commands[-1])
    assert (outcome.status, outcome.code, outcome.message) == (
        "rejected",
        "halo.rejected",
        "The status is wrong",
    )
    (letter,) = bench.dead_letters()
    assert (letter.stage, letter.target) == ("writer", commands[-1].target)
    assert letter.basis == commands[-1].basis
    revision = tool.quote(seq=(2, 1), title="Better")
    await bench.settle(revision)
    assert [row["title"] for row in bench.rows("Quotation")] == ["Better"]
    assert bench.requests("GET", "^/ExternalLink$"), "after a rejection a creation looks first"


async def test_a_name_that_was_never_read_is_waited_for_and_not_rejected(make_bench: MakeBench) -> None:
    bench = await make_bench(read=False)
    item = bench.tool.item("SH-1U", "Rack Shelf", group=Named(lookup="asset_group", name="Hardware"))
    await bench.deliver(item)
    (waiting,) = await bench.pending()
    assert waiting.reason == "catalogue"
    assert bench.requests("POST") == []
    await bench.read_halo("asset_group", "item")
    await bench.settle()
    bench.row("Item", name="Rack Shelf")


async def test_the_tenants_budget_is_kept_and_what_is_over_it_waits(make_bench: MakeBench) -> None:
    bench = await make_bench(budget="{requests: 10, window: 300s}")
    commands: list[Command] = []
    for number in range(6):
        commands += bench.tool.whole_quote(f"q-{number}", title=f"Quote {number}")
    await bench.deliver(*commands)
    assert len(bench.requests()) == 7, "the writer's share of ten"
    assert {row.reason for row in await bench.pending()} <= {"limited", "dependency"}
    bench.marked()
    await bench.deliver(*commands)
    assert bench.requests() == [], "a new holder starts from its predecessor's counts"


async def test_a_throttled_tenant_waits_as_long_as_halo_asks_and_spends_no_attempt(bench: Bench) -> None:
    bench.sandbox.arm("throttle", path="^/Client$", method="POST", retry_after_s=1)
    client = bench.tool.client()
    await bench.settle(client)
    first, second = (dt.datetime.fromisoformat(line["at"]) for line in bench.requests("POST", "^/Client$"))
    assert second - first >= dt.timedelta(seconds=1)
    assert bench.requests("GET") == [], "a refused request did nothing: there is nothing to look for"
    assert bench.outcome(client).result == "created"


@pytest.mark.parametrize("status", [403, 401])
async def test_a_missing_right_makes_its_commands_wait_and_loses_nothing(bench: Bench, status: int) -> None:
    """Halo answers 401 too; that the login is good is seen by one cheap read."""
    fault = bench.sandbox.arm("error", path="^/Client$", method="POST", status=status, times=0)
    client = bench.tool.client()
    await bench.deliver(client)
    (waiting,) = await bench.pending()
    assert waiting.reason == "denied"
    bench.sandbox.disarm(fault)
    await bench.settle()
    bench.row("Client", name="Brackenridge Foods")


async def test_an_unreachable_halo_is_tried_again_without_a_look_up(make_bench: MakeBench) -> None:
    bench = await make_bench()
    resource_server = bench.rules.halo.resource_server
    bench.rules = bench.rules.model_copy(
        update={"halo": bench.rules.halo.model_copy(update={"resource_server": "http://127.0.0.1:9/api"})}
    )
    client = bench.tool.client()
    await bench.deliver(client)
    (waiting,) = await bench.pending()
    assert waiting.reason == "unreachable"
    bench.rules = bench.rules.model_copy(
        update={"halo": bench.rules.halo.model_copy(update={"resource_server": resource_server})}
    )
    await bench.settle()
    assert [request["path"] for request in bench.requests()] == ["/Agent/me", "/Client"], "no look-up"


async def test_one_command_finds_out_that_the_login_is_lost_and_the_others_wait_with_it(bench: Bench) -> None:
    first = bench.sandbox.last_request()
    bench.sandbox.revoke_tokens()
    bench.sandbox.arm("error", on="token", status=401, answer={"error": "invalid_client"}, times=0)
    commands = [
        bench.tool.whole_quote(org=f"org-{number}", org_name=f"Customer {number}")[0] for number in range(5)
    ]
    await bench.deliver(*commands)
    tokens = bench.sandbox.requests(since=first, kind="token")
    assert [row.reason for row in await bench.pending()] == ["unauthorised"] * 5
    assert len(tokens) <= 2, "each command asked for its own token"
    bench.sandbox.disarm()
