"""What a new client is made with: its main contact where Halo demands one, its site, and what it is to the tenant."""

from __future__ import annotations

import pytest

from schemas.commands import MainContact, Named
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.unit.halo_writer.build import once

BRIGHTWATER = 12


@pytest.mark.feature("org.main_contact", part="writer")
async def test_where_halo_demands_a_main_contact_the_client_waits_for_one_and_is_made_with_it_in_one_request(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(halo={"main_contact_compulsory": True})
    tool = bench.tool
    async with bench.lane() as lane:
        await bench.submit(lane, tool.whole_quote("q-1"))
        assert {row.reason for row in await bench.pending()} == {"dependency"}, "the quote waits as one unit"
        # A later event of the same customer brings a contact.
        contact = MainContact(name="Nina Park", email="nina@brackenridge.example")
        client = tool.client(contact=contact)
        await bench.submit(lane, tool.whole_quote("q-2", person="person-1", client=client))
        await bench.until_nothing_waits()
    made = bench.row("Client", name="Brackenridge Foods")
    _, posted = bench.posts("Client")
    assert (posted["newclient_contactname"], posted["newclient_contactemail"]) == (
        "Nina Park",
        "nina@brackenridge.example",
    )
    assert bench.row("Users", name="Nina Park")["client_id"] == made["id"]
    assert {row["client_id"] for row in bench.rows("Quotation") if row["title"] == "New office"} == {
        made["id"]
    }


@pytest.mark.feature("org.create", part="writer")
async def test_a_new_client_is_a_prospect_and_one_that_halo_has_stays_what_it_is(
    make_bench: MakeBench,
) -> None:
    lookups = [
        {"lookupid": 11, "id": 91, "name": "Customer Relationship"},
        {"lookupid": 91, "id": 4, "name": "Prospect"},
    ]
    bench = await make_bench(rows={"Lookup": lookups})
    prospect = once(Named(lookup="customer_relationship", name="prospect", missing="leave"))
    unknown = once(Named(lookup="customer_relationship", name="Suspect", missing="leave"))
    new = bench.tool.client(relationship=prospect)
    known = bench.tool.client("org-2", "Brightwater Dental Group", relationship=prospect)
    other = bench.tool.client("org-3", "Kent Orchards", relationship=unknown)
    await bench.settle(new, known, other)
    assert bench.row("Client", name="Brackenridge Foods")["customer_relationship"] == [{"id": "4"}]
    assert "customer_relationship" not in bench.row("Client", id=BRIGHTWATER)
    assert "customer_relationship" not in bench.row("Client", name="Kent Orchards")
    (notice,) = bench.outcome(other).notices
    assert notice.code == "customer_relationship.unknown"


@pytest.mark.feature("extra.site", part="writer")
async def test_a_new_customers_site_is_made_with_it(bench: Bench) -> None:
    await bench.settle(bench.tool.client(site_name="Dock"), bench.tool.site(name="Dock"))
    made = bench.row("Client", name="Brackenridge Foods")
    assert bench.row("Site", client_id=float(made["id"]))["name"] == "Dock"
    assert [request["path"] for request in bench.requests("POST")] == ["/Client"]
