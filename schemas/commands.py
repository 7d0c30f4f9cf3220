"""Commands, from the mapper to the writer: each brings one target to a desired state.

A field that is absent (`UNSET`) is not the rules' to write and is never sent. References stay symbolic: another
target (`Target`) or a Halo name with the lookup it belongs to (`Named`); only the writer turns them into ids.
"""

from __future__ import annotations

import datetime as dt
import functools
from decimal import Decimal
from typing import ClassVar, Generic, Literal, TypeVar

from msgspec import UNSET, UnsetType

from schemas.base import HaloId, Id, Name, OwnData, Text
from schemas.files import FileName, FileSize, FileUrl, MediaType, Sha256
from schemas.targets import Kind, Target

T = TypeVar("T")

Write = Literal["always", "on_create", "if_present"]
Lookup = Literal[
    "agent",
    "asset_group",
    "billing_period",
    "currency",
    "item",
    "item_type",
    "quote_status",
    "region",
    "status",
    "supplier",
    "team",
    "ticket_type",
]
MatchBy = Literal["halo_id", "our_key", "sku", "email", "name", "parent_main"]


class Field(OwnData, Generic[T], frozen=True, kw_only=True):
    """A value that the rules own. `on_create` is left alone on an existing record; `if_present` skips null."""

    value: T
    write: Write = "always"


class Named(OwnData, frozen=True, kw_only=True):
    """A thing of Halo's by the name a person sees there (or by its id), resolved by the writer.

    When Halo has none of that name, `fallback` is tried if it is given. When Halo has neither, `leave` drops the field
    with a warning, `ignore` without a word, `reject` rejects the command. `setting` is the tenant-file key to name in
    the message. `chosen` says that the tenant file itself gives this name: a record of that name that Halo doesn't
    offer for the purpose is refused rather than replaced, and a fallback is told.
    """

    lookup: Lookup
    name: str | int
    missing: Literal["leave", "ignore", "reject"] = "reject"
    fallback: str | int | None = None
    setting: str | None = None
    chosen: bool = False


class Match(OwnData, frozen=True, kw_only=True):
    """One way to find the record that already is this target, in the order of the tenant's rules.

    `parent_main` adopts the parent's main record (a client's main site or contact).
    """

    by: MatchBy
    value: str | int | None = None


class Notice(OwnData, frozen=True, kw_only=True):
    """Something a person should know that stops nothing; shown with the outcome."""

    code: Id
    message: str


class Basis(OwnData, frozen=True, kw_only=True):
    """Why a command exists: what to replay, and by which rules it was made.

    `origin` is the topic of the source event; a redrive finds the event there by `event_id` and `subject`.
    """

    event_id: str
    event_type: str
    origin: str
    subject: str
    rule_sequence: int
    rule_hash: str
    record_versions: dict[str, int] = {}
    cause: str = ""


class Command(OwnData, frozen=True, kw_only=True):
    """What each command carries beside its kind's fields.

    `seq` orders the commands of one target: the record's group versions, highest first, then the rule sequence;
    it is empty for an `ensure`, which creates or adopts and never updates. `state_hash` covers the kind's fields
    alone.
    """

    kind: ClassVar[Kind]
    groups: ClassVar[dict[str, tuple[str, ...]]]

    target: Target
    basis: Basis
    state_hash: str = ""
    seq: tuple[int, ...] = ()
    ensure: bool = False
    match: tuple[Match, ...] = ()
    notices: tuple[Notice, ...] = ()

    @classmethod
    @functools.cache
    def state_fields(cls) -> tuple[str, ...]:
        """The names of the kind's own fields, in the order of its groups."""
        return tuple(name for names in cls.groups.values() for name in names)


class SiteAddress(OwnData, frozen=True, kw_only=True):
    """A Halo site address. A line without a mapped source field is absent; one mapped but empty is "" and clears."""

    line1: Text | UnsetType = UNSET
    line2: Text | UnsetType = UNSET
    line3: Text | UnsetType = UNSET
    line4: Text | UnsetType = UNSET
    postcode: Text | UnsetType = UNSET
    region: Named | UnsetType = UNSET
    country: Text | UnsetType = UNSET


class MainContact(OwnData, frozen=True, kw_only=True):
    """The first contact of a new client, sent in the client's own creating request."""

    name: Name
    email: Text | None = None
    phone: Text | None = None
    title: Text | None = None


