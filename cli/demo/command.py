"""`hub demo`: the whole hub on this machine, a day of quotes, a kill in the middle, and the count."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CommandFailed
from cli.output import Json, print_json, say

if TYPE_CHECKING:
    from cli.demo.course import Stage
    from cli.demo.like.example import Example
    from cli.demo.processes import Family
    from cli.demo.progress import Progress

_LOOK_S = 0.5


def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave everything running afterwards, until Ctrl-C.")
    ] = False,
    like: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Instead of the day: ten quotes as quoter, quotewerks or salesbuildr writes them; may be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Run the whole hub on this machine for a day of quotes, kill its writer meanwhile, and count what came of it."""
    # The parts of all services are behind these: other commands start without them.
    from cli.demo.course import THE_DAY, stage
    from cli.demo.like.example import example
    from cli.demo.place import HURRIED, UNHURRIED, own_environment
    from cli.demo.progress import Progress

    examples = [example(name) for name in dict.fromkeys(like or ())]
    for name in os.environ.keys() - own_environment().keys():
        del os.environ[name]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="halo-hub-demo-"))
    keep = True
    guests, times = ([one.guest for one in examples], UNHURRIED) if examples else ([THE_DAY], HURRIED)
    try:
        with Progress(to_stderr=json) as progress, stage(directory, progress, guests, times) as on:
            run = _run_examples if examples else _run_day
            keep = not run(on, examples, progress, stay=stay, json=json)
            if stay:
                _stay(on.family)
    except KeyboardInterrupt:
        keep = False
        raise
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
        elif not json:
            say(f"the demo's files, with the logs of its processes, are kept in {directory}")
    if keep:
        raise typer.Exit(CommandFailed.exit_code)


def _run_day(
    on: "Stage", _examples: "Sequence[Example]", progress: "Progress", *, stay: bool, json: bool
) -> bool:
    """Whether the day ended well."""
    from cli.demo import report
    from cli.demo.course import play

    result = play(on, progress)
    progress.stop()
    if json:
        go_on = report.how_to_go_on(on.place) if stay else None
        print_json({**report.document(result), "go_on": go_on})
    else:
        report.show(result)
        (report.show_stay if stay else report.show_next)(on.place)
    return result.ok


def _run_examples(
    on: "Stage", examples: "Sequence[Example]", progress: "Progress", *, stay: bool, json: bool
) -> bool:
    """Whether each example ended well."""
    from cli.demo.like import report
    from cli.demo.like.course import play

    played = play(on, examples, progress)
    progress.stop()
    if json:
        print_json(report.document(played))
    else:
        report.show(played)
        if stay:
            report.show_stay(on.place, played)
    return played.ok


def _stay(family: "Family") -> None:
    """Returns at Ctrl-C or SIGTERM. Raises CommandFailed when a process ends before."""
    sys.stdout.flush()
    try:
        while True:
            family.check()
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        return


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
