"""From a tenant's rules to a client of its Halo. Secrets are read at the moment of use."""

import httpx

from halo import Connection, Gate, HaloClient, Secret, resolve_servers
from hub.tenants.model import RuleSet
from hub.tenants.scopes import scopes_of
from hub.tenants.secrets import resolve


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
        scopes_of(rules),
    )


def client_of(rules: RuleSet, http: httpx.AsyncClient, gate: Gate, *, timeout_s: float) -> HaloClient:
    """A client whose every request passes `gate`. Raises as `connection_of`."""
    return HaloClient(connection_of(rules), http, gate, timeout_s=timeout_s)