class UpsertClient(Command, frozen=True, kw_only=True):
    """Create or adopt a Halo client; a new one is created together with its main site and contact."""

    kind = "client"
    groups = {"head": ("name", "phone", "website", "site_name", "site_address", "main_contact")}

    name: Field[Name] | UnsetType = UNSET
    phone: Field[Text] | UnsetType = UNSET
    website: Field[Text] | UnsetType = UNSET
    site_name: Field[Name] | UnsetType = UNSET
    site_address: Field[SiteAddress] | UnsetType = UNSET
    main_contact: Field[MainContact] | UnsetType = UNSET


class UpsertSite(Command, frozen=True, kw_only=True):
    """Create, adopt or update a site of a client."""

    kind = "site"
    groups = {"head": ("client", "name", "phone", "address")}

    client: Field[Target] | UnsetType = UNSET
    name: Field[Name] | UnsetType = UNSET
    phone: Field[Text] | UnsetType = UNSET
    address: Field[SiteAddress] | UnsetType = UNSET


class UpsertUser(Command, frozen=True, kw_only=True):
    """Create, adopt or update a Halo user (a customer's contact)."""

    kind = "user"
    groups = {"head": ("client", "site", "name", "first_name", "last_name", "email", "phone", "title")}

    client: Field[Target] | UnsetType = UNSET
    site: Field[Target] | UnsetType = UNSET
    name: Field[Name] | UnsetType = UNSET
    first_name: Field[Text] | UnsetType = UNSET
    last_name: Field[Text] | UnsetType = UNSET
    email: Field[Text] | UnsetType = UNSET
    phone: Field[Text] | UnsetType = UNSET
    title: Field[Text] | UnsetType = UNSET


class AccountCodes(OwnData, frozen=True, kw_only=True):
    """The accounts that an item's income and expense are booked on; what is absent is left to Halo's group."""

    income: Text | None = None
    expense: Text | None = None


class ItemAccounts(OwnData, frozen=True, kw_only=True):
    """The codes of the group that an item gets: `own` if it is the group's own name, `fallback` if its fallback."""

    group: Named
    own: AccountCodes | None = None
    fallback: AccountCodes | None = None


class UpsertItem(Command, frozen=True, kw_only=True):
    """Create, adopt or update a Halo item; a new one needs a group that exists in Halo.

    `part_number` is the item's number, `sku` the manufacturer's; `stocked` is false for what is never in stock.
    """

    kind = "item"
    groups = {
        "head": (
            "name",
            "description",
            "group",
            "price",
            "cost",
            "recurring",
            "billing_period",
            "part_number",
            "sku",
            "type",
            "accounts",
            "stocked",
        )
    }

    name: Field[Name] | UnsetType = UNSET
    description: Field[str] | UnsetType = UNSET
    group: Field[Named] | UnsetType = UNSET
    price: Field[Decimal] | UnsetType = UNSET
    cost: Field[Decimal] | UnsetType = UNSET
    recurring: Field[bool] | UnsetType = UNSET
    billing_period: Field[Named] | UnsetType = UNSET
    part_number: Field[Text] | UnsetType = UNSET
    sku: Field[Text] | UnsetType = UNSET
    type: Field[Named] | UnsetType = UNSET
    accounts: Field[ItemAccounts] | UnsetType = UNSET
    stocked: Field[bool] | UnsetType = UNSET


class OpportunityLine(OwnData, frozen=True, kw_only=True):
    """One product on the Halo opportunity. `price` is the unit price after discount.

    Its item is one of the source's products, `item`, or one that Halo has already, `halo_item`.
    """

    id: Id
    name: Name
    part_number: Text
    quantity: Decimal
    price: Decimal
    cost: Decimal | None = None
    tax: Decimal | None = None
    item: Target | None = None
    halo_item: Named | None = None

    def __post_init__(self) -> None:
        if (self.item is None) == (self.halo_item is None):
            raise ValueError("a product on an opportunity is exactly one of `item` and `halo_item`")


class UpsertOpportunity(Command, frozen=True, kw_only=True):
    """Create or update a Halo opportunity: its head, its status, its value and its products, each for itself."""

    kind = "opportunity"
    groups = {
        "head": ("client", "site", "user", "title", "ticket_type", "team", "agent", "note"),
        "status": ("status",),
        "value": ("value",),
        "lines": ("lines",),
    }

    client: Field[Target] | UnsetType = UNSET
    site: Field[Target] | UnsetType = UNSET
    user: Field[Target] | UnsetType = UNSET
    title: Field[Name] | UnsetType = UNSET
    ticket_type: Field[Named] | UnsetType = UNSET
    team: Field[Named] | UnsetType = UNSET
    agent: Field[Named] | UnsetType = UNSET
    note: Field[str] | UnsetType = UNSET
    status: Field[Named] | UnsetType = UNSET
    value: Field[Decimal] | UnsetType = UNSET
    lines: Field[tuple[OpportunityLine, ...]] | UnsetType = UNSET


