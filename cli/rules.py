"""`hub rules try`: what sample events would do in Halo under a tenant file. Nothing is read, sent or written."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cli import saved_catalogue
from cli.errors import BadInput, CommandFailed
from cli.events import print_faults, read_events
from cli.output import Json, one_document, print_json, print_table, say
from cli.saved_catalogue import check_commands
from cli.tenant_rules import rules_of_file
from hub.store.records import Record
from hub.tenants.model import RuleSet
from schemas.commands import TYPE_OF_KIND, Command, Field, Named
from schemas.control import Check
from schemas.envelope import Fault
from schemas.registry import TYPES, decode
from schemas.targets import Target
from services.ingest.problems import EventFault
from services.ingest.validate import Accepted
from services.mapper.emit import basis_of
from services.mapper.quote import Waiting, map_quote
from services.mapper.record import fold, versions_of
from services.mapper.scope import MappingRejected

app = typer.Typer(help="A tenant's rules.", no_args_is_help=True)
_PREVIEW = "services.halo_writer.preview"


@app.callback()
def _group() -> None:
    """Keeps `try` a command of a group, while it is the only one."""


class Tried(msgspec.Struct, frozen=True):
    """What one event came to: commands in their order, or why there are none."""

    event: str
    said: str
    commands: tuple[Command, ...] = ()
    faults: tuple[Fault, ...] = ()


@app.command("try")
def try_(
    tenant_file: Annotated[Path, typer.Argument(metavar="TENANT_FILE", help="A tenant file.")],
    event_file: Annotated[
        Path, typer.Argument(metavar="EVENT_FILE", help="An event, or an array of them in their order.")
    ],
    catalogue: Annotated[
        Path | None,
        typer.Option(help="Check names against a catalogue that `hub tenant catalogue --save` wrote."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the commands that events lead to under a tenant's rules, and what would be sent to Halo.

    Ends with 0 when all is well, 1 when an event or a name is faulty, 2 when a file can't be used.
    """
    with one_document(json):
        rules = rules_of_file(tenant_file)
        saved = None if catalogue is None else saved_catalogue.load(catalogue, rules)
        judged = read_events(event_file)
        tried = [] if judged.faults else try_events(rules, judged.events)
    names = [[] if saved is None else check_commands(one.commands, saved.lists) for one in tried]
    ok = not judged.faults and all(map(_is_well, tried, names))
    if json:
        events = [{**_document(one), "names": checks} for one, checks in zip(tried, names, strict=True)]
        print_json({"tenant": rules.tenant, "ok": ok, "faults": judged.faults, "events": events})
    elif judged.faults:
        print_faults(judged.faults)
    else:
        for one, checks in zip(tried, names, strict=True):
            _show(one)
            _show_names(checks)
    if not ok:
        raise typer.Exit(CommandFailed.exit_code)


def _is_well(tried: Tried, names: Sequence[Check]) -> bool:
    return not tried.faults and all(name.verdict != "failed" for name in names)


def _show_names(names: Sequence[Check]) -> None:
    wrong = [(name.verdict, name.name, name.detail, name.fix) for name in names if name.verdict != "ok"]
    if wrong:
        print_table(("", "setting", "what Halo would say", "what to do"), wrong)


def try_events(rules: RuleSet, events: Sequence[Accepted]) -> list[Tried]:
    """Folds and maps events one after another, as the mapper does. Raises BadInput for another tenant's event."""
    records: dict[tuple[str, str], Record] = {}
    tried = []
    for event in events:
        envelope = event.envelope
        if envelope.tenant != rules.tenant:
            raise BadInput(
                f"event {envelope.id} is for tenant {envelope.tenant!r}, the file for {rules.tenant!r}"
            )
        entity = (envelope.source, envelope.subject)
        folded = fold(records.get(entity), envelope, decode(envelope.type, event.data))
        records[entity] = folded.record
        effective = rules.for_source(envelope.producer)
        if effective.quotes is None:
            tried.append(Tried(envelope.id, "quotes are switched off: the file has no `quotes`"))
            continue
        topic = TYPES[envelope.type].topic
        basis = basis_of(envelope, topic, versions_of(folded.record), 0, "")
        try:
            made = map_quote(folded.record, effective, basis, folded.touched)
        except MappingRejected as error:
            tried.append(Tried(envelope.id, "can't be mapped", faults=error.faults))
            continue
        if isinstance(made, Waiting):
            tried.append(Tried(envelope.id, "waits: the quote itself has not been published yet"))
        else:
            tried.append(Tried(envelope.id, folded.status, made))
    return tried


def _document(tried: Tried) -> dict[str, Any]:
    commands = [{"type": TYPE_OF_KIND[command.kind], "command": command} for command in tried.commands]
    return {
        "event": tried.event,
        "result": tried.said,
        "faults": tried.faults,
        "commands": commands,
        "requests": _preview(tried.commands),
    }


def _show(tried: Tried) -> None:
    say(f"event {tried.event}: {tried.said}", style="bold")
    if tried.faults:
        print_faults([EventFault(fault.at, fault.problem) for fault in tried.faults])
    for command in tried.commands:
        rows = []
        for name in command.state_fields():
            field = getattr(command, name)
            if isinstance(field, Field):
                rows.append((name, in_words(field.value), field.write))
        how = "create or adopt" if command.ensure else "create or update"
        title = f"{TYPE_OF_KIND[command.kind]}: {how} {command.target.kind} {command.target.id!r}"
        print_table(("field", "value", "write"), rows, title=title)
        for notice in command.notices:
            say(f"  note: {notice.message}", style="yellow")
    requests = _preview(tried.commands)
    if requests:
        say("what a new record of each would be sent to Halo with:", style="bold")
        print_json(requests)


def in_words(value: Any) -> str:
    """A field's value, where what only the writer resolves is named: another record, or a name of Halo's."""
    match value:
        case Target():
            return f"→ {value.kind} {value.id}"
        case Named():
            missing = {"leave": ", else left alone", "fallback": f", else {value.fallback!r}", "reject": ""}
            return f"{value.lookup.replace('_', ' ')} {value.name!r}{missing[value.missing]}"
        case tuple():
            return "\n".join(map(in_words, value))
        case msgspec.Struct():
            given = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return ", ".join(
                f"{name}: {in_words(inner)}" for name, inner in given if inner not in (None, msgspec.UNSET)
            )
        case _:
            return str(value)


def _preview(commands: Sequence[Command]) -> Any:
    """The writer's payloads with names shown as names, where this installation has the writer."""
    if find_spec(_PREVIEW) is None:
        return []
    return import_module(_PREVIEW).preview(commands)
