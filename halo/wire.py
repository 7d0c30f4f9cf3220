"""JSON as Halo speaks it, money exact: a Decimal is written as a number, a fraction read as a Decimal."""

from decimal import Decimal
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_UTF8_BOM = b"\xef\xbb\xbf"


def encode(value: Any) -> bytes:
    """The JSON of a request body; ValueError when a number is not finite, which JSON can't carry."""
    raw = _ENCODER.encode(value)
    try:
        _DECODER.decode(raw)
    except msgspec.DecodeError as error:
        raise ValueError(f"the request body is no JSON, probably a number is not finite: {error}") from None
    return raw


def decode(raw: bytes) -> Any:
    """The JSON of an answer; ValueError when it is none."""
    try:
        return _DECODER.decode(raw.removeprefix(_UTF8_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None


def as_id(value: Any) -> int | None:
    """A Halo id as int: Halo types some as floats ("95.0"), which it refuses when they are sent back.

    None for an absent or zero id (Halo's "none"). ValueError when it is no whole number.
    """
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
        whole = int(number)
    except (ArithmeticError, ValueError):
        raise ValueError(f"no Halo id: {value!r}") from None
    if whole != number:
        raise ValueError(f"no Halo id: {value!r}")
    return whole or None
