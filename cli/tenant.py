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
from hub.bus.records import Outgoing
from hub.lease_keeper import LeaseKeeper
from hub.settings import Settings
from hub.store import proofs, rule_sets
from hub.store.proofs import KnownArrays
from hub.store.rule_sets import RuleSetRow
from hub.tenants.model import RuleSet
from hub.tenants.secrets import SecretUnavailable
from hub.tenants.shares import OPS_SHARE
from hub.throttle import SharedBlock
from schemas.control import ArrayProof, ConnectionTested, Proof, SyncRequested
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
    """Print the rules that were accepted, as the log has them: what a command's rule revision stood for.

    Beside them, for each kind of record, whether the hub sends several in one request to this Halo, and why not.
    """
    row, arrays = context.run(_accepted(context.settings(), tenant, at))
    if row is None:
        raise BadInput(f"tenant {tenant!r} has no {'accepted rules' if at is None else f'revision {at}'}")
    print_json(
        {
            "tenant": row.tenant,
            "sequence": row.sequence,
            "hash": row.hash,
            "accepted_at": _time(row.accepted_at),
            "rules": msgspec.json.decode(row.text),
            "arrays": [
                {"instance": known.instance, "since": _time(known.since), **msgspec.to_builtins(known.proof)}
                for known in arrays
            ],
        }
    )


async def _accepted(
    settings: Settings, tenant: str, at: int | None
) -> tuple[RuleSetRow | None, list[KnownArrays]]:
    async with context.store(settings) as opened, opened.read() as conn:
        row = await (rule_sets.latest(conn, tenant) if at is None else rule_sets.at(conn, tenant, at))
        return row, await proofs.arrays(conn, tenant)


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()


@app.command()
def check(
    tenant: Annotated[str, typer.Argument(metavar="FILE|TENANT", help="A tenant file, or a tenant's name.")],
    write_proof: Annotated[
        bool,
        typer.Option(
            "--write-proof",
            help="Also make marked records of each kind in Halo, singly and in arrays, find them, and remove them.",
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
    rules, findings, proofs, arrays = context.run(_check(settings, tenant, write_proof, refresh, lag))
    if json:
        print_json(
            {
                "tenant": rules.tenant,
                "instance": rules.instance,
                "ok": findings.ok,
                "checks": findings.checks,
                "proofs": proofs,
                "arrays": arrays,
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
) -> tuple[RuleSet, Findings, tuple[Proof, ...], tuple[ArrayProof, ...]]:
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
    proofs, arrays = tuple(prover.proofs), tuple(prover.arrays)
    if "bootstrap_servers" in settings.model_fields_set:
        tested = ConnectionTested(
            instance=rules.instance, ok=findings.ok, checks=tuple(findings.checks), proofs=proofs
        )
        await context.publish(settings, to_publish(rules.tenant, tested, arrays, refresh=refresh))
    elif refresh:
        raise BadInput("--refresh asks the hub over Kafka: set HUB_BOOTSTRAP_SERVERS")
    return rules, findings, proofs, arrays


def to_publish(
    tenant: str, tested: ConnectionTested, arrays: tuple[ArrayProof, ...], *, refresh: bool
) -> list[Outgoing]:
    """What a check tells the hub; what a release without arrays would refuse is an event of its own."""
    id_, record = action("connection.tested.v1", tenant, tenant, tested)
    records = [record]
    if arrays:
        more = ConnectionTested(instance=tested.instance, ok=tested.ok, arrays=arrays)
        records.append(action("connection.tested.v1", tenant, tenant, more, causationid=id_)[1])
    if refresh:
        sync = SyncRequested(by=who())
        records.append(action("sync.requested.v1", tenant, tenant, sync, causationid=id_)[1])
    return records


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
