"""Whether `hub` would take a command line, without running it."""

from collections.abc import Sequence
from typing import Any

import typer.main
from typer.exceptions import TyperException

from cli.main import app


def parsed(arguments: Sequence[str]) -> None:
    """Raises AssertionError for a command that isn't there, or arguments that it doesn't take."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        assert rest, f"{command.name} needs a command"
        name = rest.pop(0)
        assert name in command.commands, f"hub has no command {name}"
        command = command.commands[name]
    try:
        command.make_context(command.name, rest)
    except TyperException as error:
        raise AssertionError(f"hub {' '.join(arguments)}: {error}") from None
