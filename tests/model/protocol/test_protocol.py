"""Every world of the write protocol, a few revisions and targets large: it holds, and no rule of it is to spare.

Two writers, crashes anywhere, requests lost, refused, applied late and out of sight of searches, leases taken over,
commands coalescing in memory and in rows, a second target that refers to the first, a store restored from a copy.
Never two records for a target, never an older state over one that has settled, nothing written before what it refers
to; from every world an end can be reached without a fault, and in each end Halo holds the newest state of each
target, every command has its outcome, and nothing waits.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.protocol.explore import explore
from tests.model.protocol.parts import Rules, Setup, revisions
from tests.unit.halo_writer.build import Tool

# What was settled before comes again: the last state is the first one.
REVISIONS = revisions(("A", "Draft"), ("B", "Draft"), ("A", "Draft"))
# The last state differs from the first in a group that the second leaves alone.
IN_PARTS = revisions(("A", "Draft"), ("B", "Draft"), ("A", "Sent"))


def quote(count: int, **faults: int) -> Setup:
    """The revisions of one quote."""
    log = tuple((0, number) for number in range(count))
    return Setup(commands=(REVISIONS[:count],), log=log, **faults)  # type: ignore[arg-type]


def quote_on_client(count: int, **faults: int) -> Setup:
    """A client, and the revisions of a quote for it."""
    log = ((0, 0), *((1, number) for number in range(count)))
    commands = ((Tool().client(),), REVISIONS[:count])
    return Setup(commands=commands, log=log, refers_to={1: 0}, **faults)  # type: ignore[arg-type]


THREE = quote(3, crashes=1, takeovers=1)
REFUSED = quote(3, crashes=1, throttles=1)
TWICE = quote(2, crashes=2)
DEPENDS = quote_on_client(2, crashes=1)
RESTORED = quote(3, crashes=0, copies=1)
RESTORED_IN_PARTS = replace(RESTORED, commands=(IN_PARTS,))
RESTORED_AND_KILLED = quote(2, crashes=1, copies=1, published=1)


@pytest.mark.invariant("INV-1")
@pytest.mark.invariant("INV-2")
@pytest.mark.invariant("INV-5")
@pytest.mark.invariant("INV-6")
@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(THREE, id="three revisions"),
        pytest.param(REFUSED, id="a budget that ends"),
        pytest.param(quote_on_client(1, crashes=1, takeovers=1), id="a quote that waits for its client"),
        pytest.param(DEPENDS, id="two revisions of a quote that waits for its client"),
        pytest.param(RESTORED, id="a store restored"),
        pytest.param(replace(TWICE, strict=True), id="no older state over an open newer write"),
        pytest.param(RESTORED_AND_KILLED, id="a store restored, and a crash"),
        pytest.param(quote_on_client(1, crashes=0, copies=1), id="a quote, its client, a store restored"),
    ],
)
def test_whatever_happens_each_target_has_one_record_and_ends_in_its_newest_state(setup: Setup) -> None:
    found = explore(setup)
    print(found)
    assert found.harm is None, found


@pytest.mark.parametrize(
    ("rule", "setup", "harm"),
    [
        ("waits_to_settle", TWICE, "two records"),
        ("looks_up_first", TWICE, "two records"),
        ("updates_have_intents", REFUSED, "an older state"),
        ("an_open_write_hides_the_state", REFUSED, "dead end"),
        ("saves_are_conditional", THREE, "dead end"),
        ("sends_are_fenced", THREE, "two records"),
        ("sends_are_timely", TWICE, "two records"),
        ("row_before_offset", TWICE, "dead end"),
        ("newest_wins", THREE, "dead end"),
        ("an_older_seq_never_writes", TWICE, "an older state"),
        ("an_open_newer_write_is_left_alone", replace(TWICE, strict=True), "an older state"),
        ("waits_for_what_it_refers_to", DEPENDS, "before the one that it refers to"),
        ("ends_only_its_own_row", THREE, "dead end"),
        ("leaves_the_row_of_the_command_in_hand", TWICE, "dead end"),
        ("looks_first_after_a_restore", RESTORED, "two records"),
        ("distrusts_rows_of_before_a_restore", RESTORED, "dead end"),
        ("distrusts_rows_of_before_a_restore", RESTORED_IN_PARTS, "dead end"),
        ("waits_to_settle_after_a_restore", RESTORED, "two records"),
        ("remembers_what_is_of_before", RESTORED_AND_KILLED, "two records"),
        ("rewinds_after_a_restore", RESTORED, "dead end"),
    ],
)
def test_without_any_one_of_its_rules_the_protocol_breaks(rule: str, setup: Setup, harm: str) -> None:
    found = explore(setup, Rules(**{rule: False}))
    print(found)
    assert found.harm is not None, "the model can't tell this protocol from the right one"
    assert harm in found.harm


def test_every_rule_is_switched_off_somewhere() -> None:
    marks = test_without_any_one_of_its_rules_the_protocol_breaks.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(Rules.__dataclass_fields__)


def test_the_worlds_reach_every_step_that_matters() -> None:
    """What never happens in the model proves nothing: each step is taken, and none of them hardly ever."""
    found = explore(replace(RESTORED_AND_KILLED, throttles=1, crashes=0))
    shares = {name: count / found.worlds for name, count in found.seen.most_common()}
    print(found, {name: f"{share:.1%}" for name, share in shares.items()})
    for name in (
        "takes in 1",
        "row for its turn",
        "waits in a row",
        "loads its row",
        "starts",
        "intent",
        "sends",
        "applied, answered",
        "applied, answer lost",
        "request lost",
        "throttled",
        "late request applied",
        "finds our key",
        "doesn't find our key",
        "reads it back",
        "too late to send",
        "settles",
        "copy of the store",
        "restored",
        "time passes",
    ):
        assert shares.get(name, 0.0) >= 0.01, (name, shares.get(name))
