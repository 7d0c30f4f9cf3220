"""Companies that Halo doesn't have, from the quote to the sandbox: one lead, and one client when a quote is won."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.commands import Command
from schemas.opportunities import Opportunity
from schemas.quotes import Quote, QuoteConversion, QuoteStatus
from services.mapper.opportunity import map_opportunity
from services.mapper.quote import Mapped
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.mapper.build import ALL, BASIS, envelope, folded, line, map_quote, quote, status

COMPANY = "Fennimore Orchards"
LEAD_TYPE, UNKNOWN = 7, 1
NEW, CLOSED = 1, 9
SOLD = [line(product={"name": "Firewall Appliance", "manufacturer_part_number": "FW-100"})]
CONTACT = {"id": "p-1", "name": "Nina Park", "email": "nina@fennimore.example"}
CUSTOMER = {"id": "org-9", "name": COMPANY}
WON = QuoteStatus(status="accepted")


def draft(title: str = "New office", **changes: Any) -> Quote:
    content = {"title": title, "customer": CUSTOMER, "contact": CONTACT, "lines": SOLD, "status": "sent"}
    return quote(**(content | changes))


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return await make_bench(more_rules="clients: {lead_ticket_type: Lead}")


def mapped(bench: Bench, *events: Any) -> tuple[Command, ...]:
    """What the mapper makes of a quote's events."""
    record = folded(*events)
    made = map_quote(record, bench.rules.for_source("quoter"), BASIS, ALL)
    assert isinstance(made, Mapped)
    return made.commands


def first(subject: str = "Q-1", **changes: Any) -> tuple[Any, Any]:
    return envelope(1, subject=subject), draft(**changes)


def won(subject: str = "Q-1") -> tuple[Any, Any]:
    return status(2, subject=subject), WON


def leads(bench: Bench) -> list[dict[str, Any]]:
    return [row for row in bench.rows("Faults") if row["tickettype_id"] == LEAD_TYPE]


@pytest.mark.feature("org.lead", part="writer")
@pytest.mark.feature("extra.site", part="writer")
async def test_an_unknown_company_becomes_a_lead_and_nothing_of_a_client_is_made(bench: Bench) -> None:
    before = {name: len(bench.rows(name)) for name in ("Client", "Site", "Users")}
    await bench.settle(*mapped(bench, first()))
    assert {name: len(bench.rows(name)) for name in before} == before
    (lead,) = leads(bench)
    assert (lead["oppcompanyname"], lead["oppcontactname"]) == (COMPANY, "Nina Park")
    assert (lead["oppemailaddress"], lead["summary"]) == ("nina@fennimore.example", COMPANY)
    made = bench.row("Faults", summary="New office")
    assert (made["parent_id"], made["oppcompanyname"], made["client_id"]) == (lead["id"], COMPANY, UNKNOWN)
    assert bench.row("Quotation", title="New office")["ticket_id"] == made["id"]


@pytest.mark.feature("org.lead", part="writer")
async def test_a_second_quote_for_the_same_unknown_company_reuses_the_lead(bench: Bench) -> None:
    both = [*mapped(bench, first()), *mapped(bench, first("Q-2", title="More"))]
    await bench.settle(*both)
    await bench.settle(*mapped(bench, first("Q-3", title="Most")))
    (lead,) = leads(bench)
    assert {row["parent_id"] for row in bench.rows("Faults") if row.get("parent_id")} == {lead["id"]}
    assert (
        len([row for row in bench.rows("Quotation") if row["title"] in ("New office", "More", "Most")]) == 3
    )


@pytest.mark.feature("org.lead", part="writer")
async def test_a_client_that_halo_has_is_used_and_no_lead_is_made(bench: Bench) -> None:
    known = {"id": "org-9", "name": "Brightwater Dental Group"}
    await bench.settle(*mapped(bench, first(customer=known)))
    assert leads(bench) == []
    made = bench.row("Faults", summary="New office")
    quoted = bench.row("Quotation", title="New office")
    assert (made["client_id"], quoted["client_id"]) == (12, 12)
    assert "parent_id" not in made
    assert quoted["site_id"] == 22, "its tax depends on it"
    assert bench.row("Users", name="Nina Park")["client_id"] == 12
    # Nothing of it changes when it is won.
    bench.marked()
    await bench.settle(*mapped(bench, first(customer=known), won()))
    assert bench.posts("Client") == []


@pytest.mark.feature("org.lead.convert", part="writer")
@pytest.mark.feature("won.client", part="writer")
async def test_a_won_quote_makes_client_site_and_person_and_repoints_what_was_written(bench: Bench) -> None:
    await bench.settle(*mapped(bench, first()))
    bench.marked()
    await bench.settle(*mapped(bench, first(), won()))
    client = bench.row("Client", name=COMPANY)
    made = bench.row("Faults", summary="New office")
    quoted = bench.row("Quotation", title="New office")
    person = bench.row("Users", name="Nina Park")
    for record in (made, quoted):
        assert record["client_id"] == client["id"]
        assert record["user_id"] == person["id"]
        assert int(record["site_id"]) == client["main_site_id"]
    posts = [request["path"] for request in bench.requests("POST")]
    assert posts.index("/Client") < posts.index("/Opportunities") < posts.index("/Quotation")
    assert len(leads(bench)) == 1


