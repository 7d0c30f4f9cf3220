"""Repeats, crashes and takeovers: what Halo sees of them, and what is told."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec
import pytest

from hub.lease_keeper import LeaseKeeper
from hub.store import leases, targets
from schemas.commands import Command
from schemas.identity import id_of
from schemas.outcomes import DuplicateSuspected, Outcome
from schemas.targets import our_key
from schemas.topics import OUTCOMES, TARGETS
from tests.integration.halo_writer.bench import Bench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, changed, sealed, work_of

on_both_databases = pytest.mark.parametrize("writer_store_url", ["sqlite", "postgres"], indirect=True)


def counts(bench: Bench) -> dict[str, int]:
    return {
        name: len(bench.rows(name)) for name in ("Client", "Site", "Users", "Item", "Faults", "Quotation")
    }


@pytest.mark.feature("beyond.noop", part="writer")
@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.invariant("INV-3")
@on_both_databases
async def test_the_same_commands_again_cost_no_request_also_after_a_restart_and_in_any_order(
    bench: Bench,
) -> None:
    tool = bench.tool
    commands = tool.whole_quote(
        person="p-1", items=[tool.item("SH-1U", "Rack Shelf")], lines=[tool.line("l1", "SH-1U")]
    )
    await bench.settle(*commands)
    before, told = counts(bench), {id_of(c): bench.outcome(c) for c in commands}
    quotes = bench.rows("Quotation")
    bench.marked()
    await bench.settle(*commands)
    await bench.settle(*reversed(commands))
    await bench.settle(*commands, *commands)
    assert bench.requests() == []
    assert counts(bench) == before
    assert bench.rows("Quotation") == quotes
    repeated = bench.outcome(commands[-1])
    assert repeated == told[repeated.command_id], "the stored outcome is told again"


@pytest.mark.feature("beyond.noop", part="writer")
async def test_a_later_command_for_the_same_state_costs_no_request_and_its_order_counts(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(seq=(1, 1)))
    bench.marked()
    again = tool.quote(seq=(4, 1))
    await bench.settle(again)
    assert bench.outcome(again).result == "unchanged"
    late = tool.quote(seq=(3, 1), title="Late")
    await bench.settle(late)
    assert bench.outcome(late).status == "superseded"
    assert bench.requests() == []


@pytest.mark.feature("beyond.noop", part="writer")
async def test_twenty_unchanged_quotes_of_known_customers_cost_nothing(bench: Bench) -> None:
    commands: list[Command] = []
    for number in range(20):
        commands += bench.tool.whole_quote(f"q-{number}", title=f"Quote {number}")
    await bench.settle(*commands)
    assert len(bench.rows("Quotation")) == 20
    bench.marked()
    await bench.settle(*commands)
    assert bench.requests() == []


@pytest.mark.feature("hub.idempotent", part="writer")
async def test_there_and_back_again_are_three_changes_not_two(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(title="A"))
    await bench.settle(tool.quote(seq=(2, 1), title="B"))
    assert bench.rows("Quotation")[0]["title"] == "B"
    await bench.settle(tool.quote(seq=(3, 1), title="A"))
    assert [row["title"] for row in bench.rows("Quotation")] == ["A"]


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.invariant("INV-1")
@pytest.mark.parametrize(
    "step", ["after_intent", "before_send", "after_reply", "after_settle", "after_publish"]
)
@on_both_databases
async def test_a_crash_at_any_step_of_a_creation_leaves_one_of_each(bench: Bench, step: str) -> None:
    """After Halo's answer the record is found by our key and not created again."""
    await bench.prove_look_ups()
    commands = bench.tool.whole_quote(person="p-1")
    for times in (1, 1) if step == "after_publish" else (2, 1):
        await bench.crash(step, *commands, times=times)
    await bench.settle(*commands)
    names = Counter(row["name"] for row in bench.rows("Client"))
    assert names["Brackenridge Foods"] == 1
    assert len(bench.rows("Quotation")) == 1
    assert len([row for row in bench.rows("Faults") if row["summary"] == "New office"]) == 1
    assert len([row for row in bench.rows("Users") if row["name"] == "Nina Park"]) == 1
    assert bench.outcome(commands[-1]).status == "applied"


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.invariant("INV-5")
async def test_an_update_that_may_have_been_applied_is_read_back_before_anything_else_is_sent(
    bench: Bench,
) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(lines=[tool.line("l1")]))
    bench.marked()
    update = tool.quote(seq=(2, 1), lines=[tool.line("l1"), tool.line("l2", name="Second")])
    bench.sandbox.arm("store_then_drop", path="^/Quotation$")
    await bench.settle(update)
    assert [line["name"] for line in bench.rows("Quotation")[0]["lines"]] == ["Firewall Appliance", "Second"]
    made = [(request["method"], request["path"].split("/")[1]) for request in bench.requests()]
    assert made == [
        ("POST", "Quotation"),
        ("GET", "Agent"),
        ("GET", "Quotation"),
    ], "one read shows that Halo is back, and it already had the update: nothing is sent twice"
    assert bench.outcome(update).result == "updated"


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.invariant("INV-5")
@on_both_databases
async def test_a_revision_that_takes_over_an_uncertain_update_adds_its_lines_once(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(lines=[tool.line("l1")]))
    second = tool.quote(seq=(2, 1), lines=[tool.line("l1"), tool.line("l2", name="Second")])
    third = tool.quote(
        seq=(3, 1), lines=[tool.line("l1"), tool.line("l2", name="Second"), tool.line("l3", name="Third")]
    )
    bench.sandbox.arm("drop_then_store", path="^/Quotation$", delay_s=0.2)
    await bench.deliver(second)
    await bench.settle(third)
    names = [line["name"] for line in bench.rows("Quotation")[0]["lines"]]
    assert names == ["Firewall Appliance", "Second", "Third"]
    assert bench.outcome(second).status == "superseded"


