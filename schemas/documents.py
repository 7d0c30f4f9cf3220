"""JSON Schemas and the AsyncAPI 3 document, generated from the Structs. `python -m schemas.documents` rewrites them.

A test compares the checked-in files with what this module makes, so that the contract can't drift from the code.
"""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from schemas.base import MAX_DECIMAL_PLACES
from schemas.descriptions import field_descriptions
from schemas.registry import SOURCE_TYPES, TYPES, MessageType
from schemas.topics import TOPICS

GENERATED = Path(__file__).parent / "generated"
GOLDEN = Path(__file__).parent / "golden"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
DECIMAL = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": rf"^-?[0-9]{{1,18}}(\.[0-9]{{1,{MAX_DECIMAL_PLACES}}})?$"},
    ]
}
_ATTRIBUTES = {
    "ce_id": "Unique for its source; a repeat is the same event.",
    "ce_source": "`/` and the producer's name.",
    "ce_specversion": "1.0",
    "ce_type": "The message's type; its last part is the version of the data's schema.",
    "ce_subject": "The id of the entity at its source.",
    "ce_time": "RFC 3339 with a zone.",
    "ce_tenant": "The tenant's name.",
    "ce_correlationid": "Shared by all that one source event leads to.",
    "ce_causationid": "The id of the message that caused this one.",
    "ce_revision": "Counts every change of the entity; without it events order by time.",
    "ce_keyid": "Reserved for encryption per entity.",
    "traceparent": "W3C trace context.",
}
_REQUIRED = ("ce_id", "ce_source", "ce_specversion", "ce_type", "ce_subject", "ce_time", "ce_tenant")


def json_schema(event_type: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one message type's data."""
    message = TYPES[event_type]
    schema = msgspec.json.schema(message.data)
    definitions = {name: _described(_decimals(body)) for name, body in schema.get("$defs", {}).items()}
    return {
        "$schema": _DIALECT,
        "$id": f"urn:halo-hub:{event_type}",
        "title": event_type,
        "description": message.summary,
        "$ref": schema["$ref"],
        "$defs": definitions,
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document: a channel for each topic, a message for each type, data schemas by reference."""
    by_topic: dict[str, list[MessageType]] = {topic.name: [] for topic in TOPICS}
    for message in TYPES.values():
        by_topic[message.topic].append(message)
    channels = {
        topic.name: {
            "address": topic.name,
            "description": f"{topic.what}. Key: {topic.key}.",
            "messages": {
                message.name: {"$ref": f"#/components/messages/{message.name}"}
                for message in by_topic[topic.name]
            },
            "bindings": {
                "kafka": {
                    "topic": topic.name,
                    "partitions": topic.partitions,
                    "topicConfiguration": {
                        "cleanup.policy": ["compact"] if topic.compacted else ["delete"],
                        "retention.ms": -1 if topic.retention_ms is None else topic.retention_ms,
                    },
                }
            },
        }
        for topic in TOPICS
        if by_topic[topic.name]
    }
    messages = {
        message.name: {
            "name": message.name,
            "summary": message.summary,
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/Attributes"},
            "payload": {"$ref": f"./{message.name}.json"},
        }
        for message in TYPES.values()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "halo-hub",
            "version": "1",
            "description": "Events, commands and outcomes of the hub: CloudEvents 1.0, Kafka's binary mode.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"publish-{name}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": "Producers publish these events.",
            }
            for name in sorted({TYPES[name].topic for name in SOURCE_TYPES})
        },
        "components": {
            "messages": messages,
            "schemas": {
                "Attributes": {
                    "type": "object",
                    "required": list(_REQUIRED),
                    "properties": {
                        name: {"type": "string", "description": text} for name, text in _ATTRIBUTES.items()
                    },
                }
            },
        },
    }


def files() -> dict[str, str]:
    """Every generated file: name to text."""
    made = {f"{name}.json": _text(json_schema(name)) for name in TYPES}
    made["asyncapi.json"] = _text(asyncapi())
    return made


def write(directory: Path = GENERATED) -> None:
    """Bring `directory` in step: files written, files of types that are gone removed."""
    directory.mkdir(parents=True, exist_ok=True)
    made = files()
    for stale in {path.name for path in directory.glob("*.json")} - made.keys():
        (directory / stale).unlink()
    for name, text in made.items():
        (directory / name).write_text(text)


def _decimals(schema: Any) -> Any:
    """A decimal travels as a JSON string or number; msgspec describes only the string."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return DECIMAL
        return {key: _decimals(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_decimals(item) for item in schema]
    return schema


def _described(definition: dict[str, Any]) -> dict[str, Any]:
    """With what the Structs say of themselves and of each field, not indented, as only some Pythons keep it.

    A generic Struct's title is its name and, in brackets, its parts.
    """
    told = field_descriptions(_structs()[definition["title"].partition("[")[0]])
    properties = {
        name: {**body, "description": told[name]} if name in told else body
        for name, body in definition["properties"].items()
    }
    about = inspect.cleandoc(definition.get("description", ""))
    return {**definition, **({"description": about} if about else {}), "properties": properties}


@functools.cache
def _structs() -> dict[str, type[msgspec.Struct]]:
    """Every Struct by its name."""
    found: dict[str, type[msgspec.Struct]] = {}
    left: list[type[msgspec.Struct]] = [msgspec.Struct]
    while left:
        for struct in left.pop().__subclasses__():
            if struct.__module__.startswith(f"{__package__}."):
                found[struct.__name__] = struct
            left.append(struct)
    return found


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write()
