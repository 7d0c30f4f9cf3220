"""What a JSON Schema's refusal means to a person: the value, and what may stand there instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sized
from typing import Any, cast

import jsonschema
import msgspec

_MAX_SHOWN = 60
_QUERY = re.compile(r'(/[^"?]*)\?(?:[^"\\]|\\.)*')
_TYPES = {
    "null": "null",
    "number": "a number",
    "integer": "a whole number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_PATTERNS = {
    r"^https://[\x21-\x7e]+$": "must begin with https:// and be ASCII without spaces",
    r"^[^\x00-\x1f]+$": "must have no control characters",
    r"^[^\x00-\x1f/\\]+$": "must be a name alone, without / and \\",
    r"^[0-9a-f]{64}$": "must be 64 hexadecimal digits in lower case",
    r"^[a-z0-9][a-z0-9.+_-]*/[a-z0-9][a-z0-9.+_-]*$": "must be like application/pdf, in lower case",
}


def told(error: jsonschema.ValidationError) -> Iterator[tuple[str, str]]:
    """Each fault behind a refusal: its JSON path, and what is wrong there.

    Where several kinds of value are allowed, the faults of an object are those of the one that it may be.
    """
    if error.validator == "anyOf":
        meant = [
            inner
            for inner in error.context or ()
            if inner.relative_path or inner.validator not in ("type", "anyOf")
        ]
        if isinstance(error.instance, dict) and meant:
            for inner in meant:
                yield from told(inner)
            return
        allowed = list(dict.fromkeys(_words(cast(list[Mapping[str, Any]], error.validator_value))))
        yield error.json_path, f"{_shown(error.instance)} must be {' or '.join(allowed)}"
    elif error.validator == "type":
        type_ = cast(str | list[str], error.validator_value)
        allowed = [_TYPES.get(name, name) for name in ([type_] if isinstance(type_, str) else type_)]
        yield error.json_path, f"{_shown(error.instance)} must be {' or '.join(allowed)}"
    elif error.validator == "enum":
        yield error.json_path, f"{_shown(error.instance)} must be {_one_of(error.schema)}"
    elif error.validator == "pattern" and error.validator_value in _PATTERNS:
        yield error.json_path, f"{_shown(error.instance)} {_PATTERNS[str(error.validator_value)]}"
    elif error.validator == "maxLength":
        problem = f"has {len(cast(Sized, error.instance))} characters, of {error.validator_value} at most"
        yield error.json_path, f"{_shown(error.instance)} {problem}"
    elif error.validator == "maxItems":
        yield (
            error.json_path,
            f"has {len(cast(Sized, error.instance))} elements, of {error.validator_value} at most",
        )
    else:
        yield error.json_path, error.message


def _words(alternatives: list[Mapping[str, Any]]) -> Iterator[str]:
    for schema in alternatives:
        if "anyOf" in schema:
            yield from _words(schema["anyOf"])
        elif "$ref" in schema:
            yield "an object"
        else:
            yield _word(schema)


def _one_of(schema: Any) -> str:
    return " or ".join(map(_shown, schema["enum"]))


def _word(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return _one_of(schema)
    word = _TYPES.get(str(schema.get("type")), str(schema.get("type")))
    if schema.get("format") == "date":
        return 'a date like "2026-01-31"'
    if str(schema.get("pattern", "")).startswith("^-?[0-9]"):
        return 'a number in quotes like "10.10"'
    if schema.get("minLength") and "maxLength" in schema:
        return f"{word} of {schema['minLength']} to {schema['maxLength']} characters"
    if "maxLength" in schema:
        return f"{word} of at most {schema['maxLength']} characters"
    if "minimum" in schema:
        return f"{word} from {schema['minimum']}"
    return word


def _shown(value: Any) -> str:
    """The value as JSON without what may sign an address in it; the beginning of a long one."""
    text = msgspec.json.encode(value).decode()
    shown = _QUERY.sub(r"\1?…", text[:_MAX_SHOWN])
    return shown if len(text) <= _MAX_SHOWN else f"{shown}…"
