"""Whether today's contract keeps what a release has promised. `python -m tools.compatibility VERSION` freezes one.

What producers send must be taken for as long as its type has its name, and so must what the hub has written: the log
keeps it. Who reads what the hub writes may count on what was always there; new fields, and new words of a field that
has a list of them, are to be passed over.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schemas.documents import GOLDEN, asyncapi, json_schema
from schemas.registry import SOURCE_TYPES, TYPES
from schemas.topics import TOPICS

RELEASED = Path(__file__).resolve().parent.parent / "tests" / "contract" / "released"
ADVICE = (
    "Either change it so that nobody breaks (docs/contract/index.md: what may change), or give the type a new version "
    "(quote.published.v2 beside quote.published.v1) and read the old one on. Only a contract that was never released "
    "may be frozen anew: python -m tools.compatibility"
)
Schema = dict[str, Any]
Contract = dict[str, Any]
_WORDS_ONLY = ("description", "title", "default", "$id", "$schema", "examples")


def contract() -> Contract:
    """Today's contract as far as others depend on it, as JSON values."""
    made = {
        "topics": {topic.name: [topic.key, topic.partitions, topic.compacted] for topic in TOPICS},
        "attributes": asyncapi()["components"]["schemas"]["Attributes"]["required"],
        "types": {
            name: {"topic": message.topic, "sent": name in SOURCE_TYPES, "schema": _bare(json_schema(name))}
            for name, message in TYPES.items()
        },
    }
    plain: Contract = json.loads(json.dumps(made))
    return plain


def freeze(version: str) -> None:
    """Keep today's contract and its golden messages as those of a release."""
    directory = RELEASED / version
    directory.mkdir(parents=True, exist_ok=True)
    messages = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
    for name, content in (("contract", contract()), ("messages", messages)):
        text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
        (directory / f"{name}.json").write_text(text + "\n")


def breaks(released: Contract, today: Contract) -> list[str]:
    """A line for each promise of the released contract that today's doesn't keep."""
    return list(_breaks(released, today))


def _breaks(released: Contract, today: Contract) -> Iterator[str]:
    for name, topic in released["topics"].items():
        if today["topics"].get(name) != topic:
            yield f"topic {name}: its key, partitions and compaction were {topic}, and are {today['topics'].get(name)}"
    for attribute in sorted(set(today["attributes"]) - set(released["attributes"])):
        yield f"attribute {attribute}: was optional, and is required"
    for name, old in released["types"].items():
        new = today["types"].get(name)
        if new is None:
            yield f"{name}: is gone"
        elif new["topic"] != old["topic"]:
            yield f"{name}: was on {old['topic']}, and is on {new['topic']}"
        else:
            comparison = _Comparison(old["schema"], new["schema"], read_by_others=not old["sent"])
            yield from (f"{name}: {line}" for line in comparison.lines())


class _Pair(NamedTuple):
    """The same place in both schemas."""

    old: Schema
    new: Schema
    at: str


class _Comparison:
    """One type's two schemas; `read_by_others` also holds what its readers count on."""

    def __init__(self, old: Schema, new: Schema, *, read_by_others: bool) -> None:
        self._old, self._new = old, new
        self._read_by_others = read_by_others
        self._seen: set[tuple[str, str]] = set()

    def lines(self) -> Iterator[str]:
        yield from self._node(_Pair(self._old, self._new, "data"))

    def _node(self, pair: _Pair) -> Iterator[str]:
        refs = (pair.old.get("$ref", ""), pair.new.get("$ref", ""))
        if refs[0] and refs in self._seen:
            return
        self._seen.add(refs)
        old, new = _kinds(pair.old, self._old), _kinds(pair.new, self._new)
        for kind in old:
            if kind not in new:
                yield f"{pair.at}: could be {kind}, and can't any more"
            else:
                yield from self._kind(_Pair(old[kind], new[kind], pair.at))
        if self._read_by_others:
            yield from (f"{pair.at}: could never be {kind}, and can now" for kind in new if kind not in old)

    def _kind(self, pair: _Pair) -> Iterator[str]:
        yield from _narrowed(pair)
        yield from self._words(pair)
        if "properties" in pair.old:
            yield from self._fields(pair)
        for inner in ("items", "additionalProperties"):
            if isinstance(pair.old.get(inner), dict) and isinstance(pair.new.get(inner), dict):
                yield from self._node(_Pair(pair.old[inner], pair.new[inner], f"{pair.at}[]"))
        parts = zip(pair.old.get("prefixItems", ()), pair.new.get("prefixItems", ()), strict=False)
        for number, (old, new) in enumerate(parts):
            yield from self._node(_Pair(old, new, f"{pair.at}[{number}]"))

    def _fields(self, pair: _Pair) -> Iterator[str]:
        old, new = pair.old["properties"], pair.new.get("properties", {})
        required, required_now = set(pair.old.get("required", ())), set(pair.new.get("required", ()))
        for name in sorted(required_now - required):
            yield f"{pair.at}.{name}: was not required, and is: messages without it are refused"
        for name in old:
            if name not in new:
                yield f"{pair.at}.{name}: is gone"
                continue
            if self._read_by_others and name in required - required_now:
                yield f"{pair.at}.{name}: was always there, and may be absent: its readers count on it"
            yield from self._node(_Pair(old[name], new[name], f"{pair.at}.{name}"))

    def _words(self, pair: _Pair) -> Iterator[str]:
        old, new = pair.old.get("enum"), pair.new.get("enum")
        if new is not None:
            lost = (
                "any other word" if old is None else ", ".join(str(word) for word in old if word not in new)
            )
            if lost:
                yield f"{pair.at}: {lost} is not taken any more"
        elif old is not None and self._read_by_others:
            yield f"{pair.at}: was one of {', '.join(map(str, old))}, and may be anything"


def _narrowed(pair: _Pair) -> Iterator[str]:
    """Bounds that take less than they did."""
    for bound in ("maxLength", "maximum", "maxItems"):
        most = pair.new.get(bound)
        if most is not None and most < pair.old.get(bound, float("inf")):
            yield f"{pair.at}: {bound} was {pair.old.get(bound, 'none')}, and is {most}"
    for bound in ("minLength", "minimum", "minItems"):
        least = pair.new.get(bound)
        if least is not None and least > pair.old.get(bound, 0 if bound != "minimum" else float("-inf")):
            yield f"{pair.at}: {bound} was {pair.old.get(bound, 'none')}, and is {least}"
    for rule in ("pattern", "format"):
        if rule in pair.new and pair.new[rule] != pair.old.get(rule):
            yield f"{pair.at}: {rule} was {pair.old.get(rule, 'none')}, and is {pair.new[rule]}"


def _kinds(schema: Schema, document: Schema) -> dict[str, Schema]:
    """The alternatives of a schema by their JSON type, references followed."""
    found: dict[str, Schema] = {}
    for part in schema.get("anyOf", (schema,)):
        body = document["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        if "anyOf" in body:
            found |= _kinds(body, document)
        else:
            found[str(body.get("type", "text" if "enum" in body else "anything"))] = body
    return {("string" if kind == "text" else kind): body for kind, body in found.items()}


def _bare(schema: Any, *, names: bool = False) -> Any:
    """The schema without what only people read; in a table of names every one is kept."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _bare(value, names=key in ("properties", "$defs") and not names)
        for key, value in schema.items()
        if names or key not in _WORDS_ONLY
    }


if __name__ == "__main__":
    freeze(sys.argv[1])
