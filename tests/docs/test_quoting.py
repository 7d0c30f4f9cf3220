"""The story of a quote says what goes over Kafka; its commands are run with the demo."""

from __future__ import annotations

import re

from hub.tenants.load import accept
from schemas.answers import ANSWERS
from schemas.envelope import from_headers, headers_of
from schemas.registry import TYPES
from tests.docs.guides import blocks, text_of
from tests.unit.tenants.files import MINIMAL

GUIDE = text_of("quoting.md")


def test_the_record_of_the_guide_is_what_the_hub_puts_on_the_log() -> None:
    (listed,) = blocks("quoting.md", "text")
    pairs = [line.split(maxsplit=1) for line in listed.splitlines()]
    (_, key), *headers = pairs
    envelope = from_headers((name, value.encode()) for name, value in headers)
    assert [(name, value.encode()) for name, value in headers] == list(headers_of(envelope))
    assert key.encode() == envelope.key
    assert f"on the topic `{TYPES[envelope.type].topic}`" in GUIDE


def test_what_is_added_to_the_tenants_file_is_without_notes() -> None:
    (added,) = re.findall(r"<<'YAML'\n(.*?)^YAML$", GUIDE, re.MULTILINE | re.DOTALL)
    assert accept(f"{MINIMAL}\n{added}".encode()).notes == ()


def test_every_type_that_quoting_tools_send_is_in_the_story_or_where_it_links_to() -> None:
    sent = {name for name, message in TYPES.items() if message.topic == "hub.quotes.v1"}
    assert {name for name in sent if name not in GUIDE} <= {"opportunity.upserted.v1"}
    assert "producing.md#opportunities" in GUIDE


def test_every_question_that_may_be_asked_is_told_where_the_guide_leads() -> None:
    told = text_of("operating.md").partition("## Questions")[2].partition("\n## ")[0]
    assert "operating.md#questions" in GUIDE
    assert set(re.findall(r"^\| `([a-z.]+)`", told, re.MULTILINE)) == set(ANSWERS)
