"""The field groups of a source entity: which part of it each event carries. Each group has an order of its own.

A quote has three; any other entity is one group, its head.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

import msgspec

from schemas.files import FileAdded, FileRef
from schemas.products import SourceProduct
from schemas.quotes import (
    Contact,
    Customer,
    Line,
    LineDiscount,
    OpportunityLink,
    Person,
    Quote,
    QuoteStatus,
    Tax,
)

GroupName = Literal["head", "lines", "status"]
GROUPS: tuple[GroupName, ...] = ("head", "lines", "status")


class QuoteHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom the quote is for, by whom, and its terms."""

    title: str
    customer: Customer
    number: str | None = None
    commercial_revision: int | None = None
    currency: str | None = None
    date: dt.date | None = None
    expiry_date: dt.date | None = None
    contact: Contact | None = None
    prepared_by: Person | None = None
    sales_rep: Person | None = None
    opportunity: OpportunityLink | None = None
    note: str | None = None
    pdf: FileRef | None = None
    files: tuple[FileRef, ...] = ()
    custom: dict[str, str] = {}


class QuoteLines(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the quote sells, with the discount, the taxes and the shipping charge of the whole document."""

    lines: tuple[Line, ...]
    discount: LineDiscount | None = None
    taxes: tuple[Tax, ...] = ()
    shipping: Decimal | None = None


SourceDocument = Quote | QuoteStatus | FileAdded | SourceProduct
"""The data of any source event."""
Part = QuoteHead | QuoteLines | QuoteStatus | FileAdded | SourceProduct

_HEAD = QuoteHead.__struct_fields__
_LINES = QuoteLines.__struct_fields__
HEAD_DECODER = msgspec.json.Decoder(QuoteHead)
LINES_DECODER = msgspec.json.Decoder(QuoteLines)
STATUS_DECODER = msgspec.json.Decoder(QuoteStatus)
PRODUCT_DECODER = msgspec.json.Decoder(SourceProduct)


def split(data: SourceDocument) -> dict[GroupName, Part]:
    """The groups that an event carries. A whole quote has a status group only when it names its status."""
    match data:
        case QuoteStatus():
            return {"status": data}
        case Quote():
            return _of_quote(data)
        case _:
            return {"head": data}


def _of_quote(data: Quote) -> dict[GroupName, Part]:
    parts: dict[GroupName, Part] = {
        "head": QuoteHead(**{name: getattr(data, name) for name in _HEAD}),
        "lines": QuoteLines(**{name: getattr(data, name) for name in _LINES}),
    }
    if data.status:
        parts["status"] = QuoteStatus(status=data.status)
    return parts
