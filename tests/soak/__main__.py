"""`python -m tests.soak`: run soaks one after another; 0 when all were clean, 1 when a verdict failed, 2 on bad use."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.soak.faults import KINDS
from tests.soak.report import add_to
from tests.soak.run import Given, run
from tests.soak.verdict import ALL_VERDICTS, Run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults go on")
    parser.add_argument(
        "--seed", nargs="*", default=[], help="one or several; without one, one is drawn and printed"
    )
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument(
        "--rate", type=float, default=4.0, help="new revisions a second, of all tenants together"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=sorted(KINDS),
        metavar="KIND",
        help="only this kind of fault",
    )
    parser.add_argument("--report", type=Path, help="the page to add the runs to")
    parser.add_argument("--keep", type=Path, help="keep the processes' logs in this new directory")
    given = parser.parse_args(arguments)
    try:
        seeds = [int(seed) for text in given.seed for seed in text.replace(",", " ").split()]
    except ValueError:
        parser.error("a seed is a whole number")
    if given.minutes <= 0 or given.rate <= 0 or not 1 <= given.tenants <= 99:
        parser.error("--minutes and --rate are above 0, --tenants from 1 to 99")
    if given.keep and given.keep.exists():
        parser.error(f"{given.keep} is there already")
    clean = True
    for seed in seeds or [secrets.randbelow(1_000_000)]:
        asked = Given(seed, given.minutes, given.tenants, given.rate, tuple(given.only))
        done = _one(asked, given.keep)
        clean = clean and done.clean
        if given.report:
            add_to(given.report, done)
    return 0 if clean else 1


def _one(asked: Given, keep: Path | None) -> Run:
    began_s = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - began_s:5.0f} s] {text}", file=sys.stderr, flush=True)

    print(f"soak: {asked.minutes:g} minutes, seed {asked.seed}, {asked.tenants} tenants", flush=True)
    with tempfile.TemporaryDirectory(prefix="hub-soak-") as temporary:
        directory = Path(temporary) if keep is None else keep / f"seed-{asked.seed}"
        directory.mkdir(parents=True, exist_ok=True)
        done = run(asked, directory, tell)
    for name, figures in (
        ("events", done.events),
        ("requests", done.requests),
        ("faults", done.faults),
        ("met", done.met),
    ):
        print(f"{name}: " + ", ".join(f"{what} {count}" for what, count in figures.items()))
    for text in done.findings:
        print(f"  {text}")
    verdicts = ", ".join(f"{name} {done.verdicts.get(name, 0)}" for name in ALL_VERDICTS)
    apart = f"excused {done.excused}, starts refused {done.starts_refused}"
    print(f"seed {done.seed}: {verdicts}; {apart}; {'clean' if done.clean else 'FAILED'}", flush=True)
    return done


if __name__ == "__main__":
    sys.exit(main())
