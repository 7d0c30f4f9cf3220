"""What every part of a mapping is given, and what they all make fields and amounts with. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from hub.tenants.opportunities import Opportunities
from hub.tenants.quotes import Quotes
from schemas.commands import Basis, Command, Field, Notice, Write
from schemas.envelope import Fault
from schemas.identity import state_hash
from schemas.targets import Kind, Target
from services.mapper.refs import bounded

T = TypeVar("T")
C = TypeVar("C", bound=Command)

NO_BASIS = Basis(event_id="", event_type="", origin="", subject="", rule_sequence=0, rule_hash="")
"""Stands in for the basis of a state that no event has asked for yet."""


class MappingRejected(Exception):
    """The document can't be mapped under the present rules; `faults` lists everything that a person must mend, once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("; ".join(map(str, self.faults)))


class Scope(msgspec.Struct, frozen=True):
    """The entity's surroundings; `rules` as they hold for its producer."""

    tenant: str
    source: str
    rules: RuleSet

    @property
    def quotes(self) -> Quotes:
        assert self.rules.quotes is not None, "only a tenant with quotes maps a quote"
        return self.rules.quotes

    @property
    def opportunities(self) -> Opportunities:
        assert self.rules.opportunities is not None, "a tenant with quotes or opportunities has these rules"
        return self.rules.opportunities

    def target(self, kind: Kind, source_id: str, scope: str = "") -> Target:
        """A record of the entity's producer. An id in the data may hold what the envelope of its command may not."""
        return Target(
            tenant=self.tenant,
            instance=self.rules.instance,
            source=self.source,
            kind=kind,
            id=bounded(source_id),
            scope=scope,
        )


def scope_of(record: Record, rules: RuleSet) -> Scope:
    return Scope(record.tenant, record.source, rules)


def given(value: T | None, write: Write = "always") -> Field[T] | UnsetType:
    """The field of a value that the event carries; none when it doesn't."""
    return UNSET if value is None else Field(value=value, write=write)


def sealed(command: C) -> C:
    """The command with the hash of its state."""
    return replace(command, state_hash=state_hash(command))


def notices(*found: Notice | None) -> tuple[Notice, ...]:
    return tuple(notice for notice in found if notice is not None)


def plain(value: Decimal) -> Decimal:
    """The same amount without trailing zeros or exponent, so that equal amounts are equal text."""
    return Decimal(format(value.normalize() + 0, "f"))
