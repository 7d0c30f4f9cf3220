"""JSON as Halo speaks it, money exact: a Decimal is written as a number, a fraction read as a Decimal."""

from decimal import Decimal
from typing import Any

import msgspec

# As many digits as Halo's own numbers have, many times over. Taking one of 1e999999999 for an integer, or adding to it,
# would stop the process, and with it every other tenant.
_MAX_EXPONENT = 100


def _fraction(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError:
        raise ValueError("a number is out of all bounds") from None
    if number and not -_MAX_EXPONENT <= number.adjusted() <= _MAX_EXPONENT:
        raise ValueError("a number is out of all bounds")
    return number


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=_fraction)
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
    """The JSON of an answer; ValueError when it is none, or has a number that is out of all bounds."""
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
        number = _fraction(str(value).strip())
        whole = int(number)
    except (OverflowError, ValueError):
        raise ValueError(f"no Halo id: {value!r}") from None
    if whole != number:
        raise ValueError(f"no Halo id: {value!r}")
    return whole or None
