"""`hub tenant`: whether a tenant's Halo is as its rules need it, which names it holds, which rules are in force."""

import datetime as dt
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import msgspec
import typer

from cli import context, saved_catalogue
from cli.check_connection import Findings, check_connection, read_lists, sign_in
from cli.check_names import check_names, lookups_of
from cli.check_settings import check_settings
from cli.errors import BadInput, CommandFailed, unknown
from cli.messages import action, who
from cli.ops_gate import halo_client
from cli.output import Json, complain, one_document, print_json, print_table, say
from cli.saved_catalogue import SavedCatalogue
from cli.tenant_rules import rules_of, rules_without_network
from hub.bus.records import Outgoing
from hub.settings import Settings
from hub.store import proofs, rule_sets
from hub.store.proofs import KnownArrays
from hub.store.rule_sets import RuleSetRow
from hub.tenants.load import hash_of
from hub.tenants.model import RuleSet
from hub.tenants.notes import notes_of
from hub.tenants.schema import tenant_schema
from schemas.commands import Lookup
from schemas.control import ArrayProof, ConnectionTested, Proof, SyncRequested
from schemas.halo_events import ReferenceRow

app = typer.Typer(help="Tenants: their connection to Halo, and their rules.", no_args_is_help=True)

LAG_LIMIT_S = 30.0
_NAMES_SHOWN = 12
_STYLES = {"ok": "✓", "warning": "!", "failed": "✗", "unknown": "?"}


@app.command()
def show(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's name.")],
    at: Annotated[
        int | None, typer.Option(help="The revision that a command names; the newest without it.", min=1)
    ] = None,
) -> None:
    """Print the rules that were accepted, as the log has them: what a command's rule revision stood for.

    Beside them, for each kind of record, whether the hub sends several in one request to this Halo, and why not.
    """
    with one_document(json=True):
        row, arrays = context.run(_accepted(context.settings(), tenant, at))
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


