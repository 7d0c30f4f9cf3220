"""`hub dlq`: what was set aside and why, and running it again once the cause is mended."""

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import typer

from cli import context
from cli.dead_letters import Letter, headers, payload, read_letters, select
from cli.errors import BadInput, CommandFailed
from cli.messages import who
from cli.output import Json, print_fields, print_json, print_table, say
from cli.redriving import Redriven, redrive
from hub.bus.errors import BusError
from hub.bus.records import Record
from hub.settings import Settings
from schemas.topics import CONTROL, DEAD_LETTERS

_ID_SHOWN = 8
app = typer.Typer(help="Dead letters: list, show, run again.", no_args_is_help=True)
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason code.")]


@app.command("list")
def list_(tenant: Tenant = None, reason: Reason = None, json: Json = False) -> None:
    """Dead letters, oldest first, and how many of each reason."""
    found = select(context.run(_letters(context.settings())), tenant=tenant, reason=reason)
    if json:
        print_json([_line(letter) for letter in found])
        return
    if not found:
        of = "" if tenant is None else f" of tenant {tenant!r}"
        say(f"no dead letters{of}{'' if reason is None else f' with the reason {reason!r}'}", style="green")
        return
    rows = []
    for letter in found:
        line = _line(letter)
        again = f", redriven {letter.redriven}×" if letter.redriven else ""
        why = f"{line['reason']} ({line['stage']}){again}\n{line['message']}"
        rows.append((letter.id[:_ID_SHOWN], line["at"], line["tenant"], line["subject"], why))
    print_table(("id", "at", "tenant", "subject", "reason"), rows, whole=("id", "at"))
    counts = Counter(letter.data.reason for letter in found)
    say(", ".join(f"{number} × {name}" for name, number in counts.most_common()))


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id, or the start of it.")],
    tenant: Tenant = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the message's values too.")] = False,
    json: Json = False,
) -> None:
    """One dead letter: where it comes from, what is wrong with it, what to do."""
    letter = _one(select(context.run(_letters(context.settings())), tenant=tenant, reason=None), letter_id)
    data = letter.data
    document: dict[str, Any] = {
        **_line(letter),
        "fix": data.fix,
        "topic": data.topic,
        "partition": data.partition,
        "offset": data.offset,
        "event_id": data.event_id,
        "event_type": data.event_type,
        "target": None if data.target is None else data.target.key,
        "source_event": None if data.basis is None else data.basis.event_id,
        "rule_sequence": None if data.basis is None else data.basis.rule_sequence,
    }
    shown = {
        "faults": data.faults,
        "headers": headers(data, reveal=reveal),
        "value": payload(data, reveal=reveal),
    }
    if json:
        print_json({**document, **shown})
        return
    print_fields(document)
    if data.faults:
        print_table(("at", "problem"), [(fault.at, fault.problem) for fault in data.faults], title="faults")
    print_json({name: shown[name] for name in ("headers", "value")})
    if not reveal:
        say("values are hidden; --reveal shows them", style="dim")


@app.command("redrive")
def redrive_(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Dead letters, by id or its start.")
    ] = None,
    tenant: Tenant = None,
    reason: Reason = None,
    again: Annotated[
        bool, typer.Option("--again", help="With a filter: also what was redriven before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Publish the source events of dead letters again, under the rules in force now. Twice does no harm."""
    if ids and reason is not None:
        raise BadInput("name dead letters by id, or all of one kind with --tenant and --reason; not both")
    if not ids and (tenant is None or reason is None):
        raise BadInput("name dead letters by id, or all of one kind with both --tenant and --reason")
    settings = context.settings()
    letters = context.run(_letters(settings))
    if ids:
        own = select(letters, tenant=tenant, reason=None)
        chosen = [_one(own, letter_id) for letter_id in ids]
    else:
        chosen = [
            letter for letter in select(letters, tenant=tenant, reason=reason) if again or not letter.redriven
        ]
        if chosen and not yes:
            typer.confirm(f"run {len(chosen)} dead letters of {tenant} ({reason}) again?", abort=True)
    done = context.run(_redrive(settings, chosen))
    if json:
        print_json(done)
    else:
        say(f"redriven: {done.letters}; source events published again: {done.events}")
    if done.lost:
        raise CommandFailed(f"the source event is not on the log any more: {', '.join(done.lost)}")
    if done.too_large:
        raise CommandFailed(
            f"the source event is too large to be published again: {', '.join(done.too_large)}; "
            "let its producer split the document"
        )


def _line(letter: Letter) -> dict[str, Any]:
    at = dt.datetime.fromtimestamp(letter.recorded_at_ms / 1000, dt.UTC)
    return {
        "id": letter.id,
        "at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "tenant": letter.tenant,
        "stage": letter.data.stage,
        "reason": letter.data.reason,
        "subject": letter.data.subject,
        "redriven": letter.redriven,
        "message": letter.data.message,
    }


def _one(letters: Sequence[Letter], letter_id: str) -> Letter:
    found = [letter for letter in letters if letter.id == letter_id] or [
        letter for letter in letters if letter_id and letter.id.startswith(letter_id)
    ]
    if len(found) != 1:
        raise BadInput(
            f"{len(found) or 'no'} dead letters have the id {letter_id!r}; `hub dlq list` shows them"
        )
    return found[0]


async def _letters(settings: Settings) -> list[Letter]:
    return await read_letters(
        context.records_of(settings, DEAD_LETTERS), context.records_of(settings, CONTROL)
    )


async def _redrive(settings: Settings, letters: Sequence[Letter]) -> Redriven:
    def read(topic: str, key_filter: Callable[[bytes | None], bool] | None = None) -> AsyncIterator[Record]:
        return context.records_of(settings, topic, key_filter=key_filter)

    async with context.publisher(settings) as publisher:
        try:
            return await redrive(letters, read, publisher.publish, who())
        except BusError as error:
            raise CommandFailed(str(error)) from None
