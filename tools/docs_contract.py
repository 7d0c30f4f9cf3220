"""The contract as pages: one for all topics and attributes, one for each type. Pure, made from the generated documents.

`docs/contract/` is what `pages()` makes; `python -m tools.docs` writes it, a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from schemas.documents import GOLDEN, asyncapi, json_schema
from schemas.registry import SOURCE_TYPES, TYPES
from tools.docs_schema import Schema, kind_of, limits_of, table

_DAY_MS = 24 * 60 * 60 * 1000
_REFERENCE = "#/$defs/"
_CHANGES = (
    (
        "what producers send",
        "add an optional field, take more than before",
        "ask for a new field, take less, drop a field",
    ),
    (
        "what the hub writes",
        "add a field, add a word to those that a field may have",
        "drop a field, leave out what was always there, make another kind of value of it",
    ),
)
_INDEX = """\
# The contract

What travels on Kafka, and over HTTP. Events are [CloudEvents 1.0](https://cloudevents.io) in Kafka's binary mode: the
attributes are headers, the value is the JSON data. The same as documents for programs:
[AsyncAPI 3](../../schemas/generated/asyncapi.json), and a JSON Schema (2020-12) on the page of each type.

## Topics

{topics}

## Attributes

Headers of every message on Kafka. Over HTTP `ce_` is written `ce-`, or the attribute is a member of the JSON object:
[producing](../producing.md).

{attributes}

## Types

The last part of a type is the version of its data.

### What producers send

{sent}

### What the hub writes

{written}

## What may change, and what may not

A type keeps its promises for as long as it has its name. What would break them is a new version, `quote.published.v2`,
and the old one is read on: a release reads the present version and the one before.

{changes}

So a producer of today needs no change for a release of tomorrow. A reader passes over fields and words that it doesn't
know. Between the hub's own services it is stricter: readers are deployed before writers, and what a reader doesn't know
waits for the one that does.
"""


def pages() -> dict[str, str]:
    """Every page by its name in `docs/contract`."""
    made = {f"{name}.md": _page(name) for name in TYPES}
    return made | {"index.md": _index()}


def _index() -> str:
    document = asyncapi()
    channels = document["channels"].values()
    return _INDEX.format(
        topics=table(
            ("topic", "what", "key", "partitions", "kept", "types"),
            [
                (
                    f"`{channel['address']}`",
                    channel["description"].partition(". Key: ")[0],
                    f"`{channel['description'].partition('. Key: ')[2].rstrip('.')}`",
                    channel["bindings"]["kafka"]["partitions"],
                    _kept(channel["bindings"]["kafka"]["topicConfiguration"]),
                    ", ".join(map(_link, channel["messages"])),
                )
                for channel in channels
            ],
        ),
        attributes=_attributes(document["components"]["schemas"]["Attributes"]),
        sent=_types(document, sent=True),
        written=_types(document, sent=False),
        changes=table(("", "a release may", "and never"), _CHANGES),
    )


def _types(document: dict[str, Any], *, sent: bool) -> str:
    rows = [
        (_link(name), message["summary"])
        for name, message in document["components"]["messages"].items()
        if (name in SOURCE_TYPES) is sent
    ]
    return table(("type", "what it says"), rows)


def _attributes(schema: Schema) -> str:
    rows = [
        (f"`{name}`", "required" if name in schema["required"] else "", body["description"])
        for name, body in schema["properties"].items()
    ]
    return table(("header", "", "meaning"), rows)


def _kept(configuration: dict[str, Any]) -> str:
    if configuration["cleanup.policy"] == ["compact"]:
        return "the newest of each key, for ever"
    milliseconds = configuration["retention.ms"]
    return "for ever" if milliseconds == -1 else f"{milliseconds // _DAY_MS} days"


def _page(name: str) -> str:
    message, schema = TYPES[name], json_schema(name)
    definitions: Schema = schema["$defs"]
    root = schema["$ref"].removeprefix(_REFERENCE)
    who = "Producers send it" if name in SOURCE_TYPES else "The hub writes it"
    others = [key for key in definitions if key != root and not _is_generic(definitions[key])]
    generic = next((body for body in definitions.values() if _is_generic(body)), None)
    more = "Unknown fields are passed over." if name in SOURCE_TYPES else "It has no other fields."
    blocks = [
        f"# {name}",
        f"{message.summary} {who}, on the topic `{message.topic}`: [all topics](index.md#topics). {more}",
        f"JSON Schema of the data: [{name}.json](../../schemas/generated/{name}.json).",
        "## Data",
        *_section(definitions[root], definitions),
    ]
    for key in others:
        blocks += [f"### {key}", *_section(definitions[key], definitions)]
    if generic is not None:
        blocks += ["### Field", *_section({**generic, "properties": _any_value(generic)}, definitions)]
    blocks += ["## Example", "With every field:", _example(f"{name}.json")]
    blocks += ["With none but the required:", _example(f"{name}.minimal.json")]
    return "\n\n".join(blocks) + "\n"


def _section(schema: Schema, definitions: Schema) -> Iterator[str]:
    if description := schema.get("description"):
        yield " ".join(description.split())

    def link(reference: str) -> str:
        key = reference.removeprefix(_REFERENCE)
        target = definitions[key]
        if _is_generic(target):
            return f"[field](#field) of {kind_of(target['properties']['value'], link)}"
        return f"[{key}](#{key.lower()})"

    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _need(name, body, required), kind_of(body, link), limits_of(body), body["description"])
        for name, body in schema["properties"].items()
    ]
    yield table(("field", "", "is", "limits", "meaning"), rows)


def _need(name: str, schema: Schema, required: Any) -> str:
    if name in required:
        return "required"
    default = schema.get("default")
    return "optional" if default in (None, "", [], {}) else f"default `{json.dumps(default)}`"


def _is_generic(definition: Schema) -> bool:
    """Whether it is one of the forms of a field that the rules own: they differ in their value alone."""
    return str(definition["title"]).startswith("Field[")


def _any_value(definition: Schema) -> Schema:
    value = {"description": definition["properties"]["value"]["description"]}
    return {**definition["properties"], "value": value}


def _example(file: str) -> str:
    return f"```json\n{(GOLDEN / file).read_text().rstrip()}\n```"


def _link(name: str) -> str:
    return f"[{name}]({name}.md)"
