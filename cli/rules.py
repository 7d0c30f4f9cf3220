"""`hub rules try`: what sample events would do in Halo under a tenant file, or under two. Nothing is read or sent."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import saved_catalogue
from cli.errors import BadInput, CommandFailed
from cli.events import print_faults, read_events
from cli.output import Json, one_document, print_json, print_table
from cli.saved_catalogue import SavedCatalogue, check_commands
from cli.tenant_rules import rules_of_file
from cli.tried_text import Compared, compared, show, show_beside, unified
from cli.trying import Tried, in_place_of, try_events
from hub.tenants.model import RuleSet
from schemas.commands import TYPE_OF_KIND
from schemas.control import Check
from services.ingest.validate import Accepted

app = typer.Typer(help="A tenant's rules.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `try` a command of a group, while it is the only one."""


class _Side:
    """What the events came to under one file."""

    def __init__(
        self, file: Path, rules: RuleSet, events: Sequence[Accepted], saved: SavedCatalogue | None
    ) -> None:
        self.file = file
        self.tried = try_events(rules, events)
        self.names: list[list[Check]] = [
            [] if saved is None else check_commands(one.commands, saved.lists) for one in self.tried
        ]

    @property
    def ok(self) -> bool:
        failed = any(name.verdict == "failed" for names in self.names for name in names)
        return not failed and not any(one.faults for one in self.tried)

    def documents(self) -> list[dict[str, Any]]:
        return [{**_document(one), "names": names} for one, names in zip(self.tried, self.names, strict=True)]

    def show_names(self) -> None:
        for names in self.names:
            _show_names(names)


@app.command("try")
def try_(
    tenant_file: Annotated[Path, typer.Argument(metavar="TENANT_FILE", help="A tenant file.")],
    event_file: Annotated[
        Path, typer.Argument(metavar="EVENT_FILE", help="An event, or an array of them in their order.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER_FILE",
            help="Compare with another tenant file, read as if it were this tenant's: side by side on a terminal, "
            "else as a unified diff.",
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print the unified diff, and end with 1 if there is a difference.")
    ] = False,
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
        if diff and against is None:
            raise BadInput("--diff compares two tenant files: name the other with --against")
        rules = rules_of_file(tenant_file)
        other_rules = None if against is None else in_place_of(rules_of_file(against), rules)
        saved = None if catalogue is None else saved_catalogue.load(catalogue, rules)
        judged = read_events(event_file)
        events = () if judged.faults else judged.events
        this = _Side(tenant_file, rules, events, saved)
        other = None if against is None or other_rules is None else _Side(against, other_rules, events, saved)
    places = [] if other is None else list(map(compared, this.tried, other.tried))
    ok = not judged.faults and this.ok and (other is None or other.ok)
    if json:
        document = {"tenant": rules.tenant, "ok": ok, "faults": judged.faults, "events": this.documents()}
        print_json(document | ({} if other is None else _comparison(other, this.tried, places)))
    elif judged.faults:
        print_faults(judged.faults)
    elif other is None:
        for one, names in zip(this.tried, this.names, strict=True):
            show(one)
            _show_names(names)
    else:
        _show_both(this, other, as_diff=diff or not sys.stdout.isatty())
    differs = any(line.differs for lines in places for line in lines)
    if not ok or (diff and differs):
        raise typer.Exit(CommandFailed.exit_code)


def _show_both(this: _Side, other: _Side, *, as_diff: bool) -> None:
    titles = str(this.file), str(other.file)
    if as_diff:
        sys.stdout.write(unified(titles, this.tried, other.tried))
    else:
        show_beside(titles, this.tried, other.tried)
    this.show_names()
    other.show_names()


def _show_names(names: Sequence[Check]) -> None:
    wrong = [(name.verdict, name.name, name.detail, name.fix) for name in names if name.verdict != "ok"]
    if wrong:
        print_table(("", "setting", "what Halo would say", "what to do"), wrong)


def _comparison(other: _Side, tried: Sequence[Tried], places: Sequence[Sequence[Compared]]) -> dict[str, Any]:
    differences = [
        {"event": one.event, "at": line.at, "this": line.this, "other": line.other}
        for one, lines in zip(tried, places, strict=True)
        for line in lines
        if line.differs
    ]
    against = {"file": str(other.file), "ok": other.ok, "events": other.documents()}
    return {"against": against, "same": not differences, "differences": differences}


def _document(tried: Tried) -> dict[str, Any]:
    commands = [{"type": TYPE_OF_KIND[command.kind], "command": command} for command in tried.commands]
    return {
        "event": tried.event,
        "result": tried.said,
        "faults": tried.faults,
        "questions": tried.questions,
        "commands": commands,
        "requests": [step.request for step in tried.steps if step.request is not None],
        "no_requests": [
            {"target": step.target.key, "why": step.why} for step in tried.steps if step.request is None
        ],
    }
