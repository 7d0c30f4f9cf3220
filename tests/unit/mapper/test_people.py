"""Whom a quote is for and who owns it: customer, site, contact and agent, as commands."""

from typing import Any

import pytest
from msgspec import UNSET

from schemas.commands import Field, MainContact, Match, Named, SiteAddress
from services.mapper.refs import MAX_ID
from tests.unit.mapper.build import mapped, quote, rules

ADDRESS = {
    "street": "1 High Street",
    "apartment": "Floor 2",
    "city": "London",
    "county": "Greater London",
    "postcode": "SW1A 1AA",
    "region": "England",
    "country": "United Kingdom",
    "custom": {"building": "Tower A"},
}


def customer(**fields: Any) -> Any:
    return {"name": "Contoso Ltd"} | fields


# Customers


@pytest.mark.feature("org.match", part="mapper")
@pytest.mark.parametrize(
    ("fields", "source_id", "match"),
    [
        (
            {"id": "c-1", "halo_id": 12},
            "c-1",
            (Match(by="halo_id", value=12), Match(by="our_key"), Match(by="name", value="Contoso Ltd")),
        ),
        ({"id": "c-1"}, "c-1", (Match(by="our_key"), Match(by="name", value="Contoso Ltd"))),
        (
            {"halo_id": 12},
            "halo:12",
            (Match(by="halo_id", value=12), Match(by="our_key"), Match(by="name", value="Contoso Ltd")),
        ),
        ({}, "name:contoso ltd", (Match(by="our_key"), Match(by="name", value="Contoso Ltd"))),
    ],
)
def test_a_customer_is_found_by_halo_id_then_our_key_then_name(
    fields: dict[str, Any], source_id: str, match: tuple[Match, ...]
) -> None:
    client = mapped(quote(customer=customer(**fields))).client
    assert (client.target.kind, client.target.id) == ("client", source_id)
    assert client.match == match


@pytest.mark.feature("org.match", part="mapper")
def test_the_tenant_says_in_which_order_and_by_what() -> None:
    with_rules = rules(clients={"match": ["name", "halo_id"]})
    client = mapped(quote(customer=customer(halo_id=12)), with_rules).client
    assert client.match == (Match(by="name", value="Contoso Ltd"), Match(by="halo_id", value=12))
    # What it is called does not hang on the rules: else a change of rules would make another record.
    assert client.target.id == "halo:12"


@pytest.mark.feature("org.create", part="mapper")
def test_a_new_client_carries_its_site_and_main_contact() -> None:
    data = quote(
        customer=customer(id="c-1", phone="1", website="w", site="London", address=ADDRESS),
        contact={"name": "Jo Roe", "email": "jo@x.example", "phone": "2", "title": "CTO"},
    )
    client = mapped(data).client
    assert client.ensure
    assert client.seq == ()
    assert client.name == Field(value="Contoso Ltd")
    assert client.site_name == Field(value="London")
    assert client.site_address is not UNSET
    assert client.site_address.value.line1 == "1 High Street"
    assert client.main_contact == Field(
        value=MainContact(name="Jo Roe", email="jo@x.example", phone="2", title="CTO")
    )
    assert (client.phone, client.website) == (
        Field(value="1"),
        Field(value="w"),
    )


@pytest.mark.feature("org.create", part="mapper")
def test_two_quotes_of_one_new_organisation_ensure_one_client() -> None:
    one = mapped(quote(title="One", customer=customer(id="c-1"))).client
    other = mapped(quote(title="Other", customer=customer(id="c-1"))).client
    assert one == other
    by_name = [mapped(quote(customer={"name": name})).client for name in ("Contoso  Ltd ", "contoso ltd")]
    assert by_name[0].target == by_name[1].target


def test_what_the_event_does_not_say_is_not_sent() -> None:
    made = mapped(quote())
    absent: tuple[Any, ...] = (
        *(made.client.phone, made.client.site_address, made.client.main_contact, made.site.address),
        *(made.quote.user, made.quote.note, made.quote.date, made.quote.agent, made.quote.status),
    )
    assert set(absent) == {UNSET}
    assert "user" not in made.kinds


# Sites


@pytest.mark.feature("money.tax", part="mapper")
def test_a_quote_always_has_a_site_the_clients_main_one_if_it_names_none() -> None:
    made = mapped(quote())
    assert made.site.target.id == "c-1/main"
    assert made.site.match == (Match(by="parent_main"),)
    assert made.site.client == Field(value=made.client.target)
    assert made.quote.site == Field(value=made.site.target)
    assert made.opportunity.site == Field(value=made.site.target)


