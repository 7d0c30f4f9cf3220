"""The entry point of `hub`: every group of commands, and the one place where errors become messages and exit codes."""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from cli import audit, catalog, decisions, dlq, events, rules, store, tenant, topics
from cli.backlog import backlog
from cli.demo.command import demo
from cli.errors import FAILED, OK, CommandFailed
from cli.output import complain, say
from cli.run import run as run_service
from cli.sandbox import sandbox
from hub.bus.connect import KafkaError
from hub.bus.errors import BusError
from hub.store.errors import StoreError
from hub.telemetry.logging import configure_logging
from hub.telemetry.redaction import Redactor

app = typer.Typer(
    name="hub",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"halo-hub {version('halo-hub')}")
        raise typer.Exit


@app.callback()
def _hub(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the release and exit."),
    ] = False,
) -> None:
    """An event-sourced integration hub for HaloPSA."""


app.command()(sandbox)
app.command()(backlog)
app.command()(demo)
app.add_typer(audit.app, name="audit")
app.add_typer(catalog.app, name="catalog")
app.add_typer(decisions.app, name="decisions")
app.add_typer(dlq.app, name="dlq")
app.add_typer(events.app, name="event")
app.add_typer(rules.app, name="rules")
app.add_typer(store.app, name="store")
app.add_typer(tenant.app, name="tenant")
app.add_typer(topics.app, name="topics")
app.command("run")(run_service)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 well, 1 failed, 2 what was given can't be used."""
    configure_logging("cli", redactor=Redactor(), level="ERROR", console=True)
    # Its own words would come before ours, once for each attempt.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command; every error is one message on stderr."""
    try:
        # Usage errors, --help and typer.Exit end in SystemExit, with the right code and their own words.
        app(args=arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else FAILED
    except KeyboardInterrupt:
        complain("stopped; nothing more was done")
        return FAILED
    except CommandFailed as error:
        complain(str(error))
        return error.exit_code
    except (BusError, KafkaError, StoreError, OSError) as error:
        complain(str(error))
        return FAILED
    return OK


if __name__ == "__main__":
    main()
