"""What a tenant's Halo refuses as a whole costs a few requests, loses nothing, and ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import msgspec
import pytest
import structlog

from hub.bus.records import Outgoing
from hub.lease_keeper import LeaseKeeper
from hub.store import holds, leases, pending, targets
from hub.store.holds import HALO, WINDOW, Hold
from schemas.commands import Command
from schemas.outcomes import DuplicateSuspected
from schemas.topics import OUTCOMES
from tests.integration.halo_writer.bench import TIMING, Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, always, changed, work_of

SLOW_PROBES = replace(TIMING, unreachable_s=30.0, denied_s=30.0)
"""Nothing is tried again by itself while a test looks."""


def customer(bench: Bench, org: str, name: str, seq: int = 1) -> Command:
    """A client that its source says all about, unlike the one that a quote brings along."""
    return changed(bench.tool.client(org, name=name), ensure=False, seq=(seq, 1), name=always(name))


def clients(bench: Bench, count: int) -> list[Command]:
    return [customer(bench, f"org-{number}", f"Customer {number}") for number in range(count)]


async def held(bench: Bench) -> list[Hold]:
    async with bench.store.read() as conn:
        return await holds.of_tenant(conn, TENANT)


async def try_now(bench: Bench) -> None:
    """The waits for another try are over."""
    waiting = await bench.pending()
    async with bench.store.write() as conn:
        await holds.probe_now(conn, TENANT)
        for row in waiting:
            await pending.try_now(conn, TENANT, "writer", row.target_key, row.reason)


async def reasons(bench: Bench) -> list[str]:
    return [row.reason for row in await bench.pending()]


async def test_a_silent_halo_is_met_by_one_command_and_the_next_owner_does_not_try(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(timing=SLOW_PROBES)
    bench.sandbox.arm("drop", times=0)
    await bench.deliver(*clients(bench, 6))
    assert len(bench.requests()) == 1
    assert sorted(await reasons(bench)) == ["ambiguous", *["unreachable"] * 5]
    assert [hold.scope for hold in await held(bench)] == [HALO]
    bench.marked()
    await bench.deliver(customer(bench, "org-9", "Customer 9"))
    assert bench.requests() == [], "what a former owner learnt is not found out again"


@pytest.mark.feature("beyond.backlog", part="writer")
async def test_when_halo_is_back_the_backlog_drains_by_itself_coalesced_and_once(bench: Bench) -> None:
    bench.sandbox.down()
    first = clients(bench, 4)
    await bench.deliver(*first)
    newer = [customer(bench, c.target.id, f"{c.target.id} renamed", 2) for c in first]
    await bench.deliver(*newer)
    assert len(await bench.pending()) == 4, "one row a target, with its newest command"
    bench.sandbox.disarm()
    bench.marked()
    await bench.prove_look_ups()
    await bench.settle()
    names = [row["name"] for row in bench.rows("Client") if "renamed" in row["name"]]
    assert sorted(names) == [f"org-{number} renamed" for number in range(4)]
    assert len(bench.requests("POST", "^/Client$")) == 4
    assert await held(bench) == []


@pytest.mark.feature("gotcha.client_id", part="writer")
@pytest.mark.parametrize("state", ["revoked", "refused"])
async def test_a_lost_login_is_one_error_whatever_waits_and_ends_when_the_login_is_good(
    bench: Bench, state: Literal["revoked", "refused"]
) -> None:
    bench.sandbox.login(state)
    with structlog.testing.capture_logs() as logs:
        await bench.deliver(*clients(bench, 5))
        await bench.deliver(*clients(bench, 5))
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [line["event"] for line in errors] == ["halo.login_lost"]
    assert "client_id" in errors[0]["fix"]
    assert set(await reasons(bench)) <= {"unauthorised", "denied"}
    assert bench.dead_letters() == []
    bench.sandbox.login("good")
    await bench.settle()
    assert len([row for row in bench.rows("Client") if row["name"].startswith("Customer")]) == 5


async def test_a_check_that_went_well_tries_at_once(make_bench: MakeBench) -> None:
    bench = await make_bench(timing=SLOW_PROBES)
    bench.sandbox.login("revoked")
    async with bench.lane() as lane:
        await bench.submit(lane, clients(bench, 2))
        bench.sandbox.login("good")
        async with bench.store.write() as conn:
            await holds.probe_now(conn, TENANT)
        lane.heard(await held(bench))
        await bench.until_nothing_waits()


@pytest.mark.feature("perm.denied", part="writer")
@pytest.mark.parametrize("status", [403, 401])
async def test_a_missing_right_halts_its_kind_with_one_error_and_the_others_go_on(
    make_bench: MakeBench, status: int
) -> None:
    bench = await make_bench(timing=SLOW_PROBES)
    bench.sandbox.deny({"resource": "Item", "method": "POST", "status": status})
    items = [bench.tool.item(f"SKU-{number}", f"Item {number}") for number in range(6)]
    with structlog.testing.capture_logs() as logs:
        await bench.deliver(*items, *clients(bench, 3))
    (error,) = [line for line in logs if line["log_level"] == "error"]
    assert error["scope"] == "edit:items"
    assert "Permissions" in error["fix"]
    assert len({item["name"] for item in bench.posts("Item")}) == 2, (
        "the second one shows that it isn't the first one's own trouble"
    )
    assert len([row for row in bench.rows("Client") if row["name"].startswith("Customer")]) == 3
    assert await reasons(bench) == ["denied"] * 6
    assert bench.dead_letters() == []
    bench.sandbox.deny()
    await try_now(bench)
    await bench.settle()
    assert len([row for row in bench.rows("Item") if row["name"].startswith("Item ")]) == 6
    assert await held(bench) == []


async def test_a_right_that_one_record_lacks_keeps_that_record_alone(bench: Bench) -> None:
    made = clients(bench, 3)
    await bench.settle(*made)
    theirs = bench.row("Client", name="Customer 0")["id"]
    bench.sandbox.deny({"resource": "Client", "method": "POST", "id": theirs, "status": 403})
    bench.marked()
    newer = [customer(bench, c.target.id, f"Renamed {n}", 2) for n, c in enumerate(made)]
    await bench.deliver(*newer)
    assert await reasons(bench) == ["denied"]
    assert await held(bench) == []
    assert sorted(row["name"] for row in bench.rows("Client") if "Renamed" in row["name"]) == [
        "Renamed 1",
        "Renamed 2",
    ]
    bench.sandbox.deny()
    await bench.settle()
    bench.row("Client", name="Renamed 0")


@pytest.mark.feature("hub.rate", part="halo client")
async def test_a_429_is_stored_for_every_share_and_the_next_owner_waits_it_out(make_bench: MakeBench) -> None:
    bench = await make_bench()
    bench.sandbox.arm("throttle", path="^/Client$", method="POST", retry_after_s=120)
    await bench.deliver(*clients(bench, 3))
    assert len(bench.requests()) == 1
    assert [(hold.scope, hold.reason) for hold in await held(bench)] == [(WINDOW, "limited")]
    bench.marked()
    await bench.deliver(*clients(bench, 3))
    assert bench.requests() == []
    # The two minutes are over.
    async with bench.store.write() as conn:
        await holds.remove(conn, TENANT, WINDOW)
    await bench.settle()
    assert bench.dead_letters() == []


@pytest.mark.invariant("INV-16")
async def test_while_one_request_hangs_what_came_after_it_is_in_rows_within_seconds(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(timing=replace(TIMING, spill_s=0.1))
    first, *others = clients(bench, 5)
    async with bench.lane() as lane:
        async with bench.held_on_its_way("/Client") as is_held:
            lane.submit(work_of(first))
            await eventually(is_held)
            await bench.submit(lane, others)
            assert await reasons(bench) == ["queued"] * 4
        await bench.until_nothing_waits()
    assert len([row for row in bench.rows("Client") if row["name"].startswith("Customer")]) == 5


async def test_a_newer_revision_of_the_command_in_hand_keeps_its_row_when_that_one_settles(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(timing=replace(TIMING, spill_s=0.1))
    old, new = customer(bench, "org-1", "Old"), customer(bench, "org-1", "New", 2)
    async with bench.lane() as lane:
        async with bench.held_on_its_way("/Client", answer=True) as is_held:
            lane.submit(work_of(old))
            await eventually(is_held)
            lane.submit(work_of(new))
            # Longer than what is in memory alone may be there.
            await asyncio.sleep(0.5)
        await eventually(lambda: bench.outcomes(new))
        await bench.until_nothing_waits()
    bench.row("Client", name="New")
    assert len(bench.posts("Client")) == 2


async def test_a_command_that_takes_too_long_is_given_up_for_a_while(make_bench: MakeBench) -> None:
    bench = await make_bench(timing=replace(TIMING, command_s=3.0))
    first, *others = clients(bench, 2)
    with structlog.testing.capture_logs() as logs:
        async with bench.held_on_its_way("/Client", answer=True):
            await bench.deliver(first, *others)
    assert await reasons(bench) == ["fault"]
    assert "lane.command_too_slow" in [line["event"] for line in logs]
    bench.row("Client", name="Customer 1")


async def test_a_rejected_revision_holds_back_newer_ones_where_the_rules_say_so(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(more_rules="clients: {on_rejected_predecessor: block}")
    bench.sandbox.arm("error", path="^/Client$", method="POST", status=400, answer="The name is wrong")
    bad = customer(bench, "org-1", "Bad")
    await bench.deliver(bad)
    assert bench.outcome(bad).status == "rejected"
    newer = customer(bench, "org-1", "Better", 2)
    bench.marked()
    await bench.deliver(newer)
    assert await reasons(bench) == ["predecessor"]
    assert bench.requests() == []
    await bench.deliver(_redriven(newer))
    await bench.settle()
    bench.row("Client", name="Better")


async def test_a_redrive_runs_at_once_whatever_its_target_waits_for(make_bench: MakeBench) -> None:
    bench = await make_bench(timing=SLOW_PROBES)
    client = customer(bench, "org-1", "Brackenridge Foods")
    bench.sandbox.arm("error", path="^/Client$", method="POST", status=403)
    await bench.deliver(client)
    assert await reasons(bench) == ["denied"]
    await bench.settle(_redriven(client), timeout_s=25.0)
    bench.row("Client", name="Brackenridge Foods")


async def test_after_a_restore_what_was_on_the_log_before_it_is_looked_for_and_nothing_else(
    bench: Bench,
) -> None:
    """The store forgets a settled create, as one that was restored from the moment before it."""
    await bench.prove_look_ups()
    lost, later = customer(bench, "org-1", "Lost"), customer(bench, "org-2", "Later")
    await bench.settle(lost)
    await bench.forget(lost)
    async with bench.store.write() as conn:
        await targets.raise_generation(conn, {("hub.commands.v1", 3): 10})
    bench.marked()
    await bench.deliver_at((3, 9), lost)
    await bench.deliver_at((3, 10), later)
    assert [row["name"] for row in bench.rows("Client") if row["name"] in ("Lost", "Later")] == [
        "Lost",
        "Later",
    ]
    looks = bench.requests("GET", "^/ExternalLink$")
    assert len(looks) == 1, "what came after the restore is created without a look"


async def test_an_update_whose_answer_comes_after_a_takeover_raises_the_alarm(bench: Bench) -> None:
    """The successor may have written a newer state before it: someone must look."""
    client = customer(bench, "org-1", "Old")
    await bench.settle(client)
    halo_id = bench.outcome(client).halo_id
    async with bench.lane(owner="first") as lane:
        async with bench.held_on_its_way("/Client", answer=True) as is_held:
            lane.submit(work_of(customer(bench, "org-1", "New", 2)))
            await eventually(is_held)
            async with bench.store.write() as conn:
                held_by_first = await leases.peek(conn, TENANT, "write")
                assert held_by_first is not None
                await leases.release(conn, TENANT, "write", "first", held_by_first.epoch)
            second = await LeaseKeeper(bench.store, owner="second", ttl_s=120.0).take(TENANT, "write")
            assert second is not None
        await eventually(lambda: counted(bench, "hub_duplicates_suspected_total") == 1)
        async with bench.store.write() as conn:
            await leases.release(conn, TENANT, "write", "second", second.epoch)
        await eventually(lambda: alarms(bench))
        await eventually(lambda: counted(bench, "hub_lanes_overtaken_total") == 1)
    assert counted(bench, "hub_duplicates_suspected_total") == 1
    assert [alarm.halo_ids for alarm in alarms(bench)] == [(halo_id,)]


async def test_a_fault_of_our_own_stops_the_lane_for_a_while_and_is_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.halo_writer.lane._FAULT_S", 0.1)
    publish = bench.publisher.publish

    async def fail(_records: Sequence[Outgoing]) -> None:
        monkeypatch.setattr(bench.publisher, "publish", publish)
        raise RuntimeError("a fault of the hub")

    monkeypatch.setattr(bench.publisher, "publish", fail)
    await bench.settle(customer(bench, "org-1", "Brackenridge Foods"))
    assert counted(bench, "hub_lane_faults_total") == 1


def counted(bench: Bench, name: str) -> float | None:
    return bench.metrics.registry.get_sample_value(name, {"tenant": TENANT})


def alarms(bench: Bench) -> list[DuplicateSuspected]:
    return [data for _, data in bench.messages(OUTCOMES) if isinstance(data, DuplicateSuspected)]


def _redriven(command: Command) -> Command:
    return changed(command, basis=msgspec.structs.replace(command.basis, cause="redrive-1"))
