"""From a tenant file's bytes to a valid rule set, its normalised text and hash; or every fault of the file at once.

    RulesInvalid    the file can't be used; each fault names the key, the value and what to write instead

Shape alone decides here: whether Halo knows a name is checked once its catalogue is there.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from hub.tenants.items import missing_group
from hub.tenants.model import MAX_SOURCES, RuleSet, overlaid, own_part
from hub.tenants.names import folded
from hub.tenants.notes import notes_of
from schemas.base import OwnData
from schemas.envelope import Fault

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 12
_INTEGER = re.compile(r"^[-+]?[0-9]{1,15}$")
_PLAIN = {"": None, "~": None, "null": None, "true": True, "false": False}
_KEY = re.compile(r"^[\w .()/&+-]{1,100}$")
_MAX_SHOWN = 60
_TABLE = "must be a table: a key and its value on each line, or {key: value}"
_IN_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": _TABLE,
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": _TABLE,
    "string_type": "must be text; what looks like a number, true, false or null is written in quotes",
    "tuple_type": "must be a list: [one, another]",
    # Only the tenant's name has one.
    "string_pattern_mismatch": "must be lower case letters, digits, - and _, of which the first is no sign",
}


class RulesInvalid(Exception):
    """The tenant file can't be used; `faults` lists all that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.at or 'file'}: {fault.problem}" for fault in self.faults))


class Accepted(OwnData, frozen=True, kw_only=True):
    """A valid file: `text` is its content as JSON in a fixed form, which comments and spaces don't change.

    `notes` name what it sets without effect.
    """

    tenant: str
    text: str
    hash: str
    notes: tuple[Fault, ...] = ()


def accept(source: bytes) -> Accepted:
    """The normalised text of a tenant file (YAML). Raises RulesInvalid."""
    rules = _checked(_read(source))
    text = normalised(rules)
    return Accepted(tenant=rules.tenant, text=text, hash=_hash(text), notes=notes_of(rules))


def hash_of(rules: RuleSet) -> str:
    """The hash of the revision that these rules are, or would be once they are accepted."""
    return _hash(normalised(rules))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def from_text(text: str | bytes) -> RuleSet:
    """The rule set in a normalised text. Raises RulesInvalid when it was written by a newer release."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RulesInvalid([Fault("", "is no JSON")]) from None
    return _checked(content)


def normalised(rules: RuleSet) -> str:
    """What the file says, as JSON: keys in the order of the model, entries of a table in the order of the file."""
    return json.dumps(
        rules.model_dump(mode="json", exclude_unset=True), ensure_ascii=False, separators=(",", ":")
    )


def plain_yaml(source: bytes) -> Any:
    """The content of one YAML document without anchors, doubled keys or deep nesting. Raises RulesInvalid.

    No fault quotes the text: what stands at a wrong place may be a secret.
    """
    if len(source) > MAX_FILE_BYTES:
        raise RulesInvalid([Fault("", f"is larger than {MAX_FILE_BYTES} bytes")])
    try:
        # Events, not nodes: libyaml composes nodes by recursion without a limit, and deep input ends the process.
        events = yaml.parse(source.decode("utf-8-sig"), Loader=yaml.CSafeLoader)
        return _document(events)
    except UnicodeDecodeError:
        raise RulesInvalid([Fault("", "is not UTF-8")]) from None
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the line.
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        spaces = "; indent with spaces, not with tabs" if b"\n\t" in b"\n" + source else ""
        raise RulesInvalid([Fault("", f"is no YAML: {line}{error.problem}{spaces}")]) from None
    except yaml.YAMLError:
        raise RulesInvalid([Fault("", "is no plain YAML")]) from None


def _read(source: bytes) -> dict[str, Any]:
    content = plain_yaml(source)
    if not isinstance(content, dict):
        raise RulesInvalid([Fault("", "is no table of settings; it starts with `tenant: <name>`")])
    return content


def _document(events: Iterator[yaml.Event]) -> Any:
    content: Any = None
    documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise RulesInvalid([Fault("", "holds more than one document")])
        elif isinstance(event, yaml.NodeEvent):
            content = _value(event, events, "", 0)
    return content


def _value(event: yaml.Event, events: Iterator[yaml.Event], at: str, depth: int) -> Any:
    """A value by YAML 1.2's core rules: `no` and `08:00` are text, and nothing is given twice."""
    if depth > MAX_DEPTH:
        raise RulesInvalid([Fault(at[:_MAX_SHOWN], f"is nested deeper than {MAX_DEPTH} levels")])
    if isinstance(event, yaml.AliasEvent):
        raise RulesInvalid([Fault(at, "uses an anchor; write the value out")])
    if event.tag is not None:  # type: ignore[attr-defined]
        raise RulesInvalid(
            [Fault(at, "has a tag, which begins with `!`; write the value alone, text in quotes")]
        )
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_value(item, events, f"{at}.{len(items)}", depth + 1))
        return items
    table: dict[str, Any] = {}
    while not isinstance(key_event := next(events), yaml.MappingEndEvent):
        if not isinstance(key_event, yaml.ScalarEvent):
            raise RulesInvalid([Fault(at, "has a key that is no text")])
        key = str(key_event.value)
        inner = f"{at}.{_shown(key)}" if at else _shown(key)
        if key in table:
            raise RulesInvalid([Fault(inner, "is given twice")])
        table[key] = _value(next(events), events, inner, depth + 1)
    return table


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = str(event.value)
    if event.style:
        return text
    if text.lower() in _PLAIN:
        return _PLAIN[text.lower()]
    return int(text) if _INTEGER.match(text) else text


