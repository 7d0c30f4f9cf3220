"""What every part of a mapping is given, and how the parts say what they found."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.tenants.model import RuleSet
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
    """The document can't be mapped under the present rules; `faults` lists everything that a person must mend."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(map(str, faults)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The entity's surroundings (`rules` as they hold for its producer), and what the mapping found so far."""

    tenant: str
    source: str
    rules: RuleSet
    faults: list[Fault] = field(default_factory=list)

    def target(self, kind: Kind, source_id: str, scope: str = "") -> Target:
        """A record of the entity's producer, whose id its commands' envelopes take.

        An id in the data may end in a line feed: a `$` of Python's patterns stands before one, too.
        """
        return Target(
            tenant=self.tenant,
            instance=self.rules.instance,
            source=self.source,
            kind=kind,
            id=bounded(source_id),
            scope=scope,
        )

    def fault(self, at: str, problem: str) -> None:
        """Note a fault and go on: all of them are reported together."""
        self.faults.append(Fault(at, problem))


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
