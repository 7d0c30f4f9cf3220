"""`python -m benchmarks`: measures each line on real parts of its own and prints one table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import halo_requests, many_tenants, mapping, noops, outage, overhead, overload
from benchmarks.report import Figure, machine, table

Measure = Callable[..., list[Figure]]
LINES: dict[int, Measure] = {
    halo_requests.LINE: halo_requests.measure,
    overload.LINE: overload.measure,
    overhead.LINE: overhead.measure,
    mapping.LINE: mapping.measure,
    noops.LINE: noops.measure,
    many_tenants.LINE: many_tenants.measure,
    outage.LINE: outage.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for. An aim that is not met is shown, and is no failure of the run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--line", type=int, choices=sorted(LINES), action="append", help="only this line")
    parser.add_argument(
        "--quick", action="store_true", help="few events: shows that it works, measures little"
    )
    parser.add_argument("--keep", type=Path, help="keep the processes' logs in this new directory")
    given = parser.parse_args(arguments)
    figures: list[Figure] = []
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="hub-bench-") as temporary:
            root = given.keep or Path(temporary)
            for line in given.line or sorted(LINES):
                print(f"line {line}: measuring", file=sys.stderr, flush=True)
                directory = root / f"line-{line}"
                directory.mkdir(parents=True)
                figures += LINES[line](directory, quick=given.quick)
    finally:
        # What was measured before a line failed stays worth reading.
        took = f"{'quick run, ' if given.quick else ''}{time.monotonic() - started:.0f} s"
        print(f"{machine()}; {took}\n\n{table(figures)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
