"""The customer's site: the one that the quote names, else the client's main site. Without one Halo reckons no tax."""

from __future__ import annotations

from schemas.commands import Field, Match, UpsertSite
from schemas.quotes import Customer
from schemas.targets import Target
from services.mapper.addresses import site_address
from services.mapper.client import client_target
from services.mapper.refs import site_id
from services.mapper.scope import NO_BASIS, Scope, given, sealed


def site_target(customer: Customer, scope: Scope) -> Target:
    return scope.target("site", site_id(customer))


def ensure_site(customer: Customer, scope: Scope) -> UpsertSite:
    by_name = Match(by="name", value=customer.site)
    return sealed(
        UpsertSite(
            target=site_target(customer, scope),
            basis=NO_BASIS,
            ensure=True,
            match=(by_name,) if customer.site else (Match(by="parent_main"),),
            client=Field(value=client_target(customer, scope)),
            name=given(customer.site),
            address=given(site_address(customer.address, scope.rules.addresses)),
        )
    )
