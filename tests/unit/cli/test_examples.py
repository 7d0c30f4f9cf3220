"""The example tenants: their files are valid and whole, and what is installed carries them."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import tomllib
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec
import pytest
from setuptools import find_namespace_packages  # type: ignore[import-untyped]

from cli.demo.like.example import SANDBOX, example, names
from cli.main import run
from hub.tenants.load import accept, plain_yaml
from sandbox.fixtures import parse
from sandbox.schema import Schema
from services.ingest import content
from services.ingest.validate import judge
from tests.docs.guides import ROOT, blocks

DIRECTORY = ROOT / "sandbox" / "examples"
NAMES = ["quoter", "quotewerks", "salesbuildr"]
FILES = sorted(DIRECTORY.glob("*/quotes/*.yaml"))
NOW = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)


def test_there_is_one_for_each_of_the_three_products() -> None:
    assert names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_tenant_file_is_valid_and_sets_nothing_in_vain(name: str) -> None:
    accepted = accept((DIRECTORY / name / "tenant.yaml").read_bytes())
    assert accepted.notes == ()
    assert accepted.tenant == f"example-{name}"


@pytest.mark.parametrize("name", NAMES)
def test_each_key_of_a_tenant_file_says_which_behaviour_it_is(name: str) -> None:
    text = (DIRECTORY / name / "tenant.yaml").read_text().partition("\nclients:")[2]
    silent = [
        section
        for section in re.split(r"\n(?=[a-z])", f"clients:{text}")
        for key in re.split(r"\n(?=  [a-z])", section)[1:] or [section]
        if "#" not in key and "#" not in section.partition("\n")[0]
    ]
    assert silent == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_each_event_fits_its_schema_and_belongs_to_its_example(file: Path) -> None:
    events = plain_yaml(file.read_bytes())
    body = msgspec.json.encode(events)
    judged = judge(content.events_of(content.BATCH, (), body, max_events=100), NOW)
    assert judged.faults == ()
    assert {(event["source"], event["tenant"]) for event in events} == {
        (f"/{file.parts[-3]}", f"example-{file.parts[-3]}")
    }


@pytest.mark.parametrize("name", NAMES)
def test_there_are_ten_quotes_each_with_what_is_to_come_of_it(name: str) -> None:
    one = example(name)
    assert len(list((DIRECTORY / name / "quotes").iterdir())) == len(one.quotes) == 10
    assert set(one.expected["quotes"]) == set(one.quotes)
    for quote, wanted in one.expected["quotes"].items():
        assert {"shows", "client", "opportunity", "quotes"} <= wanted.keys(), quote


@pytest.mark.parametrize("name", NAMES)
def test_no_two_events_have_one_id_but_those_that_are_one_event(name: str) -> None:
    one = example(name)
    by_id: dict[str, list[Any]] = {}
    for event in one.events:
        by_id.setdefault(event["id"], []).append(event)
    assert all(event == same[0] for same in by_id.values() for event in same)
    assert Counter(len(same) for same in by_id.values())[1] > 10


@pytest.mark.parametrize("name", NAMES)
def test_an_example_goes_the_ways_that_quotes_go(name: str) -> None:
    """New and known clients, revisions, discounts, recurring lines, winning, and what comes in the wrong order."""
    one = example(name)
    documents = [event["data"] for event in one.events if "lines" in event["data"]]
    lines = [line for document in documents for line in document["lines"]]
    orders = [
        [event["revision"] for event in events if event["subject"] == quote and "revision" in event]
        for quote, events in one.quotes.items()
    ]
    assert one.expected["in_all"]["clients"]
    assert any("frequency" in line for line in lines)
    assert any("discount" in document for document in documents)
    assert any(order != sorted(order) for order in orders)
    assert any(event["type"] == "quote.updated.v1" for event in one.events)
    wins = set(plain_yaml(one.rules.encode())["quotes"]["won"])
    assert any(event["data"].get("status") in wins or "to" in event["data"] for event in one.events)


@pytest.mark.parametrize("name", NAMES)
def test_what_halo_has_beside_the_packaged_data_can_be_loaded(name: str) -> None:
    assert parse(example(name).halo, Schema.load()).rows


@pytest.mark.parametrize("name", NAMES)
def test_in_the_demo_an_example_has_a_halo_of_its_own(name: str) -> None:
    rules = example(name).guest.rules_at("http://127.0.0.1:7001")
    assert rules.count(f"http://127.0.0.1:7001/{name}/") == 2
    assert SANDBOX not in rules


@pytest.mark.parametrize(
    ("asked", "told"), [("qouter", "did you mean quoter"), ("zz", "there are quoter, quotewerks")]
)
def test_a_name_that_is_none_is_refused_with_those_that_are_near(
    asked: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--like", asked]) == 2
    assert told in capsys.readouterr().err


def test_what_is_installed_carries_the_examples() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = set(find_namespace_packages(str(ROOT), include=settings["packages"]["find"]["include"]))
    patterns = settings["package-data"]["*"]
    for file in DIRECTORY.rglob("*.yaml"):
        assert ".".join(file.parent.relative_to(ROOT).parts) in packages
        assert any(fnmatch(file.name, pattern) for pattern in patterns)
    assert "COPY sandbox sandbox" in (ROOT / "Dockerfile").read_text()


def test_the_guides_commands_do_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    commands = [
        shlex.split(line, comments=True)
        for block in blocks("examples.md", "bash")
        for line in block.splitlines()
    ]
    assert [command[:2] for command in commands if command] == [["hub", "event"], ["hub", "rules"]]
    for command in commands:
        assert run(command[1:]) == 0
    out = capsys.readouterr().out
    assert "valid: 4 event(s)" in out
    assert "create_sales_order.v1" in out
