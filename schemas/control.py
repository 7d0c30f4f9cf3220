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
    "custom_field",
    "customer_relationship",
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
Verdict = Literal["ok", "warning", "failed", "unknown"]


class SettingsChanged(OwnData, frozen=True, kw_only=True):
    """A tenant file that was accepted: its place in the tenant's history, its hash, its whole normalised text.

    The text is JSON; secrets are references.
    """

    sequence: int
    """Counts the tenant's revisions."""
    hash: str
    """The hash of the text."""
    text: str
    """The whole file as JSON, in a fixed form."""


class SyncRequested(OwnData, frozen=True, kw_only=True):
    """Read Halo again: these kinds (all when empty). `by` names who asked."""

    by: str
    """Who asked."""
    kinds: tuple[CatalogueKind, ...] = ()
    """What is to be read; all when empty."""


class Check(OwnData, frozen=True, kw_only=True):
    """One line of a connection test."""

    name: Id
    """What was checked: a step, or a key of the file."""
    verdict: Verdict
    """How it went."""
    detail: str = ""
    """What was seen."""
    fix: str | None = None
    """What to do."""


class Proof(OwnData, frozen=True, kw_only=True):
    """What a tenant's Halo was seen to do for one kind: our key, written with a record, was found again.

    `by` is the look-up that found it, `lag_s` how long it took to show (an upper bound).
    """

    kind: Kind
    """The kind of record."""
    by: LookupBy
    """The look-up that found it."""
    ok: bool
    """Whether it was found."""
    lag_s: float = 0.0
    """After how many seconds, at most."""


class ArrayProof(OwnData, frozen=True, kw_only=True):
    """What a tenant's Halo was seen to do with several records of one kind in one request.

    `ok`: it took them and told each of them in its answer; else `why` not. `atomic`: of a request with a record that it
    refuses it stored none.
    """

    kind: Kind
    """The kind of record."""
    ok: bool
    """Whether it took them and told each."""
    atomic: bool = False
    """Whether it stored none of a request with a bad one."""
    why: str | None = None
    """Why not."""


class ConnectionTested(OwnData, frozen=True, kw_only=True):
    """The result of `hub tenant check`. Proofs hold for `instance` until a later test says otherwise.

    `arrays` travel in an event of their own, which a release that doesn't know them passes over.
    """

    instance: Id
    """The host of the tenant's Halo."""
    ok: bool
    """Whether nothing failed."""
    checks: tuple[Check, ...] = ()
    """Each line of the test."""
    proofs: tuple[Proof, ...] = ()
    """What was proven of look-ups."""
    arrays: tuple[ArrayProof, ...] = ()
    """What was proven of arrays."""


class DecisionRequested(OwnData, frozen=True, kw_only=True):
    """A question that only a person can answer; the command of `target` waits for it."""

    target: Target
    """The record whose command waits."""
    question: Id
    """A stable code of the question."""
    message: str
    """The question, for a person."""
    choices: tuple[str, ...] = ()
    """The answers that there are."""


class DecisionAnswered(OwnData, frozen=True, kw_only=True):
    """A person's answer to a question about a record. It holds for that record until another answer comes."""

    target: Target
    """The record that was asked about."""
    question: Id
    """The code of the question."""
    choice: Id
    """The answer: one of the choices, or the id of a Halo record where that was asked for."""
    by: str
    """Who answered."""


REDRIVE_ID = "redrive-"
"""What the id of each redrive begins with: a producer's event may have a cause of its own, and is no redrive."""


class RedriveRequested(OwnData, frozen=True, kw_only=True):
    """Someone asked for a dead letter to be run again. The id of this event is the cause of the new commands."""

    dead_letter_id: Id
    """The dead letter."""
    by: str
    """Who asked."""
    origin: str
    """The topic on which the event is published again."""
    event_id: str | None = None
    """The id of the event that is published again."""
