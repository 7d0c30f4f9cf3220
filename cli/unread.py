"""Fields of an event's data that its type doesn't have: the hub passes them over, and they may be misspelt."""

import difflib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.documents import json_schema

_DEFS = "#/$defs/"


class Unread(NamedTuple):
    """A field that is passed over: its path below `data`, and those of its neighbours that are spelt like it."""

    at: str
    near: tuple[str, ...]

    def __str__(self) -> str:
        meant = f"; did you mean {' or '.join(self.near)}?" if self.near else ""
        return f"data.{self.at} is no field of its type, and is passed over{meant}"


def unread(event_type: str, data: Any) -> list[Unread]:
    """Every such field of valid data, in its order. What a producer keeps in `custom` is its own."""
    schema = _schema(event_type)
    return list(_of(data, schema, schema["$defs"], ""))


@functools.cache
def _schema(event_type: str) -> dict[str, Any]:
    return json_schema(event_type)


def _of(value: Any, schema: Mapping[str, Any], defs: Mapping[str, Any], at: str) -> Iterator[Unread]:
    for one in (schema, *schema.get("anyOf", ())):
        meant = defs[one["$ref"].removeprefix(_DEFS)] if "$ref" in one else one
        if isinstance(value, dict) and "properties" in meant:
            fields = meant["properties"]
            for name, inner in value.items():
                if name in fields:
                    yield from _of(inner, fields[name], defs, f"{at}{name}.")
                else:
                    yield Unread(f"{at}{name}", tuple(difflib.get_close_matches(_snake(name), fields, n=2)))
        elif isinstance(value, list) and "items" in meant:
            for place, inner in enumerate(value):
                yield from _of(inner, meant["items"], defs, f"{at.removesuffix('.')}[{place}].")


def _snake(name: str) -> str:
    """The name as the contract would write it: many tools write camelCase."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
