"""What all commands are made of: fields that the rules own, symbolic references, and why a command exists."""

from __future__ import annotations

import functools
from typing import ClassVar, Generic, Literal, TypeVar

from schemas.base import Id, LongText, Name, OwnData
from schemas.targets import Kind, Target

T = TypeVar("T")

Write = Literal["always", "on_create", "if_present"]
Missing = Literal["wait", "leave", "skip", "instead"]
Lookup = Literal[
    "agent",
    "asset_group",
    "billing_period",
    "currency",
    "custom_field",
    "customer_relationship",
    "item",
    "item_type",
    "quote_status",
    "region",
    "status",
    "supplier",
    "team",
    "ticket_type",
]
MatchBy = Literal["halo_id", "our_key", "sku", "email", "name", "parent_main", "quotation"]


class Field(OwnData, Generic[T], frozen=True, kw_only=True):
    """A value that the rules own. `on_create` is left alone on an existing record; `if_present` skips null.

    A reference to a record that isn't in Halo is waited for, unless that one was adopted where Halo has it and is not
    to be made: then `leave` writes the command without it and `skip` writes nothing. `instead` writes the command only
    where that record is not there.
    """

    value: T
    """What Halo is to hold."""
    write: Write = "always"
    """When it is written."""
    missing: Missing = "wait"
    """What becomes of the command while the record that the value refers to isn't in Halo."""


class Named(OwnData, frozen=True, kw_only=True):
    """A thing of Halo's by the name a person sees there (or by its id), resolved by the writer.

    When Halo has none of that name, `fallback` is tried if it is given. When Halo has neither, `leave` drops the field
    with a warning, `ignore` without a word, `reject` rejects the command. `setting` is the tenant-file key to name in
    the message. `chosen` says that the tenant file itself gives this name: a record of that name that Halo doesn't
    offer for the purpose is refused rather than replaced, and a fallback is told.
    """

    lookup: Lookup
    """Which list of Halo the name is in."""
    name: str | int
    """The name, or the Halo id."""
    missing: Literal["leave", "ignore", "reject"] = "reject"
    """What becomes of it when Halo has neither the name nor the fallback."""
    fallback: str | int | None = None
    """The name (or id) that is tried then."""
    setting: str | None = None
    """The key of the tenant file that says it."""
    chosen: bool = False
    """Whether the tenant file itself gives this name."""


class Linked(OwnData, frozen=True, kw_only=True):
    """A value for a field of Halo that the tenant's file links to one of the source: a custom field, or Halo's own."""

    field: Name | None = None
    """The field of Halo, by its name in Halo's API."""
    custom_field: Named | None = None
    """The custom field of Halo, by name."""
    value: LongText
    """What Halo is to hold; a date as YYYY-MM-DD."""
    type: Literal["text", "number", "date"] = "text"
    """What the field of Halo holds."""

    def __post_init__(self) -> None:
        if (self.field is None) == (self.custom_field is None):
            raise ValueError("a linked value is for exactly one of `field` and `custom_field`")


class Match(OwnData, frozen=True, kw_only=True):
    """One way to find the record that already is this target, in the order of the tenant's rules.

    `parent_main` adopts the parent's main record (a client's main site or contact), `quotation` the order that Halo
    made of the same source quote.
    """

    by: MatchBy
    """What is compared."""
    value: str | int | None = None
    """With what; none where the record itself says it."""


class Notice(OwnData, frozen=True, kw_only=True):
    """Something a person should know that stops nothing; shown with the outcome."""

    code: Id
    """A stable code."""
    message: str
    """What a person should know."""


class Basis(OwnData, frozen=True, kw_only=True):
    """Why a command exists: what to replay, and by which rules it was made.

    `origin` is the topic of the source event; a redrive finds the event there by `event_id` and `subject`.
    """

    event_id: str
    """The id of the source event."""
    event_type: str
    """Its type."""
    origin: str
    """Its topic."""
    subject: str
    """The id of the entity at its source."""
    rule_sequence: int
    """The tenant's rule revision."""
    rule_hash: str
    """The hash of that revision."""
    record_versions: dict[str, int] = {}
    """How many changes of each part of the record had been folded."""
    cause: str = ""
    """The id of the redrive that asked for it; empty for none."""


class Command(OwnData, frozen=True, kw_only=True):
    """What each command carries beside its kind's fields.

    `seq` orders the commands of one target (`schemas.ordering`): the record's group versions, highest first, then
    the rule sequence; it is empty for an `ensure`, which creates or adopts and never updates. `state_hash` covers the
    kind's fields alone.
    """

    kind: ClassVar[Kind]
    groups: ClassVar[dict[str, tuple[str, ...]]]
    once: ClassVar[bool] = False
    """Whether its record is made once for all: one that a person has deleted in Halo stays deleted, redriven or not."""

    target: Target
    """The record that it is about."""
    basis: Basis
    """Why it exists."""
    state_hash: str = ""
    """The hash of the desired state."""
    seq: tuple[int, ...] = ()
    """Its place among the target's commands: versions of the record's parts, highest first, then the rule revision."""
    ensure: bool = False
    """Create or adopt the record, and never update it."""
    adopt_only: bool = False
    """Adopt the record where Halo has it, and make none."""
    match: tuple[Match, ...] = ()
    """How a record that Halo already has is found, in this order."""
    notices: tuple[Notice, ...] = ()
    """What a person should know."""

    @property
    def conditional(self) -> bool:
        """Whether it may end without its record: it takes the place of no command of the target that makes it."""
        fields = (getattr(self, name) for name in self.state_fields())
        return self.adopt_only or any(isinstance(one, Field) and one.missing == "skip" for one in fields)

    @classmethod
    @functools.cache
    def state_fields(cls) -> tuple[str, ...]:
        """The names of the kind's own fields, in the order of its groups."""
        return tuple(name for names in cls.groups.values() for name in names)
