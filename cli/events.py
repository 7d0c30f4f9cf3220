"""`hub event`: helps a producer write a correct event, and publishes it over HTTP or straight to Kafka."""

import datetime as dt
import hashlib
import os
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer

from cli import context
from cli.errors import BadInput, CommandFailed
from cli.event_files import json_of
from cli.examples import new_event
from cli.output import Json, print_json, print_table, say
from cli.unread import Unread, unread
from hub.settings import Settings
from hub.telemetry.logging import hide
from schemas.envelope import to_structured
from services.ingest import content
from services.ingest.content import BATCH, STRUCTURED
from services.ingest.log import record_of
from services.ingest.problems import EventFault, Problem
from services.ingest.validate import Accepted, Judged, judge

app = typer.Typer(help="Source events: make, check and publish them.", no_args_is_help=True)

_MAX_EVENTS = 10_000
_HTTP_TIMEOUT_S = 60.0
_PATH = "/v1/events"
_UNREAD_SHOWN = 10
_TOKEN_VARIABLE = "HUB_TOKEN"  # noqa: S105 - the name of a variable
File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A CloudEvent (structured JSON) or an array of them, or either in YAML (.yaml); - is stdin.",
    ),
]


@app.command()
def new(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="For example quote.published.v1.")],
    tenant: Annotated[str, typer.Option(help="The tenant that it is for.")] = "acme",
    source: Annotated[str, typer.Option(help="The producer's name.")] = "quoter",
) -> None:
    """Print a correct event of a type, to begin from."""
    print_json(new_event(event_type, tenant=tenant, source=source, now=dt.datetime.now(dt.UTC)))


@app.command()
def validate(file: File, json: Json = False) -> None:
    """Check events as the hub would, and print every fault of every event; fields that it passes over are told."""
    judged = read_events(file)
    _show(judged, json=json)
    if not judged.faults and not json:
        _show_unread(judged)
    if judged.faults:
        raise typer.Exit(CommandFailed.exit_code)


@app.command()
def send(
    file: File,
    http: Annotated[
        str | None, typer.Option(help="The hub's address; without it: straight to Kafka.")
    ] = None,
    json: Json = False,
) -> None:
    """Publish events; returns when Kafka has acknowledged all of them. Sending again does no harm.

    Over HTTP the producer's token is taken from HUB_TOKEN: what stands on a command line every user can see.
    """
    judged = read_events(file)
    if judged.faults:
        _show(judged, json=json)
        raise typer.Exit(CommandFailed.exit_code)
    settings = context.settings()
    if http is None:
        context.run(_to_kafka(settings, judged.events))
        ids = [event.envelope.id for event in judged.events]
    else:
        ids = _over_http(http, os.environ.get(_TOKEN_VARIABLE), judged.events)
    if json:
        print_json({"ids": ids})
    else:
        say(f"{len(ids)} acknowledged: {', '.join(ids[:10])}{' …' if len(ids) > 10 else ''}")


@app.command()
def token() -> None:
    """Print the hash of a token, as `producers.yaml` wants it. The token is in HUB_TOKEN, or is asked for, or read."""
    value = os.environ.get(_TOKEN_VARIABLE)
    if value is None:
        asked = sys.stdin.isatty()
        value = typer.prompt("token", hide_input=True, err=True) if asked else sys.stdin.readline()
    typer.echo(hashlib.sha256(_sendable(value.strip()).encode()).hexdigest())


def read_events(file: Path) -> Judged:
    """The events of a file, with every fault. Raises BadInput when the file holds none."""
    body = json_of(file)
    mode = BATCH if body.lstrip()[:1] == b"[" else STRUCTURED
    try:
        received = content.events_of(mode, (), body, max_events=_MAX_EVENTS)
    except Problem as problem:
        raise BadInput(f"{file}: {problem.detail}") from None
    return judge(received, dt.datetime.now(dt.UTC))


def _show(judged: Judged, *, json: bool) -> None:
    if json:
        print_json(
            {
                "valid": not judged.faults,
                "events": len(judged.events),
                "faults": judged.faults,
                "unread": [
                    {"index": place, "at": one.at, "near": one.near} for place, one in _unread(judged)
                ],
            }
        )
    elif judged.faults:
        print_faults(judged.faults)
    else:
        say(f"valid: {len(judged.events)} event(s)", style="green")


def _unread(judged: Judged) -> list[tuple[int, Unread]]:
    """What the hub would pass over, with the place of its event among those that have no fault."""
    return [
        (place, one)
        for place, event in enumerate(judged.events)
        for one in unread(event.envelope.type, msgspec.json.decode(event.data))
    ]


def _show_unread(judged: Judged) -> None:
    found = _unread(judged)
    for place, one in found[:_UNREAD_SHOWN]:
        say(f"{f'event {place}: ' if len(judged.events) > 1 else ''}{one}", style="yellow")
    if len(found) > _UNREAD_SHOWN:
        say(f"and {len(found) - _UNREAD_SHOWN} more; --json has all", style="yellow")


def print_faults(faults: Sequence[EventFault]) -> None:
    """A line for each fault; the event's place only where there are several."""
    if any(fault.index is not None for fault in faults):
        print_table(("event", "at", "problem"), [(fault.index, fault.at, fault.problem) for fault in faults])
    else:
        print_table(("at", "problem"), [(fault.at, fault.problem) for fault in faults])


async def _to_kafka(settings: Settings, events: Sequence[Accepted]) -> None:
    await context.publish(settings, [record_of(event.envelope, event.data) for event in events])


def _over_http(address: str, token: str | None, events: Sequence[Accepted]) -> list[str]:
    if not token:
        raise BadInput(f"--http needs the producer's token in {_TOKEN_VARIABLE}")
    hide(token)
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"--http is the hub's address, such as http://127.0.0.1:8080; it is {address!r}")
    if address.rstrip("/").endswith(_PATH):
        raise BadInput(f"--http is the hub's address alone, without {_PATH}; it is {address!r}")
    body = msgspec.json.encode([to_structured(event.envelope, msgspec.Raw(event.data)) for event in events])
    headers = {"authorization": f"Bearer {_sendable(token)}", "content-type": BATCH}
    try:
        answer = httpx.post(
            f"{address.rstrip('/')}{_PATH}", content=body, headers=headers, timeout=_HTTP_TIMEOUT_S
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandFailed(
            f"{address} can't be reached ({error}); nothing is known to be accepted. "
            "Check the address, and send the same again: it does no harm"
        ) from None
    if answer.status_code == HTTPStatus.ACCEPTED:
        ids: list[str] = answer.json()["ids"]
        return ids
    raise CommandFailed(_refusal(answer))


def _sendable(token: str) -> str:
    """The token, if a header can carry it. Raises BadInput, which doesn't repeat it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput("the token must be printable ASCII characters without spaces, and at least one")
    return token


def _refusal(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content)
        faults = [f"{fault['at']}: {fault['problem']}" for fault in problem.get("faults", ())]
        return f"refused ({answer.status_code}): {'; '.join([problem['detail'], *faults])}"
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
        return f"refused with status {answer.status_code}"