@pytest.mark.feature("org.lead.convert", part="writer")
@pytest.mark.parametrize(("status", "expected"), [("", NEW), (", lead_won_status: Closed", CLOSED)])
async def test_the_lead_of_a_won_quote_is_moved_to_the_client_and_closed_where_the_tenant_says_how(
    make_bench: MakeBench, status: str, expected: int
) -> None:
    bench = await make_bench(more_rules=f"clients: {{lead_ticket_type: Lead{status}}}")
    await bench.settle(*mapped(bench, first()))
    (before,) = leads(bench)
    assert (before["client_id"], before["status_id"]) == (UNKNOWN, NEW)
    await bench.settle(*mapped(bench, first(), won()))
    (lead,) = leads(bench)
    client = bench.row("Client", name=COMPANY)
    assert (lead["id"], lead["client_id"], lead["status_id"]) == (before["id"], client["id"], expected)
    assert int(lead["site_id"]) == client["main_site_id"]
    assert (lead["summary"], lead["oppcontactname"]) == (before["summary"], before["oppcontactname"])
    assert bench.row("Faults", summary="New office")["parent_id"] == lead["id"], "they stay linked"


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_second_won_quote_of_the_company_makes_no_lead_and_leaves_it_where_it_is(
    bench: Bench,
) -> None:
    await bench.settle(*mapped(bench, first()), *mapped(bench, first("Q-2", title="More")))
    await bench.settle(*mapped(bench, first(), won()))
    await bench.settle(*mapped(bench, first("Q-2", title="More"), won("Q-2")))
    (lead,) = leads(bench)
    assert lead["client_id"] == bench.row("Client", name=COMPANY)["id"]


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_company_that_was_never_a_lead_has_none_made_or_moved_when_its_quote_is_won(
    bench: Bench,
) -> None:
    known = {"id": "org-8", "name": "Brightwater Dental Group"}
    await bench.settle(*mapped(bench, first(customer=known), won()), *mapped(bench, first("Q-2"), won("Q-2")))
    assert leads(bench) == []
    assert {row["client_id"] for row in bench.rows("Faults") if row["summary"] == "New office"} == {
        12,
        bench.row("Client", name=COMPANY)["id"],
    }


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_quote_that_takes_no_revision_is_moved_to_its_client_all_the_same(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(quotes="{revisions: first_only}", more_rules="clients: {lead_ticket_type: Lead}")
    await bench.settle(*mapped(bench, first()))
    await bench.settle(*mapped(bench, first(), won()))
    client = bench.row("Client", name=COMPANY)
    assert bench.row("Quotation", title="New office")["client_id"] == client["id"]


@pytest.mark.feature("org.lead", part="writer")
@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_quote_goes_under_an_opportunity_that_its_producer_has_not_published_and_takes_it_to_the_client(
    bench: Bench,
) -> None:
    named: dict[str, Any] = {"opportunity": {"id": "O-1"}}
    await bench.settle(*mapped(bench, first(**named)))
    made, (lead,) = bench.row("Faults", summary="New office"), leads(bench)
    assert (made["parent_id"], made["client_id"]) == (lead["id"], UNKNOWN)
    assert bench.row("Quotation", title="New office")["ticket_id"] == made["id"]
    await bench.settle(*mapped(bench, first(**named), won()))
    client = bench.row("Client", name=COMPANY)
    assert bench.row("Faults", summary="New office")["client_id"] == client["id"]
    # What its producer says stands, whatever a won quote says after it.
    itself = {"title": "Whole site", "customer": {"id": "org-8", "name": "Brightwater Dental Group"}}
    data = msgspec.convert(itself, Opportunity)
    record = folded((envelope(1, "opportunity.upserted.v1", subject="O-1"), data))
    commands = map_opportunity(record, bench.rules.for_source("quoter"), BASIS)
    assert isinstance(commands, tuple)
    await bench.settle(*commands)
    fulfilled = (status(3), QuoteStatus(status="fulfilled"))
    await bench.settle(*mapped(bench, first(**named), won(), fulfilled))
    assert bench.row("Faults", id=made["id"])["client_id"] == 12


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_lead_that_a_person_reopened_stays_as_it_is_whatever_else_of_its_company_is_won(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(more_rules="clients: {lead_ticket_type: Lead, lead_won_status: Closed}")
    elsewhere = {"id": "other-1", "name": COMPANY}
    await bench.settle(*mapped(bench, first()), *mapped(bench, first("Q-3", customer=elsewhere)))
    await bench.settle(*mapped(bench, first(), won()))
    (lead,) = leads(bench)
    assert lead["status_id"] == CLOSED
    with bench.sandbox.client() as person:
        again = [{"id": lead["id"], "status_id": NEW, "client_id": 12}]
        person.post("/Opportunities", json=again).raise_for_status()
    await bench.settle(*mapped(bench, first("Q-2", title="More"), won("Q-2")))
    await bench.settle(*mapped(bench, first("Q-3", customer=elsewhere), won("Q-3")))
    (after,) = leads(bench)
    assert (after["status_id"], after["client_id"]) == (NEW, 12)


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_lead_goes_along_whoever_of_its_company_is_won(make_bench: MakeBench) -> None:
    """Another producer knows the company by another id, and never quoted it before."""
    bench = await make_bench(more_rules="clients: {lead_ticket_type: Lead, lead_won_status: Closed}")
    await bench.settle(*mapped(bench, first()))
    elsewhere = {"id": "other-1", "name": COMPANY}
    await bench.settle(*mapped(bench, first("Q-2", customer=elsewhere), won("Q-2")))
    (lead,) = leads(bench)
    assert (lead["client_id"], lead["status_id"]) == (bench.row("Client", name=COMPANY)["id"], CLOSED)


@pytest.mark.feature("won.client", part="writer")
async def test_nothing_is_completed_before_the_company_is_a_client(make_bench: MakeBench) -> None:
    convert = "sources: {quoter: {opportunities: {won: {if_exists: convert}}}}"
    bench = await make_bench(
        halo={"main_contact_compulsory": True}, more_rules=f"clients: {{lead_ticket_type: Lead}}\n{convert}"
    )
    sold = (envelope(2, "quote.converted.v1"), QuoteConversion(to="order"))
    await bench.settle(*mapped(bench, first(contact=None)))
    before = bench.row("Faults", summary="New office")
    await bench.deliver(*mapped(bench, first(contact=None), sold))
    assert [letter.target.kind for letter in bench.dead_letters() if letter.target] == ["client"]
    assert bench.row("Faults", summary="New office") == before
    await bench.settle(*mapped(bench, first(contact=None), sold, (envelope(3), draft())))
    after = bench.row("Faults", summary="New office")
    assert (after["status_id"], after["client_id"]) == (22, bench.row("Client", name=COMPANY)["id"])


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_replays_of_a_won_quote_make_the_client_once(bench: Bench) -> None:
    await bench.settle(*mapped(bench, first()))
    for _ in range(2):
        await bench.settle(*mapped(bench, first(), won()))
    bench.marked()
    await bench.settle(*mapped(bench, first(), won()))
    assert bench.requests() == []
    assert len([row for row in bench.rows("Client") if row["name"] == COMPANY]) == 1


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_later_quote_of_the_company_finds_the_client_and_needs_no_lead(bench: Bench) -> None:
    await bench.settle(*mapped(bench, first()))
    await bench.settle(*mapped(bench, first(), won()))
    await bench.settle(*mapped(bench, first("Q-2", title="More")))
    client = bench.row("Client", name=COMPANY)
    assert bench.row("Faults", summary="More")["client_id"] == client["id"]
    assert len(leads(bench)) == 1


@pytest.mark.feature("org.lead.convert", part="writer")
@pytest.mark.invariant("INV-1")
async def test_a_client_whose_creation_was_not_answered_is_made_once_whatever_else_is_quoted(
    bench: Bench,
) -> None:
    """A quote that isn't won, of the same company, must neither end the open create nor take its place."""
    await bench.prove_look_ups()
    await bench.settle(*mapped(bench, first()))
    bench.sandbox.arm("drop_then_store", path="^/Client$", delay_s=0.3)
    async with bench.lane() as lane:
        await bench.submit(lane, mapped(bench, first(), won()))
        await bench.submit(lane, mapped(bench, first("Q-2", title="More")))
        await bench.until_nothing_waits()
    assert len([row for row in bench.rows("Client") if row["name"] == COMPANY]) == 1
    client = bench.row("Client", name=COMPANY)
    assert bench.row("Faults", summary="New office")["client_id"] == client["id"]


@pytest.mark.feature("org.lead.convert", part="writer")
async def test_a_quote_that_is_not_won_takes_the_place_of_no_client_that_waits_to_be_made(
    bench: Bench,
) -> None:
    await bench.prove_look_ups()
    await bench.settle(*mapped(bench, first()))
    bench.sandbox.arm("error", path="^/Client$", status=503)
    async with bench.lane() as lane:
        await bench.submit(lane, mapped(bench, first(), won()))
        await bench.submit(lane, mapped(bench, first("Q-2", title="More")))
        await bench.until_nothing_waits()
    client = bench.row("Client", name=COMPANY)
    await eventually(lambda: bench.row("Faults", summary="New office")["client_id"] == client["id"])
    assert bench.row("Quotation", title="New office")["client_id"] == client["id"]


async def test_the_lead_of_a_company_is_one_for_all_who_quote_it(bench: Bench) -> None:
    """By its name, where each producer has an id of its own for the company."""
    other = {"id": "other-1", "name": f"  {COMPANY.upper()} "}
    await bench.settle(*mapped(bench, first()))
    await bench.settle(*mapped(bench, first("Q-2", title="More", customer=other)))
    (lead,) = leads(bench)
    assert bench.row("Faults", summary="More")["parent_id"] == lead["id"]
