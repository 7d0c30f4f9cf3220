"""The field groups of a source entity: which part of it each event carries. Each group has an order of its own."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from schemas.files import FileAdded, FileRef
from schemas.opportunities import Opportunity
from schemas.products import SourceProduct
from schemas.quotes import (
    Address,
    Answers,
    Contact,
    Customer,
    Line,
    LineDiscount,
    OpportunityLink,
    Person,
    Quote,
    QuoteConversion,
    QuoteStatus,
    Tax,
)

GroupName = Literal["head", "lines", "status", "link", "conversion", "answers", "answered"]
GROUPS: tuple[GroupName, ...] = ("head", "lines", "status", "link", "conversion", "answers", "answered")
"""`answers` are what the producer's own user was asked, `answered` what people have answered to the hub."""
WHOLE: frozenset[GroupName] = frozenset({"head", "lines"})
"""An event that carries one of these is mapped to all that the quote embeds, too; another to the quote alone."""


class Parties(Protocol):
    """Whom a document is for, and whose it is at its source."""

    @property
    def customer(self) -> Customer: ...
    @property
    def contact(self) -> Contact | None: ...
    @property
    def prepared_by(self) -> Person | None: ...
    @property
    def sales_rep(self) -> Person | None: ...


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
    sold_to: Address | None = None
    ship_to: Address | None = None
    prepared_by: Person | None = None
    sales_rep: Person | None = None
    opportunity: OpportunityLink | None = None
    note: str | None = None
    pdf: FileRef | None = None
    files: tuple[FileRef, ...] = ()
    description: str | None = None
    po_number: str | None = None
    custom: dict[str, str] = {}


class QuoteLines(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the quote sells, with the discount, the taxes and the shipping charge of the whole document."""

    lines: tuple[Line, ...]
    discount: LineDiscount | None = None
    taxes: tuple[Tax, ...] = ()
    shipping: Decimal | None = None


class QuoteLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which opportunity the quote was last said to belong under; neither is one of its own."""

    halo_id: int | None = None
    id: str | None = None


class Conversion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the quote became at its source."""

    to: Literal["order", "invoice"]
    number: str | None = None


OWN_OPPORTUNITY = QuoteLink()
SourceDocument = Quote | QuoteStatus | QuoteConversion | Opportunity | FileAdded | SourceProduct
"""The data of any source event."""
Part = (
    QuoteHead
    | QuoteLines
    | QuoteStatus
    | QuoteLink
    | Conversion
    | Answers
    | Opportunity
    | FileAdded
    | SourceProduct
)

_HEAD = QuoteHead.__struct_fields__
_LINES = QuoteLines.__struct_fields__
HEAD_DECODER = msgspec.json.Decoder(QuoteHead)
LINES_DECODER = msgspec.json.Decoder(QuoteLines)
STATUS_DECODER = msgspec.json.Decoder(QuoteStatus)
PRODUCT_DECODER = msgspec.json.Decoder(SourceProduct)
LINK_DECODER = msgspec.json.Decoder(QuoteLink)
OPPORTUNITY_DECODER = msgspec.json.Decoder(Opportunity)
CONVERSION_DECODER = msgspec.json.Decoder(Conversion)
ANSWERS_DECODER = msgspec.json.Decoder(Answers)
_NO_ANSWERS = Answers()


def split(data: SourceDocument) -> dict[GroupName, Part]:
    """The groups that an event carries. A whole document has a status group only when it names its status.

    A quote has a link group only when it says which opportunity it belongs under: it stays there until told otherwise.
    Answers are a group of their own: a later conversion without any takes none back.
    """
    match data:
        case QuoteStatus():
            return {"status": data}
        case Opportunity():
            head: dict[GroupName, Part] = {"head": msgspec.structs.replace(data, status=None)}
            return head | _status(data.status)
        case QuoteConversion():
            converted: dict[GroupName, Part] = {"conversion": Conversion(to=data.to, number=data.number)}
            return converted if data.answers == _NO_ANSWERS else {**converted, "answers": data.answers}
        case Quote():
            parts: dict[GroupName, Part] = {
                "head": QuoteHead(**{name: getattr(data, name) for name in _HEAD}),
                "lines": QuoteLines(**{name: getattr(data, name) for name in _LINES}),
            }
            return parts | _status(data.status) | _link(data.opportunity)
        case FileAdded() | SourceProduct():
            return {"head": data}


def _status(status: str | None) -> dict[GroupName, Part]:
    return {"status": QuoteStatus(status=status)} if status else {}


def _link(said: OpportunityLink | None) -> dict[GroupName, Part]:
    if said is None or not (said.new or said.id or said.halo_id):
        return {}
    return {"link": QuoteLink(halo_id=said.halo_id, id=said.id)}