async def test_what_settled_before_an_uncertain_update_is_sent_again_when_it_is_wanted_again(
    bench: Bench,
) -> None:
    """A, then B unanswered, then A: Halo may hold B, so that A is no repeat of what had settled."""
    tool = bench.tool
    await bench.settle(*tool.whole_quote(title="A"))
    bench.sandbox.arm("store_then_drop", path="^/Quotation$")
    await bench.deliver(tool.quote(seq=(2, 1), title="B"))
    bench.sandbox.arm("error", path="^/Quotation/", method="GET", status=503, times=1)
    bench.sandbox.arm("throttle", path="^/Quotation$", method="POST", retry_after_s=1)
    await bench.settle(tool.quote(seq=(3, 1), title="A"))
    assert [row["title"] for row in bench.rows("Quotation")] == ["A"]


async def test_a_rejected_revision_after_an_uncertain_one_does_not_hide_what_halo_holds(bench: Bench) -> None:
    tool = bench.tool
    await bench.settle(*tool.whole_quote(title="A"))
    bench.sandbox.arm("store_then_drop", path="^/Quotation$")
    await bench.deliver(tool.quote(seq=(2, 1), title="B"))
    bench.sandbox.arm("error", path="^/Quotation$", method="POST", status=400, answer="No")
    rejected = tool.quote(seq=(3, 1), title="C")
    await bench.settle(rejected)
    assert bench.outcome(rejected).status == "rejected"
    assert [row["title"] for row in bench.rows("Quotation")] == ["B"]
    await bench.settle(tool.quote(seq=(4, 1), title="A"))
    assert [row["title"] for row in bench.rows("Quotation")] == ["A"]


@pytest.mark.feature("hub.idempotent", part="writer")
async def test_a_creation_that_halo_did_after_the_answer_was_given_up_is_found_and_not_repeated(
    bench: Bench,
) -> None:
    await bench.prove_look_ups()
    bench.sandbox.arm("drop_then_store", path="^/Quotation$", delay_s=0.2)
    commands = bench.tool.whole_quote()
    await bench.settle(*commands)
    assert len(bench.rows("Quotation")) == 1
    assert len(bench.posts("Quotation")) == 1
    assert bench.outcome(commands[-1]).result == "created"


