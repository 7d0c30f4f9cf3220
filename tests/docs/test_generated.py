"""The pages that are made from code are those that are checked in, and say what the contract and the settings hold."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from hub.settings import Settings
from schemas import documents
from schemas.base import MAX_LINES
from schemas.registry import SOURCE_TYPES, TYPES
from schemas.topics import TOPICS
from tests.docs.guides import DOCS, text_of
from tools import docs, docs_contract
from tools.docs import full_tenant_file
from tools.docs_schema import kind_of, limits_of


@pytest.mark.feature("beyond.catalog", part="docs")
def test_the_generated_pages_are_in_step_with_the_code() -> None:
    on_disk = {f"{docs.CONTRACT}/{path.name}": path.read_text() for path in (DOCS / docs.CONTRACT).iterdir()}
    made = docs.files()
    on_disk |= {name: text_of(name) for name in made if not name.startswith(docs.CONTRACT)}
    stale = sorted(name for name in on_disk.keys() | made.keys() if on_disk.get(name) != made.get(name))
    assert stale == [], "run `python -m tools.docs`"


@pytest.mark.feature("beyond.catalog", part="docs")
@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_types_page_has_every_field_its_topic_its_key_and_an_example_that_is_right(name: str) -> None:
    page = docs_contract.pages()[f"{name}.md"]
    assert f"`{TYPES[name].topic}`" in page
    for definition in documents.json_schema(name)["$defs"].values():
        for field, schema in definition["properties"].items():
            assert f"| `{field}` |" in page
            assert " ".join(schema["description"].split()).replace("|", "\\|") in page
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert [example["type"] for example in examples] == [name, name]


@pytest.mark.feature("beyond.catalog", part="docs")
def test_the_first_page_has_every_topic_that_carries_something_and_every_header() -> None:
    page = docs_contract.pages()["index.md"]
    carrying = {message.topic for message in TYPES.values()}
    for topic in TOPICS:
        assert (f"| `{topic.name}` | {topic.what} | `{topic.key}` |" in page) is (topic.name in carrying)
    for header in documents.asyncapi()["components"]["schemas"]["Attributes"]["properties"]:
        assert f"| `{header}` |" in page
    for name in TYPES:
        assert page.count(f"[{name}]({name}.md)") == 2, "with its topic, and in the list"
    sent = page.partition("### What producers send")[2].partition("### What the hub writes")[0]
    assert set(re.findall(r"^\| \[([a-z_.0-9]+)\]", sent, re.MULTILINE)) == SOURCE_TYPES


def test_limits_are_told_as_they_are() -> None:
    quote = documents.json_schema("quote.published.v1")["$defs"]
    line = quote["Line"]["properties"]
    assert limits_of(quote["Quote"]["properties"]["lines"]) == f"at most {MAX_LINES:,} elements"
    assert kind_of(line["price"], str) == "decimal"
    assert limits_of(line["price"]) == "at most 18 digits, 6 decimal places"
    assert limits_of(line["id"]) == "1 to 200 characters; no control characters"
    assert limits_of(quote["Product"]["properties"]["halo_id"]) == "1 to 2,147,483,647"


def test_every_setting_is_in_its_reference_with_its_meaning() -> None:
    page = text_of("reference/configuration.md")
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name}: write what it means below it in hub/settings.py"
        (row,) = re.findall(rf"^\| `HUB_{name.upper()}` \| (.*) \|$", page, re.MULTILINE)
        assert " ".join(field.description.split()) in row


def test_each_example_of_the_tenant_reference_is_what_a_file_would_say() -> None:
    full = full_tenant_file()
    rows = re.findall(
        r"^\| `([a-z_0-9.]+)` \|.*\| `([^|]*)` \|$", text_of("reference/tenant.md"), re.MULTILINE
    )
    assert len(rows) > 60
    for path, example in rows:
        value = full
        for part in path.split("."):
            value = value[part]
        assert yaml.safe_load(example) == value, path


def test_the_references_example_of_the_schema_is_where_it_says() -> None:
    first = text_of(docs.FULL_TENANT_FILE).splitlines()[0]
    beside = first.partition("$schema=")[2]
    assert (DOCS / docs.FULL_TENANT_FILE).with_name(beside).exists()
