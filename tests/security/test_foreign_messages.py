"""A message never acts for another tenant than its key's: not by its headers, its body, or what it refers to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hub.bus.records import Outgoing, Record
from hub.dead_letter_box import DeadLetterBox
from hub.store.engine import Store
from hub.telemetry.health import Condition
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import RulesFollower
from hub.tenants.load import accept
from hub.tenants.publisher import message
from schemas.commands import Command, Field
from schemas.control import SyncRequested
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.outcomes import DeadLetter
from schemas.quotes import Quote
from schemas.registry import decode, encode
from schemas.targets import Target
from schemas.topics import BY_NAME, COMMANDS, CONTROL, DEAD_LETTERS, HALO, QUOTES, is_keyed_by
from services.halo_writer.feeds import Feeds
from services.halo_writer.intake import Unreadable, read_command
from services.halo_writer.writer import Writer
from services.ingest.control import request_read
from services.mapper.intake import Event, Refused, read
from tests.unit.halo_writer.build import Tool, changed, envelope_of
from tests.unit.mapper.build import envelope, quote

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
OURS, THEIRS = Tool(), replace(Tool(), tenant="northwind", instance="northwind.halopsa.example")
TENANT_FILE = (
    "tenant: {tenant}\nhalo: {{url: https://acme.halopsa.example, client_id: i, client_secret: env:S}}\n"
)


def record(
    topic: str, key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes | None], ...]
) -> Record:
    return Record(topic, 0, 0, 0, key, value, headers)


def command_record(
    command: Command, *, key: bytes | None = b"acme", tenant: str = "acme", **about: Any
) -> Record:
    told = msgspec.structs.replace(envelope_of(command), tenant=tenant, **about)
    return record(COMMANDS, key, encode(command), headers_of(told))


def _quote_for(line_target: Target) -> Command:
    made = OURS.quote()
    assert isinstance(made.lines, Field)
    lines = tuple(msgspec.structs.replace(line, item=line_target) for line in made.lines.value)
    return changed(made, lines=Field(value=lines))


# Commands ---------------------------------------------------------------------------------------------------


def test_a_command_whose_tenant_is_the_same_everywhere_is_read() -> None:
    for command in OURS.whole_quote():
        assert read_command(command_record(command)).command == command


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(lambda: command_record(OURS.client(), tenant="northwind"), id="header"),
        pytest.param(lambda: command_record(OURS.client(), key=b"northwind"), id="key"),
        pytest.param(lambda: command_record(OURS.client(), key=None), id="no key"),
        pytest.param(lambda: command_record(OURS.client(), key=b"acme/quote/1"), id="longer key"),
        pytest.param(lambda: command_record(OURS.client(), key=b"ACME"), id="key in another case"),
        pytest.param(
            lambda: command_record(OURS.client(), key=b"northwind", tenant="northwind"), id="target alone"
        ),
        pytest.param(lambda: command_record(THEIRS.client()), id="target of another"),
        pytest.param(
            lambda: command_record(changed(OURS.quote(), client=Field(value=THEIRS.client().target))),
            id="reference",
        ),
        pytest.param(lambda: command_record(_quote_for(THEIRS.item().target)), id="item of a line"),
        pytest.param(
            lambda: command_record(_quote_for(replace(OURS, instance="old.example").item().target)),
            id="item in another Halo",
        ),
        pytest.param(
            lambda: command_record(OURS.client(), key=b"northwind", type="upsert_client.v9"),
            id="of a newer release",
        ),
    ],
)
def test_a_command_that_names_two_tenants_is_refused(forged: Callable[[], Record]) -> None:
    with pytest.raises(Unreadable) as raised:
        read_command(forged())
    assert raised.value.reason == "tenant.mismatch"
    # Not parked for an upgrade either: a row of pending would run under the tenant that it claims.
    assert raised.value.newer is None
    assert len(raised.value.faults) == 1


async def test_a_refused_command_reaches_no_lane_and_is_kept_as_a_dead_letter() -> None:
    published: list[Outgoing] = []
    marked: list[str] = []

    class Publisher:
        async def publish(self, records: list[Outgoing]) -> None:
            published.extend(records)

    services: Any = SimpleNamespace(
        steps=SimpleNamespace(reached=lambda _step: None), publisher=Publisher(), store=None
    )
    none: Any = None
    metrics = Metrics()
    letters = DeadLetterBox(services.publisher.publish, Condition())
    writer = Writer(services, RulesFollower(), none, metrics, letters, partitions=1, request_timeout_s=1.0)
    forged = command_record(THEIRS.client())
    delivery: Any = SimpleNamespace(record=forged, active=True, done=lambda: marked.append("done"))
    await writer.take([delivery])
    await letters.flush()
    assert writer._lanes == {}
    assert marked == ["done"]
    (letter,) = published
    assert letter.topic == DEAD_LETTERS
    told: DeadLetter = decode(from_headers(letter.headers).type, letter.value or b"")
    assert (told.stage, told.reason) == ("writer", "tenant.mismatch")
    assert told.value is not None
    # Whatever a key claims is no label, unless it is a tenant.
    labels = {"tenant": "unknown", "stage": "writer", "reason": "tenant.mismatch"}
    assert metrics.registry.get_sample_value("hub_dead_letters_total", labels) == 1


async def test_a_command_that_the_reader_falls_over_is_a_dead_letter_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[Outgoing] = []

    async def publish(records: Sequence[Outgoing]) -> None:
        published.extend(records)

    def fall(_record: Record) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("services.halo_writer.writer.read_command", fall)
    services: Any = SimpleNamespace(steps=SimpleNamespace(reached=lambda _step: None))
    none: Any = None
    metrics = Metrics()
    letters = DeadLetterBox(publish, Condition())
    writer = Writer(services, RulesFollower(), none, metrics, letters, partitions=1, request_timeout_s=1.0)
    marked: list[str] = []
    delivery: Any = SimpleNamespace(
        record=command_record(OURS.client()), active=True, done=lambda: marked.append("done")
    )
    await writer.take([delivery])
    await letters.flush()
    (letter,) = published
    told: DeadLetter = decode(from_headers(letter.headers).type, letter.value or b"")
    assert (told.reason, marked) == ("writer.failed", ["done"])


# Source events ----------------------------------------------------------------------------------------------

_SUBJECTS = [
    "b/quote/1",
    "../northwind/quote/1",
    "..%2Fnorthwind",
    "%2F",
    "northwind/quote/Q-1",
    "а/quote/1",
    "/",
]


def source_record(about: Envelope, key: bytes | None) -> Record:
    return record(QUOTES, key, encode(quote()), headers_of(about))


@pytest.mark.parametrize(
    "key", [b"northwind/quote/Q-1", b"Acme/quote/Q-1", b"acme/quote/Q-1 ", b"acme\x00/quote/Q-1"]
)
def test_a_source_event_under_another_tenants_key_is_a_dead_letter(key: bytes) -> None:
    refused = read(source_record(envelope(1), key), NOW)
    assert isinstance(refused, Refused)
    assert refused.reason == "key.mismatch"


@pytest.mark.parametrize(
    "tenant", ["acme/quote", "Acme", "аcme", "acme ", "../acme", "acme%2F", "*", "acme\n", ""]
)
def test_what_only_looks_like_a_tenants_name_is_no_name(tenant: str) -> None:
    about = msgspec.structs.replace(envelope(1), tenant=tenant)
    refused = read(source_record(about, about.key), NOW)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.envelope) == ("envelope.invalid", None)


@pytest.mark.parametrize("subject", _SUBJECTS)
def test_an_id_that_looks_like_another_tenants_key_stays_its_own_tenants(subject: str) -> None:
    about = msgspec.structs.replace(envelope(1), subject=subject)
    event = read(source_record(about, about.key), NOW)
    assert isinstance(event, Event)
    assert (event.key.tenant, event.key.id) == ("acme", subject)
    assert is_keyed_by(QUOTES, about.key, "acme")
    assert not is_keyed_by(QUOTES, about.key, "northwind")


_IDS = st.text(alphabet="ab/%2Fа.\\ ", min_size=1, max_size=8)


@given(first=st.tuples(_IDS, _IDS, _IDS), second=st.tuples(_IDS, _IDS, _IDS))
def test_targets_of_two_tenants_or_ids_never_share_a_key(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    def target(tenant: str, parts: tuple[str, str, str]) -> Target:
        return Target(
            tenant=tenant, instance=parts[0], source=parts[1], kind="quote", id=parts[2], scope=parts[0]
        )

    assert target("a", first).key != target("b", second).key
    assert (target("a", first).key == target("a", second).key) == (first == second)


def test_one_tenants_name_at_the_beginning_of_anothers_is_not_its_key() -> None:
    assert not is_keyed_by(QUOTES, b"acme-2/quote/1", "acme")
    assert not is_keyed_by(CONTROL, b"acme-2", "acme")
    assert not is_keyed_by(CONTROL, None, "acme")
    assert all(
        topic.key == "tenant" or topic.key.startswith(("tenant/", "target")) for topic in BY_NAME.values()
    )


# The hub's own topics ---------------------------------------------------------------------------------------


def settings_record(tenant: str, *, text_of: str | None = None, key: bytes | None = None) -> Record:
    accepted = accept(TENANT_FILE.format(tenant=text_of or tenant).encode())
    out = message(msgspec.structs.replace(accepted, tenant=tenant), 1, NOW)
    return record(CONTROL, out.key if key is None else key, out.value or b"", out.headers)


def test_rules_are_their_own_tenants() -> None:
    follower = RulesFollower()
    follower.apply(settings_record("acme"))
    follower.apply(settings_record("northwind", key=b"acme"))
    follower.apply(settings_record("contoso", text_of="acme"))
    assert follower.get("acme") is not None
    assert follower.get("northwind") is None
    with structlog.testing.capture_logs() as logs:
        assert follower.get("contoso") is None
    assert "that of tenant acme" in logs[0]["problem"]


def test_a_request_to_read_is_for_the_tenant_of_its_key() -> None:
    asked: list[str] = []
    reading: Any = SimpleNamespace(request=lambda tenant, _kinds, _at: asked.append(tenant))
    about = msgspec.structs.replace(envelope(1), type="sync.requested.v1", tenant="northwind")
    value = encode(SyncRequested(by="x"))
    request_read(record(CONTROL, b"acme", value, headers_of(about)), reading)
    assert asked == []
    request_read(record(CONTROL, b"northwind", value, headers_of(about)), reading)
    assert asked == ["northwind"]


async def test_what_is_keyed_for_another_tenant_changes_nothing_in_the_store() -> None:
    class NoStore(Store):
        def __init__(self) -> None: ...

        def write(self) -> Any:
            raise AssertionError("it was written")

    deliveries: list[Any] = []
    marked: list[int] = []
    for topic, key in ((CONTROL, b"northwind"), (HALO, b"northwind/client/1"), (HALO, None)):
        told = settings_record("acme")
        foreign = record(topic, key, told.value or b"", told.headers)
        deliveries.append(SimpleNamespace(record=foreign, done=lambda: marked.append(1)))
    await Feeds(NoStore()).take(deliveries)
    assert len(marked) == 3


def test_the_sample_quote_is_one() -> None:
    """Else every refusal above could be one of its data."""
    assert isinstance(quote(), Quote)
    assert isinstance(read(source_record(envelope(1), envelope(1).key), NOW), Event)
