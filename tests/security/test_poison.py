"""No record on a topic makes its reader fall over: each ends as a message or as a refusal."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.bus.records import Record
from hub.telemetry.metrics import Metrics
from schemas.envelope import EnvelopeInvalid, from_headers, headers_of
from schemas.faults import DataInvalid, decode_source
from schemas.outcomes import DeadLetter
from schemas.registry import decode, encode
from schemas.topics import QUOTES
from services.halo_writer.intake import Unreadable, read_command
from services.mapper import service
from services.mapper.intake import Event, Refused, Tombstone, read
from services.mapper.service import Mapper
from tests.unit.halo_writer.build import Tool, envelope_of
from tests.unit.mapper.build import envelope, quote

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
NUMBERS = (
    *("99999999999999999999", "-99999999999999999999", "1e400", "-1e-400", "1e308", "9" * 400, "1e999999999"),
    *(
        '"1e999999999"',
        '"-1e999999999999"',
        '"NaN"',
        '"sNaN"',
        '"-Infinity"',
        '"0e999999999"',
        '"1e-999999999"',
    ),
    *('"\\ud800"', '"\\u0000"', "NaN", "-0", "true", "[]", "{}", "null", '"１２"', '"0x1"', '"1_000"'),
)
PLACES = (
    *('"commercial_revision": %s', '"discount": {"percent": %s}', '"discount": {"amount": %s}', '"date": %s'),
    *('"custom": {"a": %s}', '"customer": {"name": "c", "halo_id": %s}', '"unknown": %s', '"title": %s'),
    *('"lines": [{"id": "1", "product": {"name": "n"}, "quantity": %s, "price": 1}]', '"lines": %s'),
    '"taxes": [{"name": "VAT", "amount": %s}]',
)


@pytest.mark.parametrize("place", PLACES)
def test_no_number_or_text_at_any_place_is_more_than_a_fault(place: str) -> None:
    """1e999999999 overflowed Decimal, 1e400 a float: either stopped the mapper's partition for every tenant."""
    for value in NUMBERS:
        whole = {"title": '"t"', "customer": '{"name": "c"}', "lines": "[]"}
        name = json.loads("{" + place.replace("%s", "1") + "}").popitem()[0]
        rest = ", ".join(f'"{key}": {given}' for key, given in whole.items() if key != name)
        raw = ("{" + rest + ", " + place % value + "}").encode()
        try:
            decode_source("quote.published.v1", raw)
        except DataInvalid as error:
            assert error.faults, value  # noqa: PT017 - either end is good


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-03-02", "24"]
)
def test_a_time_that_utc_has_not_is_a_fault_of_the_envelope(time: str) -> None:
    pairs = [(name, value) for name, value in headers_of(envelope(1)) if name != "ce_time"]
    with pytest.raises(EnvelopeInvalid) as raised:
        from_headers([*pairs, ("ce_time", time.encode())])
    assert [fault.at for fault in raised.value.faults] == ["time"]


@pytest.mark.invariant("INV-11")
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z"])
def test_a_time_that_nobody_has_set_is_a_fault_and_orders_nothing(time: str) -> None:
    """Counted from 1970 such times are negative: a part that is missing would seem newer, and the next change older."""
    pairs = [(name, value) for name, value in headers_of(envelope(1)) if name != "ce_time"]
    with pytest.raises(EnvelopeInvalid, match="before 1970"):
        from_headers([*pairs, ("ce_time", time.encode())])
    assert from_headers([*pairs, ("ce_time", b"1970-01-01T00:00:00Z")]).time.year == 1970


_HEADER_NAMES = [name for name, _ in headers_of(envelope(1))]
_ODD = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [None, b"", b"\x00", b"\xff", "é".encode(), b"9" * 400, b"1e400", b"-1", b"acme/quote", b"*"]
    ),
)
_HEADERS = st.lists(
    st.tuples(st.sampled_from([*_HEADER_NAMES, "CE_TENANT", "odd\udcff", ""]), _ODD), max_size=4
)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_FIELDS = st.dictionaries(
    st.sampled_from(["title", "customer", "lines", "discount", "date", "taxes", "custom", "status"]), _JSON
)
_VALUES = st.one_of(
    st.none(), st.binary(max_size=30), _FIELDS.map(lambda fields: json.dumps(fields).encode())
)


@settings(max_examples=300, deadline=None)
@given(
    headers=_HEADERS, value=_VALUES, own=st.booleans(), key=st.sampled_from([None, b"", b"acme/quote/Q-1"])
)
def test_whatever_the_record_is_it_ends_as_an_event_or_as_a_refusal(
    headers: list[tuple[str, bytes | None]], value: bytes | None, own: bool, key: bytes | None
) -> None:
    changed = {name for name, _ in headers}
    kept = [pair for pair in headers_of(envelope(1)) if own and pair[0] not in changed]
    record = Record(QUOTES, 0, 0, 0, key, value, (*kept, *headers))
    found = read(record, NOW)
    assert isinstance(found, Event | Refused | Tombstone)
    if isinstance(found, Refused):
        assert found.letter.value is not None
    try:
        read_command(record)
    except Unreadable as error:
        assert error.reason  # noqa: PT017 - either end is good


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 5_000), byte=st.integers(0, 255))
def test_a_command_with_any_one_byte_changed_is_read_or_refused(at: int, byte: int) -> None:
    command = Tool().quote()
    value = bytearray(encode(command))
    value[at % len(value)] = byte
    try:
        read_command(Record(QUOTES, 0, 0, 0, b"acme", bytes(value), headers_of(envelope_of(command))))
    except Unreadable as error:
        assert error.reason  # noqa: PT017 - either end is good


async def test_a_record_that_the_reader_itself_falls_over_is_a_dead_letter_and_those_behind_it_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = envelope(1)
    records = [Record(QUOTES, 0, n, 0, about.key, encode(quote()), headers_of(about)) for n in range(2)]

    def falls_over_the_first(record: Record, _now: dt.datetime) -> Tombstone:
        if record.offset == 0:
            raise ZeroDivisionError("the customer's name")
        return Tombstone(record)

    monkeypatch.setattr(service, "read", falls_over_the_first)
    none: Any = None
    metrics = Metrics()
    mapper = Mapper(none, none, none, none, metrics, max_message_bytes=1_000_000, now=lambda: NOW, steps=none)
    (refused,) = await mapper.process(records)
    told: DeadLetter = decode("dead_letter.recorded.v1", refused.letter.value or b"")
    assert (told.reason, told.tenant, told.offset) == ("mapper.failed", None, 0)
    assert "customer" not in told.message
    assert told.value is not None
    passed = {"type": "none", "result": "ignored.tombstone"}
    assert metrics.registry.get_sample_value("hub_mapper_events_total", passed) == 1
