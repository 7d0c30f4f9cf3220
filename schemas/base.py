"""Scalar types and Struct bases that all messages share.

Source events tolerate unknown fields, so that a producer may send more than the hub reads. Commands and all
messages that the hub writes for itself refuse them: a reader that meets one is older than its writer.
"""

from __future__ import annotations

import datetime as dt
import inspect
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

MAX_LINES = 2_000
MAX_DECIMAL_DIGITS = 18
MAX_DECIMAL_PLACES = 6

Id = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
"""An identifier at its source: any text without control characters, compared byte for byte."""
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=255)]
LongText = Annotated[str, Meta(max_length=20_000)]
TenantName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=32)]
"""An ISO 4217 code, or the producer's own name for a currency (mapped by the tenant's `currencies`)."""
HaloId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Utc = Annotated[dt.datetime, Meta(tz=True)]


class SourceData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what producers publish: unknown fields are tolerated, numbers are finite and bounded."""

    decimal_fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = inspect.get_annotations(cls)
        cls.decimal_fields += tuple(name for name, kind in own.items() if "Decimal" in str(kind))

    def __post_init__(self) -> None:
        for field in self.decimal_fields:
            value = getattr(self, field)
            if value is not None:
                check_decimal(field, value)


class OwnData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of what the hub writes for itself: an unknown field means an older reader, never to be ignored."""


def check_decimal(field: str, value: Decimal) -> None:
    """Refuse what is no amount: NaN, infinities, more than 18 digits or 6 places.

    Raises ValueError, which msgspec turns into a ValidationError with the path.
    """
    if not value.is_finite():
        raise ValueError(f"`{field}` is not a finite number")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    # First of all: what is larger than Decimal's own context can't even be normalised.
    if len(digits) + max(0, exponent) > MAX_DECIMAL_DIGITS:
        raise ValueError(f"`{field}` has more than {MAX_DECIMAL_DIGITS} digits")
    # Trailing zeros say nothing about an amount, and normalize() alone would turn 1000 into 1E+3.
    places = max(0, -value.normalize().as_tuple().exponent) if digits != (0,) else 0  # type: ignore[operator]
    if places > MAX_DECIMAL_PLACES:
        raise ValueError(f"`{field}` has more than {MAX_DECIMAL_PLACES} decimal places")
