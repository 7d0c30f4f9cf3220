"""The person that the quote was prepared for, as a Halo user of the quote's client: created or adopted."""

from __future__ import annotations

from schemas.commands import Field, Match, UpsertUser
from schemas.quotes import Contact, Customer
from schemas.targets import Target
from services.mapper.client import client_target
from services.mapper.links import field_of, linked
from services.mapper.refs import user_id
from services.mapper.scope import NO_BASIS, Scope, given, sealed
from services.mapper.site import site_target


def user_target(contact: Contact, customer: Customer, scope: Scope) -> Target:
    return scope.target("user", user_id(contact, customer))


def ensure_user(contact: Contact, customer: Customer, scope: Scope) -> UpsertUser:
    links, told = linked("users", scope, contact)
    return sealed(
        UpsertUser(
            target=user_target(contact, customer, scope),
            basis=NO_BASIS,
            ensure=True,
            match=_match(contact, scope),
            notices=told,
            client=Field(value=client_target(customer, scope)),
            site=Field(value=site_target(customer, scope)),
            name=Field(value=contact.name),
            first_name=given(contact.first_name),
            last_name=given(contact.last_name),
            email=given(contact.email),
            phone=given(contact.phone),
            title=given(contact.title),
            links=field_of(links),
        )
    )


def _match(contact: Contact, scope: Scope) -> tuple[Match, ...]:
    found: list[Match] = []
    for by in scope.rules.users.match:
        if by == "halo_id" and contact.halo_id is not None:
            found.append(Match(by="halo_id", value=contact.halo_id))
        elif by == "external_id":
            found.append(Match(by="our_key"))
        elif by == "email" and contact.email:
            found.append(Match(by="email", value=contact.email))
    return tuple(found)
