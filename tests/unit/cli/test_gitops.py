"""Tenant files in a pipeline: checked and tried against a saved catalogue, without network and without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.main import run
from hub.tenants.load import accept
from hub.tenants.schema import tenant_schema

TENANT = """
tenant: acme
halo: {url: https://acme.halopsa.com, client_id: x, client_secret: env:NOT_THERE}
agents: {default: Sales Desk}
items: {asset_group: Hardware, asset_groups: {Cloud: Managed Services}}
currency: GBP
opportunities: {ticket_type: Opportunity}
quotes: {statuses: {sent: Sent}}
"""
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/quoter",
    "type": "quote.published.v1",
    "subject": "Q-7",
    "time": "2026-01-05T10:00:00Z",
    "tenant": "acme",
    "data": {
        "title": "Laptops",
        "status": "sent",
        "customer": {"name": "Bright Dental"},
        "lines": [
            {"id": "1", "product": {"name": "Laptop", "category": "Cloud"}, "quantity": 2, "price": "10.10"}
        ],
    },
}


def rows(*names: str) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for number, name in enumerate(names, start=1)]


CATALOGUE: dict[str, Any] = {
    "format": "halo-hub catalogue 1",
    "tenant": "acme",
    "instance": "acme.halopsa.com",
    "saved_at": "2026-01-05T10:00:00Z",
    "lists": {
        "agent": rows("Sales Desk", "Jane Doe"),
        "asset_group": [*rows("Hardware", "Managed Services"), {"id": 3, "name": "Servers", "usable": False}],
        "currency": [{"id": 1, "name": "Pound Sterling", "code": "GBP"}],
        "quote_status": rows("Draft", "Sent", "Accepted"),
        "ticket_type": rows("Opportunity"),
    },
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing is asked of anyone")

    monkeypatch.setattr(httpx.AsyncClient, "send", refuse)
    monkeypatch.setenv("HUB_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("HUB_STORE_URL", "sqlite+aiosqlite:////nowhere/hub.db")


class Pipeline:
    """The files of a repository of tenants, and the commands that its pipeline runs."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.event = directory / "acme.yaml", directory / "event.json"
        self.catalogue = directory / "acme.catalogue.json"
        self.file.write_text(TENANT)
        self.event.write_text(json.dumps(EVENT))
        self.catalogue.write_text(json.dumps(CATALOGUE))
        self._capsys = capsys

    def change(self, old: str, new: str) -> None:
        assert old in TENANT
        self.file.write_text(TENANT.replace(old, new))

    def check(self, *options: str) -> tuple[int, dict[str, Any]]:
        return self.run("tenant", "check", str(self.file), "--offline", str(self.catalogue), *options)

    def try_(self) -> tuple[int, dict[str, Any]]:
        return self.run("rules", "try", str(self.file), str(self.event), "--catalogue", str(self.catalogue))

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the one document on stdout."""
        code = run([*arguments, "--json"])
        return code, json.loads(self._capsys.readouterr().out)


@pytest.fixture
def pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Pipeline:
    return Pipeline(tmp_path, capsys)


def of(checks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [check for check in checks if check["name"] == name]
    return found


@pytest.mark.feature("beyond.gitops", part="cli")
def test_a_file_whose_names_are_all_in_the_catalogue_passes(pipeline: Pipeline) -> None:
    code, answer = pipeline.check()
    assert (code, answer["ok"], answer["catalogue"]) == (0, True, "2026-01-05T10:00:00Z")
    assert {check["verdict"] for check in answer["checks"]} == {"ok"}
    assert {check["name"] for check in answer["checks"]} >= {"currency", "items.asset_groups.Cloud"}
    assert answer["hash"] == accept(TENANT.encode()).hash, "what `hub tenant show` says once it is in force"


@pytest.mark.feature("beyond.gitops", part="cli")
@pytest.mark.parametrize(
    ("old", "new", "at", "meant"),
    [
        ("asset_group: Hardware", "asset_group: Hardwear", "items.asset_group", "'Hardware'"),
        ("sent: Sent", "sent: Sentt", "quotes.statuses.sent", "'Sent'"),
        ("currency: GBP", "currency: Pounds Sterling", "currency", "'Pound Sterling'"),
        ("asset_group: Hardware", "asset_group: Servers", "items.asset_group", None),
    ],
)
def test_an_unknown_name_fails_with_what_was_probably_meant(
    pipeline: Pipeline, old: str, new: str, at: str, meant: str | None
) -> None:
    pipeline.change(old, new)
    code, answer = pipeline.check()
    assert (code, answer["ok"]) == (1, False)
    failed = of(answer["checks"], at)
    assert failed["verdict"] == "failed"
    if meant is not None:
        assert meant in failed["fix"]


@pytest.mark.feature("beyond.gitops", part="cli")
def test_a_file_that_cannot_be_used_ends_with_2_and_all_its_faults_in_the_document(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.change("client_secret: env:NOT_THERE", "client_secret: hunter22hunter22, nope: 1")
    for code, answer in (pipeline.check(), pipeline.try_()):
        assert (code, answer["ok"]) == (2, False)
        assert {fault["at"] for fault in answer["faults"]} == {"halo.client_secret", "halo.nope"}
        assert "hunter22" not in json.dumps(answer)
    assert run(["tenant", "check", str(pipeline.file), "--offline", str(pipeline.catalogue)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "", "without --json stdout is for people, and there is nothing for them"
    assert "halo.nope" in printed.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instance": "other.halopsa.com"}, "other.halopsa.com"),
        ({"format": "something else"}, "is no catalogue"),
        ({"more": 1}, "is no catalogue"),
        ({"lists": {"planet": []}}, "is no catalogue"),
    ],
)
def test_a_catalogue_that_is_none_or_of_another_halo_is_not_used(
    pipeline: Pipeline, change: dict[str, Any], said: str
) -> None:
    pipeline.catalogue.write_text(json.dumps(CATALOGUE | change))
    for code, answer in (pipeline.check(), pipeline.try_()):
        assert (code, answer["ok"]) == (2, False)
        assert said in answer["error"]


def test_what_the_catalogue_lacks_is_not_taken_for_right(pipeline: Pipeline) -> None:
    lists = {name: found for name, found in CATALOGUE["lists"].items() if name != "asset_group"}
    pipeline.catalogue.write_text(json.dumps(CATALOGUE | {"lists": lists}))
    code, answer = pipeline.check()
    assert (code, of(answer["checks"], "asset_group")["fix"]) == (1, "save it again")
    code, answer = pipeline.try_()
    assert (code, answer["ok"]) == (1, False)


@pytest.mark.parametrize("option", ["--write-proof", "--refresh"])
def test_what_needs_halo_is_refused_offline(pipeline: Pipeline, option: str) -> None:
    code, answer = pipeline.check(option)
    assert (code, answer["ok"]) == (2, False)


def test_a_tenant_without_a_file_here_is_not_asked_for_on_the_log(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_TENANTS_DIR", str(tmp_path))
    assert pipeline.run("tenant", "check", "acme", "--offline", str(pipeline.catalogue))[0] == 0
    code, answer = pipeline.run("tenant", "check", "nobody", "--offline", str(pipeline.catalogue))
    assert code == 2
    assert "nobody" in answer["error"]


# hub rules try ----------------------------------------------------------------------------------------------------


@pytest.mark.feature("beyond.gitops", part="cli")
def test_an_event_whose_names_halo_has_passes(pipeline: Pipeline) -> None:
    code, answer = pipeline.try_()
    assert (code, answer["ok"], answer["faults"]) == (0, True, [])
    (event,) = answer["events"]
    assert [command["type"] for command in event["commands"]][-1] == "upsert_quote.v1"
    assert of(event["names"], "quotes.statuses")["detail"] == "quote status 'Sent' is Halo's 2"
    assert of(event["names"], "items.asset_groups")["detail"] == "asset group 'Managed Services' is Halo's 2"


@pytest.mark.feature("beyond.gitops", part="cli")
def test_a_name_for_which_halo_would_reject_a_command_fails_and_one_that_is_left_alone_warns(
    pipeline: Pipeline,
) -> None:
    data = EVENT["data"] | {"currency": "GBPP", "status": "Acepted"}
    pipeline.event.write_text(json.dumps(EVENT | {"data": data}))
    code, answer = pipeline.try_()
    assert (code, answer["ok"]) == (1, False)
    (event,) = answer["events"]
    assert of(event["names"], "currencies")["verdict"] == "failed"
    status = of(event["names"], "quotes.statuses")
    assert status["verdict"] == "warning"
    assert "Accepted" in status["detail"]


def test_a_fallback_is_told_as_one(pipeline: Pipeline) -> None:
    pipeline.change("Managed Services", "Clouds")
    code, answer = pipeline.try_()
    assert code == 0
    told = of(answer["events"][0]["names"], "items.asset_groups")
    assert told["detail"] == "Halo has no asset group 'Clouds'; 'Hardware' was taken"
    assert told["verdict"] == "warning"
    # A source's own word that no entry maps is expected to fall to the default.
    pipeline.change("{Cloud: Managed Services}", "{}")
    _, answer = pipeline.try_()
    told = of(answer["events"][0]["names"], "items.asset_group")
    assert told["detail"] == "Halo has no asset group 'Cloud'; 'Hardware' is Halo's 1"
    assert told["verdict"] == "ok"


@pytest.mark.feature("item.group.for_items", part="mapper")
def test_a_group_that_the_file_maps_to_and_that_is_not_for_items_fails(pipeline: Pipeline) -> None:
    pipeline.change("Managed Services", "Servers")
    code, answer = pipeline.try_()
    assert code == 1
    told = of(answer["events"][0]["names"], "items.asset_groups")
    assert told["verdict"] == "failed"
    assert "Use for Items" in told["detail"]


def test_a_word_of_the_source_that_halo_may_lack_is_no_warning(pipeline: Pipeline) -> None:
    catalogue = CATALOGUE | {"lists": CATALOGUE["lists"] | {"item_type": rows("Hardware")}}
    lines = [{"id": "1", "product": {"name": "Hour", "item_type": "Labor"}, "quantity": 1, "price": "1"}]
    pipeline.event.write_text(json.dumps(EVENT | {"data": EVENT["data"] | {"lines": lines}}))
    _, answer = pipeline.try_()
    assert of(answer["events"][0]["names"], "item_type")["verdict"] == "ok", "though the list was not saved"
    pipeline.catalogue.write_text(json.dumps(catalogue))
    _, answer = pipeline.try_()
    told = of(answer["events"][0]["names"], "item_type")
    assert (told["verdict"], told["detail"]) == ("ok", "Halo has no item type 'Labor'; it is left out")


def test_what_would_be_said_of_names_is_shown_to_people_too(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.event.write_text(json.dumps(EVENT | {"data": EVENT["data"] | {"currency": "GBPP"}}))
    arguments = [
        "rules",
        "try",
        str(pipeline.file),
        str(pipeline.event),
        "--catalogue",
        str(pipeline.catalogue),
    ]
    assert run(arguments) == 1
    assert "Halo has no currency 'GBPP'" in capsys.readouterr().out


@pytest.mark.feature("beyond.gitops", part="cli")
def test_a_faulty_event_ends_with_1_and_its_faults_in_the_document(pipeline: Pipeline) -> None:
    pipeline.event.write_text(json.dumps(EVENT | {"time": "today", "data": {"title": ""}}))
    code, answer = pipeline.try_()
    assert (code, answer["ok"], answer["events"]) == (1, False, [])
    assert {"time", "data.title", "data"} <= {fault["at"] for fault in answer["faults"]}


def test_an_event_of_another_tenant_is_unusable_input(pipeline: Pipeline) -> None:
    pipeline.event.write_text(json.dumps(EVENT | {"tenant": "northwind"}))
    code, answer = pipeline.try_()
    assert (code, answer["ok"]) == (2, False)


# The schema ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature("beyond.gitops", part="cli")
def test_the_schema_for_editors_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tenant", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == tenant_schema()
