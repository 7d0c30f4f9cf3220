"""A producer is told what is wrong with a quote's data, and what may stand there instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.faults import DataInvalid, decode_source

QUOTE: dict[str, Any] = {
    "title": "Laptops",
    "customer": {"name": "Bright Dental"},
    "lines": [{"id": "1", "product": {"name": "Laptop 14"}, "quantity": 2, "price": "949.90"}],
}
LINE = QUOTE["lines"][0]
AMOUNT = 'a number or a number in quotes like "10.10"'


def faults(**changes: Any) -> dict[str, str]:
    with pytest.raises(DataInvalid) as caught:
        decode_source("quote.published.v1", json.dumps({**QUOTE, **changes}).encode())
    return {fault.at: fault.problem for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lines": [{**LINE, "price": "1,000.00"}]}, {"lines[0].price": f'"1,000.00" must be {AMOUNT}'}),
        ({"lines": [{**LINE, "quantity": None}]}, {"lines[0].quantity": f"null must be {AMOUNT}"}),
        ({"lines": [{**LINE, "cost": "dear"}]}, {"lines[0].cost": f'"dear" must be {AMOUNT} or null'}),
        ({"currency": ""}, {"currency": '"" must be a text of 1 to 32 characters or null'}),
        ({"expiry_date": "soon"}, {"expiry_date": '"soon" must be a date like "2026-01-31" or null'}),
        ({"contact": "Ann"}, {"contact": '"Ann" must be an object or null'}),
        ({"lines": {}}, {"lines": "{} must be a list"}),
    ],
)
def test_what_may_stand_there_is_told(changes: dict[str, Any], told: dict[str, str]) -> None:
    assert faults(**changes) == told


def test_the_faults_within_an_optional_object_are_told_at_their_own_places() -> None:
    assert faults(discount={"percent": "much"}) == {"discount.percent": f'"much" must be {AMOUNT} or null'}
    assert set(faults(contact={"name": "Ann", "email": 5})) == {"contact.email"}
    assert faults(supplier={}, contact={"email": None}) == {"contact": "'name' is a required property"}
