"""Which rights a tenant's rules need in Halo: no more than the sections in use."""

from __future__ import annotations

from hub.tenants.model import RuleSet

QUOTING = (
    "edit:customers",
    "edit:items",
    "edit:quotes",
    "edit:sales",
    "edit:tickets",
    "read:suppliers",
)
ORDERS = ("edit:sos",)
"""Beside those, where a won quote gets a sales order."""


def scopes_of(rules: RuleSet) -> tuple[str, ...]:
    """The scopes of the token request: the file's own list, or what its sections need."""
    if rules.halo.scopes != "auto":
        return tuple(rules.halo.scopes)
    effective = (rules, *map(rules.for_source, rules.sources))
    orders = any(one.quotes is not None and one.quotes.sales_order for one in effective)
    return (*QUOTING, *ORDERS) if orders else QUOTING
