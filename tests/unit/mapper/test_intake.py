"""What comes over Kafka meets the same validation as over HTTP, and what fails is kept byte for byte."""

import base64
import datetime as dt
from typing import Any

import msgspec
import pytest

from hub.bus.producer import check_record
from hub.bus.records import Record
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.dead_letters import MAX_KEPT_BYTES, of_record
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.outcomes import DeadLetter
from schemas.registry import decode, encode
from schemas.topics import DEAD_LETTERS, PRODUCTS, QUOTES
from services.mapper.intake import Event, Refused, Tombstone, read
from tests.unit.mapper.build import START, envelope, quote

NOW = START + dt.timedelta(minutes=1)
MISSING: Any = object()


def record(
    about: Envelope | None = None,
    value: Any = MISSING,
    key: Any = MISSING,
    headers: Any = MISSING,
    offset: int = 7,
) -> Record:
    about = about or envelope(1)
    return Record(
        topic=QUOTES,
        partition=3,
        offset=offset,
        timestamp_ms=1_740_000_000_000,
        key=about.key if key is MISSING else key,
        value=encode(quote()) if value is MISSING else value,
        headers=headers_of(about) if headers is MISSING else headers,
    )


def letter(refused: Any) -> tuple[Envelope, DeadLetter]:
    assert isinstance(refused, Refused)
    assert refused.letter.topic == DEAD_LETTERS
    about = from_headers(refused.letter.headers)
    return about, decode(about.type, refused.letter.value or b"")


def test_a_good_event_is_one() -> None:
    event = read(record(), NOW)
    assert isinstance(event, Event)
    assert (event.envelope, event.data) == (envelope(1), quote())
    assert tuple(event.key) == ("acme", "quoter", "quote", "Q-1")


@pytest.mark.parametrize("value", [None, b""])
def test_a_tombstone_says_nothing(value: bytes | None) -> None:
    assert isinstance(read(record(value=value, headers=()), NOW), Tombstone)


def test_an_event_on_the_topic_of_others_is_none() -> None:
    """Each topic has its writers, and the events of one entity are in order on one partition alone."""
    refused = read(msgspec.structs.replace(record(), topic=PRODUCTS), NOW)
    _, told = letter(refused)
    assert (told.reason, told.topic, [fault.at for fault in told.faults]) == (
        "topic.mismatch",
        PRODUCTS,
        ["topic"],
    )
    assert QUOTES in told.message


@pytest.mark.feature("hub.contract", part="mapper")
@pytest.mark.parametrize(
    ("bad", "reason", "at"),
    [
        (
            record(headers=()),
            "envelope.invalid",
            {"", "id", "source", "specversion", "subject", "tenant", "time", "type"},
        ),
        (record(headers=(("ce_id", b"\xff"), ("ce_id", None))), "envelope.invalid", {"id", "source"}),
        (record(value=b"{"), "data.not_json", {""}),
        (record(value=b"\xff"), "data.not_json", {""}),
        (record(value=b'{"lines": 1}'), "data.invalid", {"title", "customer", "lines"}),
        (record(value=b'{"x": ' + b"[" * 30 + b"]" * 30 + b"}"), "data.too_deep", {""}),
        (record(value=b'{"title": ' + b"[" * 100_000), "data.too_deep", {""}),
        (record(envelope(1, "quote.published.v7")), "type.unknown", {"type"}),
        (record(envelope(1, "upsert_quote.v1")), "type.unknown", {"type"}),
        (record(key=b"acme/quote/Q-2"), "key.mismatch", {"key"}),
        (record(key=None), "key.mismatch", {"key"}),
        (record(key=b"\xff"), "key.mismatch", {"key"}),
        (record(envelope(1, subject="x" * 201)), "envelope.invalid", {"subject"}),
        (record(envelope(7200)), "time.ahead", {"time"}),
    ],
)
def test_what_is_no_event_becomes_a_dead_letter_with_its_faults(
    bad: Record, reason: str, at: set[str]
) -> None:
    _, dead = letter(read(bad, NOW))
    assert (dead.stage, dead.reason) == ("mapper", reason)
    found = {fault.at for fault in dead.faults}
    assert at <= found or (at == {"title", "customer", "lines"} and len(found) >= 2), found
    assert dead.message
    assert (dead.topic, dead.partition, dead.offset) == (QUOTES, 3, 7)
    assert dead.value == base64.b64encode(bad.value or b"").decode()
    assert len(dead.headers) == len(bad.headers)


