"""From a tenant's rules to a client of its Halo. Secrets are read at the moment of use."""

import httpx

from halo import Connection, Gate, HaloClient, Secret, resolve_servers
from hub.tenants.model import RuleSet
from hub.tenants.secrets import resolve

AUTO_SCOPES = (
    "edit:customers",
    "edit:items",
    "edit:quotes",
    "edit:sales",
    "edit:tickets",
    "read:suppliers",
)
"""What `scopes: auto` asks for: enough for quotes, and no more."""


def connection_of(rules: RuleSet) -> Connection:
    """How to reach and sign in to this tenant's Halo. Raises SecretUnavailable, halo.ConfigurationError."""
    halo = rules.halo
    resource_server, authorization_server = resolve_servers(
        halo.url, halo.resource_server, halo.authorization_server
    )
    return Connection(
        resource_server,
        authorization_server,
        halo.client_id,
        Secret(resolve(halo.client_secret)),
        halo.tenant,
        AUTO_SCOPES if halo.scopes == "auto" else tuple(halo.scopes),
    )


def client_of(rules: RuleSet, http: httpx.AsyncClient, gate: Gate, *, timeout_s: float) -> HaloClient:
    """A client whose every request passes `gate`. Raises as `connection_of`."""
    return HaloClient(connection_of(rules), http, gate, timeout_s=timeout_s)
