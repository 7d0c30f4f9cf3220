"""Targets: the records in Halo that the hub answers for, and what is known of each.

A target is (tenant, Halo instance, source, kind, source id, scope). Coalescing, ordering, intents and our key
in Halo go by it alone: never by a revision, a rule or an event.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from schemas.base import HaloId, Id, OwnData, TenantName

Kind = Literal["client", "site", "user", "item", "opportunity", "quote", "attachment", "won", "sales_order"]
KINDS: tuple[Kind, ...] = (
    "client",
    "site",
    "user",
    "item",
    "opportunity",
    "quote",
    "attachment",
    "won",
    "sales_order",
)
"""In the order of dependencies: what others refer to comes first. Nothing that is stored depends on a kind's place."""

PICKED = "halo:"
"""How the scope of an opportunity begins that Halo had already when a quote named it; its Halo id follows."""
LEAD = "lead"
"""The scope of an opportunity that stands for a company which is no Halo client; its id is the company's."""
_PARTS_OF_KEY, _KIND_IN_KEY = 6, 3
OUR_KEY_LENGTH = 32
OUR_MARK = "hub-"
"""What each of our keys begins with."""


class Target(OwnData, order=True, frozen=True, kw_only=True):
    """The identity of one Halo record at its source. `instance` is the host of the tenant's Halo."""

    tenant: TenantName
    """The tenant's name."""
    instance: Id
    """The host of the tenant's Halo."""
    source: Id
    """The producer's name."""
    kind: Kind
    """What it is in Halo."""
    id: Id
    """The id of the entity at its source."""
    scope: str = ""
    """Tells several records of one entity apart; empty where there is one."""

    @property
    def key(self) -> str:
        """One line of text that names the target uniquely; the key on `hub.targets.v1` and in the store."""
        parts = (self.tenant, self.instance, self.source, self.kind, self.id, self.scope)
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def kind_in(key: str) -> str:
    """The kind of the record that a target's key names, known to this release or not; empty for any other text."""
    parts = key.split("/")
    return parts[_KIND_IN_KEY] if len(parts) == _PARTS_OF_KEY else ""


def our_key(target: Target, part: str = "") -> str:
    """The text that marks a record (or, with `part`, one of its lines) as this target's inside Halo.

    A hash of the target alone, so that each revision and each retry of one source entity carries the same mark.
    """
    digest = hashlib.sha256(f"{target.key}\n{part}".encode()).hexdigest()
    return f"{OUR_MARK}{digest[: OUR_KEY_LENGTH - len(OUR_MARK)]}"


class Intent(OwnData, frozen=True, kw_only=True):
    """A write to Halo that may have happened: stored before the request, gone when it has settled.

    `sent_at` is the store's clock, in seconds since the epoch, before the request left; `state_hash` is the
    desired state that was sent, so that a later reader can tell whether Halo already has the newest one, `seq` its
    command's: no older one is written while it is open.
    """

    command_id: str
    """The command that is written."""
    operation: Literal["create", "update"]
    """Whether a record is made or changed."""
    epoch: int
    """The epoch of the lease under which it was sent."""
    sent_at: float
    """Seconds since 1970, by the store's clock."""
    state_hash: str
    """The hash of the state that was sent."""
    seq: tuple[int, ...] = ()
    """The command's place in the order."""


class TargetState(OwnData, frozen=True, kw_only=True):
    """A target's row: what Halo holds for it and how far its history has settled.

    `children` maps our part keys (`site`, `user`, `line:<id>`) to Halo ids inside the record; `item:<key>` is
    the item that a line sells in Halo, `said` and `said:<key>` which optional fields we wrote. `groups` holds the
    hash of each field group as last settled. `answered_hash` is the hash of the state as Halo answered it.
    `look_first` demands a look-up before the next create. `owns` is false when another target owns the record:
    this one refers to it and never updates it. `version` rises with each change of the row.
    """

    target: Target
    """The record."""
    version: int = 0
    """Rises with each change of the row."""
    halo_id: HaloId | None = None
    """Its id in Halo; none before it is there."""
    owns: bool = True
    """False when another target owns the Halo record."""
    children: dict[str, int] = {}
    """Ids of parts inside the record, and what of them the next write must know, by our part keys."""
    seq: tuple[int, ...] = ()
    """The place of the last command that settled."""
    state_hash: str | None = None
    """The hash of the last desired state that settled."""
    groups: dict[str, str] = {}
    """The hash of each field group as last settled."""
    answered_hash: str | None = None
    """The hash of the state as Halo answered it."""
    intent: Intent | None = None
    """A write whose end is not known yet."""
    look_first: bool = False
    """Whether the next create must look first."""
    generation: int = 0
    """The store's generation that wrote the row."""
    last_command_id: str | None = None
    """The last command that settled."""
    last_outcome: bytes | None = None
    """Its outcome, as it was published."""
