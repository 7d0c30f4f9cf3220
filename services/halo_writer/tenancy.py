"""A tenant as the writer sees it: how to reach its Halo, and what may be spent there."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from halo import Budget, Connection, HaloClient, Secret, resolve_servers
from hub.lease_keeper import Held, LeaseKeeper
from hub.steps import Steps
from hub.store.engine import Store
from hub.tenants.model import RuleSet
from hub.tenants.scopes import scopes_of
from hub.tenants.secrets import resolve
from hub.tenants.shares import WRITE_SHARE, allowance
from hub.throttle import SharedBlock
from services.halo_writer.gate import TenantGate


@dataclass(frozen=True)
class Tenancy:
    """One revision of a tenant's connection; a new revision is a new object."""

    tenant: str
    sequence: int
    rules: RuleSet
    http: httpx.AsyncClient
    request_timeout_s: float

    def gate(self, keeper: LeaseKeeper, held: Held, steps: Steps, store: Store) -> TenantGate:
        """The say over each request under this lease."""
        budget = Budget(*allowance(self.rules, WRITE_SHARE))
        return TenantGate(keeper, held, budget, steps, SharedBlock(store, self.tenant))

    def client(self, gate: TenantGate) -> HaloClient:
        """A client of this tenant's Halo. Raises SecretUnavailable, halo.ConfigurationError."""
        halo = self.rules.halo
        resource_server, authorization_server = resolve_servers(
            halo.url, halo.resource_server, halo.authorization_server
        )
        connection = Connection(
            resource_server,
            authorization_server,
            halo.client_id,
            Secret(resolve(halo.client_secret)),
            halo.tenant,
            scopes_of(self.rules),
        )
        return HaloClient(connection, self.http, gate, timeout_s=self.request_timeout_s)
