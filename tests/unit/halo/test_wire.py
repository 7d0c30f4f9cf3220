"""Money goes over the wire exactly, and ids come back as integers."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo import as_id
from halo.wire import decode, encode


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_decimal_survives_the_wire_exactly(amount: Decimal) -> None:
    back = decode(encode({"price": amount}))["price"]
    assert not isinstance(back, float)
    assert back == amount


def test_a_decimal_is_a_json_number_with_all_its_digits() -> None:
    assert encode([{"price": Decimal("1.10"), "big": Decimal("12345678901234567.8901")}]) == (
        b'[{"price":1.10,"big":12345678901234567.8901}]'
    )


def test_a_fraction_is_read_as_a_decimal() -> None:
    assert decode(b'{"a":0.1,"b":3,"c":1e2}') == {"a": Decimal("0.1"), "b": 3, "c": Decimal(100)}


def test_a_byte_order_mark_is_no_fault() -> None:
    assert decode(b"\xef\xbb\xbf[]") == []


@pytest.mark.parametrize("raw", [b"", b"{", b"<html>", b'{"a":"\xff"}', b"NaN", b'{"id":1}{'])
def test_what_is_no_json_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        decode(raw)


@pytest.mark.fault("F42")
@pytest.mark.parametrize("number", ["1e400", "-1.5e400", "1e-400", "1e99999999999999999999"])
def test_a_number_out_of_all_bounds_is_no_answer(number: str) -> None:
    """Of 1e1000000 the integer takes half a minute, in which the process serves no tenant."""
    with pytest.raises(ValueError, match="no JSON"):
        decode(f'{{"id":{number}}}'.encode())
    with pytest.raises(ValueError, match="no Halo id"):
        as_id(number)
    assert decode(b'{"a":0e400,"b":1e20}') == {"a": 0, "b": 10**20}


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity")])
def test_a_number_that_json_can_not_carry_is_refused_before_it_is_sent(number: Decimal) -> None:
    with pytest.raises(ValueError, match="not finite"):
        encode({"price": number})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (95.0, 95),
        (Decimal("95.0"), 95),
        ("12", 12),
        ("95.0", 95),
        (-3, -3),
        (0, None),
        (None, None),
        ("", None),
    ],
)
def test_an_id_is_an_integer_however_halo_typed_it(value: Any, expected: int | None) -> None:
    assert as_id(value) == expected


@pytest.mark.parametrize("value", ["abc", 1.5, Decimal("NaN"), {}, "Infinity"])
def test_what_is_no_id_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="no Halo id"):
        as_id(value)
