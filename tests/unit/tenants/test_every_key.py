"""Every key of a tenant file is named where it is misspelt or has a wrong value, in one producer's overrides too."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from hub.tenants.load import RulesInvalid, from_text
from hub.tenants.model import CONNECTION_KEYS
from hub.tenants.schema import tenant_schema
from tools.docs import full_tenant_file
from tools.docs_tenant import Key, keys

FULL: Any = {name: section for name, section in full_tenant_file().items() if name != "sources"}
RULES = [key for key in keys(tenant_schema()) if key.path.partition(".")[0] not in CONNECTION_KEYS]
WRONG = "wrong-value"


def faults(content: Any) -> dict[str, str]:
    try:
        from_text(json.dumps(content))
    except RulesInvalid as error:
        return {fault.at: fault.problem for fault in error.faults}
    return {}


def place(content: Any, path: str) -> tuple[Any, str]:
    """The section that a key is in, and its own name there."""
    *sections, name = path.split(".")
    for section in sections:
        content = content.setdefault(section, {})
    return content, name


def both(path: str, name: str, value: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """`name: value` beside a key, in the file and as an override; with where faults are to be, and those told."""
    content = copy.deepcopy(FULL)
    section, own = place(content, path)
    del section[own]
    section[name] = value
    beside = f"{path.rpartition('.')[0]}.{name}".lstrip(".")
    yield beside, faults(content)
    content = copy.deepcopy(FULL)
    section, _ = place(content, f"sources.quoter.{path}")
    section[name] = value
    yield f"sources.quoter.{beside}", faults(content)


@pytest.mark.parametrize("key", RULES, ids=lambda key: key.path)
def test_a_misspelt_key_is_told_with_the_one_that_is_near(key: Key) -> None:
    own = key.path.rpartition(".")[2]
    value = place(copy.deepcopy(FULL), key.path)[0][own]
    misspelt = own + own[-1]
    for at, told in both(key.path, misspelt, value):
        assert "did you mean" in told[at]
        assert own in told[at]


def wrong(key: Key) -> Any:
    """A value that no key of this one's kind takes."""
    kinds = {part.get("type") for part in (key.schema, *key.schema.get("anyOf", ()))}
    return [WRONG, None] if "string" in kinds and not choices(key) else WRONG


def choices(key: Key) -> list[str]:
    return [*key.schema.get("enum", ()), *(part["const"] for part in (key.schema,) if "const" in part)]


@pytest.mark.parametrize("key", RULES, ids=lambda key: key.path)
def test_a_wrong_value_is_told_with_its_key_and_what_there_is(key: Key) -> None:
    own = key.path.rpartition(".")[2]
    for at, told in both(key.path, own, wrong(key)):
        assert at in told
        if not isinstance(wrong(key), list):
            assert f'"{WRONG}"' in told[at]
        for choice in choices(key):
            assert choice in told[at]