def _checked(content: Any) -> RuleSet:
    if not isinstance(content, dict):
        raise RulesInvalid([Fault("", "is no table of settings")])
    faults = [
        Fault(switch, "is empty: write `{}` to switch it on, or remove the key")
        for switch in ("opportunities", "quotes")
        if switch in content and content[switch] is None
    ]
    rules = _validated(content, faults)
    sources = content.get("sources")
    overrides = sources.items() if isinstance(sources, dict) else ()
    for name, override in itertools.islice(overrides, MAX_SOURCES):
        faults += _of_source(str(name), content, override, tuple(faults))
    if faults or rules is None:
        raise RulesInvalid(sorted(set(faults)))
    return rules


def _validated(content: dict[str, Any], faults: list[Fault]) -> RuleSet | None:
    faults += _incomplete(content)
    try:
        return RuleSet.model_validate(content)
    except ValidationError as error:
        faults += [_fault(part) for part in error.errors(include_url=False)]
        return None


def _incomplete(content: dict[str, Any]) -> Iterator[Fault]:
    """What a switched-on section needs of the others."""
    no_group = missing_group(content)
    if no_group is not None:
        yield Fault("items.asset_group", no_group)
    if not isinstance(content.get("quotes"), dict):
        return
    if content.get("opportunities") is None:
        why = "is required when `quotes` is on: a Halo quote lives under an opportunity"
        yield Fault("opportunities", f"{why}; write `opportunities: {{ticket_type: <name>}}`")


def _of_source(name: str, content: dict[str, Any], override: Any, known: tuple[Fault, ...]) -> list[Fault]:
    """What is wrong with one producer's overrides, and not with the file already."""
    at = f"sources.{name}"
    if not isinstance(override, dict):
        return [Fault(at, "is no table of settings")]
    fixed = [
        Fault(f"{at}.{_shown(key)}", "belongs to the tenant and can't differ for one producer")
        for key in override.keys() - own_part(override).keys()
    ]
    base = {key: value for key, value in content.items() if key != "sources"}
    allowed = own_part(override)
    found: list[Fault] = list(_respelt(allowed, ""))
    _validated(overlaid(base, allowed), found)
    return fixed + [Fault(f"{at}.{fault.at}", fault.problem) for fault in found if fault not in known]


def _respelt(override: Any, at: str) -> Iterator[Fault]:
    """Names of one table that differ in case or spaces alone: laid over the file's they would be one."""
    if not isinstance(override, dict):
        return
    seen: set[str] = set()
    for key, value in override.items():
        inner = f"{at}.{_shown(key)}".lstrip(".")
        if folded(key) in seen:
            yield Fault(inner, "is given twice: case and spaces don't count")
        seen.add(folded(key))
        yield from _respelt(value, inner)


def _fault(error: Any) -> Fault:
    path = [str(part) for part in error["loc"] if part != "[key]"]
    at = ".".join(map(_shown, path))
    if error["type"] == "extra_forbidden":
        return Fault(at, _unknown(path))
    if error["type"] == "missing":
        return Fault(at, "is required")
    if error["type"] == "too_long":
        return Fault(at, f"has more than {error['ctx']['max_length']} entries")
    problem = _IN_WORDS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").removeprefix(
        "Input "
    )
    value = error["input"]
    shown = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dict | list) or len(shown) > _MAX_SHOWN or _is_secret(at):
        return Fault(at, problem)
    return Fault(at, f"{problem}; it is {shown}")


def _is_secret(at: str) -> bool:
    """Whether what stands there may be a credential: all that says how to reach Halo, whatever key it slipped under."""
    return at == "halo" or at.startswith("halo.")


def _shown(key: str) -> str:
    """A key as a fault may name it: `{client_secret:abc}` makes a key of what was meant to be a value."""
    return key if _KEY.match(key) else "?"


def _unknown(path: list[str]) -> str:
    known = _keys_at(path[:-1])
    near = difflib.get_close_matches(path[-1], known, n=3, cutoff=0.6)
    if near:
        return f"is no setting; did you mean {' or '.join(near)}?"
    return f"is no setting; here there are {', '.join(known)}"


def _keys_at(path: list[str]) -> list[str]:
    """The keys that there are at a place; a name in a table of sections leads to one of these."""
    annotation: Any = RuleSet
    section: type[BaseModel] = RuleSet
    for part in path:
        if get_origin(annotation) is dict:
            annotation = section
            continue
        annotation = section.model_fields[part].annotation
        section = next(_sections(annotation))
    return sorted(field.alias or name for name, field in section.model_fields.items())


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
