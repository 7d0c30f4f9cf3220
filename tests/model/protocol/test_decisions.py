"""The model asks the product once for each case: what it leaves out of a case must change no answer."""

from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import pytest

from schemas.targets import TargetState
from services.halo_writer import decisions as planned
from tests.model.protocol.decisions import Decisions, plain_row
from tests.model.protocol.explore import explore
from tests.model.protocol.test_protocol import quote, quote_on_client


@pytest.fixture(scope="module")
def asked() -> list[Decisions]:
    """The decisions of three setups, with every question that came up in them."""
    setups = (quote(3, throttles=1), quote_on_client(1, crashes=1), quote(2, copies=1))
    found = [explore(setup).decisions for setup in setups]
    return [each for each in found if each is not None]


def of_real_life(row: TargetState) -> TargetState:
    """The row with what a real one has besides: a version, an epoch, ids, an outcome, line ids."""
    intent = row.intent and msgspec.structs.replace(
        row.intent, command_id="a-command", epoch=17, state_hash="a-state"
    )
    told = None if row.last_outcome is None else b'{"value":"an outcome"}'
    return msgspec.structs.replace(
        row, version=42, intent=intent, last_outcome=told, children={"line:1": 7}, answered_hash="answered"
    )


def test_a_case_is_decided_as_the_product_decides_it_for_a_row_of_real_life(asked: list[Decisions]) -> None:
    seen: Counter[str] = Counter()
    for decisions in asked:
        for question in decisions.asked:
            plain, _ = decisions.ask(question)
            real, _ = decisions.ask(question, of_real_life)
            assert plain == real, question
            seen[type(plain).__name__] += 1
    print(sum(seen.values()), "questions:", dict(seen.most_common()))
    reached = {
        "Superseded",
        "Repeat",
        "Unchanged",
        "FindOurKey",
        "ReadRecord",
        "Create",
        "Update",
        "Settle",
        "Wait",
    }
    assert seen.keys() == reached
    assert {kind.__name__ for kind in planned.Decision.__args__} - reached == {
        "FindMatch",  # always answered by: no such record
        "Forget",
        "Decide",
        "Reject",
    }


def test_rows_have_one_number_exactly_when_nothing_that_decides_differs(asked: list[Decisions]) -> None:
    for decisions in asked:
        rows = decisions.rows
        for row in rows:
            assert plain_row(of_real_life(row)) == msgspec.structs.replace(
                row, children={"line:1": 7}, answered_hash="answered"
            )
        assert all(one != other for one, other in itertools.combinations(rows, 2))