@pytest.mark.feature("hub.contract", part="mapper")
def test_a_dead_letter_keeps_every_byte_also_of_headers_that_nobody_can_read() -> None:
    headers = (("ce_id", b"\xff\x00"), ("ce_id", None), ("odd\udcff", b"1"))
    about, dead = letter(read(record(key=b"\xfe", value=b"\x00\x01", headers=headers), NOW))
    assert base64.b64decode(dead.key or "") == b"\xfe"
    assert base64.b64decode(dead.value or "") == b"\x00\x01"
    assert dead.headers[0] == ("ce_id", base64.b64encode(b"\xff\x00").decode())
    assert dead.headers[1] == ("ce_id", None)
    assert about.tenant == "unknown"
    assert dead.tenant is None


def test_a_dead_letter_of_a_readable_event_is_found_by_its_tenant_and_ids() -> None:
    about, dead = letter(read(record(value=b"{"), NOW))
    assert (about.tenant, about.subject, about.causationid, about.correlationid) == (
        "acme",
        "Q-1",
        "e-1",
        "e-1",
    )
    assert (dead.tenant, dead.event_id, dead.event_type, dead.subject) == (
        "acme",
        "e-1",
        "quote.published.v1",
        "Q-1",
    )


def test_the_same_record_is_the_same_dead_letter_wherever_it_lies() -> None:
    ids = {letter(read(record(value=b"{", offset=offset), NOW))[0].id for offset in (7, 8)}
    assert len(ids) == 1
    other = letter(read(record(value=b"{ "), NOW))[0].id
    assert other not in ids


def test_a_record_too_large_to_be_kept_says_where_it_is() -> None:
    large = record(value=b"x" * (MAX_KEPT_BYTES + 1))
    made = of_record(large, "mapper", "data.not_json", "is not JSON", envelope=envelope(1))
    dead: DeadLetter = decode("dead_letter.recorded.v1", made.value or b"")
    assert (dead.key, dead.value, dead.headers) == (None, None, ())
    assert "partition 3, offset 7" in dead.message
    assert len(made.value or b"") < 5_000


@pytest.mark.parametrize(
    "swollen",
    [
        record(value=b"{", headers=(("\udcff" * 400_000, b""),)),
        record(value=b"{", headers=[("\u20ac" * 380_000, b""), *headers_of(envelope(1))]),
        record(value=b'{"title": 1, "custom": {"%s": 1}}' % (b"n" * (MAX_KEPT_BYTES - 2_000))),
        record(headers=tuple((f"ce_{letter * 100_000}", b"") for letter in "abcd" * 2)),
    ],
    ids=["bytes in a header's name", "a long header's name", "a long field's name", "long attributes"],
)
def test_a_dead_letter_fits_into_a_message_however_its_record_was_made(swollen: Record) -> None:
    refused = read(swollen, NOW)
    _, dead = letter(refused)
    assert isinstance(refused, Refused)
    check_record(refused.letter, DEFAULT_MAX_RECORD_BYTES)
    assert dead.value is not None or "partition 3, offset 7" in dead.message


def test_an_event_whose_attributes_are_in_its_value_is_told_that_they_are_headers() -> None:
    _, dead = letter(read(record(headers=(("content-type", b"application/cloudevents+json"),)), NOW))
    assert dead.message.startswith("has no header that begins with ce_")


@pytest.mark.parametrize(
    "bad",
    [
        record(headers=()),
        record(key=b"acme/quote/Q-2"),
        record(value=b"{"),
        record(value=b'{"lines": 1}'),
        record(value=b'{"x": ' + b"[" * 30 + b"]" * 30 + b"}"),
    ],
)
def test_every_dead_letter_says_who_does_what(bad: Record) -> None:
    _, dead = letter(read(bad, NOW))
    assert "publish the event again" in (dead.fix or "")


def test_what_a_newer_release_may_read_says_so() -> None:
    _, dead = letter(read(record(envelope(1, "quote.published.v7")), NOW))
    assert "upgrade" in (dead.fix or "")


def test_times_a_little_ahead_are_taken() -> None:
    assert isinstance(read(record(envelope(359)), NOW), Event)
    assert isinstance(read(record(envelope(361)), NOW), Refused)
