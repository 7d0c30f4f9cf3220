"""`hub catalog`: the contract, to browse: what can be sent and read, its schemas and its examples."""

from typing import Annotated

import typer

from cli.examples import example as example_of
from cli.examples import known
from cli.output import Json, print_json, print_table
from schemas.documents import asyncapi, json_schema
from schemas.registry import SOURCE_TYPES, TYPES

app = typer.Typer(help="The contract: message types, schemas, examples.", no_args_is_help=True)
Type = Annotated[str, typer.Argument(metavar="TYPE", help="For example quote.published.v1.")]


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also what the hub writes for itself.")] = False,
    json: Json = False,
) -> None:
    """The message types that producers send."""
    shown = [message for message in TYPES.values() if all_ or message.name in SOURCE_TYPES]
    if json:
        print_json([{"type": m.name, "topic": m.topic, "summary": m.summary} for m in shown])
        return
    print_table(("type", "topic", "summary"), [(m.name, m.topic, m.summary) for m in shown])


@app.command()
def schema(event_type: Type) -> None:
    """The JSON Schema (2020-12) of a type's data."""
    print_json(json_schema(known(event_type)))


@app.command()
def example(event_type: Type) -> None:
    """A correct example of a message, with every field filled in."""
    print_json(example_of(event_type))


@app.command("asyncapi")
def asyncapi_() -> None:
    """The AsyncAPI 3 document of all topics and messages."""
    print_json(asyncapi())
