"""The JSON Schema of a tenant file, for editors and for pipelines that have no `hub`. Generated from the model.

It refuses nothing that the hub takes. What a schema can't say (that an address is https, that two names are the same
but for their case) the hub alone refuses.
"""

from __future__ import annotations

from typing import Any

from hub.tenants.model import CONNECTION_KEYS, RuleSet

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that the editors' YAML language server knows whole."""
_PARTIAL = "OfOneProducer"
_CONNECTION = {f"Halo{_PARTIAL}", f"Budget{_PARTIAL}"}
Schema = dict[str, Any]


def tenant_schema() -> Schema:
    """The schema as one document, without references to others."""
    made: Schema = _tidy(RuleSet.model_json_schema())
    sections: Schema = made["$defs"]
    sections["Halo"]["anyOf"] = [
        {"required": ["url"]},
        {"required": ["resource_server", "authorization_server"]},
    ]
    keys: Schema = made["properties"]
    keys["sources"]["additionalProperties"] = {
        "type": "object",
        "properties": {name: _partial(key) for name, key in keys.items() if name not in CONNECTION_KEYS},
        "additionalProperties": False,
    }
    overrides = {f"{name}{_PARTIAL}": _partial(body) for name, body in sections.items()}
    return {
        "$schema": DIALECT,
        "$id": "urn:halo-hub:tenant",
        "title": "A tenant of the hub",
        "description": "How the hub reaches one Halo, and how its producers' words become Halo's.",
        "type": "object",
        "properties": keys,
        "required": made["required"],
        "additionalProperties": False,
        "if": {"required": ["quotes"], "properties": {"quotes": {"type": "object"}}},
        "then": {
            "required": ["opportunities", "items"],
            "properties": {"opportunities": {"type": "object"}, "items": {"required": ["asset_group"]}},
        },
        "$defs": sections | {name: body for name, body in overrides.items() if name not in _CONNECTION},
    }


def _tidy(schema: Any) -> Any:
    """Without the titles that repeat a key, and with defaults as one writes them."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidy: Schema = {}
    for keyword, value in schema.items():
        if keyword in ("properties", "$defs"):
            tidy[keyword] = {name: _tidy(body) for name, body in value.items()}
        elif keyword == "default":
            tidy |= _default(schema, value)
        elif keyword != "title":
            tidy[keyword] = _tidy(value)
    return tidy


def _default(schema: Schema, value: Any) -> Schema:
    """A section's default is that of its keys, an absent value none; a span is kept in seconds."""
    if value is None or "$ref" in schema:
        return {}
    return {"default": f"{value}s" if schema.get("type") == "string" and isinstance(value, int) else value}


def _partial(schema: Any) -> Any:
    """The same, of which nothing is required: what it lacks stands in the rest of the file."""
    if isinstance(schema, list):
        return [_partial(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    partial: Schema = {}
    for keyword, value in schema.items():
        if keyword == "properties":
            partial[keyword] = {name: _partial(body) for name, body in value.items()}
        elif keyword == "$ref":
            partial[keyword] = f"{value}{_PARTIAL}"
        elif keyword not in ("required", "default"):
            partial[keyword] = _partial(value)
    return partial
