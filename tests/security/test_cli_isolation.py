"""With one tenant named, no command shows or changes anything of another: whatever its ids are, and however written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from cli import context
from cli.main import app, run
from hub.bus.records import Outgoing, Record
from hub.telemetry.health import Health
from hub.telemetry.health import make_app as make_health_app
from hub.telemetry.metrics import Metrics
from schemas.envelope import from_headers
from schemas.topics import CONTROL, DEAD_LETTERS, QUOTES
from services.ingest.http import make_app as make_door_app
from tests.security.two_tenants import (
    LETTERS,
    MARK,
    ODD_IDS,
    OURS,
    QUESTIONS,
    TENANT_FILE,
    THEIRS,
    fill,
    log_of_two,
)
from tests.unit.cli.test_events import made
from tests.unit.cli.topics import Topics

SHOWS, CHANGES, CONTRACT, PLATFORM = "shows", "changes", "contract", "platform"
COMMAND_KINDS = {
    "audit show": SHOWS,
    "backlog": SHOWS,
    "catalog asyncapi": CONTRACT,
    "catalog example": CONTRACT,
    "catalog list": CONTRACT,
    "catalog schema": CONTRACT,
    "decisions answer": CHANGES,
    "decisions list": SHOWS,
    "demo": PLATFORM,
    "dlq list": SHOWS,
    "dlq redrive": CHANGES,
    "dlq show": SHOWS,
    "event new": CONTRACT,
    "event send": CHANGES,
    "event token": CONTRACT,
    "event validate": CONTRACT,
    "rules try": SHOWS,
    "run": PLATFORM,
    "sandbox": PLATFORM,
    "store migrate": PLATFORM,
    "store restored": PLATFORM,
    "tenant catalogue": SHOWS,
    "tenant check": CHANGES,
    "tenant schema": CONTRACT,
    "tenant show": SHOWS,
    "topics apply": PLATFORM,
}
"""A command that is new belongs here, and what shows or changes tenants' data into the tests below."""


class Ran(NamedTuple):
    code: int
    out: str
    err: str
    published: tuple[Outgoing, ...]


Hub = Callable[..., Ran]


@pytest.fixture
def log() -> Topics:
    return log_of_two()


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with a row of each tenant, which no command changes."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store') / 'hub.db'}"
    asyncio.run(fill(url))
    return url


@pytest.fixture
def hub(
    log: Topics,
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Hub:
    """Runs a command on that log and that store."""
    monkeypatch.setenv("HUB_STORE_URL", store_url)
    monkeypatch.setenv("HUB_TENANTS_DIR", str(tmp_path / "tenants"))
    (tmp_path / "tenants").mkdir()
    sent: list[Outgoing] = []

    async def records_of(_settings: Any, topic: str, *, key_filter: Any = None) -> AsyncIterator[Record]:
        async for record in log.read(topic, key_filter):
            yield record

    class Publisher:
        async def publish(self, records: Sequence[Outgoing]) -> None:
            sent.extend(records)

    @asynccontextmanager
    async def publisher(_settings: Any) -> AsyncIterator[Publisher]:
        yield Publisher()

    monkeypatch.setattr(context, "records_of", records_of)
    monkeypatch.setattr(context, "publisher", publisher)

    def call(*arguments: str) -> Ran:
        sent.clear()
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err, tuple(sent))

    return call


def nothing_of_theirs(ran: Ran, *, but: str = "") -> None:
    shown = (ran.out + ran.err).replace(but, "") if but else ran.out + ran.err
    for word in (MARK, THEIRS, LETTERS[THEIRS], QUESTIONS[THEIRS]):
        assert word not in shown, shown
    for record in ran.published:
        assert record.key is not None
        assert THEIRS.encode() not in record.key
        assert from_headers(record.headers).tenant == OURS


def _leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command by its words; Typer has a click of its own, whose types are nobody else's."""
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield " ".join(path), command


# Every command --------------------------------------------------------------------------------------------------


def test_every_command_is_known_here() -> None:
    leaves = dict(_leaves(typer.main.get_command(app)))
    assert leaves.keys() == COMMAND_KINDS.keys()
    for name, command in leaves.items():
        takes = {parameter.name for parameter in command.params}
        if COMMAND_KINDS[name] in (SHOWS, CHANGES):
            named = takes & {"tenant", "tenant_file", "file"}
            assert named, f"`hub {name}` can't be told whose data it is about"


