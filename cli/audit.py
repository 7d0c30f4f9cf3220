"""`hub audit show`: one record's story across all topics, from its source id or from its Halo id."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, get_args

import typer

from cli import context
from cli.errors import BadInput, CommandFailed
from cli.output import Json, print_json, print_table, say
from cli.story import Happening, KeyFilter, Question, tell
from hub.bus.records import Record
from hub.settings import Settings
from schemas.targets import Kind

app = typer.Typer(help="What happened, and why.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `show` a command of a group, while it is the only one."""


@app.command()
def show(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="The id at its source; with --kind, the id in Halo.")
    ],
    kind: Annotated[
        str | None, typer.Option(help=f"ID is a Halo id of this kind: {', '.join(get_args(Kind))}.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's; ids may repeat elsewhere.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from this producer.")] = None,
    json: Json = False,
) -> None:
    """Tell a record's whole story in the order of time: events, rules, commands, requests, answers, outcomes."""
    question = _question(id_, kind, tenant, source)
    happenings = context.run(_tell(context.settings(), question))
    if json:
        print_json(happenings)
    elif happenings:
        _show(happenings)
    if not happenings:
        told = {"of tenant": tenant, "by": source}
        where = "".join(f" {word} {name!r}" for word, name in told.items() if name is not None)
        raise CommandFailed(f"the log tells nothing of {kind or 'the source id'} {id_}{where}")


def _question(id_: str, kind: str | None, tenant: str | None, source: str | None) -> Question:
    if kind is None:
        return Question(id=id_, tenant=tenant, source=source)
    if kind not in get_args(Kind):
        raise BadInput(f"there is no kind {kind!r}; there are {', '.join(get_args(Kind))}")
    if not id_.isascii() or not id_.isdigit():
        raise BadInput(f"with --kind the id is Halo's, a number; it is {id_!r}")
    return Question(halo_id=int(id_), kind=kind, tenant=tenant, source=source)  # type: ignore[arg-type]


async def _tell(settings: Settings, question: Question) -> list[Happening]:
    def read(topic: str, key_filter: KeyFilter | None = None) -> AsyncIterator[Record]:
        return context.records_of(settings, topic, key_filter=key_filter)

    return await tell(question, read)


def _show(happenings: Sequence[Happening]) -> None:
    rows: list[tuple[object, ...]] = []
    for one in happenings:
        at = dt.datetime.fromtimestamp(one.at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        rows.append((at, one.what, "\n".join([one.said, *_more(one)]), one.id[:8]))
    print_table(("time (UTC)", "", "what happened", "id"), rows)
    say(f"{len(rows)} entries; --json has every id and hash", style="dim")


def _more(one: Happening) -> list[str]:
    """The lines below an entry: what was asked of Halo and how it answered, and what a person should know."""
    lines = []
    if "rule_sequence" in one.details and one.what == "command":
        lines.append(
            f"  under rule revision {one.details['rule_sequence']}, because of {one.details['event_id']}"
        )
    for request in one.details.get("requests", ()):
        status = "no answer" if request.status is None else request.status
        shared = f", shared by {request.elements} records" if request.elements > 1 else ""
        lines.append(
            f"  {request.method} {request.path} → {status}, {request.outcome}, {request.duration_ms} ms{shared}"
        )
    lines += [f"  note: {notice.message}" for notice in one.details.get("notices", ())]
    if one.details.get("fix"):
        lines.append(f"  fix: {one.details['fix']}")
    return lines
