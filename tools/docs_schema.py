"""A JSON Schema in words: what a value is, and within which limits. Pure; a `Schema` is a decoded JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from schemas.base import MAX_DECIMAL_DIGITS, MAX_DECIMAL_PLACES
from schemas.documents import DECIMAL

Schema = dict[str, Any]
Link = Callable[[str], str]
"""Makes words of a reference to another table: `#/$defs/Line` becomes a link to where that table is."""
_FORMATS = {"date-time": "time", "date": "date", "byte": "base64", "binary": "base64"}
_PATTERNS = {r"^[^\x00-\x1f]+$": "no control characters"}
_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def kind_of(schema: Schema, link: Link) -> str:
    """What a value of the schema is."""
    if _is_decimal(schema):
        return "decimal"
    if "$ref" in schema:
        return link(schema["$ref"])
    if "anyOf" in schema:
        kinds = (kind_of(part, link) for part in schema["anyOf"] if part != {"type": "null"})
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    return _typed(schema, link)


def _typed(schema: Schema, link: Link) -> str:
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return f"pair of {' and '.join(kind_of(part, link) for part in schema['prefixItems'])}"
        case "array":
            return f"list of {kind_of(schema['items'], link)}"
        case "object":
            values = schema.get("additionalProperties")
            return f"table: text to {kind_of(values, link)}" if isinstance(values, dict) else "table"
        case str(name):
            return _FORMATS.get(schema.get("format", ""), _NAMES[name])
    return "anything"


def limits_of(schema: Schema) -> str:
    """Its bounds, those of its alternatives and elements included; empty for none."""
    return "; ".join(dict.fromkeys(_limits(schema)))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; line ends and bars in a cell do no harm."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(str(value)) for value in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _is_decimal(schema: Schema) -> bool:
    return schema.get("anyOf") == DECIMAL["anyOf"]


def _limits(schema: Schema) -> Iterator[str]:
    if _is_decimal(schema):
        yield f"at most {MAX_DECIMAL_DIGITS} digits, {MAX_DECIMAL_PLACES} decimal places"
        return
    for part in schema.get("anyOf", ()):
        yield from _limits(part)
    yield from _length(schema)
    yield from _range(schema)
    if "pattern" in schema:
        yield _PATTERNS.get(schema["pattern"], f"matches `{schema['pattern']}`")
    if "maxItems" in schema and "prefixItems" not in schema:
        yield f"at most {schema['maxItems']:,} elements"
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from (f"each {limit}" for limit in _limits(schema[inner]))


def _length(schema: Schema) -> Iterator[str]:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if most is not None:
        yield f"{f'{least} to ' if least else 'at most '}{most:,} characters"
    elif least:
        yield "not empty" if least == 1 else f"at least {least} characters"


def _range(schema: Schema) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None and "exclusiveMinimum" in schema:
        yield f"above {schema['exclusiveMinimum']:g}"
    if least is not None and most is not None:
        yield f"{least:,} to {most:,}"
    elif least is not None:
        yield f"at least {least:,}"
    elif most is not None:
        yield f"at most {most:,}"