@pytest.mark.invariant("INV-1")
async def test_a_creation_that_never_arrived_is_repeated_once_its_absence_is_proven(bench: Bench) -> None:
    await bench.prove_look_ups()
    bench.sandbox.arm("error", path="^/Client$", method="POST", status=502)
    client = bench.tool.client()
    await bench.settle(client)
    bench.row("Client", name="Brackenridge Foods")
    posts = [request["at"] for request in bench.requests("POST", "^/Client$")]
    assert len(posts) == 2
    looks = bench.requests("GET", "^/ExternalLink$")
    assert looks, "absence was looked for"
    outcome = bench.outcome(client)
    assert outcome.result == "created"
    assert [request.outcome for request in outcome.requests if request.method == "POST"] == [
        "ambiguous",
        "applied",
    ]


@pytest.mark.invariant("INV-1")
async def test_a_creation_whose_absence_can_not_be_proven_becomes_a_decision_and_no_second_post(
    bench: Bench,
) -> None:
    bench.sandbox.arm("error", path="^/Client$", method="POST", status=502)
    client = bench.tool.client()
    async with bench.lane() as lane:
        await bench.submit(lane, [client])

        async def decision() -> bool:
            return [row.reason for row in await bench.pending()] == ["decision"]

        await eventually(decision)
    assert len(bench.posts("Client")) == 1
    assert all(row["name"] != "Brackenridge Foods" for row in bench.rows("Client"))
    (waiting,) = await bench.pending()
    assert "hub tenant check" in (waiting.note or "")


@on_both_databases
async def test_a_takeover_sends_nothing_twice_and_the_old_owner_settles_nothing(bench: Bench) -> None:
    """The first owner's answer is late; the second waits, finds the record and settles it."""
    await bench.prove_look_ups()
    commands = bench.tool.whole_quote()
    await bench.settle(*commands[:-1])
    async with bench.lane(owner="first") as lane:
        async with bench.held_on_its_way("/Quotation", answer=True) as is_held:
            lane.submit(work_of(commands[-1]))
            await eventually(is_held)
            async with bench.store.write() as conn:
                held = await leases.peek(conn, TENANT, "write")
                assert held is not None
                await leases.release(conn, TENANT, "write", "first", held.epoch)
            other = LeaseKeeper(bench.store, owner="second", ttl_s=120.0)
            taken = await other.take(TENANT, "write")
            assert taken is not None
        overtaken = "hub_lanes_overtaken_total"
        await eventually(lambda: bench.metrics.registry.get_sample_value(overtaken, {"tenant": TENANT}) == 1)
        async with bench.store.read() as conn:
            row = (await targets.load(conn, [commands[-1].target]))[commands[-1].target]
        assert row.halo_id is None, "the old owner's settlement is refused"
        assert row.intent is not None
        await other.release(taken)
        alarms = [data for _, data in bench.messages(OUTCOMES) if isinstance(data, DuplicateSuspected)]
        made = bench.row("Quotation", title="New office")
    await bench.settle(commands[-1])
    assert len(bench.rows("Quotation")) == 1
    assert bench.outcome(commands[-1]).halo_id == made["id"]
    told = [data for _, data in bench.messages(OUTCOMES) if isinstance(data, DuplicateSuspected)]
    assert [alarm.halo_ids for alarm in told or alarms] == [(made["id"],)]


async def test_an_update_of_a_quote_that_was_deleted_in_halo_is_rejected_and_not_made_anew(
    bench: Bench,
) -> None:
    tool = bench.tool
    commands = tool.whole_quote()
    await bench.settle(*commands)
    halo_id = bench.outcome(commands[-1]).halo_id
    with bench.sandbox.client() as halo:
        halo.delete(f"/Quotation/{halo_id}").raise_for_status()
    update = tool.quote(seq=(2, 1), title="Too late")
    await bench.settle(update)
    assert (bench.outcome(update).status, bench.outcome(update).code) == ("rejected", "halo.gone")
    assert bench.rows("Quotation") == []


def redriven(command: Command, redrive: str) -> Command:
    """The command as the mapper makes it again when a person redrives its event."""
    return sealed(
        msgspec.structs.replace(command, basis=msgspec.structs.replace(command.basis, cause=redrive))
    )


