"""Who takes part in a soak, how uneven they are, and what is odd about each one's Halo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sandbox.server import CLIENT_ID, Sandbox
from tests.support.hub import DEFAULT_RULES

KNOWN_CUSTOMERS = 3
KNOWN_PRODUCTS = 4
NOISY, SMALL_BUDGET, REFUSED_LOGIN, NO_RIGHT, EDITED = "t00", "t01", "t02", "t03", "t04"
_PLENTY = "{requests: 100000, window: 10s}"
_SMALL = {"limit": 60, "window_s": 10}


@dataclass(frozen=True)
class Tenant:
    """One tenant. `weight` is its share of the events beside the others', `config` its sandbox's settings."""

    name: str
    weight: float
    config: Mapping[str, Any] = field(default_factory=dict)
    budget: str = _PLENTY
    max_lines: int = 5


def tenants(count: int) -> tuple[Tenant, ...]:
    """The first `count` of the cast: the odd ones come first, the plain ones after them."""
    odd = (
        Tenant(NOISY, weight=50.0, max_lines=10),
        Tenant(SMALL_BUDGET, weight=4.0, config={"budget": _SMALL}, budget="{requests: 60, window: 10s}"),
        Tenant(REFUSED_LOGIN, weight=4.0),
        Tenant(NO_RIGHT, weight=4.0),
        Tenant(EDITED, weight=2.0),
        Tenant("t05", weight=2.0, config={"search_lag_s": 0.8}),
        Tenant("t06", weight=2.0, config={"latency_s": 0.15, "array_answer": "one"}),
        Tenant("t07", weight=2.0, config={"token_ttl_s": 20, "arrays": "single_only"}),
        Tenant("t08", weight=2.0, config={"arrays": "atomic", "main_contact_compulsory": True}),
        Tenant("t09", weight=2.0, config={"budget": {"limit": 0, "retry_after": True}, "row_limit": 50}),
    )
    plain = (Tenant(f"t{number:02d}", weight=0.5 + number % 3) for number in range(len(odd), count))
    return (*odd[:count], *plain)


def tenant_text(tenant: Tenant, sandbox: Sandbox) -> str:
    """The tenant's file."""
    return f"""
tenant: {tenant.name}
halo:
  resource_server: {sandbox.resource_url}
  authorization_server: {sandbox.auth_url}
  client_id: {CLIENT_ID}
  client_secret: env:SANDBOX_SECRET
  budget: {tenant.budget}
{DEFAULT_RULES}
"""


def sandbox_config(tenant: Tenant) -> dict[str, Any]:
    return {"budget": {"limit": 0}, **tenant.config}


def known_customer(tenant: str, number: int) -> str:
    return f"{tenant}-known customer {number}"


def known_product(tenant: str, number: int) -> str:
    return f"{tenant}-known product {number}"


def known_sku(tenant: str, number: int) -> str:
    return f"{tenant}-KNOWN-{number}"


def known_rows(tenant: str) -> dict[str, list[dict[str, Any]]]:
    """What the tenant's Halo holds before the hub has ever written: customers with sites and people, and items."""
    customers = range(1, KNOWN_CUSTOMERS + 1)
    return {
        "Client": [{"id": 30 + n, "name": known_customer(tenant, n), "toplevel_id": 1} for n in customers],
        "Site": [{"id": 60 + n, "name": "Main", "client_id": 30 + n} for n in customers],
        "Users": [
            {
                "id": 90 + n,
                "name": f"{tenant}-known person {n}",
                "emailaddress": f"known{n}@{tenant}-known.example",
                "client_id": 30 + n,
                "site_id": 60 + n,
            }
            for n in customers
        ],
        "Item": [
            {
                "id": 90 + n,
                "name": known_product(tenant, n),
                "supplier_part_code": known_sku(tenant, n),
                "assetgroup_id": 1,
                "status": 14,
                "baseprice": 10 * n,
            }
            for n in range(1, KNOWN_PRODUCTS + 1)
        ],
    }
