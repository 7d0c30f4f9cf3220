"""The JSON Schema of a tenant file marks what the hub would refuse, and refuses nothing that the hub takes."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from hub.tenants.load import RulesInvalid, from_text
from hub.tenants.schema import DIALECT, tenant_schema
from tools.docs import full_tenant_file
from tools.docs_tenant import keys

SCHEMA = tenant_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
FULL = full_tenant_file()
SMALLEST = {
    "tenant": "acme",
    "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:SECRET"},
}


def taken(content: Any) -> bool:
    try:
        from_text(json.dumps(content))
    except RulesInvalid:
        return False
    return True


def fits(content: Any) -> bool:
    return bool(VALIDATOR.is_valid(content))


def test_it_is_a_schema_of_the_dialect_that_editors_know() -> None:
    assert SCHEMA["$schema"] == DIALECT
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.feature("beyond.gitops", part="cli")
def test_files_that_the_hub_takes_fit() -> None:
    for content in (SMALLEST, FULL):
        assert taken(content)
        assert list(VALIDATOR.iter_errors(content)) == []


@pytest.mark.feature("beyond.gitops", part="cli")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tenant", "Not A Name"),
        ("halo.client_secret", "hunter22hunter22"),
        ("halo.budget.window", "5 minutes"),
        ("halo.budget.window", "0s"),
        ("halo.budget.requests", 0),
        ("halo.bulk", 101),
        ("halo.scopes", []),
        ("clients.match", ["telephone"]),
        ("agents.default", ""),
        ("addresses.line1", "planet"),
        ("items.asset_groups", ["Hardware"]),
        ("billing_periods", {"month": 0}),
        ("quotes.taxes.push", "yes"),
        ("nope", 1),
        ("quotes.nope", 1),
        ("sources.quoter.halo", {}),
        ("sources.quoter.quotes.nope", 1),
        ("sources.quoter.quotes.statuses", {"sent": 0}),
        ("items.on_rejected_predecessor", "wait"),
        ("fields.nope", {}),
        ("fields.lines", {"vendor": "vendor"}),
        ("fields.lines", {"vendor": "customfields."}),
        ("fields.lines", {"vendr": "note"}),
        ("fields.lines", {"vendor": {"halo": "note", "direction": "sideways"}}),
        ("fields.lines", {"vendor": {"direction": "both"}}),
        ("sources.quoter.fields.lines", {"vendor": "price"}),
        ("sources.quoter.items.part_number.from_", "name"),
        ("items.part_number.from", 5),
    ],
)
def test_what_the_hub_refuses_an_editor_marks(path: str, value: Any) -> None:
    content = copy.deepcopy(FULL)
    put(content, path, value)
    assert not taken(content)
    assert not fits(content)


@pytest.mark.parametrize("lost", ["tenant", "halo", "opportunities", "items", "halo.client_id", "halo.url"])
def test_what_is_missing_an_editor_marks(lost: str) -> None:
    content = copy.deepcopy(FULL)
    for server in ("resource_server", "authorization_server"):
        del content["halo"][server]
    *sections, key = lost.split(".")
    del (content[sections[0]] if sections else content)[key]
    assert not taken(content)
    assert not fits(content)


def test_one_producer_may_override_one_key_of_a_section_and_switch_a_section_off() -> None:
    content = copy.deepcopy(FULL) | {
        "sources": {"a": {"opportunities": {"status": "Open"}}, "b": {"quotes": None}}
    }
    assert taken(content)
    assert fits(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("items.part_number.from", "vendor_part_number"),
        (
            "fields.lines",
            {"vendor": "note", "custom.room": {"halo": "customfields.CFRoom", "direction": "to_halo"}},
        ),
        ("fields.quotes", {"contact.custom.desk": "risk", "sold_to.custom.dock": "auth_by"}),
        ("fields.quotes", {"custom.state": {"halo": "status", "direction": "from_halo"}}),
    ],
)
def test_aliases_and_links_fit_in_the_file_and_in_one_producers_overrides(path: str, value: Any) -> None:
    for at in (path, f"sources.quoter.{path}"):
        content = copy.deepcopy(FULL)
        put(content, at, value)
        assert taken(content)
        assert fits(content)


_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        1,
        101,
        "",
        " ",
        "auto",
        "off",
        "Hardware",
        "block",
        "60m",
        "street",
        "custom.x",
        "file:/x",
    ),
    *([], {}, ["name"], ["halo_id"], {"a": "b"}, {"a": None}, {"a": 5}, {"quotes": {}}, {"a": {"x": 1}}),
)


def test_it_refuses_nothing_that_the_hub_takes() -> None:
    """Else an editor would mark a file that is right. Every key of the full file gets every value once."""
    tried = 0
    for path in paths(FULL):
        for value in _VALUES:
            content = copy.deepcopy(FULL)
            put(content, path, copy.deepcopy(value))
            if taken(content):
                tried += 1
                assert list(VALIDATOR.iter_errors(content)) == []
    assert tried > 100


def test_every_key_is_described() -> None:
    definitions = SCHEMA["$defs"]
    bare = [
        key.path
        for key in keys(SCHEMA)
        if not (
            key.schema.get("description") or (key.section and definitions[key.section].get("description"))
        )
    ]
    assert bare == [], "write what it means below it, in hub/tenants/model.py"


def test_the_full_file_has_every_key() -> None:
    """Its values are the examples of the reference."""
    assert {key.path for key in keys(SCHEMA)} <= set(paths(FULL))


def paths(content: Any, at: str = "") -> list[str]:
    found = []
    for key, value in content.items():
        found.append(at + key)
        if isinstance(value, dict):
            found += paths(value, f"{at}{key}.")
    return found


def put(content: Any, path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for section in sections:
        if not isinstance(content.get(section), dict):
            content[section] = {}
        content = content[section]
    content[key] = value
