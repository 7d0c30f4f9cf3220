"""Customers, their sites and their people: found, created once, never guessed."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from schemas.commands import MainContact, Named, SiteAddress
from schemas.targets import our_key
from schemas.topics import CONTROL
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import always, by, changed

# A client of the packaged tenant, with its main site, a second site and its people.
BRIGHTWATER, HEAD_OFFICE, CLIFTON, MAYA, LIAM = 12, 22, 23, 33, 34


@pytest.mark.feature("org.match", part="writer")
async def test_a_client_of_that_name_is_adopted_without_a_request_or_a_write(bench: Bench) -> None:
    command = bench.tool.client(name=" brightwater dental GROUP ")
    await bench.settle(command)
    assert bench.outcome(command).result == "adopted"
    assert bench.outcome(command).halo_id == BRIGHTWATER
    assert bench.requests() == []


@pytest.mark.feature("org.match", part="writer")
async def test_the_halo_id_that_an_event_carries_wins_over_the_name(bench: Bench) -> None:
    command = bench.tool.client(
        name="Copperfield Logistics Ltd", match=by(halo_id=BRIGHTWATER, name="Copperfield Logistics Ltd")
    )
    await bench.settle(command)
    assert bench.outcome(command).halo_id == BRIGHTWATER
    assert bench.requests("POST") == []


@pytest.mark.feature("org.match", part="writer")
async def test_two_customers_of_one_name_with_halo_ids_of_their_own_stay_apart(make_bench: MakeBench) -> None:
    bench = await make_bench(rows={"Client": [{"id": 900, "name": "Smith"}, {"id": 901, "name": "Smith"}]})
    first = bench.tool.client("org-1", "Smith", match=by(halo_id=900, name="Smith"))
    second = bench.tool.client("org-2", "Smith", match=by(halo_id=901, name="Smith"))
    await bench.settle(first, second)
    assert [bench.outcome(command).halo_id for command in (first, second)] == [900, 901]
    assert bench.requests("POST") == []


@pytest.mark.feature("org.match", part="writer")
async def test_customers_of_one_name_are_not_merged_where_the_tenant_does_not_match_by_name(
    bench: Bench,
) -> None:
    first = bench.tool.client("org-1", "Smith", match=by(our_key=None))
    second = bench.tool.client("org-2", "Smith", match=by(our_key=None))
    await bench.settle(first, second)
    assert len([row for row in bench.rows("Client") if row["name"] == "Smith"]) == 2
    assert bench.outcome(first).halo_id != bench.outcome(second).halo_id


@pytest.mark.feature("org.match", part="writer")
async def test_a_client_that_carries_our_key_is_found_in_halo_when_the_store_knows_nothing_of_it(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(read=False)
    command = bench.tool.client(name="Was renamed in Halo since", match=by(our_key=None, name="Nobody"))
    with bench.sandbox.client() as halo:
        link = {"third_party_id": our_key(command.target), "third_party_desc": "halo-hub"}
        halo.post("/Client", json=[{"name": "Its new name", "new_external_link": link}]).raise_for_status()
    bench.marked()
    await bench.settle(command)
    assert bench.outcome(command).halo_id == bench.row("Client", name="Its new name")["id"]
    assert bench.requests("POST") == []


@pytest.mark.feature("org.match", part="writer")
async def test_two_clients_of_one_name_are_a_persons_decision_and_nothing_is_written(
    make_bench: MakeBench,
) -> None:
    twins = [{"id": 900, "name": "Smith & Sons"}, {"id": 901, "name": "smith & sons"}]
    bench = await make_bench(rows={"Client": twins})
    commands = bench.tool.whole_quote(org_name="Smith & Sons")
    await bench.deliver(*commands)
    assert bench.requests("POST", "^/(Client|Opportunities|Quotation)$") == []
    waiting = {row.target_key: row for row in await bench.pending()}
    client = waiting[commands[0].target.key]
    assert client.reason == "decision"
    assert "900, 901" in (client.note or "")
    assert waiting[commands[-1].target.key].reason == "dependency", "the quote waits with its customer"
    assert bench.outcomes(commands[0]) == []
    ((envelope, asked),) = bench.messages(CONTROL)
    assert envelope.type == "decision.requested.v1"
    assert (asked.target, asked.question) == (commands[0].target, "match.several")
    assert "900, 901" in asked.message


@pytest.mark.feature("org.create", part="writer")
async def test_an_unknown_customer_becomes_client_site_and_user_in_one_request(bench: Bench) -> None:
    address = SiteAddress(line1="1 Dock Street", line3="Hull", postcode="HU1 1AA", country="GB")
    contact = MainContact(name="Nina Park", email="nina@brackenridge.example", phone="01482 1", title="COO")
    client = bench.tool.client(site_name="Dock", address=address, contact=contact, phone=always("01482 0"))
    commands = [client, bench.tool.site(name="Dock", address=address), bench.tool.user(site="Dock")]
    await bench.settle(*commands)
    assert [request["path"] for request in bench.requests("POST")] == ["/Client"]
    made = bench.row("Client", name="Brackenridge Foods")
    site = bench.row("Site", client_id=float(made["id"]))
    user = bench.row("Users", client_id=made["id"])
    assert (site["name"], site["phonenumber"]) == ("Dock", "01482 0")
    assert site["delivery_address"] == {"line1": "1 Dock Street", "line3": "Hull", "postcode": "HU1 1AA"}
    assert (user["name"], user["emailaddress"], user["title"]) == (
        "Nina Park",
        "nina@brackenridge.example",
        "COO",
    )
    assert bench.outcome(commands[1]).halo_id == site["id"]
    assert bench.outcome(commands[2]).halo_id == user["id"]
    links = {row["third_party_id"] for row in bench.rows("ExternalLink") if row["table_id"] == 2}
    assert our_key(client.target) in links


@pytest.mark.feature("org.create", part="writer")
async def test_two_quotes_for_one_new_organisation_create_one_client(bench: Bench) -> None:
    first = bench.tool.whole_quote("q-1")
    second = bench.tool.whole_quote("q-2")
    await bench.settle(*first, *second)
    assert len(bench.posts("Client")) == 1
    client = bench.row("Client", name="Brackenridge Foods")
    assert {row["client_id"] for row in bench.rows("Quotation")} == {client["id"]}
    assert len(bench.rows("Quotation")) == 2


@pytest.mark.feature("org.create", part="writer")
async def test_two_sources_that_name_one_new_customer_create_one_client_which_the_first_owns(
    bench: Bench,
) -> None:
    first = bench.tool.client("org-1", "Brackenridge Foods")
    second = bench.tool.client("org-2", "BRACKENRIDGE Foods ")
    await bench.settle(first, second)
    assert len(bench.posts("Client")) == 1
    assert bench.outcome(first).halo_id == bench.outcome(second).halo_id
    assert (await bench.state(first)).owns
    assert not (await bench.state(second)).owns


@pytest.mark.feature("org.create", part="writer")
async def test_a_second_customer_of_that_name_waits_while_the_first_ones_creation_is_uncertain(
    bench: Bench,
) -> None:
    await bench.prove_look_ups()
    bench.sandbox.arm("drop_then_store", path="^/Client$", delay_s=0.3)
    first = bench.tool.client("org-1", "Brackenridge Foods")
    second = bench.tool.client("org-2", "Brackenridge Foods")
    await bench.settle(first, second)
    assert len(bench.posts("Client")) == 1
    assert bench.row("Client", name="Brackenridge Foods")["id"] == bench.outcome(second).halo_id


@pytest.mark.feature("org.create", part="writer")
async def test_a_client_whose_creation_was_not_answered_keeps_its_site_and_its_person(bench: Bench) -> None:
    """The person came with the client: a second one must not be made when the answer was lost."""
    await bench.prove_look_ups()
    bench.sandbox.arm("store_then_drop", path="^/Client$")
    contact = MainContact(name="Nina Park", email="nina@brackenridge.example")
    commands = [bench.tool.client(contact=contact), bench.tool.site(), bench.tool.user()]
    await bench.settle(*commands)
    made = bench.row("Client", name="Brackenridge Foods")
    assert bench.row("Users", client_id=made["id"])["id"] == bench.outcome(commands[2]).halo_id
    assert bench.row("Site", client_id=float(made["id"]))["id"] == bench.outcome(commands[1]).halo_id
    assert [request["path"] for request in bench.requests("POST")] == ["/Client"]


async def test_a_site_that_came_with_its_client_is_found_before_searches_show_it(
    make_bench: MakeBench,
) -> None:
    bench = await make_bench(halo={"search_lag_s": 30})
    await bench.settle(bench.tool.client(site_name="Dock"), bench.tool.site(name="Dock"))
    made = bench.row("Client", name="Brackenridge Foods")
    assert bench.row("Site", client_id=float(made["id"]))["name"] == "Dock"
    assert [request["path"] for request in bench.requests("POST")] == ["/Client"]


@pytest.mark.feature("user.match", part="writer")
async def test_a_person_is_found_by_email_within_the_client_alone(make_bench: MakeBench) -> None:
    email = "maya.osei@brightwater.example"
    elsewhere = {"id": 930, "name": "Maya", "emailaddress": email, "client_id": 13, "site_id": 24}
    bench = await make_bench(rows={"Users": [elsewhere]})
    client = bench.tool.client(name="Brightwater Dental Group")
    person = bench.tool.user(name="M. Osei", email="Maya.Osei@Brightwater.example ")
    await bench.settle(client, bench.tool.site(), person)
    assert bench.outcome(person).halo_id == MAYA
    assert bench.requests("POST") == []


@pytest.mark.feature("user.match", part="writer")
async def test_a_persons_key_in_halo_is_looked_for_before_the_email(make_bench: MakeBench) -> None:
    bench = await make_bench(fresh_s=0.0)
    person = bench.tool.user(email="maya.osei@brightwater.example")
    with bench.sandbox.client() as halo:
        link = {"third_party_id": our_key(person.target), "third_party_desc": "halo-hub"}
        halo.post("/Users", json=[{"id": LIAM, "new_external_link": link}]).raise_for_status()
    bench.marked()
    await bench.settle(bench.tool.client(name="Brightwater Dental Group"), bench.tool.site(), person)
    assert bench.outcome(person).halo_id == LIAM


@pytest.mark.feature("user.match", part="writer")
async def test_two_people_of_one_email_are_a_persons_decision(make_bench: MakeBench) -> None:
    rows = [
        {"id": 930 + n, "name": f"N {n}", "emailaddress": "office@x.example", "client_id": 12, "site_id": 22}
        for n in range(2)
    ]
    bench = await make_bench(rows={"Users": rows})
    person = bench.tool.user(email="office@x.example")
    await bench.deliver(bench.tool.client(name="Brightwater Dental Group"), bench.tool.site(), person)
    (waiting,) = await bench.pending()
    assert (waiting.reason, waiting.target_key) == ("decision", person.target.key)
    assert "930, 931" in (waiting.note or "")
    assert bench.requests("POST") == []


@pytest.mark.feature("user.create", part="writer")
async def test_an_unknown_person_of_a_known_client_is_created_at_its_main_site(bench: Bench) -> None:
    person = bench.tool.user(
        first_name=always("Nina"), last_name=always("Park"), phone=always("0117 1"), title=always("Buyer")
    )
    await bench.settle(bench.tool.client(name="Brightwater Dental Group"), bench.tool.site(), person)
    assert [request["path"] for request in bench.requests("POST")] == ["/Users"]
    made = bench.row("Users", name="Nina Park")
    assert (made["client_id"], made["site_id"]) == (BRIGHTWATER, HEAD_OFFICE)
    assert (made["firstname"], made["surname"], made["title"]) == ("Nina", "Park", "Buyer")
    assert made["emailaddress"] == "nina@brackenridge.example"
    assert made["third_party_id"] == our_key(person.target)


@pytest.mark.feature("user.create", part="writer")
async def test_one_person_on_two_quotes_is_created_once(bench: Bench) -> None:
    first, second = bench.tool.whole_quote("q-1", person="p-1"), bench.tool.whole_quote("q-2", person="p-1")
    await bench.deliver(*first)
    await bench.settle(*second)
    assert len(bench.posts("Users")) == 1


@pytest.mark.feature("addr.lines", part="writer")
async def test_an_unmapped_line_is_left_in_halo_and_a_mapped_but_empty_one_is_cleared(bench: Bench) -> None:
    rows = [{"id": HEAD_OFFICE, "delivery_address": {"line1": "Old 1", "line2": "Old 2", "line3": "Old 3"}}]
    with bench.sandbox.client() as halo:
        halo.post("/Site", json=rows).raise_for_status()
    bench.marked()
    client = bench.tool.client(name="Brightwater Dental Group")
    site = bench.tool.site(name="Head Office")
    site = changed(
        site,
        ensure=False,
        seq=(1, 1),
        address=always(SiteAddress(line1="18 Harbour Road", line2="", postcode="BS1 4QD")),
    )
    await bench.settle(client, site)
    address = bench.row("Site", id=HEAD_OFFICE)["delivery_address"]
    assert address["line1"] == "18 Harbour Road"
    assert not address.get("line2"), "its source field is mapped, and empty"
    assert address["line3"] == "Old 3", "no source field is mapped to it"
    assert address["postcode"] == "BS1 4QD"
    assert address.get("line4", UNSET) in (UNSET, None, "")
    assert bench.outcome(site).result == "updated"


@pytest.mark.feature("addr.region_country", part="writer")
async def test_region_country_and_postcode_go_to_halos_own_fields(make_bench: MakeBench) -> None:
    lookups = [
        {"lookupid": 11, "id": 90, "name": "Region"},
        {"lookupid": 90, "id": 5, "name": "South East"},
    ]
    bench = await make_bench(rows={"Lookup": lookups})
    region = Named(lookup="region", name="south east", missing="leave")
    address = SiteAddress(line1="1 High St", postcode="ME1 1AA", region=region, country="GB")
    client = bench.tool.client(name="Brightwater Dental Group")
    site = bench.tool.site(name="Margate", address=address)
    new = bench.tool.client("org-2", "Kent Orchards", address=address)
    await bench.settle(client, site, new)
    made = bench.row("Site", name="Margate")
    assert (made["region_code"], made["country_code"]) == (5, "GB")
    assert made["delivery_address"] == {"line1": "1 High St", "postcode": "ME1 1AA"}
    (posted,) = bench.posts("Client")
    assert (posted["newclient_regioncode"], posted["newclient_countrycode"]) == (5, "GB")
    assert bench.outcome(site).notices == ()


@pytest.mark.feature("addr.region_country", part="writer")
async def test_a_region_that_halo_does_not_list_is_told_and_the_address_is_still_written(
    bench: Bench,
) -> None:
    region = Named(lookup="region", name="Atlantis", missing="leave")
    site = bench.tool.site(
        name="Margate", address=SiteAddress(line1="1 High St", region=region, country="GB")
    )
    await bench.settle(bench.tool.client(name="Brightwater Dental Group"), site)
    made = bench.row("Site", name="Margate")
    assert made["delivery_address"]["line1"] == "1 High St"
    assert made["country_code"] == "GB"
    assert "region_code" not in made
    (notice,) = bench.outcome(site).notices
    assert notice.code == "region.unknown"
    assert "Atlantis" in notice.message


@pytest.mark.feature("hub.order", part="writer")
async def test_a_person_waits_for_a_client_that_halo_refused_and_goes_on_when_it_comes(bench: Bench) -> None:
    bench.sandbox.arm("error", path="^/Client$", status=400, answer="This client is on stop")
    client, site, person = bench.tool.client(), bench.tool.site(), bench.tool.user()
    async with bench.lane() as lane:
        await bench.submit(lane, [client, site, person])
        assert bench.outcome(client).status == "rejected"
        assert bench.outcome(client).message == "This client is on stop"
        waiting = {row.target_key: row for row in await bench.pending()}
        assert waiting[site.target.key].waits_for == client.target.key
        assert waiting[person.target.key].reason == "dependency"
        assert bench.rows("Users") == [row for row in bench.rows("Users") if row["name"] != "Nina Park"]
        # Another quote of the same customer makes the very same command; Halo takes it now.
        await bench.submit(lane, [client])
        await bench.until_nothing_waits()
    made = bench.row("Client", name="Brackenridge Foods")
    assert bench.row("Users", name="Nina Park")["client_id"] == made["id"]
    await eventually(lambda: bench.outcome(person).status == "applied")


@pytest.mark.feature("hub.idempotent", part="writer")
async def test_a_contact_that_halo_created_with_another_command_of_the_client_is_not_taken_for_ours(
    bench: Bench,
) -> None:
    """The first quote's create is applied and its answer lost; another person's quote of the same client settles it."""
    await bench.prove_look_ups()
    tool = bench.tool
    first = tool.client(contact=MainContact(name="Kim Novak", email="kim@brackenridge.example"))
    second = tool.client(contact=MainContact(name="Ada Byron", email="ada@brackenridge.example"))
    bench.sandbox.arm("store_then_drop", path="^/Client$", method="POST")
    await bench.deliver(first)
    people = [
        tool.user("p-2", name="Ada Byron", email="ada@brackenridge.example"),
        tool.user("p-1", name="Kim Novak", email="kim@brackenridge.example"),
    ]
    await bench.settle(second, tool.site(), *people)
    theirs = [row for row in bench.rows("Users") if "brackenridge" in (row.get("emailaddress") or "")]
    assert sorted(row["name"] for row in theirs) == ["Ada Byron", "Kim Novak"]
    assert sorted(row["emailaddress"] for row in theirs) == [
        "ada@brackenridge.example",
        "kim@brackenridge.example",
    ]
