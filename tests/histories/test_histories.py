"""Drawn rule sets and drawn lives of quotes: Halo ends as a person would expect, whatever arrives when."""

from __future__ import annotations

import time

import pytest

from tests.histories.run import Counted, run, seeds_of

HISTORIES = 200
SEED = 5
"""Others: `python -m tests.histories --count 2000 --seed N`."""


@pytest.mark.timeout(1800)
@pytest.mark.slow
@pytest.mark.invariant("INV-11")
@pytest.mark.invariant("INV-13")
@pytest.mark.feature("quote.revision.new", part="mapper")
@pytest.mark.feature("quote.revision.first_only", part="mapper")
@pytest.mark.feature("quote.revision.overwrite", part="mapper")
@pytest.mark.feature("quote.out_of_order", part="mapper")
@pytest.mark.feature("quote.same_opp", part="mapper")
@pytest.mark.feature("quote.won_only", part="mapper")
@pytest.mark.feature("won.detect", part="mapper")
@pytest.mark.feature("won.sales_order", part="mapper")
@pytest.mark.feature("item.group.never_create", part="writer")
@pytest.mark.feature("quote.lines.write", part="writer")
async def test_whatever_is_drawn_ends_in_halo_as_a_person_would_expect() -> None:
    counted, began_s = Counted(), time.monotonic()
    examples = [example async for example in run(seeds_of(str(SEED), HISTORIES), counted)]
    print(f"seed {SEED}, {time.monotonic() - began_s:.0f} s")
    print("\n".join(counted.lines()))
    assert not examples, "\n\n".join(map(str, examples))
    assert counted.histories >= HISTORIES
    assert not counted.rare(), "too few histories of a class prove nothing about it"
