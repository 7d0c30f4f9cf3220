"""A change of a linked organisation updates its Halo client, in the fields that the rules own and no others."""

from __future__ import annotations

import pytest

from schemas.commands import MainContact, UpsertClient
from schemas.targets import our_key
from tests.integration.halo_writer.bench import Bench
from tests.unit.halo_writer.build import always, changed

BRIGHTWATER = 12


def organisation(bench: Bench, revision: int, name: str, **fields: object) -> UpsertClient:
    """The whole state of an organisation, as an event of its own would bring it."""
    command = bench.tool.client(name=name)
    return changed(command, ensure=False, seq=(revision, 1), name=always(name), **fields)


@pytest.mark.feature("org.update", part="writer")
async def test_a_change_of_a_linked_organisation_updates_its_client_in_the_mapped_fields_alone(
    bench: Bench,
) -> None:
    contact = MainContact(name="Nina Park", email="nina@brackenridge.example")
    await bench.settle(bench.tool.client(contact=contact))
    made = bench.row("Client", name="Brackenridge Foods")
    bench.sandbox.edit("Client", made["id"], notes="Pays late", website="typed-by-hand.example")
    bench.marked()

    renamed = organisation(bench, 2, "Brackenridge Foods Group", main_contact=always(contact))
    await bench.settle(renamed)
    assert bench.posts("Client") == [{"id": made["id"], "name": "Brackenridge Foods Group"}]
    after = bench.row("Client", id=made["id"])
    assert after["name"] == "Brackenridge Foods Group"
    assert (after["notes"], after["website"]) == ("Pays late", "typed-by-hand.example")
    assert after["main_contact_id"] == made["main_contact_id"]
    assert (bench.outcome(renamed).result, bench.outcome(renamed).halo_id) == ("updated", made["id"])

    moved = organisation(bench, 3, "Brackenridge Foods Group", website=always("brackenridge.example"))
    await bench.settle(moved)
    after = bench.row("Client", id=made["id"])
    assert (after["notes"], after["website"]) == ("Pays late", "brackenridge.example")
    assert [row["name"] for row in bench.rows("Client")].count("Brackenridge Foods Group") == 1


@pytest.mark.feature("org.update", part="writer")
async def test_a_client_that_was_adopted_is_updated_too_and_a_repeat_costs_nothing(bench: Bench) -> None:
    await bench.settle(bench.tool.client(name="Brightwater Dental Group"))
    before = bench.row("Client", id=BRIGHTWATER)
    changes = organisation(bench, 2, "Brightwater Dental Group", website=always("brightwater.example"))
    await bench.settle(changes)
    after = bench.row("Client", id=BRIGHTWATER)
    assert bench.outcome(changes).halo_id == BRIGHTWATER
    assert after["website"] == "brightwater.example"
    unowned = before.keys() - {"website", "last_update_time", "lastupdate"}
    assert {name: after[name] for name in unowned} == {name: before[name] for name in unowned}
    bench.marked()
    await bench.settle(
        organisation(bench, 3, "Brightwater Dental Group", website=always("brightwater.example"))
    )
    assert bench.requests() == []


@pytest.mark.feature("org.update", part="writer")
async def test_an_organisation_that_no_quote_named_is_linked_by_its_own_event(bench: Bench) -> None:
    created = organisation(bench, 1, "Kent Orchards", website=always("kent.example"))
    await bench.settle(created)
    made = bench.row("Client", name="Kent Orchards")
    assert made["website"] == "kent.example"
    assert our_key(created.target) in {link["third_party_id"] for link in bench.rows("ExternalLink")}
    bench.marked()
    await bench.settle(organisation(bench, 2, "Kent Orchards Ltd", website=always("kent.example")))
    assert [(row["id"], row["name"]) for row in bench.posts("Client")] == [(made["id"], "Kent Orchards Ltd")]
    await bench.settle(bench.tool.client(name="Kent Orchards"))
    assert bench.row("Client", id=made["id"])["name"] == "Kent Orchards Ltd", (
        "an embedded name updates nothing"
    )
