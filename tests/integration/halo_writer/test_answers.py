"""Questions that only a person can answer: asked once, answered on the log, and never a way around a proof."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from hub.bus.delivery import Delivery, Intake
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Partition, Record
from schemas.commands import Command, Field
from schemas.control import DecisionAnswered, DecisionRequested
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.targets import our_key
from schemas.topics import CONTROL
from services.halo_writer.feeds import Feeds
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, basis, by, changed
from tests.unit.halo_writer.won_build import won

NAME = "Harbourview Clinics"
FIRST, SECOND = 930, 931
TWINS = {"Client": [{"id": FIRST, "name": NAME}, {"id": SECOND, "name": NAME}]}
_NUMBERS = itertools.count(1)


async def answer(bench: Bench, command: Command, question: str, choice: str, *, tenant: str = TENANT) -> None:
    """A person's answer, as it comes from the log."""
    number = next(_NUMBERS)
    envelope = Envelope(
        id=f"answer-{number}",
        source="/hub/cli",
        type="decision.answered.v1",
        subject=command.target.id,
        time=dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC) + dt.timedelta(seconds=number),
        tenant=tenant,
    )
    told = DecisionAnswered(target=command.target, question=question, choice=choice, by="ada")
    prefix = PartitionPrefix()
    prefix.added([0], 0.0)
    intake = Intake(Partition(CONTROL, 0), prefix, lambda _intake: None)
    record = Record(CONTROL, 0, 0, 0, tenant.encode(), encode(told), headers_of(envelope))
    await Feeds(bench.store).take([Delivery(record, intake)])


def asked(bench: Bench) -> list[DecisionRequested]:
    return [data for _, data in bench.messages(CONTROL) if isinstance(data, DecisionRequested)]


@pytest.fixture
async def twins(make_bench: MakeBench) -> Bench:
    """A Halo with two clients of one name."""
    return await make_bench(rows=TWINS)


@pytest.mark.feature("org.match", part="writer")
async def test_two_clients_of_one_name_are_a_warning_and_a_question_and_never_a_guess(twins: Bench) -> None:
    client = twins.tool.client(name=NAME)
    with capture_logs() as logs:
        await twins.deliver(client, twins.tool.site())
        await twins.deliver(client)
    (question,) = asked(twins)
    assert (question.target, question.question) == (client.target, "match.several")
    assert question.choices == (str(FIRST), str(SECOND), "new")
    warned = [line for line in logs if line["event"] == "decision.requested"]
    assert [(line["log_level"], line["target"]) for line in warned] == [("warning", client.target.key)]
    assert twins.requests("POST") == []
    waiting = {row.target_key: row.reason for row in await twins.pending()}
    assert waiting[client.target.key] == "decision"


@pytest.mark.feature("org.match", part="writer")
async def test_the_client_that_a_person_chose_is_adopted_and_a_replay_still_knows_it(twins: Bench) -> None:
    client, site = twins.tool.client(name=NAME), twins.tool.site()
    await twins.deliver(client, site)
    await answer(twins, client, "match.several", str(SECOND))
    await twins.settle()
    assert twins.outcome(client).halo_id == SECOND
    assert twins.posts("Client") == []
    # The store forgets what came of it, not what was answered.
    await twins.forget(client)
    await twins.read_halo()
    await twins.settle(client)
    assert twins.outcome(client).halo_id == SECOND
    assert len(asked(twins)) == 1


@pytest.mark.feature("org.match", part="writer")
async def test_a_client_that_was_deleted_since_it_was_asked_about_is_not_taken_and_another_may_be(
    twins: Bench,
) -> None:
    client = twins.tool.client(name=NAME)
    await twins.deliver(client)
    with twins.sandbox.client() as person:
        person.delete(f"/Client/{SECOND}").raise_for_status()
    await answer(twins, client, "match.several", str(SECOND))
    async with twins.lane() as lane:
        lane.heard((), [client.target.key])
        await eventually(lambda: twins.requests("GET", f"^/Client/{SECOND}$"))
    assert [row.reason for row in await twins.pending()] == ["decision"]
    await answer(twins, client, "match.several", "anything")
    await answer(twins, client, "match.several", str(FIRST))
    await twins.settle()
    assert twins.outcome(client).halo_id == FIRST


