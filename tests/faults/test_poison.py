"""Messages that no stage can process: each is set aside with its bytes and a reason, and nobody waits behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.dead_letters import Letter
from schemas.base import MAX_LINES
from schemas.envelope import headers_of
from schemas.topics import COMMANDS, QUOTES
from tests.faults.conftest import all_commands_ended, quotes_titled
from tests.faults.on_the_log import (
    envelope_of,
    letters,
    put,
    put_events,
    quote_in_partition,
    records,
)
from tests.faults.operating import change_rules, metric, redrive
from tests.support.bus import send_bad_header_name
from tests.support.hub import PATIENT, PRODUCER_TOKEN, ROOT, Hub, Process, eventually, quote_event

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
_MIB = 1024 * 1024
ENVIRONMENT = PATIENT
_CLIENT_V1 = ("ce_type", b"upsert_client.v1")
_NEXT_RELEASE = """
from schemas import commands, quotes, registry, topics
registry.TYPES["quote.published.v2"] = registry.MessageType("quote.published.v2", quotes.Quote, topics.QUOTES, "")
registry.SOURCE_TYPES |= {"quote.published.v2"}
from schemas import faults
faults.SOURCE_TYPES = registry.SOURCE_TYPES
commands.COMMANDS["upsert_client.v2"] = commands.UpsertClient
registry.TYPES["upsert_client.v2"] = registry.MessageType(
    "upsert_client.v2", commands.UpsertClient, topics.COMMANDS, ""
)
"""
"""What Python runs before the service: a release that reads one more version of an event and of a command."""


@pytest.fixture(scope="module", autouse=True)
def writer(hub: Hub) -> Iterator[None]:
    hub.start("writer")
    hub.wait_ready("writer")
    yield
    assert hub.processes["writer"].stop() == 0


@pytest.fixture
def next_release(tmp_path: Path) -> dict[str, str]:
    """The environment of a service of the next release."""
    (tmp_path / "sitecustomize.py").write_text(_NEXT_RELEASE)
    return {"PYTHONPATH": f"{tmp_path}:{ROOT}"}


def quote_in_halo(hub: Hub, title: str, **expected: Any) -> dict[str, Any]:
    """Wait until Halo has the quote, once and with these values."""

    def found() -> dict[str, Any] | None:
        rows = quotes_titled(hub, title)
        assert len(rows) <= 1, f"{title} is in Halo more than once"
        return rows[0] if rows and all(rows[0][name] == value for name, value in expected.items()) else None

    row: dict[str, Any] = eventually(found, _PATIENCE_S, what=f"{title} with {expected}")
    return row


def one_letter(hub: Hub, **expected: Any) -> Letter:
    """Wait for the dead letter; there is one."""
    found: list[Letter] = eventually(
        lambda: letters(hub, **expected), _PATIENCE_S, what=f"a letter {expected}"
    )
    assert len(found) == 1, found
    return found[0]


def _headers(event: dict[str, Any]) -> tuple[tuple[str, bytes], ...]:
    return headers_of(envelope_of(event))


# Bytes and headers ------------------------------------------------------------------------------------------


@pytest.mark.fault("F11")
def test_bytes_that_are_no_json_are_set_aside_and_the_quote_goes_on(hub: Hub) -> None:
    first, wrong, last = (
        quote_event("no-json", number, customer=_KNOWN, title="No json") for number in (1, 2, 3)
    )
    key, rubbish = envelope_of(wrong).key, b'\xff\x00{"title": '
    put_events(hub, first)
    put(hub, QUOTES, (key, rubbish, _headers(wrong)), (key, b"[" * 100_000, _headers(wrong)))
    put_events(hub, {**last, "data": {**last["data"], "status": "approved"}})
    quote_in_halo(hub, "No json", status=3)
    letter = one_letter(hub, reason="data.not_json", subject="no-json")
    assert base64.b64decode(letter.data.value or "") == rubbish
    assert (letter.data.stage, letter.data.tenant, letter.data.event_id) == ("mapper", "acme", "no-json-2")
    assert one_letter(hub, reason="data.too_deep", subject="no-json").data.event_id == "no-json-2"


@pytest.mark.fault("F11")
def test_a_command_that_is_no_json_is_set_aside_and_its_tenant_goes_on(hub: Hub) -> None:
    event = quote_event("bad-command", 1)
    about = envelope_of({**event, "source": "/hub/mapper", "type": "upsert_quote.v1", "id": "bad-command"})
    put(hub, COMMANDS, (b"acme", b"\xfe{", headers_of(about)), (b"acme", b"{}", ()))
    put_events(hub, quote_event("after-bad-command", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote after-bad-command", status=2)
    letter = one_letter(hub, stage="writer", reason="data.not_json")
    assert base64.b64decode(letter.data.value or "") == b"\xfe{"
    assert one_letter(hub, stage="writer", reason="envelope.invalid").data.tenant is None


@pytest.mark.fault("F12")
def test_headers_that_nobody_can_read_are_set_aside_and_never_skipped(hub: Hub) -> None:
    """FastStream drops such records, and aiokafka stops at a header name that is not UTF-8."""
    quote = quote_in_partition("headers", 0)
    event = quote_event(quote, 1, customer=_KNOWN)
    about = envelope_of(event)
    value = json.dumps(event["data"]).encode()
    bytes_of_title = [(name, b"\xff\xfe" if name == "ce_id" else raw) for name, raw in headers_of(about)]
    null = [(name, None if name == "ce_time" else raw) for name, raw in headers_of(about)]
    put(hub, QUOTES, (about.key, value, bytes_of_title), (about.key, value, null))
    asyncio.run(send_bad_header_name(hub.bootstrap, QUOTES, [b"odd 1", b"odd 2"], bad=1))
    # Odd headers of others, beside ours, are nobody's business.
    odd = (*headers_of(about), ("trace-id", None), ("trace-id", b"\xff"))
    put(hub, QUOTES, (about.key, value, odd))
    quote_in_halo(hub, f"Quote {quote}", status=2)
    ours = [record for record in records(hub, QUOTES) if record.key in (about.key, b"k")][:-1]
    assert len(ours) == 4
    found = eventually(lambda: _set_aside(hub, [(one.partition, one.offset) for one in ours]), _PATIENCE_S)
    assert {letter.data.reason for letter in found} == {"envelope.invalid"}
    assert [base64.b64decode(letter.data.value or "") for letter in found] == [one.value for one in ours]


def _set_aside(hub: Hub, places: list[tuple[int, int]]) -> list[Letter]:
    by_place = {(letter.data.partition, letter.data.offset): letter for letter in letters(hub, topic=QUOTES)}
    return [by_place[place] for place in places] if by_place.keys() >= set(places) else []


# Valid, and nobody can map it -------------------------------------------------------------------------------


@pytest.mark.fault("F13")
def test_a_quote_that_no_rule_can_map_names_every_fault_and_its_next_revision_passes(hub: Hub) -> None:
    def line(line_id: str, discount: str | None) -> dict[str, Any]:
        off = {} if discount is None else {"discount": {"amount": discount}}
        product = {"name": "Firewall", "manufacturer_part_number": "FW-100"}
        return {"id": line_id, "product": product, "quantity": 1, "price": "10.00", **off}

    wrong: dict[str, Any] = {
        "lines": [line("a", "11.00"), line("b", None), line("c", "99.00")],
        "discount": {"amount": "1000"},
    }
    put_events(hub, quote_event("unmappable", 1, customer=_KNOWN, **wrong))
    letter = one_letter(hub, stage="mapper", reason="mapping.rejected", subject="unmappable")
    assert {fault.at for fault in letter.data.faults} == {
        "lines[0].discount.amount",
        "lines[2].discount.amount",
        "discount.amount",
    }
    assert letter.data.fix
    put_events(hub, quote_event("unmappable", 2, customer=_KNOWN, lines=[line("a", "1.00")]))
    quote_in_halo(hub, "Quote unmappable", status=2)


@pytest.mark.fault("F13")
def test_a_currency_that_no_rule_maps_waits_for_its_rule_and_is_redriven_once(hub: Hub) -> None:
    """The mapper knows no Halo name: that Halo has no such currency is found out by the writer."""
    put_events(hub, quote_event("credits", 1, customer=_KNOWN, currency="Store credits"))
    letter = one_letter(hub, stage="writer", reason="name.unknown", subject="credits")
    assert "Store credits" in letter.data.message
    assert "currencies" in (letter.data.fix or "")
    assert quotes_titled(hub, "Quote credits") == []
    change_rules(hub, "items:", "currencies: {Store credits: EUR}\nitems:")
    redrive(hub, letter)
    assert quote_in_halo(hub, "Quote credits", status=2)["currency_code"] == 3
    redrive(hub, letter)
    put_events(hub, quote_event("after-credits", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote after-credits")
    writes = hub.sandbox.requests(method="POST", path="^/Quotation$")
    assert len([row for row in writes if "Quote credits" in str(row["body"])]) == 1


# Of a newer release -----------------------------------------------------------------------------------------


@pytest.mark.fault("F14")
def test_an_event_of_a_newer_version_is_set_aside_and_redriven_after_the_upgrade(
    hub: Hub, next_release: dict[str, str]
) -> None:
    newer = quote_event("too-new", 1, customer=_KNOWN, event_type="quote.published.v2")
    put_events(hub, newer, quote_event("not-too-new", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote not-too-new", status=2)
    letter = one_letter(hub, reason="type.unknown", subject="too-new")
    assert "upgrade" in (letter.data.fix or "")
    assert quotes_titled(hub, "Quote too-new") == []
    assert hub.processes["mapper"].stop() == 0
    hub.start("mapper", **next_release)
    hub.wait_ready("mapper")
    redrive(hub, letter)
    quote_in_halo(hub, "Quote too-new", status=2)


@pytest.mark.fault("F44")
def test_commands_of_a_newer_release_wait_and_run_after_the_upgrade(
    hub: Hub, next_release: dict[str, str]
) -> None:
    """The mapper is upgraded first by mistake: its commands reach a writer that can't read them yet."""
    put_events(hub, quote_event("forerunner", 1, customer={"id": "org-44", "name": "Forerunner Ltd"}))
    quote_in_halo(hub, "Quote forerunner", status=2)
    known = next(
        record
        for record in records(hub, COMMANDS)
        if dict(record.headers).get("ce_type") == b"upsert_client.v1" and b"org-44" in (record.value or b"")
    )
    newer = (known.value or b"").replace(b"org-44", b"org-45").replace(b"Forerunner Ltd", b"Follower Ltd")
    headers = [(name, value) for name, value in known.headers if name not in ("ce_id", "ce_type")]
    put(
        hub,
        COMMANDS,
        (b"acme", newer, [*headers, ("ce_id", b"of-a-newer-type"), ("ce_type", b"upsert_client.v2")]),
        (
            b"acme",
            newer[:-1] + b',"a_newer_field":1}',
            [*headers, ("ce_id", b"of-a-newer-field"), ("ce_type", b"upsert_client.v1")],
        ),
    )
    put_events(hub, quote_event("not-held-up", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote not-held-up", status=2)
    eventually(lambda: all_commands_ended(hub), what="every command at its end, or waiting")
    pending = 'hub_pending_rows{reason="version",tenant="acme"}'
    eventually(lambda: metric(hub.processes["writer"], pending) == 2, _PATIENCE_S, what="two that wait")
    assert _clients(hub, "Follower Ltd") == 0
    assert hub.processes["writer"].stop() == 0
    hub.start("writer", **next_release)
    hub.wait_ready("writer")
    put_events(hub, quote_event("after-upgrade", 1, customer=_KNOWN))
    eventually(lambda: _clients(hub, "Follower Ltd") == 1, _PATIENCE_S, what="the client in Halo")
    # What this release can't read either goes on waiting.
    eventually(lambda: metric(hub.processes["writer"], pending) == 1, _PATIENCE_S, what="one that waits")


def _clients(hub: Hub, name: str) -> int:
    return sum(row["name"] == name for row in hub.sandbox.state("Client"))


# Nothing at all ---------------------------------------------------------------------------------------------


@pytest.mark.fault("F15")
def test_tombstones_are_counted_and_hold_up_nothing(hub: Hub) -> None:
    event = quote_event("tombstone", 1, customer=_KNOWN)
    key, mapper = envelope_of(event).key, hub.processes["mapper"]
    sample = 'hub_mapper_events_total{result="ignored.tombstone"'
    before, letters_before = metric(mapper, sample), len(letters(hub))
    put(hub, QUOTES, (key, None, ()), (key, b"", _headers(event)), (key, None, _headers(event)))
    put(hub, COMMANDS, (b"acme", None, ()))
    put_events(hub, event)
    quote_in_halo(hub, "Quote tombstone", status=2)
    eventually(lambda: metric(mapper, sample) - before == 3, what="each tombstone counted")
    eventually(lambda: all_commands_ended(hub), what="every command at its end")
    assert len(letters(hub)) == letters_before
    put(hub, QUOTES, (key, None, ()))
    put_events(hub, quote_event("tombstone", 2, customer=_KNOWN, status="approved"))
    quote_in_halo(hub, "Quote tombstone", status=3)


# Beyond every limit -----------------------------------------------------------------------------------------


@pytest.mark.fault("F29")
def test_a_body_over_the_limit_is_refused_before_it_is_held(hub: Hub) -> None:
    ingest, size = hub.processes["ingest"], 15 * _MIB
    before = len(records(hub, QUOTES))
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {PRODUCER_TOKEN}\r\n"
        "Content-Type: application/cloudevents+json\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.http_port), timeout=60) as told:
        told.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        assert told.recv(4096).split()[1] == b"413", "told by its length alone, before any of it was sent"
    held = _peak_kib(ingest)
    with socket.create_connection(("127.0.0.1", hub.http_port), timeout=60) as untold:
        untold.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = _send_until_answered(untold, size)
        assert untold.recv(4096).split()[1] == b"413"
    assert sent < size
    assert _peak_kib(ingest) - held < 4 * 1024
    assert len(records(hub, QUOTES)) == before
    hub.publish(quote_event("after-413", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote after-413", status=2)


def _peak_kib(process: Process) -> int:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _send_until_answered(connection: socket.socket, most: int) -> int:
    """Send chunks until the server has something to say; how many bytes went out."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = 0
    with contextlib.suppress(ConnectionError):
        # It may close the connection between the look and the next chunk.
        while sent < most and not select.select([connection], [], [], 0.02)[0]:
            connection.sendall(chunk)
            sent += len(chunk)
    return sent


@pytest.mark.fault("F29")
def test_a_quote_of_10000_lines_on_the_bus_is_set_aside_at_once_and_stops_nobody(hub: Hub) -> None:
    quote = quote_in_partition("endless", 5)
    line = {"product": {"name": "Firewall"}, "quantity": 1, "price": "1.00"}
    many = [{"id": f"l{number}", **line} for number in range(10_000)]
    # Nothing of it fits: every element is a fault of its own.
    all_wrong: list[dict[str, Any]] = [{}] * 400_000
    put_events(
        hub,
        quote_event(quote, 1, customer=_KNOWN, lines=many),
        quote_event(quote, 2, customer=_KNOWN, lines=all_wrong),
        quote_event(quote, 3, customer=_KNOWN),
    )
    quote_in_halo(hub, f"Quote {quote}", status=2)
    eventually(
        lambda: len(letters(hub, reason="data.too_large", subject=quote)) > 1,
        _PATIENCE_S,
        what="both letters",
    )
    found = letters(hub, reason="data.too_large", subject=quote)
    assert [[str(fault) for fault in letter.data.faults] for letter in found] == [
        [f"lines: has {count} elements, of {MAX_LINES} at most"] for count in (10_000, 400_000)
    ]
    thrown_out = [line for line in hub.processes["mapper"].lines() if line["event"] == "bus.commit_dropped"]
    assert thrown_out == [], "the mapper was away from its group for too long"


@pytest.mark.fault("F29")
def test_an_event_whose_commands_fit_no_message_is_set_aside(hub: Hub) -> None:
    product = {"name": "Firewall", "manufacturer_part_number": "FW-100"}
    lines = [
        {"id": f"l{number}", "product": product, "quantity": 1, "price": "1.00", "description": "x" * 850}
        for number in range(MAX_LINES)
    ]
    put_events(
        hub,
        quote_event("too-much", 1, customer=_KNOWN, lines=lines),
        quote_event("after-too-much", 1, customer=_KNOWN),
    )
    quote_in_halo(hub, "Quote after-too-much", status=2)
    assert one_letter(hub, reason="command.too_large", subject="too-much").data.fix
    assert quotes_titled(hub, "Quote too-much") == []


@pytest.mark.fault("F29")
def test_what_is_set_aside_fits_into_a_message_however_it_was_made(hub: Hub) -> None:
    """Names, faults and bytes are written longer than they came: the dead letter must not be refused in its turn."""
    event = quote_event("swollen", 1, customer=_KNOWN)
    key = envelope_of(event).key
    long_name = {"title": 1, "customer": _KNOWN, "lines": [], "custom": {"n" * 1_100_000: 1}}
    put(
        hub,
        QUOTES,
        (key, json.dumps(long_name).encode(), _headers(event)),
        (key, b"{", [("\u20ac" * 300_000, b""), *_headers(event)]),
    )
    put_events(hub, event)
    quote_in_halo(hub, "Quote swollen", status=2)
    assert len(eventually(lambda: len(letters(hub, subject="swollen")) == 2 and letters(hub), _PATIENCE_S))
    assert hub.processes["mapper"].popen.poll() is None
