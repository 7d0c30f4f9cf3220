"""The control topic: accepted settings, syncs, connection tests, decisions and every operator action."""

from __future__ import annotations

from typing import Literal

from schemas.base import Id, OwnData
from schemas.targets import Kind, Target

CatalogueKind = Literal[
    "client",
    "user",
    "item",
    "agent",
    "asset_group",
    "billing_period",
    "currency",
    "item_type",
    "quote_status",
    "region",
    "status",
    "supplier",
    "tax",
    "team",
    "ticket_type",
]
LookupBy = Literal["external_link", "field"]


class SettingsChanged(OwnData, frozen=True, kw_only=True):
    """A tenant file that was accepted: its place in the tenant's history, its hash, its whole normalised text.

    The text is JSON; secrets are references.
    """

    sequence: int
    hash: str
    text: str


class SyncRequested(OwnData, frozen=True, kw_only=True):
    """Read Halo again: these kinds (all when empty). `by` names who asked."""

    by: str
    kinds: tuple[CatalogueKind, ...] = ()


class Check(OwnData, frozen=True, kw_only=True):
    """One line of a connection test."""

    name: Id
    verdict: Literal["ok", "warning", "failed", "unknown"]
    detail: str = ""
    fix: str | None = None


class Proof(OwnData, frozen=True, kw_only=True):
    """What a tenant's Halo was seen to do for one kind: our key, written with a record, was found again.

    `by` is the look-up that found it, `lag_s` how long it took to show (an upper bound).
    """

    kind: Kind
    by: LookupBy
    ok: bool
    lag_s: float = 0.0


class ArrayProof(OwnData, frozen=True, kw_only=True):
    """What a tenant's Halo was seen to do with several records of one kind in one request.

    `ok`: it took them and told each of them in its answer; else `why` not. `atomic`: of a request with a record that it
    refuses it stored none.
    """

    kind: Kind
    ok: bool
    atomic: bool = False
    why: str | None = None


class ConnectionTested(OwnData, frozen=True, kw_only=True):
    """The result of `hub tenant check`. Proofs hold for `instance` until a later test says otherwise.

    `arrays` travel in an event of their own, which a release that doesn't know them passes over.
    """

    instance: Id
    ok: bool
    checks: tuple[Check, ...] = ()
    proofs: tuple[Proof, ...] = ()
    arrays: tuple[ArrayProof, ...] = ()


class DecisionRequested(OwnData, frozen=True, kw_only=True):
    """A question that only a person can answer; the command of `target` waits for it."""

    target: Target
    question: Id
    message: str
    choices: tuple[str, ...] = ()


class RedriveRequested(OwnData, frozen=True, kw_only=True):
    """Someone asked for a dead letter to be run again. The id of this event is the cause of the new commands."""

    dead_letter_id: Id
    by: str
    origin: str
    event_id: str | None = None