class QuoteLine(OwnData, frozen=True, kw_only=True):
    """One line of the Halo quote. `base_price` is the unit price before discount, `price` after it.

    What it sells is a product of the source, `item`, or one that Halo has already, `halo_item`.
    """

    id: Id
    name: Name
    quantity: Decimal
    base_price: Decimal
    price: Decimal
    discount_percent: Decimal
    cost: Decimal | None = None
    tax: Decimal | None = None
    product_code: Text | None = None
    description: str | None = None
    recurring: bool = False
    billing_period: Named | None = None
    supplier: Named | None = None
    item: Target | None = None
    halo_item: Named | None = None

    def __post_init__(self) -> None:
        if (self.item is None) == (self.halo_item is None):
            raise ValueError("a line sells exactly one of `item` and `halo_item`")


class Totals(OwnData, frozen=True, kw_only=True):
    """What the document adds up to at its source; the writer compares it with what Halo answers."""

    net: Decimal
    tax: Decimal | None = None


class UpsertQuote(Command, frozen=True, kw_only=True):
    """Create or update a Halo quote: its head, its status and its lines, each with an order of its own."""

    kind = "quote"
    groups = {
        "head": (
            "opportunity",
            "client",
            "site",
            "user",
            "title",
            "date",
            "expiry_date",
            "agent",
            "currency",
            "note",
        ),
        "status": ("status",),
        "lines": ("lines", "totals", "carriage"),
    }

    opportunity: Field[Target] | UnsetType = UNSET
    client: Field[Target] | UnsetType = UNSET
    site: Field[Target] | UnsetType = UNSET
    user: Field[Target] | UnsetType = UNSET
    title: Field[Name] | UnsetType = UNSET
    date: Field[dt.date] | UnsetType = UNSET
    expiry_date: Field[dt.date] | UnsetType = UNSET
    agent: Field[Named] | UnsetType = UNSET
    currency: Field[Named] | UnsetType = UNSET
    note: Field[str] | UnsetType = UNSET
    status: Field[Named] | UnsetType = UNSET
    lines: Field[tuple[QuoteLine, ...]] | UnsetType = UNSET
    totals: Field[Totals] | UnsetType = UNSET
    carriage: Field[Decimal] | UnsetType = UNSET


class FileSource(OwnData, frozen=True, kw_only=True):
    """Where the writer fetches a file, and what it must be."""

    url: FileUrl
    sha256: Sha256
    size: FileSize
    media_type: MediaType


class AttachFile(Command, frozen=True, kw_only=True):
    """Attach a file to an opportunity, once for each content: the target's scope is the owner's kind and the hash."""

    kind = "attachment"
    groups = {"head": ("opportunity", "name", "origin", "file")}

    opportunity: Field[Target] | UnsetType = UNSET
    name: Field[FileName] | UnsetType = UNSET
    origin: Field[Text] | UnsetType = UNSET
    file: Field[FileSource] | UnsetType = UNSET


COMMANDS: dict[str, type[Command]] = {
    "upsert_client.v1": UpsertClient,
    "upsert_site.v1": UpsertSite,
    "upsert_user.v1": UpsertUser,
    "upsert_item.v1": UpsertItem,
    "upsert_opportunity.v1": UpsertOpportunity,
    "upsert_quote.v1": UpsertQuote,
    "attach_file.v1": AttachFile,
}

TYPE_OF_KIND: dict[Kind, str] = {command.kind: name for name, command in COMMANDS.items()}

__all__ = [
    "COMMANDS",
    "TYPE_OF_KIND",
    "AccountCodes",
    "AttachFile",
    "Basis",
    "Command",
    "Field",
    "FileSource",
    "HaloId",
    "ItemAccounts",
    "Lookup",
    "MainContact",
    "Match",
    "MatchBy",
    "Named",
    "Notice",
    "OpportunityLine",
    "QuoteLine",
    "SiteAddress",
    "Totals",
    "UpsertClient",
    "UpsertItem",
    "UpsertOpportunity",
    "UpsertQuote",
    "UpsertSite",
    "UpsertUser",
    "Write",
]