async def test_a_redrive_makes_anew_what_was_deleted_in_halo_also_what_the_quote_relies_on(
    bench: Bench,
) -> None:
    tool = bench.tool
    commands = tool.whole_quote()
    await bench.settle(*commands)
    before = [line["productcode"] for line in bench.rows("Quotation")[0]["lines"]]
    for resource in ("Quotation", "Opportunities"):
        with bench.sandbox.client() as halo:
            for row in bench.rows(resource):
                halo.delete(f"/{resource}/{row['id']}").raise_for_status()
    again = [redriven(command, "redrive-1") for command in commands]
    await bench.settle(*again)
    (quote,) = bench.rows("Quotation")
    (opportunity,) = bench.rows("Opportunities")
    assert quote["ticket_id"] == opportunity["id"]
    assert bench.outcome(again[-1]).result == "created"
    assert [line["productcode"] for line in quote["lines"]] == before
    # Twice is harmless: what is there is read, nothing is written.
    mark = bench.sandbox.last_request()
    await bench.settle(*(redriven(command, "redrive-2") for command in commands))
    assert bench.sandbox.requests(since=mark, method="POST") == []


async def test_a_quote_whose_opportunity_alone_was_deleted_hangs_under_the_one_that_a_redrive_makes(
    bench: Bench,
) -> None:
    commands = bench.tool.whole_quote()
    await bench.settle(*commands)
    (before,) = bench.rows("Opportunities")
    with bench.sandbox.client() as person:
        person.delete(f"/Opportunities/{before['id']}").raise_for_status()
    await bench.settle(*(redriven(command, "redrive-1") for command in commands))
    (quote,), (opportunity,) = bench.rows("Quotation"), bench.rows("Opportunities")
    assert opportunity["id"] != before["id"]
    assert quote["ticket_id"] == opportunity["id"]


async def test_after_a_restore_each_creation_that_was_on_the_log_looks_for_our_key_first(
    bench: Bench,
) -> None:
    await bench.prove_look_ups()
    tool = bench.tool
    commands = tool.whole_quote(org_name="Brightwater Dental Group")
    link = {"third_party_id": our_key(commands[-1].target), "third_party_desc": "halo-hub"}
    with bench.sandbox.client() as halo:
        opportunity = {"summary": "Mine", "tickettype_id": 6, "client_id": 12}
        ticket = halo.post("/Opportunities", json=[opportunity]).json()
        row = {"title": "New office", "ticket_id": ticket["id"], "site_id": 22, "new_external_link": link}
        made = halo.post("/Quotation", json=[row]).json()
    async with bench.store.write() as conn:
        await targets.raise_generation(conn, {("hub.commands.v1", 0): 100})
    bench.marked()
    await bench.deliver_at((0, 0), *commands)
    assert (
        bench.row("Quotation", title="New office")["id"] == made["id"] == bench.outcome(commands[-1]).halo_id
    )


@on_both_databases
async def test_each_change_of_a_row_is_told_whole_with_a_rising_version(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    await bench.settle(*commands)
    await bench.settle(bench.tool.quote(seq=(2, 1), title="Second"))
    told = [data for _, data in bench.messages(TARGETS) if data.target == commands[-1].target]
    assert [state.version for state in told] == list(range(1, len(told) + 1))
    assert told[-1] == await bench.state(commands[-1])
    assert told[-1].intent is None
    assert told[0].intent is not None, "the intent is told before the request"


async def test_lines_of_a_found_quote_are_known_by_our_key_and_not_added_again(bench: Bench) -> None:
    """A creation that was never answered: the next revision finds the quote and recognises its lines."""
    await bench.prove_look_ups()
    tool = bench.tool
    bench.sandbox.arm("store_then_drop", path="^/Quotation$")
    lines = [tool.line("l1"), tool.line("l2", price=Decimal(5))]
    commands = tool.whole_quote(lines=lines)
    await bench.deliver(*commands)
    revision = changed(tool.quote(seq=(2, 1), lines=[lines[1], lines[0], tool.line("l3")]))
    before = [line["id"] for line in bench.rows("Quotation")[0]["lines"]]
    await bench.settle(revision)
    after = [line["id"] for line in bench.rows("Quotation")[0]["lines"]]
    assert after[:2] == before[::-1]
    assert len(after) == 3


async def test_outcomes_name_every_request_without_its_query_values(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    await bench.settle(*commands)
    told = [data for _, data in bench.messages(OUTCOMES) if isinstance(data, Outcome)]
    assert sum(len(outcome.requests) for outcome in told) == len(bench.requests())
