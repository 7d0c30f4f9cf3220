"""A command's share of a tenant's request budget, and its client for that tenant's Halo."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from cli import context
from cli.errors import BadInput, CommandFailed
from cli.local_gate import LocalGate
from halo import ConfigurationError, Gate, GateClosed, HaloClient
from hub.lease_keeper import LeaseKeeper
from hub.settings import Settings
from hub.tenants.model import RuleSet
from hub.tenants.secrets import SecretUnavailable
from hub.tenants.shares import OPS_SHARE
from hub.throttle import SharedBlock
from services.ingest.connection import client_of
from services.ingest.gate import ShareGate, budget_of


@asynccontextmanager
async def halo_client(settings: Settings, rules: RuleSet) -> AsyncIterator[HaloClient]:
    """A client that spends the ops share.

    Raises BadInput without its secret, CommandFailed while another command has the share, or when it allows nothing.
    """
    async with httpx.AsyncClient() as http, _gate(settings, rules) as gate:
        try:
            client = client_of(rules, http, gate, timeout_s=settings.request_timeout_s)
        except (SecretUnavailable, ConfigurationError) as error:
            raise BadInput(f"{rules.tenant}: {error}") from None
        try:
            yield client
        except GateClosed as error:
            raise CommandFailed(f"{rules.tenant}: {error}") from None


@asynccontextmanager
async def _gate(settings: Settings, rules: RuleSet) -> AsyncIterator[Gate]:
    """The ops share of the tenant's budget: under its lease where the hub's store is known, else on our own word."""
    budget = budget_of(rules, OPS_SHARE)
    if "store_url" not in settings.model_fields_set:
        yield LocalGate(budget)
        return
    async with context.store(settings) as store:
        owner = f"cli-{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
        keeper = LeaseKeeper(store, owner=owner, ttl_s=settings.lease_ttl_s)
        held = await keeper.take(rules.tenant, "ops")
        if held is None:
            raise CommandFailed(f"another command works on {rules.tenant} now; try again when it has ended")
        shared = SharedBlock(store, rules.tenant)
        gate = ShareGate(keeper, held, budget, shared, patience_s=float("inf"))
        renewing = asyncio.create_task(keeper.run())
        try:
            yield gate
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await gate.tell_others()
            await keeper.release(held, gate.spend())