def test_a_named_site_is_that_site_of_the_client() -> None:
    made = mapped(quote(customer=customer(id="c-1", site="  London ")))
    assert made.site.target.id == "c-1/london"
    assert made.site.match == (Match(by="name", value="  London "),)


@pytest.mark.feature("addr.lines", part="mapper")
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, ("1 High Street", "Floor 2", "London", UNSET)),
        (
            {"line2": "city", "line3": "county", "line4": "custom.building"},
            ("1 High Street", "London", "Greater London", "Tower A"),
        ),
        ({"line1": None, "line4": "street"}, (UNSET, "Floor 2", "London", "1 High Street")),
        ({"line4": "custom.unknown"}, ("1 High Street", "Floor 2", "London", "")),
    ],
)
def test_each_address_line_takes_the_field_that_the_tenant_chose(
    table: dict[str, Any], expected: Any
) -> None:
    site = mapped(quote(customer=customer(id="c-1", address=ADDRESS)), rules(addresses=table)).site
    assert site.address is not UNSET
    found = site.address.value
    assert (found.line1, found.line2, found.line3, found.line4) == expected


@pytest.mark.feature("addr.lines", part="mapper")
def test_an_unmapped_line_is_left_alone_and_a_mapped_empty_one_clears() -> None:
    site = mapped(quote(customer=customer(id="c-1", address={"street": "", "city": "London"}))).site
    assert site.address is not UNSET
    assert site.address.value == SiteAddress(line1="", line2="", line3="London", postcode="", country="")
    assert site.address.value.line4 is UNSET


@pytest.mark.feature("addr.region_country", part="mapper")
def test_region_country_and_postcode_need_no_entry() -> None:
    none = {"line1": None, "line2": None, "line3": None}
    site = mapped(quote(customer=customer(id="c-1", address=ADDRESS)), rules(addresses=none)).site
    assert site.address is not UNSET
    address = site.address.value
    assert (address.postcode, address.country) == ("SW1A 1AA", "United Kingdom")
    # A region that Halo doesn't list is left out with a warning, and the address still written.
    assert address.region == Named(lookup="region", name="England", missing="leave")


# Contacts


@pytest.mark.feature("user.match", part="mapper")
@pytest.mark.parametrize(
    ("contact", "source_id", "match"),
    [
        (
            {"name": "Jo", "id": "p-1", "halo_id": 3, "email": "Jo@X.example"},
            "c-1/p-1",
            (Match(by="halo_id", value=3), Match(by="our_key"), Match(by="email", value="Jo@X.example")),
        ),
        ({"name": "Jo", "halo_id": 3}, "halo:3", (Match(by="halo_id", value=3), Match(by="our_key"))),
        (
            {"name": "Jo", "email": "Jo@X.example"},
            "c-1/email:jo@x.example",
            (Match(by="our_key"), Match(by="email", value="Jo@X.example")),
        ),
        ({"name": " Jo  Roe"}, "c-1/name:jo roe", (Match(by="our_key"),)),
    ],
)
def test_a_person_without_a_halo_id_is_still_matched(
    contact: dict[str, Any], source_id: str, match: tuple[Match, ...]
) -> None:
    user = mapped(quote(contact=contact)).user
    assert user.target.id == source_id
    assert user.match == match


def test_a_person_who_changes_companies_is_another_user_and_the_quote_is_for_that_one() -> None:
    """A Halo user belongs to one client: the quote of another must not name it."""
    contact = {"name": "Jo", "id": "p-1"}
    before, after = (
        mapped(quote(contact=contact, customer={"name": "X", "id": id_})) for id_ in ("c-1", "c-2")
    )
    assert before.user.target != after.user.target
    assert after.quote.user == Field(value=after.user.target)
    assert after.user.client == after.quote.client


@pytest.mark.feature("user.match", part="mapper")
def test_the_tenant_says_by_what_people_are_matched() -> None:
    with_rules = rules(users={"match": ["email"]})
    user = mapped(quote(contact={"name": "Jo", "halo_id": 3, "email": "a@b"}), with_rules).user
    assert user.match == (Match(by="email", value="a@b"),)


@pytest.mark.feature("user.create", part="mapper")
def test_a_person_is_created_in_the_client_at_its_site() -> None:
    contact = {"name": "Jo Roe", "first_name": "Jo", "last_name": "Roe", "email": "a@b", "title": "CTO"}
    made = mapped(quote(contact=contact))
    user = made.user
    assert user.ensure
    assert user.client == Field(value=made.client.target)
    assert user.site == Field(value=made.site.target)
    assert (user.name, user.first_name) == (
        Field(value="Jo Roe"),
        Field(value="Jo"),
    )
    assert user.phone is UNSET


