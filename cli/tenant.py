"""`hub tenant check`: whether a tenant's Halo is as its rules need it, told line by line."""

import asyncio
import contextlib
import datetime as dt
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import msgspec
import typer

from cli import context
from cli.check_connection import Findings, check_connection
from cli.errors import BadInput, CommandFailed
from cli.local_gate import LocalGate
from cli.messages import action, who
from cli.output import Json, print_json, print_table, say
from cli.tenant_rules import rules_of
from halo import ConfigurationError, Gate, GateClosed
from hub.lease_keeper import LeaseKeeper
from hub.settings import Settings
from hub.store import rule_sets
from hub.store.rule_sets import RuleSetRow
from hub.tenants.model import RuleSet
from hub.tenants.secrets import SecretUnavailable
from hub.tenants.shares import OPS_SHARE
from schemas.control import ConnectionTested, Proof, SyncRequested
from services.ingest.connection import client_of
from services.ingest.gate import ShareGate, budget_of

app = typer.Typer(help="Tenants: their connection to Halo, and their rules.", no_args_is_help=True)

LAG_LIMIT_S = 30.0
_STYLES = {"ok": "✓", "warning": "!", "failed": "✗", "unknown": "?"}


@app.command()
def show(
    tenant: Annotated[str, typer.Argument(help="A tenant's name.")],
    at: Annotated[
        int | None, typer.Option(help="The revision that a command names; the newest without it.", min=1)
    ] = None,
) -> None:
    """Print the rules that were accepted, as the log has them: what a command's rule revision stood for."""
    row = context.run(_accepted(context.settings(), tenant, at))
    if row is None:
        raise BadInput(f"tenant {tenant!r} has no {'accepted rules' if at is None else f'revision {at}'}")
    print_json(
        {
            "tenant": row.tenant,
            "sequence": row.sequence,
            "hash": row.hash,
            "accepted_at": dt.datetime.fromtimestamp(row.accepted_at, dt.UTC).isoformat(),
            "rules": msgspec.json.decode(row.text),
        }
    )


async def _accepted(settings: Settings, tenant: str, at: int | None) -> RuleSetRow | None:
    async with context.store(settings) as opened, opened.read() as conn:
        return await (rule_sets.latest(conn, tenant) if at is None else rule_sets.at(conn, tenant, at))


@app.command()
def check(
    tenant: Annotated[str, typer.Argument(metavar="FILE|TENANT", help="A tenant file, or a tenant's name.")],
    write_proof: Annotated[
        bool,
        typer.Option(
            "--write-proof",
            help="Also make one marked record of each kind in Halo, find it again, and remove it.",
        ),
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Then have the hub read this Halo's data again.")
    ] = False,
    lag: Annotated[
        float, typer.Option(help="How long a new record may take to be found, in seconds.", min=0)
    ] = LAG_LIMIT_S,
    json: Json = False,
) -> None:
    """Test a tenant's connection to Halo, and every Halo name that its rules mention."""
    settings = context.settings()
    rules, findings, proofs = context.run(_check(settings, tenant, write_proof, refresh, lag))
    if json:
        print_json(
            {
                "tenant": rules.tenant,
                "instance": rules.instance,
                "ok": findings.ok,
                "checks": findings.checks,
                "proofs": proofs,
            }
        )
    else:
        rows = [(_STYLES[c.verdict], c.name, c.detail, c.fix) for c in findings.checks]
        print_table(("", "check", "result", "what to do"), rows, title=f"{rules.tenant} at {rules.instance}")
        if findings.ok:
            say("Test is successful.", style="green")
        else:
            causes = [f"  {c.name}: {c.detail}" for c in findings.checks if c.verdict == "failed"]
            say("\n".join(["Test is not successful.", *causes]), style="red")
    if not findings.ok:
        raise typer.Exit(CommandFailed.exit_code)


async def _check(
    settings: Settings, named: str, write_proof: bool, refresh: bool, lag_limit_s: float
) -> tuple[RuleSet, Findings, tuple[Proof, ...]]:
    # The writer's kinds come with it, which no other command needs.
    from cli.check_keys import Prover

    rules = await rules_of(settings, named)
    async with httpx.AsyncClient() as http, _gate(settings, rules) as gate:
        try:
            client = client_of(rules, http, gate, timeout_s=settings.request_timeout_s)
        except (SecretUnavailable, ConfigurationError) as error:
            raise BadInput(f"{rules.tenant}: {error}") from None
        try:
            findings = await check_connection(client, rules)
            prover = Prover(client, rules, findings, secrets.token_hex(4), lag_limit_s=lag_limit_s)
            if write_proof and findings.ok:
                await prover.prove()
        except GateClosed as error:
            raise CommandFailed(f"{rules.tenant}: {error}") from None
    await _tell(settings, rules, findings, tuple(prover.proofs), refresh=refresh)
    return rules, findings, tuple(prover.proofs)


async def _tell(
    settings: Settings, rules: RuleSet, findings: Findings, proofs: tuple[Proof, ...], *, refresh: bool
) -> None:
    """Publishes what was found; without a broker in the settings there is nobody to tell."""
    if "bootstrap_servers" not in settings.model_fields_set:
        if refresh:
            raise BadInput("--refresh asks the hub over Kafka: set HUB_BOOTSTRAP_SERVERS")
        return
    tested = ConnectionTested(
        instance=rules.instance, ok=findings.ok, checks=tuple(findings.checks), proofs=proofs
    )
    id_, record = action("connection.tested.v1", rules.tenant, rules.tenant, tested)
    records = [record]
    if refresh:
        sync = SyncRequested(by=who())
        records.append(action("sync.requested.v1", rules.tenant, rules.tenant, sync, causationid=id_)[1])
    await context.publish(settings, records)


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
        gate = ShareGate(keeper, held, budget, patience_s=float("inf"))
        renewing = asyncio.create_task(keeper.run())
        try:
            yield gate
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await keeper.release(held, gate.spend())
