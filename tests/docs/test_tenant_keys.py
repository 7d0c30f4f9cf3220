"""Each key of a tenant file that a guide names is one that there is, with a value that it takes."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hub.tenants.load import from_text
from hub.tenants.model import RuleSet
from hub.tenants.schema import tenant_schema
from tests.docs.guides import DOCS, ROOT, text_of
from tools.docs import full_tenant_file
from tools.docs_tenant import keys

KEYS = {key.path for key in keys(tenant_schema())}
TABLES = {key.path for key in keys(tenant_schema()) if "additionalProperties" in key.schema}
# What is recorded or generated is held to be right by other tests.
GUIDES = sorted(
    path.name for path in DOCS.glob("*.md") if path.name not in ("features.md", "benchmarks.md", "soak.md")
)
NAMED = re.compile(rf"`((?:{'|'.join(RuleSet.model_fields)})(?:\.[a-z_0-9]+)+)(?:: ([^`]+))?`")
SECTIONS = ("clients", "users", "agents", "items", "opportunities", "quotes")
CODE = "\n".join(path.read_text() for name in ("hub", "services") for path in (ROOT / name).rglob("*.py"))


def named(guide: str) -> Iterator[tuple[str, str | None]]:
    """Each key in the guide's text, with the value that is written beside it."""
    for key, value in NAMED.findall(text_of(guide)):
        # A line of the log and a file may begin as a key of the connection does.
        if key in KEYS or (f'"{key}"' not in CODE and not key.endswith((".yaml", ".json"))):
            yield key, value or None


@pytest.mark.parametrize("guide", GUIDES)
def test_each_key_that_a_guide_names_is_a_key_of_the_file(guide: str) -> None:
    unknown = {key for key, _ in named(guide) if key not in KEYS and key.rpartition(".")[0] not in TABLES}
    assert unknown == set()


@pytest.mark.parametrize("guide", GUIDES)
def test_each_value_that_a_guide_gives_a_key_is_one_that_it_takes(guide: str) -> None:
    full = full_tenant_file()
    for key, value in named(guide):
        if value is not None:
            content: Any = copy.deepcopy(full)
            *sections, last = key.split(".")
            place = content
            for section in sections:
                place = place[section]
            place[last] = yaml.safe_load(value)
            from_text(json.dumps(content))


def test_a_producer_is_told_of_each_key_that_may_change_what_becomes_of_a_quote() -> None:
    """Or of the section that it is in; a key that is new and not told fails here."""
    told = set(
        re.findall(r"`([a-z_.]+)`", text_of("quoting.md").partition("## What the tenant's file changes")[2])
    )
    mapping = {key for key in KEYS if key.count(".") == 1 and key.partition(".")[0] in SECTIONS}
    mapping |= set(RuleSet.model_fields) - {"tenant", "halo", *SECTIONS}
    assert {key for key in mapping - told if not key.endswith(".on_rejected_predecessor")} == set()