@pytest.mark.feature("user.quote", part="mapper")
def test_the_quotes_user_is_the_person_it_was_prepared_for() -> None:
    made = mapped(quote(contact={"name": "Jo", "id": "p-1"}))
    assert made.quote.user == Field(value=made.user.target)
    assert made.opportunity.user == Field(value=made.user.target)


def test_ids_are_never_longer_than_an_id_may_be_and_stay_apart() -> None:
    made = [
        mapped(
            quote(
                customer={"name": "x" * 250 + end, "site": "s" * 255},
                contact={"name": "y" * 255, "email": end * 200},
            )
        )
        for end in "ab"
    ]
    for command in (*made[0].commands, *made[1].commands):
        assert 0 < len(command.target.id) <= MAX_ID
    assert made[0].client.target != made[1].client.target
    assert made[0].user.target != made[1].user.target


# Agents


def agent(named: Any) -> Named:
    assert isinstance(named, Field)
    assert named.write == "always"
    assert isinstance(named.value, Named)
    return named.value


PEOPLE = {
    "prepared_by": {"username": "jane.doe", "name": "Jane D."},
    "sales_rep": {"username": "rmiller", "name": "Rob Miller"},
}


@pytest.mark.feature("agent.owner", part="mapper")
@pytest.mark.parametrize(("owner", "name"), [("logged_in_user", "Jane Doe"), ("sales_rep", "Robert Miller")])
def test_the_tenant_says_whether_the_user_or_the_sales_rep_owns(owner: str, name: str) -> None:
    with_rules = rules(agents={"owner": owner, "map": {"jane.doe": "Jane Doe", "rmiller": "Robert Miller"}})
    made = mapped(quote(**PEOPLE), with_rules)
    assert agent(made.quote.agent).name == name
    assert agent(made.opportunity.agent).name == name


@pytest.mark.feature("agent.map", part="mapper")
@pytest.mark.parametrize("key", ["jane.doe", "JANE.DOE", " Jane D. "])
def test_people_are_mapped_by_user_name_then_by_name_whatever_the_case(key: str) -> None:
    made = mapped(quote(**PEOPLE), rules(agents={"map": {key: "Jane Doe"}}))
    assert agent(made.quote.agent) == Named(
        lookup="agent", name="Jane Doe", missing="leave", setting="agents.map"
    )
    assert made.quote.notices == ()


@pytest.mark.feature("agent.map", part="mapper")
def test_equal_names_need_no_entry() -> None:
    named = agent(mapped(quote(**PEOPLE)).quote.agent)
    assert (named.name, named.missing) == ("Jane D.", "leave")
    named = agent(
        mapped(quote(prepared_by={"username": "jd"}), rules(agents={"default": "Desk"})).quote.agent
    )
    assert (named.name, named.missing, named.fallback) == ("jd", "leave", "Desk")


@pytest.mark.feature("agent.owner.unmapped", part="mapper")
@pytest.mark.parametrize("default", ["Sales Desk", None])
def test_an_unmapped_sales_rep_is_told_by_name_with_the_setting_and_the_quote_goes(
    default: str | None,
) -> None:
    agents = {"owner": "sales_rep"} | ({"default": default} if default else {})
    made = mapped(quote(**PEOPLE), rules(agents=agents))
    named = agent(made.quote.agent)
    assert (named.missing, named.fallback) == ("leave", default)
    for command in (made.quote, made.opportunity):
        assert [notice.code for notice in command.notices] == ["agent.unmapped"]
        message = command.notices[0].message
        assert "rmiller" in message
        assert "Rob Miller" in message
        assert "agents.map" in message
        assert (default or "no owner") in message


def test_a_notice_is_no_part_of_the_desired_state() -> None:
    mapped_rep = mapped(
        quote(**PEOPLE), rules(agents={"owner": "sales_rep", "map": {"rmiller": "Rob Miller"}})
    )
    unmapped_rep = mapped(quote(**PEOPLE), rules(agents={"owner": "sales_rep"}))
    assert mapped_rep.quote.notices != unmapped_rep.quote.notices
    assert mapped_rep.quote.state_hash == unmapped_rep.quote.state_hash


def test_a_document_without_the_person_goes_to_the_default_or_to_nobody() -> None:
    assert mapped(quote()).quote.agent is UNSET
    named = agent(mapped(quote(), rules(agents={"default": "Sales Desk"})).quote.agent)
    assert (named.name, named.missing, named.setting) == ("Sales Desk", "leave", "agents.default")


@pytest.mark.feature("agent.both", part="mapper")
def test_the_agent_is_the_same_on_quote_and_opportunity() -> None:
    made = mapped(quote(**PEOPLE), rules(agents={"map": {"jane.doe": 17}}))
    assert agent(made.quote.agent) == agent(made.opportunity.agent)
    assert agent(made.quote.agent).name == 17