def test_what_is_of_no_tenant_says_nothing_of_any(hub: Hub) -> None:
    for arguments in (
        ["catalog", "list"],
        ["catalog", "asyncapi"],
        ["catalog", "example", "quote.published.v1"],
    ):
        nothing_of_theirs(hub(*arguments))


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["audit", "show", "Q-1", "--tenant", OURS], "created"),
        (["audit", "show", "Q-2", "--tenant", OURS], "Halo said no"),
        (["audit", "show", "c-9", "--tenant", OURS], "31"),
        (["audit", "show", "77", "--kind", "quote", "--tenant", OURS], "Halo's 77"),
        (["audit", "show", "31", "--kind", "client", "--tenant", OURS], "client c-9"),
        (["backlog", "--tenant", OURS], "ours"),
        (["backlog", "--tenant", OURS, "--reason", "decision"], "ours"),
        (["decisions", "list", "--tenant", OURS], "Bright Dental"),
        (["decisions", "list", "--tenant", OURS, "--all"], "Bright Dental"),
        (["dlq", "list", "--tenant", OURS], "Halo said no"),
        (["dlq", "list", "--tenant", OURS, "--reason", "halo.rejected"], "Halo said no"),
        (["dlq", "show", "aaaa", "--tenant", OURS], "Halo said no"),
        (["dlq", "show", "aaaa", "--tenant", OURS, "--reveal"], "Bright Dental"),
    ],
)
def test_what_shows_a_tenants_data_shows_nothing_of_another(
    arguments: list[str], word: str, json_too: list[str], hub: Hub
) -> None:
    if arguments[:3] == ["dlq", "show", "aaaa"] and "--reveal" in arguments:
        word = "Q-2"
    ran = hub(*arguments, *json_too)
    assert ran.code == 0, ran.err
    assert word in ran.out
    nothing_of_theirs(ran)
    assert ran.published == ()


def test_a_tenants_rules_are_its_own(hub: Hub) -> None:
    ran = hub("tenant", "show", OURS)
    assert json.loads(ran.out)["rules"]["tenant"] == OURS
    nothing_of_theirs(ran)


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_id_leads_to_what_has_it_and_to_nothing_else(odd: str, hub: Hub) -> None:
    ran = hub("audit", "show", odd, "--tenant", OURS, "--json")
    assert ran.code == 0, ran.err
    (only,) = json.loads(ran.out)
    assert only["said"].startswith(f"quote.published.v1 of {odd} ")
    nothing_of_theirs(ran, but=odd)


def test_a_story_without_a_tenant_mixes_none_into_anothers(hub: Hub, log: Topics) -> None:
    """Halo's quote 78 is theirs alone; that its source ids are ours as well makes no story of ours of it."""
    for record in list(log.records["hub.targets.v1"]):
        if THEIRS.encode() in (record.key or b""):
            changed = (record.value or b"").replace(b'"halo_id":77', b'"halo_id":78')
            log.add(
                Outgoing(record.topic, record.key, changed, tuple((n, v or b"") for n, v in record.headers))
            )
    told = json.loads(hub("audit", "show", "78", "--kind", "quote", "--json").out)
    assert {one["what"] for one in told} >= {"event", "command", "outcome", "target"}
    (source,) = (one for one in told if one["what"] == "event")
    assert source["id"] == "e-1"
    assert log.records[QUOTES][source["offset"]].key == f"{THEIRS}/quote/Q-1".encode()
    assert OURS not in json.dumps(told)


WRONG_NAMES = (
    *(
        "Acme",
        "ACME",
        "acme ",
        " acme",
        "acme/",
        "./acme",
        "../acme",
        f"../tenants/{THEIRS}",
        "аcme",
        "acme%2F",
        "*",
        "",
    ),
    *(f"{OURS}/../{THEIRS}", f"{OURS}\x00{THEIRS}", f"{OURS},{THEIRS}", "%", "_cme", "acm_"),
)


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_what_only_looks_like_a_tenants_name_finds_nothing(name: str, hub: Hub) -> None:
    assert hub("backlog", "--tenant", name, "--json")[:2] == (2, "")
    assert json.loads(hub("dlq", "list", "--tenant", name, "--json").out) == []
    assert json.loads(hub("decisions", "list", "--tenant", name, "--all", "--json").out) == []
    assert hub("tenant", "show", name).code == 2
    assert hub("tenant", "check", name).code == 2
    assert hub("audit", "show", "Q-1", "--tenant", name).code == 1
    redriven = hub("dlq", "redrive", "--tenant", name, "--reason", "halo.rejected", "--yes")
    assert redriven.published == ()


# What changes ---------------------------------------------------------------------------------------------------


def test_a_redrive_of_one_tenants_letters_runs_nothing_of_another(hub: Hub) -> None:
    ran = hub("dlq", "redrive", "--tenant", OURS, "--reason", "halo.rejected", "--yes")
    assert ran.code == 0, ran.err
    assert {record.topic for record in ran.published} == {CONTROL, QUOTES}
    nothing_of_theirs(ran)


