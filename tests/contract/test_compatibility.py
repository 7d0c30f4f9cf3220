"""What a release has promised holds: its messages are read today, and no schema has changed so that somebody breaks."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas.documents import asyncapi
from schemas.envelope import from_structured
from schemas.registry import decode
from tools.compatibility import ADVICE, RELEASED, breaks, contract

TODAY = contract()
RELEASES = sorted(path.name for path in RELEASED.iterdir())
MESSAGES = {
    f"{version}: {name}": message
    for version in RELEASES
    for name, message in json.loads((RELEASED / version / "messages.json").read_text()).items()
}


def test_there_is_a_first_release_to_be_kept() -> None:
    assert RELEASES
    assert MESSAGES


@pytest.mark.feature("beyond.catalog", part="docs")
@pytest.mark.feature("hub.contract", part="mapper")
@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_golden_message_of_a_release_is_read_today(name: str) -> None:
    message = MESSAGES[name]
    from_structured(message)
    decode(message["type"], json.dumps(message["data"]).encode())


@pytest.mark.feature("beyond.catalog", part="docs")
@pytest.mark.feature("hub.contract", part="mapper")
@pytest.mark.parametrize("version", RELEASES)
def test_todays_contract_keeps_what_a_release_has_promised(version: str) -> None:
    released = json.loads((RELEASED / version / "contract.json").read_text())
    broken = breaks(released, TODAY)
    assert broken == [], "\n".join([f"this breaks who relies on {version}:", *broken, ADVICE])


# That the check bites -----------------------------------------------------------------------------------------------


def field(contract: dict[str, Any], of: str, definition: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = contract["types"][of]["schema"]["$defs"][definition]["properties"][name]
    return found


def definition(contract: dict[str, Any], of: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = contract["types"][of]["schema"]["$defs"][name]
    return found


SENT, WRITTEN = "quote.published.v1", "command.applied.v1"
Change = Callable[[dict[str, Any]], Any]
BREAKING: dict[str, tuple[Change, str]] = {
    "a type goes": (lambda c: c["types"].pop(SENT), f"{SENT}: is gone"),
    "a type moves": (lambda c: c["types"][SENT].update(topic="hub.billing.v1"), "was on hub.quotes.v1"),
    "partitions": (lambda c: c["topics"]["hub.quotes.v1"].__setitem__(1, 24), "topic hub.quotes.v1"),
    "a header is required": (lambda c: c["attributes"].append("ce_revision"), "attribute ce_revision"),
    "a field goes": (
        lambda c: definition(c, SENT, "Line")["properties"].pop("cost"),
        "data.lines[].cost: is gone",
    ),
    "a field is required": (
        lambda c: definition(c, SENT, "Quote")["required"].append("number"),
        "data.number: was not required",
    ),
    "a new field is required": (
        lambda c: definition(c, SENT, "Line").update(
            properties=definition(c, SENT, "Line")["properties"] | {"unit": {"type": "string"}},
            required=[*definition(c, SENT, "Line")["required"], "unit"],
        ),
        "data.lines[].unit: was not required",
    ),
    "null is refused": (
        lambda c: field(c, SENT, "Quote", "note")["anyOf"].remove({"type": "null"}),
        "data.note: could be null",
    ),
    "text is shorter": (
        lambda c: field(c, SENT, "Quote", "title").update(maxLength=100),
        "data.title: maxLength was 255, and is 100",
    ),
    "fewer lines": (lambda c: field(c, SENT, "Quote", "lines").update(maxItems=500), "maxItems was 2000"),
    "another type": (
        lambda c: field(c, SENT, "Customer", "name").update(type="integer"),
        "data.customer.name: could be string",
    ),
    "a pattern": (
        lambda c: field(c, SENT, "Quote", "title").update(pattern="^[A-Z]"),
        "data.title: pattern was none",
    ),
    "a word goes": (
        lambda c: field(c, WRITTEN, "Outcome", "status")["enum"].remove("failed"),
        "data.status: failed is not taken",
    ),
    "readers lose a field": (
        lambda c: definition(c, WRITTEN, "Outcome")["required"].remove("target"),
        "data.target: was always there, and may be absent",
    ),
    "readers meet null": (
        lambda c: field(c, WRITTEN, "Request", "path").update(anyOf=[{"type": "string"}, {"type": "null"}]),
        "data.requests[].path: could never be null",
    ),
    "readers meet any word": (
        lambda c: definition(c, WRITTEN, "Outcome")["properties"].update(status={"type": "string"}),
        "data.status: was one of",
    ),
}


@pytest.mark.feature("beyond.catalog", part="docs")
@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_would_break_somebody_is_told(name: str) -> None:
    change, told = BREAKING[name]
    changed = copy.deepcopy(TODAY)
    change(changed)
    lines = breaks(TODAY, changed)
    assert any(told in line for line in lines), lines


HARMLESS: dict[str, Change] = {
    "a new type": lambda c: c["types"].update({"quote.published.v2": c["types"][SENT]}),
    "a new topic": lambda c: c["topics"].update({"hub.more.v1": ["tenant", 1, False]}),
    "a new optional field": lambda c: definition(c, SENT, "Line")["properties"].update(
        unit={"type": "string"}
    ),
    "more is taken": lambda c: field(c, SENT, "Quote", "title").update(maxLength=500),
    "a field need not be sent": lambda c: definition(c, SENT, "Quote")["required"].remove("lines"),
    "null may be sent": lambda c: field(c, SENT, "Customer", "name").update(
        anyOf=[{"type": "string", "minLength": 1, "maxLength": 255}, {"type": "null"}]
    ),
    "a new field for readers": lambda c: definition(c, WRITTEN, "Outcome")["properties"].update(
        more={"type": "string"}
    ),
    "a new word for readers": lambda c: field(c, WRITTEN, "Outcome", "status")["enum"].append("waived"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nobody_is_not_told(name: str) -> None:
    changed = copy.deepcopy(TODAY)
    HARMLESS[name](changed)
    assert changed != TODAY
    assert breaks(TODAY, changed) == []


def test_the_contract_that_is_frozen_is_the_published_one() -> None:
    assert set(TODAY["types"]) == set(asyncapi()["components"]["messages"])
