"""`python -m tests.histories`: put the hub through drawn histories; 0 when none broke an invariant, else 1."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence

from tests.histories.run import Counted, run, seeds_of


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many histories")
    parser.add_argument("--seed", type=int, help="without one, one is drawn and printed")
    parser.add_argument("--only", metavar="SEED/CASE", help="one case, as a counter-example names it")
    given = parser.parse_args(arguments)
    if given.count < 1:
        parser.error("--count is at least 1")
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    seeds = [given.only] if given.only else seeds_of(str(seed), given.count)
    print(f"histories: {given.only or f'{given.count}, seed {seed}'}", flush=True)
    return asyncio.run(_run(seeds))


async def _run(seeds: Sequence[str]) -> int:
    counted, broken, began_s = Counted(), 0, time.monotonic()

    def look(done: int) -> None:
        if done % 50 == 0:
            print(
                f"[{time.monotonic() - began_s:5.0f} s] {done} of {len(seeds)} cases",
                file=sys.stderr,
                flush=True,
            )

    async for example in run(seeds, counted, look=look):
        broken += 1
        print(f"{example}\n", flush=True)
    for line in counted.lines():
        print(line)
    print(f"{broken} counter-examples, {time.monotonic() - began_s:.0f} s", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