def test_a_redrive_by_id_stays_with_the_tenant_that_is_named(hub: Hub) -> None:
    refused = hub("dlq", "redrive", LETTERS[THEIRS], "--tenant", OURS)
    assert (refused.code, refused.published) == (2, ())
    nothing_of_theirs(refused, but=LETTERS[THEIRS])
    # The beginning of both ids means the one that is of that tenant.
    ran = hub("dlq", "redrive", "aaaa", "--tenant", OURS)
    assert ran.code == 0, ran.err
    assert len(ran.published) == 2
    nothing_of_theirs(ran)


def test_an_answer_stays_with_the_tenant_that_is_named(hub: Hub) -> None:
    refused = hub("decisions", "answer", QUESTIONS[THEIRS], "convert", "--tenant", OURS)
    assert (refused.code, refused.published) == (2, ())
    nothing_of_theirs(refused, but=QUESTIONS[THEIRS])
    both = hub("decisions", "answer", "bbbb", "convert")
    assert (both.code, both.published) == (2, ())
    ran = hub("decisions", "answer", "bbbb", "convert", "--tenant", OURS)
    assert ran.code == 0, ran.err
    assert [record.topic for record in ran.published] == [CONTROL]
    nothing_of_theirs(ran)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--reason", "halo.rejected", "--yes"],
        ["--yes"],
        ["--tenant", OURS, "--yes"],
        ["aaaa"],
        ["--tenant", OURS, "--reason", "halo.rejected"],
        [LETTERS[OURS], "--reason", "halo.rejected"],
    ],
    ids=["no tenant", "nothing", "no reason", "an id of two", "not confirmed", "both"],
)
def test_a_redrive_that_is_not_told_whose_or_not_confirmed_runs_nothing(
    arguments: list[str], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
    ran = hub("dlq", "redrive", *arguments)
    assert ran.code != 0
    assert ran.published == ()


def test_what_changes_many_things_at_once_asks_first() -> None:
    leaves = dict(_leaves(typer.main.get_command(app)))
    for name in ("store restored", "dlq redrive"):
        assert "yes" in {parameter.name for parameter in leaves[name].params}


def test_another_tenants_letter_is_not_shown_when_a_tenant_is_named(hub: Hub) -> None:
    ran = hub("dlq", "show", LETTERS[THEIRS], "--tenant", OURS, "--reveal")
    assert ran.code == 2
    nothing_of_theirs(ran, but=LETTERS[THEIRS])


def test_a_tenants_file_that_is_another_tenants_is_not_taken_for_it(hub: Hub, tmp_path: Path) -> None:
    """Else the other Halo would be written to, and the result go on the log as the other tenant's."""
    text = TENANT_FILE.format(tenant=THEIRS, client_id=MARK)
    (tmp_path / "tenants" / f"{OURS}.yaml").write_text(text)
    ran = hub("tenant", "check", OURS, "--write-proof")
    assert (ran.code, ran.published) == (2, ())
    assert MARK not in ran.err
    assert "is the file of tenant" in ran.err


def test_rules_are_tried_with_their_own_tenants_events_alone(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TENANT_FILE.format(tenant=THEIRS, client_id=MARK)
    (tmp_path / "theirs.yaml").write_text(text)
    told = made("quote.published.v1", capsys)
    assert told["tenant"] == OURS
    (tmp_path / "event.json").write_text(json.dumps(told))
    ran = hub("rules", "try", str(tmp_path / "theirs.yaml"), str(tmp_path / "event.json"))
    assert ran.code == 2
    assert MARK not in ran.out + ran.err


def test_the_log_holds_what_the_commands_keep_apart(hub: Hub, log: Topics) -> None:
    """Else all of the above would pass on an empty log."""
    assert MARK in hub("dlq", "list").out
    assert MARK in hub("backlog").out
    assert MARK in hub("decisions", "list").out
    assert MARK in hub("tenant", "show", THEIRS).out
    assert len(json.loads(hub("audit", "show", "Q-1", "--json").out)) > len(
        json.loads(hub("audit", "show", "Q-1", "--tenant", OURS, "--json").out)
    )
    assert len(log.records[DEAD_LETTERS]) == 3


# Every address ----------------------------------------------------------------------------------------------------


def test_over_http_there_is_nothing_to_ask_about_a_tenant() -> None:
    """Events go in; what there is to read is the contract, and health and figures on the port for operators."""
    none: Any = None
    door = {(route.path, *sorted(route.methods - {"HEAD"})) for route in _routes(make_door_app(none))}
    assert door == {("/v1/events", "POST"), ("/openapi.json", "GET")}
    health = {
        (route.path, *sorted(route.methods - {"HEAD"}))
        for route in _routes(make_health_app(Health(), Metrics()))
    }
    assert health == {("/health/live", "GET"), ("/health/ready", "GET"), ("/metrics", "GET")}


def _routes(application: Any) -> list[Any]:
    return list(application.routes)
