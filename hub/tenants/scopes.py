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


def scopes_of(rules: RuleSet) -> tuple[str, ...]:
    """The scopes of the token request: the file's own list, or what quoting needs."""
    return QUOTING if rules.halo.scopes == "auto" else tuple(rules.halo.scopes)
