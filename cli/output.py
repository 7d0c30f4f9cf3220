"""What commands print: tables and text for people, one JSON document for scripts. Errors go to stderr."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.errors import BadInput, CommandFailed
from hub.telemetry.logging import redacted

_PIPED_WIDTH = 160
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]


def print_json(document: Any) -> None:
    """The document on stdout, on one line for each nesting level that a person can read."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


@contextmanager
def one_document(json: bool) -> Iterator[None]:
    """With `--json` a command that can't do its work says so in a document too: a script looks in one place."""
    try:
        yield
    except CommandFailed as error:
        if json:
            faults = error.faults if isinstance(error, BadInput) else ()
            print_json({"ok": False, "error": redacted(str(error)), "faults": faults})
        raise


def say(text: str, *, style: str | None = None) -> None:
    """One message for a person, as it is: nothing in it is markup."""
    _console().print(Text(text, style=style or ""), soft_wrap=True)


def complain(text: str) -> None:
    """The one message of a command that failed; errors of others may quote what they were given, secrets included."""
    Console(stderr=True).print(Text("error: ", style="bold red") + Text(redacted(text)), soft_wrap=True)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str | None = None,
    whole: Sequence[str] = (),
) -> None:
    """A table; cells are text as it is. Columns that are `whole` are never broken: one copies from them."""
    table = Table(title=title, title_justify="left", header_style="bold", expand=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    _console().print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Names and values, one a line; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in fields.items():
        if value not in (None, ""):
            table.add_row(Text(name, style="bold"), Text(str(value)))
    _console().print(table)


def _console() -> Console:
    """As wide as the terminal; wide enough to search in where there is none."""
    piped = None if sys.stdout.isatty() else shutil.get_terminal_size((_PIPED_WIDTH, 0)).columns
    return Console(highlight=False, width=piped)
