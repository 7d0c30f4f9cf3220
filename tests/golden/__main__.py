"""`python -m tests.golden`: the recorded histories. `--write` records them anew, all or those that are named.

`--print` prints what they map to, and the payloads that `hub rules try` would show.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.golden.history import History, histories
from tests.golden.replay import commands_text, ground, mapped, requested, shown_text
from tests.sandbox.server import CLIENT_SECRET


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="record the histories anew")
    what.add_argument("--print", action="store_true", help="print what the histories map to")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of histories; none: all")
    args = parser.parse_args(argv)
    chosen = [history for history in histories() if not args.names or history.name in args.names]
    missing = set(args.names) - {history.name for history in chosen}
    if missing:
        parser.error(f"there is no history {', '.join(sorted(missing))}")
    if args.print:
        for history in chosen:
            played = mapped(history)
            sys.stdout.write(commands_text(played) + shown_text(played))
    else:
        _write(chosen)
    return 0


def _write(chosen: Sequence[History]) -> None:
    os.environ["SANDBOX_SECRET"] = CLIENT_SECRET
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as directory:
        empty = ground(Path(directory))
        for history in chosen:
            played = mapped(history)
            store = shutil.copy(empty, Path(directory) / f"{history.name}.db")
            told = {
                "commands": commands_text(played),
                "requests": asyncio.run(requested(played, history, Path(store))),
            }
            for what, text in told.items():
                if history.recorded(what) != text:
                    history.record(what, text)
                    print(f"{history.name}/{what}.json has changed")


if __name__ == "__main__":
    sys.exit(main())
