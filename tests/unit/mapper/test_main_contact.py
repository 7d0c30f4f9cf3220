"""The main contact goes with the client that it is the first person of."""

import pytest
from msgspec import UNSET

from schemas.commands import Field, MainContact
from tests.unit.mapper.build import mapped, quote


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
