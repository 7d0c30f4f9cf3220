"""A producer is told what is wrong with a quote's data, and what may stand there instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from schemas.documents import json_schema
from schemas.faults import DataInvalid, decode_source
from schemas.registry import SOURCE_TYPES
from schemas.wanted import _PATTERNS

QUOTE: dict[str, Any] = {
    "title": "Laptops",
    "customer": {"name": "Bright Dental"},
    "lines": [{"id": "1", "product": {"name": "Laptop 14"}, "quantity": 2, "price": "949.90"}],
}
LINE = QUOTE["lines"][0]
FILE = {
    "url": "https://files.example/q.pdf",
    "name": "q.pdf",
    "sha256": "0" * 64,
    "size": 1,
    "media_type": "application/pdf",
}
AMOUNT_PATTERN = r"^-?[0-9]{1,18}(\.[0-9]{1,6})?$"
HTTPS = "must begin with https:// and be ASCII without spaces"
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
        ({"pdf": {**FILE, "url": "http://x/y"}}, {"pdf.url": f'"http://x/y" {HTTPS}'}),
        (
            {"pdf": {**FILE, "sha256": "AB"}},
            {"pdf.sha256": '"AB" must be 64 hexadecimal digits in lower case'},
        ),
        ({"pdf": {**FILE, "name": "a/b"}}, {"pdf.name": '"a/b" must be a name alone, without / and \\'}),
        (
            {"pdf": {**FILE, "media_type": "pdf"}},
            {"pdf.media_type": '"pdf" must be like application/pdf, in lower case'},
        ),
    ],
)
def test_what_may_stand_there_is_told(changes: dict[str, Any], told: dict[str, str]) -> None:
    assert faults(**changes) == told


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example/q.pdf?sig=GHJKMNPQ",
        "https://files.example/a q.pdf?a=%22&sig=GHJKMNPQ",
        'https://files.example/? "sig=GHJKMNPQ',
        f"https://files.example/q?sig=GHJKMNPQ{'x' * 2_000}",
        f"https://files.example/{'x' * 2_000}?sig=GHJKMNPQ",
        ["https://files.example/q.pdf?sig=GHJKMNPQ"],
        {"see": "https://files.example/q.pdf?sig=GHJKMNPQ"},
    ],
)
def test_a_faulty_address_is_told_without_its_signature(url: Any) -> None:
    """Faults are listed and answered where values are hidden."""
    told = faults(pdf={**FILE, "url": url})
    assert set(told) == {"pdf.url"}
    assert "GHJKMNPQ" not in str(told)


def test_too_many_files_are_counted_and_not_listed() -> None:
    assert faults(files=[FILE] * 51) == {"files": "has 51 elements, of 50 at most"}


def test_the_faults_within_an_optional_object_are_told_at_their_own_places() -> None:
    assert faults(discount={"percent": "much"}) == {"discount.percent": f'"much" must be {AMOUNT} or null'}
    assert set(faults(contact={"name": "Ann", "email": 5})) == {"contact.email"}
    assert faults(supplier={}, contact={"email": None}) == {"contact": "'name' is a required property"}


def test_a_word_that_is_none_of_a_few_is_told_once_with_those_that_there_are() -> None:
    conversion = {"to": "ordr", "answers": {"won.opp.exists": "yes"}}

    with pytest.raises(DataInvalid) as caught:
        decode_source("quote.converted.v1", json.dumps(conversion).encode())

    assert {fault.at: fault.problem for fault in caught.value.faults} == {
        "to": '"ordr" must be "invoice" or "order"',
        "answers['won.opp.exists']": '"yes" must be "convert" or "leave" or null',
    }


def test_no_pattern_of_what_producers_send_is_told_as_a_pattern() -> None:
    assert _patterns(json_schema(event_type) for event_type in SOURCE_TYPES) <= {*_PATTERNS, AMOUNT_PATTERN}


def _patterns(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["pattern"]} if isinstance(part.get("pattern"), str) else set()
        return own.union(*map(_patterns, part.values()))
    return (
        set().union(*map(_patterns, part))
        if isinstance(part, Iterable) and not isinstance(part, str)
        else set()
    )
