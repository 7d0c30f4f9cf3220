"""The quote's customer as a Halo client: created together with its site and contact, or adopted; never updated."""

from __future__ import annotations

from schemas.commands import Field, MainContact, Match, Named, UpsertClient
from schemas.quotes import Contact, Customer
from schemas.targets import Target
from services.mapper.addresses import site_address
from services.mapper.links import field_of, linked
from services.mapper.parts import Parties
from services.mapper.refs import client_id
from services.mapper.scope import NO_BASIS, Scope, given, sealed


def client_target(customer: Customer, scope: Scope) -> Target:
    return scope.target("client", client_id(customer))


def ensure_client(head: Parties, scope: Scope) -> UpsertClient:
    customer = head.customer
    links, told = linked("clients", scope, customer)
    return sealed(
        UpsertClient(
            target=client_target(customer, scope),
            basis=NO_BASIS,
            ensure=True,
            match=_match(customer, scope),
            notices=told,
            name=Field(value=customer.name),
            phone=given(customer.phone),
            website=given(customer.website),
            site_name=given(customer.site),
            site_address=given(site_address(customer.address, scope.rules.addresses)),
            main_contact=given(_main_contact(head.contact)),
            relationship=given(_relationship(scope)),
            links=field_of(links),
        )
    )


def _relationship(scope: Scope) -> Named | None:
    """A company that is first met on a quote is a prospect; where there are leads, a client is who has bought."""
    rules = scope.rules.clients
    if rules.prospect_type is None or rules.lead_ticket_type is not None:
        return None
    return Named(
        lookup="customer_relationship",
        name=rules.prospect_type,
        missing="leave",
        setting="clients.prospect_type",
        chosen=True,
    )


def _main_contact(contact: Contact | None) -> MainContact | None:
    if contact is None:
        return None
    return MainContact(name=contact.name, email=contact.email, phone=contact.phone, title=contact.title)


def _match(customer: Customer, scope: Scope) -> tuple[Match, ...]:
    found: list[Match] = []
    for by in scope.rules.clients.match:
        if by == "halo_id" and customer.halo_id is not None:
            found.append(Match(by="halo_id", value=customer.halo_id))
        elif by == "external_id":
            found.append(Match(by="our_key"))
        elif by == "name":
            found.append(Match(by="name", value=customer.name))
    return tuple(found)
