"""Which line in Halo is which line of the source, and whether a record already is what would be sent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.halo_writer.compare import equal
from services.halo_writer.lines import LineMark, match_lines


def mark(line_id: str, position: int, code: str | None = "SKU") -> LineMark:
    return LineMark(line_id, f"key-{line_id}", position, code)


def halo_line(halo_id: int, code: str | None = "SKU", key: str | None = None) -> dict[str, Any]:
    line: dict[str, Any] = {"id": halo_id}
    if code is not None:
        line["productcode"] = code
    if key is not None:
        line["external_links"] = [{"third_party_id": key}]
    return line


def test_our_line_key_wins_over_memory_and_place() -> None:
    actual = [halo_line(1, key="key-b"), halo_line(2, key="key-a")]
    found = match_lines([mark("a", 0), mark("b", 1)], actual, {"a": 1, "b": 2})
    assert found == {"a": 2, "b": 1}


def test_a_remembered_line_wins_over_the_place_as_long_as_it_exists() -> None:
    actual = [halo_line(1), halo_line(2)]
    assert match_lines([mark("a", 0), mark("b", 1)], actual, {"a": 2, "b": 1}) == {"a": 2, "b": 1}
    assert match_lines([mark("a", 0)], [halo_line(3)], {"a": 2}) == {"a": 3}, "2 is gone: its place decides"


def test_without_keys_the_place_and_the_product_code_decide_together() -> None:
    marks = [mark("a", 0, "X"), mark("b", 1, "Y"), mark("c", 2, None)]
    actual = [halo_line(1, "X"), halo_line(2, "Z"), halo_line(3, None)]
    assert match_lines(marks, actual, {}) == {"a": 1, "c": 3}


def test_a_line_with_anothers_key_is_never_taken_by_its_place() -> None:
    actual = [halo_line(1, key="key-of-someone-else")]
    assert match_lines([mark("a", 0)], actual, {}) == {}


def test_a_single_external_link_is_read_as_well_as_a_list() -> None:
    line = {"id": 9, "external_link": {"third_party_id": "key-a"}, "external_links": None}
    assert match_lines([mark("a", 5)], [line], {}) == {"a": 9}


@given(
    count=st.integers(0, 6),
    actual=st.lists(st.tuples(st.sampled_from(["X", "Y", None]), st.none() | st.integers(0, 5)), max_size=6),
    remembered=st.dictionaries(st.integers(0, 5), st.integers(1, 7)),
)
def test_each_line_in_halo_belongs_to_at_most_one_source_line(
    count: int, actual: list[tuple[str | None, int | None]], remembered: dict[int, int]
) -> None:
    marks = [mark(str(place), place, "X") for place in range(count)]
    lines = [
        halo_line(place + 1, code, None if key is None else f"key-{key}")
        for place, (code, key) in enumerate(actual)
    ]
    found = match_lines(marks, lines, {str(line): halo_id for line, halo_id in remembered.items()})
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= {line["id"] for line in lines}
    assert found.keys() <= {line.id for line in marks}


RECORD = {
    "id": 7,
    "title": "New office",
    "status": 2,
    "date": "2026-03-02T00:00:00",
    "revenue": 899.0,
    "lines": [{"id": 1, "quantity": 2.0, "price": Decimal("9.50"), "item_recurring": True}],
    "delivery_address": {"line1": "1 High St", "line4": "kept"},
}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"id": 7, "title": "New office", "status": 2},
        {"status": Decimal("2.0")},
        {"date": "2026-03-02T00:00:00"},
        {"date": dt.date(2026, 3, 2)},
        {"note": None},
        {"note": ""},
        {"isrecurringitem": False},
        {"tax": Decimal(0)},
        {"lines": [{"id": 1, "quantity": Decimal(2), "price": Decimal("9.5"), "item_recurring": True}]},
        {"delivery_address": {"line1": "1 High St", "line2": ""}},
        {"new_external_link": {"third_party_id": "x"}, "newclient_contactname": "N", "_warning": "x"},
        {"lines": [{"id": 1, "ignoretaxcalc": True, "new_external_link": {}}]},
    ],
)
def test_what_halo_already_holds_is_equal_however_it_writes_it(payload: dict[str, Any]) -> None:
    assert equal(payload, RECORD)


@pytest.mark.parametrize(
    "payload",
    [
        {"title": "Other"},
        {"title": ""},
        {"status": 3},
        {"date": dt.date(2026, 3, 3)},
        {"revenue": Decimal("899.01")},
        {"tax": Decimal("0.01")},
        {"isrecurringitem": True},
        {"note": "x"},
        {"lines": []},
        {"lines": [{"id": 1}, {"id": 2}]},
        {"lines": [{"id": 2}]},
        {"lines": [{"id": 1, "price": Decimal("9.51")}]},
        {"delivery_address": {"line4": ""}},
        {"title": {"a": 1}},
        {"revenue": "abc"},
    ],
)
def test_any_difference_is_a_difference(payload: dict[str, Any]) -> None:
    assert not equal(payload, RECORD)