async def _accepted(settings: Settings, tenant: str, at: int | None) -> tuple[RuleSetRow, list[KnownArrays]]:
    """Raises BadInput for a tenant, or a revision of it, that there isn't."""
    async with context.store(settings) as opened, opened.read() as conn:
        newest = await rule_sets.latest(conn, tenant)
        if newest is None:
            known = await rule_sets.all_latest(conn)
            raise unknown(
                "tenant with accepted rules", tenant, known, "the store holds no accepted file of it"
            )
        row = newest if at is None else await rule_sets.at(conn, tenant, at)
        if row is None:
            raise BadInput(f"tenant {tenant!r} has no revision {at}; its newest is {newest.sequence}")
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
    offline: Annotated[
        Path | None,
        typer.Option(
            metavar="CATALOGUE", help="Check names against a saved catalogue, without network or secrets."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Test a tenant's connection to Halo, and every Halo name that its rules mention.

    Ends with 0 when all is well, 1 when something isn't, 2 when the file can't be used.
    """
    with one_document(json):
        settings = context.settings()
        if offline is None:
            checked = context.run(_check(settings, tenant, write_proof, refresh, lag))
        elif write_proof or refresh:
            raise BadInput("--offline asks nobody: --write-proof and --refresh need the tenant's Halo")
        else:
            checked = _check_offline(settings, tenant, offline)
    if json:
        print_json(_document(checked))
    else:
        _show(checked)
    if not checked.findings.ok:
        raise typer.Exit(CommandFailed.exit_code)


class Checked(NamedTuple):
    """What a check found; `saved_at` is when the catalogue was saved that it was done with."""

    rules: RuleSet
    findings: Findings
    proofs: tuple[Proof, ...] = ()
    arrays: tuple[ArrayProof, ...] = ()
    saved_at: dt.datetime | None = None


def _document(checked: Checked) -> dict[str, Any]:
    rules = checked.rules
    return {
        "tenant": rules.tenant,
        "instance": rules.instance,
        "hash": hash_of(rules),
        "ok": checked.findings.ok,
        "catalogue": checked.saved_at,
        "checks": checked.findings.checks,
        "proofs": checked.proofs,
        "arrays": checked.arrays,
    }


def _show(checked: Checked) -> None:
    rules, findings = checked.rules, checked.findings
    rows = [(_STYLES[c.verdict], c.name, c.detail, c.fix) for c in findings.checks]
    saved = "" if checked.saved_at is None else f", as saved at {checked.saved_at:%Y-%m-%d %H:%M} UTC"
    title = f"{rules.tenant} at {rules.instance}{saved}"
    print_table(("", "check", "result", "what to do"), rows, title=title)
    if findings.ok:
        say("Test is successful.", style="green")
    else:
        causes = [f"  {c.name}: {c.detail}" for c in findings.checks if c.verdict == "failed"]
        say("\n".join(["Test is not successful.", *causes]), style="red")


def _check_offline(settings: Settings, named: str, catalogue: Path) -> Checked:
    rules = rules_without_network(settings, named)
    if rules is None:
        raise BadInput(f"there is no file of tenant {named!r} in {settings.tenants_dir}; name a file")
    saved = saved_catalogue.load(catalogue, rules)
    findings = Findings(lists=dict(saved.lists))
    for missing in sorted(set(lookups_of(rules)) - saved.lists.keys()):
        findings.add(missing, "failed", "the saved catalogue has no such list", "save it again")
    findings.checks += check_names(rules, saved.lists)
    return Checked(rules, findings, saved_at=saved.saved_at)


@app.command()
def catalogue(
    tenant: Annotated[str, typer.Argument(metavar="FILE|TENANT", help="A tenant file, or a tenant's name.")],
    save: Annotated[
        Path | None,
        typer.Option(metavar="CATALOGUE", help="Write it to this file, for --offline and --catalogue."),
    ] = None,
    json: Json = False,
) -> None:
    """Read the lists of a tenant's Halo whose names its rules may mention: statuses, groups, agents and the like.

    It costs some ten requests. No customer or user is read, and of the items only those that the rules name.
    """
    with one_document(json):
        settings = context.settings()
        saved, findings, needed = context.run(_catalogue(settings, tenant))
        if save is not None:
            saved_catalogue.save(saved, save)
    if json:
        print_json(saved)
    else:
        rows = [(lookup, len(found), _names(found)) for lookup, found in saved.lists.items()]
        print_table(("list", "rows", "names"), rows, title=f"{saved.tenant} at {saved.instance}")
    for check in findings.checks:
        if check.verdict != "ok":
            complain(f"{check.name}: {check.detail}")
    if not saved.lists.keys() >= set(needed):
        raise typer.Exit(CommandFailed.exit_code)


async def _catalogue(settings: Settings, named: str) -> tuple[SavedCatalogue, Findings, list[Lookup]]:
    """What could be read, what could not, and which lists these rules need. Raises CommandFailed without a sign-in."""
    rules = await rules_of(settings, named)
    findings = Findings()
    async with halo_client(settings, rules) as client:
        if not await sign_in(client, findings):
            raise CommandFailed(
                "; ".join(check.detail for check in findings.checks if check.verdict == "failed")
            )
        await read_lists(client, rules, findings, sorted(get_args(Lookup)))
    rows = {lookup: tuple(sorted(found, key=lambda row: row.id)) for lookup, found in findings.lists.items()}
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    saved = SavedCatalogue(tenant=rules.tenant, instance=rules.instance, saved_at=now, lists=rows)
    return saved, findings, lookups_of(rules)


def _names(rows: Sequence[ReferenceRow]) -> str:
    shown = ", ".join(row.name for row in rows[:_NAMES_SHOWN])
    return f"{shown}, …" if len(rows) > _NAMES_SHOWN else shown


@app.command()
def schema() -> None:
    """The JSON Schema of a tenant file, for editors."""
    print_json(tenant_schema())


async def _check(
    settings: Settings, named: str, write_proof: bool, refresh: bool, lag_limit_s: float
) -> Checked:
    # The writer's kinds come with it, which no other command needs.
    from cli.check_keys import Prover

    rules = await rules_of(settings, named)
    async with halo_client(settings, rules) as client:
        findings = await check_connection(client, rules)
        for note in notes_of(rules):
            findings.add(note.at, "warning", note.problem)
        if findings.lists:
            await check_settings(client, rules, findings)
        prover = Prover(client, rules, findings, secrets.token_hex(4), lag_limit_s=lag_limit_s)
        if write_proof and findings.ok:
            await prover.prove()
    proofs, arrays = tuple(prover.proofs), tuple(prover.arrays)
    if "bootstrap_servers" in settings.model_fields_set:
        tested = ConnectionTested(
            instance=rules.instance, ok=findings.ok, checks=tuple(findings.checks), proofs=proofs
        )
        await context.publish(settings, to_publish(rules.tenant, tested, arrays, refresh=refresh))
    elif refresh:
        raise BadInput("--refresh asks the hub over Kafka: set HUB_BOOTSTRAP_SERVERS")
    return Checked(rules, findings, proofs, arrays)


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
