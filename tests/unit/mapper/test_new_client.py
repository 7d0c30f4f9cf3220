"""What a new client is made with: its main contact, and what it is to the tenant."""

import pytest
from msgspec import UNSET

from schemas.commands import Field, MainContact, Named
from tests.unit.mapper.build import mapped, quote, rules


@pytest.mark.feature("org.main_contact", part="mapper")
def test_the_contact_of_a_quote_goes_into_the_clients_own_request_and_a_quote_without_one_sends_none() -> (
    None
):
    without = mapped(quote())
    assert without.client.main_contact is UNSET
    contact = {"name": "Jo Roe", "email": "jo@contoso.example", "phone": "1", "title": "COO"}
    named = mapped(quote(contact=contact))
    said = MainContact(name="Jo Roe", email="jo@contoso.example", phone="1", title="COO")
    assert named.client.main_contact == Field(value=said)
    # Another state: the one that was refused is no repeat of it.
    assert named.client.target == without.client.target
    assert named.client.state_hash != without.client.state_hash


@pytest.mark.feature("org.prospect_type", part="mapper")
def test_a_company_that_is_first_met_on_a_quote_is_made_a_prospect() -> None:
    relationship = mapped(quote(), rules(clients={"prospect_type": "Prospect"})).client.relationship
    assert relationship == Field(
        value=Named(
            lookup="customer_relationship",
            name="Prospect",
            missing="leave",
            setting="clients.prospect_type",
            chosen=True,
        )
    )
    assert mapped(quote()).client.relationship is UNSET


@pytest.mark.feature("org.prospect_type", part="mapper")
def test_where_there_are_leads_a_client_has_bought_and_is_no_prospect() -> None:
    with_leads = rules(clients={"prospect_type": "Prospect", "lead_ticket_type": "Lead"})
    assert mapped(quote(status="accepted"), with_leads).client.relationship is UNSET
