"""The reference of the tenant file: each key's type, default, meaning and example. Pure, made from its JSON Schema.

The examples are the values of `docs/reference/tenant.full.yaml`, which has every key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from hub.tenants.halo_fields import WRITABLE, FieldType
from hub.tenants.schema import tenant_schema
from tools.docs_schema import Schema, kind_of, limits_of, table

_REFERENCE = "#/$defs/"
_NAME = ({"type": "string", "pattern": r"\S"}, {"type": "integer", "exclusiveMinimum": 0})
_LINKED = "fields."
_CUSTOM = {"type": "string", "pattern": r"^custom\."}
_WORDS = ((_NAME, "name or id in Halo"), ((_CUSTOM,), "`custom.<name>`"))
_HELD: dict[FieldType, str] = {"text": "", "number": " (a number)", "date": " (a date)"}
_PAGE = """\
# Every key of a tenant file

How a tenant file works, with an example to begin from: [the tenant file](../tenants.md). Here is each key. A file with
all of them: [tenant.full.yaml](tenant.full.yaml).

{sections}

## In an editor

[tenant.schema.json](tenant.schema.json) is the JSON Schema of the file; `hub tenant schema` prints it. An editor with a
YAML language server checks and completes a file whose first line names it:

```yaml
# yaml-language-server: $schema=tenant.schema.json
tenant: acme
```

The part after `$schema=` is a path from the file, or an address. The schema refuses nothing that the hub takes. What a
schema can't say the hub alone tells: `hub tenant check`.
"""


class Key(NamedTuple):
    """One key of the file: where it stands, what it may be, and the section below it, if it is one."""

    path: str
    schema: Schema
    required: bool
    section: str | None


def schema_text() -> str:
    """The file `docs/reference/tenant.schema.json`."""
    return json.dumps(tenant_schema(), indent=2, ensure_ascii=False) + "\n"


def page(full: dict[str, Any]) -> str:
    """The page `docs/reference/tenant.md`; `full` is a file with every key."""
    document = tenant_schema()
    top = [key for key in keys(document) if "." not in key.path]
    blocks = ["## At the top", _table(top, full)]
    for key in top:
        inner = [other for other in keys(document) if other.path.startswith(f"{key.path}.")]
        if inner and key.section is not None:
            blocks += [f"## `{key.path}`", document["$defs"][key.section]["description"], _table(inner, full)]
        if _LINKED.startswith(key.path):
            blocks += ["The fields of Halo, beside its custom fields:", _linkable()]
    return _PAGE.format(sections="\n\n".join(blocks))


def keys(document: Schema) -> Iterator[Key]:
    """Every key, depth first; those of one producer's overrides are the same and don't come again."""
    yield from _keys(document, document["$defs"], "")


def _keys(section: Schema, definitions: Schema, prefix: str) -> Iterator[Key]:
    for name, schema in section["properties"].items():
        below = _section(schema)
        yield Key(f"{prefix}{name}", schema, name in section.get("required", ()), below)
        if below is not None:
            yield from _keys(definitions[below], definitions, f"{prefix}{name}.")


def _section(schema: Schema) -> str | None:
    for part in (schema, *schema.get("anyOf", ())):
        if "$ref" in part:
            return str(part["$ref"].removeprefix(_REFERENCE))
    return None


def _table(rows: list[Key], full: dict[str, Any]) -> str:
    definitions = tenant_schema()["$defs"]
    lines = [
        (f"`{key.path}`", _kind(key), _default(key), _meaning(key, definitions), _example(key, full))
        for key in rows
    ]
    return table(("key", "is", "default", "meaning", "example"), lines)


def _linkable() -> str:
    """The fields of Halo that may be linked, by section."""
    return "\n".join(
        f"* `fields.{kind}`: {', '.join(f'`{name}`' + _HELD[held] for name, held in fields.items())}"
        for kind, fields in WRITABLE.items()
    )


def _kind(key: Key) -> str:
    if key.section is not None:
        return f"[section](#{key.path})" if "." not in key.path else "section"
    if key.path == "sources":
        return "table: producer to sections"
    if key.path.startswith(_LINKED):
        return "table: source field to Halo field"
    worded = _worded(key.schema)
    kind, limits, examples = kind_of(worded, _called), limits_of(worded), worded.get("examples")
    if examples:
        return f"{kind}, such as `{examples[0]}`"
    return f"{kind}; {limits}" if limits else kind


def _called(reference: str) -> str:
    """What a reference is called: a section in a table by its keys, a word of `_WORDS` as it is."""
    name = reference.removeprefix(_REFERENCE)
    if name == reference:
        return reference
    inner = tenant_schema()["$defs"][name]["properties"]
    return f"section of {' and '.join(f'`{key}`' for key in inner)}"


def _worded(schema: Any) -> Any:
    """The schema in which what a tenant file calls a name, or a field of the producer's own, is called so."""
    if not isinstance(schema, dict):
        return schema
    parts = schema.get("anyOf")
    for which, words in _WORDS:
        if parts is not None and all(part in parts for part in which):
            parts = [part for part in parts if part not in which] + [{"$ref": words}]
    worded = {keyword: _worded(value) for keyword, value in schema.items()}
    return worded if parts is None else worded | {"anyOf": parts}


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.section is not None:
        return "off" if "anyOf" in key.schema else "as below"
    default = key.schema.get("default")
    if default in (None, {}):
        return "none"
    return f"`{_yaml(default)}`"


def _meaning(key: Key, definitions: Schema) -> str:
    own = key.schema.get("description")
    return str(own or definitions[str(key.section)]["description"])


def _example(key: Key, full: dict[str, Any]) -> str:
    value: Any = full
    for part in key.path.split("."):
        value = value[part]
    return "" if key.section is not None else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """The value on one line, as YAML and the example files write it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Whether it is the same text without quotes, also inside brackets."""
    try:
        return bool(yaml.safe_load(f"[{text}]") == [text])
    except yaml.YAMLError:
        return False