async def test_a_client_that_is_known_and_was_deleted_is_told_and_made_anew_by_a_redrive(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(rows={"Client": [{"id": FIRST, "name": NAME}]})
    with bench.sandbox.client() as person:
        person.delete(f"/Client/{FIRST}").raise_for_status()
    commands = bench.tool.whole_quote(org_name=NAME)
    await bench.deliver(*commands)
    (letter,) = bench.dead_letters()
    assert (letter.reason, letter.message) == ("halo.gone", f"the client {FIRST} was deleted in Halo")
    waiting = {row.target_key: row.waits_for for row in await bench.pending()}
    assert waiting[commands[-1].target.key] is not None
    await bench.settle(*(changed(one, basis=basis(cause="redrive-1")) for one in commands))
    made = bench.row("Client", name=NAME)["id"]
    assert bench.row("Quotation", title="New office")["client_id"] == made


async def test_a_running_lane_goes_on_as_soon_as_it_hears_of_the_answer(make_bench: MakeBench) -> None:
    bench = await make_bench(rows=TWINS)
    client = bench.tool.client(name=NAME)
    async with bench.lane() as lane:
        await bench.submit(lane, [client])
        await answer(bench, client, "match.several", str(FIRST))
        lane.heard((), [client.target.key])
        await bench.until_nothing_waits()
    assert bench.outcome(client).halo_id == FIRST


async def test_an_answer_to_another_question_or_about_another_record_or_of_another_tenant_changes_nothing(
    twins: Bench,
) -> None:
    client, other = twins.tool.client(name=NAME), twins.tool.client("org-2", NAME)
    await twins.deliver(client)
    await answer(twins, client, "create.unproven", str(FIRST))
    await answer(twins, other, "match.several", str(FIRST))
    await answer(twins, client, "match.several", str(FIRST), tenant="tailspin")
    await answer(twins, client, "match.several", "12")
    async with twins.lane() as lane:
        lane.heard((), [client.target.key])
        await eventually(lambda: any(work.attempts >= 1 for work, _ in twins.told))
    (waiting,) = await twins.pending()
    assert (waiting.target_key, waiting.reason) == (client.target.key, "decision")
    assert twins.requests("POST") == []


@pytest.mark.invariant("INV-1")
async def test_new_creates_the_client_once_our_key_is_proven_to_be_nowhere(twins: Bench) -> None:
    client = twins.tool.client(name=NAME)
    await twins.deliver(client)
    await answer(twins, client, "match.several", "new")
    await twins.deliver()
    async with twins.lane():
        await eventually(
            lambda: [one.question for one in asked(twins)] == ["match.several", "create.unproven"]
        )
    assert twins.posts("Client") == []
    await twins.prove_look_ups()
    await twins.settle(client)
    assert len(twins.posts("Client")) == 1
    assert twins.outcome(client).result == "created"
    assert twins.requests("GET", "^/ExternalLink$"), "our key was looked for first"
    assert twins.outcome(client).halo_id not in (FIRST, SECOND)


@pytest.mark.invariant("INV-1")
async def test_new_makes_no_second_client_where_the_first_ones_answer_was_lost(twins: Bench) -> None:
    await twins.prove_look_ups()
    client = twins.tool.client(name=NAME)
    await twins.deliver(client)
    await answer(twins, client, "match.several", "new")
    twins.sandbox.arm("store_then_drop", path="^/Client$", method="POST")
    await twins.settle(client)
    assert len(twins.posts("Client")) == 1
    assert len([row for row in twins.rows("Client") if row["name"] == NAME]) == 3


async def test_a_create_that_cannot_be_proven_is_settled_by_the_id_that_a_person_found(bench: Bench) -> None:
    client = bench.tool.client()
    bench.sandbox.arm("store_then_drop", path="^/Client$", method="POST")
    await bench.deliver(client)
    made = bench.row("Client", name="Brackenridge Foods")
    # Without a proof a look-up that finds nothing says nothing.
    with bench.sandbox.client() as halo:
        for link in bench.rows("ExternalLink"):
            if link["third_party_id"] == our_key(client.target):
                halo.delete(f"/ExternalLink/{link['id']}").raise_for_status()
    async with bench.lane():
        await eventually(lambda: [one.question for one in asked(bench)] == ["create.unproven"])
    await answer(bench, client, "create.unproven", "999999")
    await answer(bench, client, "create.unproven", str(made["id"]))
    await bench.settle(client)
    assert bench.outcome(client).halo_id == made["id"]
    assert len(bench.posts("Client")) == 1


async def test_an_id_that_halo_does_not_have_is_no_proof_of_absence(bench: Bench) -> None:
    client = changed(bench.tool.client(), match=by(our_key=None))
    bench.sandbox.arm("drop", path="^/Client$", method="POST")
    await bench.deliver(client)
    await answer(bench, client, "create.unproven", "999999")
    async with bench.lane():
        await eventually(lambda: [one.question for one in asked(bench)] == ["create.unproven"])
        await eventually(lambda: bench.requests("GET", "^/Client/999999$"))
    (waiting,) = await bench.pending()
    assert waiting.reason == "decision"
    assert len(bench.posts("Client")) == 1


async def test_a_picked_opportunity_that_is_gone_is_rejected_and_asked_about(bench: Bench) -> None:
    client, site = bench.tool.client(name="Brightwater Dental Group"), bench.tool.site()
    gone = bench.tool.opportunity(match=by(halo_id=999_999))
    picked = changed(gone, target=replace(gone.target, scope="halo:999999"))
    published = changed(gone, target=replace(gone.target, scope="published"))
    await bench.settle(client, site, picked, published)
    assert {bench.outcome(one).code for one in (picked, published)} == {"opportunity.gone"}
    (question,) = asked(bench)
    assert (question.target, question.question) == (picked.target, "opportunity.gone")
    assert question.choices == ("new",)


async def test_a_step_on_a_picked_opportunity_that_was_deleted_asks_the_same(bench: Bench) -> None:
    mine = {"summary": "Mine", "tickettype_id": 6, "client_id": 12}
    with bench.sandbox.client() as person:
        halo_id = person.post("/Opportunities", json=[mine]).json()["id"]
    client, site = bench.tool.client(name="Brightwater Dental Group"), bench.tool.site()
    found = bench.tool.opportunity(match=by(halo_id=halo_id))
    picked = changed(found, target=replace(found.target, scope=f"halo:{halo_id}"))
    await bench.settle(client, site, picked)
    with bench.sandbox.client() as person:
        person.delete(f"/Opportunities/{halo_id}").raise_for_status()
    step = changed(won(bench.tool), opportunity=Field(value=picked.target))
    await bench.settle(step)
    assert bench.outcome(step).code == "opportunity.gone"
    (question,) = asked(bench)
    assert (question.target, question.question) == (picked.target, "opportunity.gone")


async def test_fresh_names_are_not_needed_for_an_answer(make_bench: MakeBench) -> None:
    bench = await make_bench(rows=TWINS, fresh_s=0.0)
    client = bench.tool.client(name=NAME)
    await bench.deliver(client)
    await answer(bench, client, "match.several", str(FIRST))
    await bench.settle()
    assert bench.outcome(client).halo_id == FIRST
