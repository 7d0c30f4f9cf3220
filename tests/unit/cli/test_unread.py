"""A field that its type doesn't have is told to the producer who sends it, though the hub passes it over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.examples import example
from cli.main import run
from cli.unread import unread
from schemas.registry import SOURCE_TYPES

QUOTE: dict[str, Any] = {
    "title": "Laptops",
    "expiryDate": "2026-01-01",
    "custom": {"anything": "of one's own"},
    "customer": {"name": "Bright Dental", "adress": {"city": "Leeds"}},
    "contact": {"name": "Ann", "phones": []},
    "lines": [
        {"id": "1", "product": {"name": "Laptop 14"}, "quantity": 2, "price": "949.90"},
        {"id": "2", "product": {"name": "Bag", "Sku": "B"}, "qty": 2, "quantity": 1, "price": 5},
    ],
}


def test_each_is_told_at_its_place_with_what_is_spelt_like_it() -> None:
    found = {one.at: one.near for one in unread("quote.published.v1", QUOTE)}

    assert found.keys() == {
        "expiryDate",
        "customer.adress",
        "contact.phones",
        "lines[1].product.Sku",
        "lines[1].qty",
    }
    assert found["expiryDate"][0] == "expiry_date"
    assert found["customer.adress"] == ("address",)
    assert found["contact.phones"] == ("phone",)


@pytest.mark.parametrize("event_type", sorted(SOURCE_TYPES))
def test_nothing_of_an_example_with_every_field_is_passed_over(event_type: str) -> None:
    assert unread(event_type, example(event_type)["data"]) == []


def test_a_valid_event_is_valid_and_its_unread_fields_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {**example("quote.published.v1"), "data": QUOTE}
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    assert run(["event", "validate", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "valid: 1 event(s)" in shown
    assert "data.expiryDate is no field of its type, and is passed over; did you mean expiry_date" in shown
    assert run(["event", "validate", str(file), "--json"]) == 0
    assert {one["at"] for one in json.loads(capsys.readouterr().out)["unread"]} >= {
        "expiryDate",
        "lines[1].qty",
    }
