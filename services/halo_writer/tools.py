"""What executions share, and how one can end: values without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from halo import HaloClient
from hub.lease_keeper import Held
from hub.steps import Steps
from hub.store.engine import Store
from hub.telemetry.metrics import Metrics
from hub.tenants.model import RuleSet
from services.halo_writer.files import Files
from services.halo_writer.gate import TenantGate

Trouble = Literal["limited", "unreachable", "unauthorised", "login_lost", "denied"]
"""What may stop more than the command that met it; `unauthorised` may be a lost login or one missing right."""


@dataclass(frozen=True)
class Parked:
    """The command waits in the store: why, for what, and until when (store's clock).

    `question` is asked of a person, with its `choices`, when the command begins to wait for the answer. `trouble` is
    what the tenant's other commands may have to be spared.
    """

    reason: str
    not_before: float
    waits_for: str | None = None
    note: str | None = None
    question: str | None = None
    choices: tuple[str, ...] = ()
    trouble: Trouble | None = None


@dataclass(frozen=True)
class Ended:
    """The command has settled; its messages are in the outbox. `halo_id` is its target's."""

    status: str
    halo_id: int | None
    result: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds. `settle_s`, counted from the intent, is above the sum of `send_within_s` (how long after its intent
    a write may leave), Halo's gateway limit and its search's lag. What has neither ended nor been written to a row
    `spill_s` after it was taken is; a command that takes longer than `command_s` is given up for a while; a
    file that can't be had is for `file_deadline_s`. A write whose end isn't known is looked for after `first_look_s`,
    and after up to `ambiguous_most_s` where it ends so again and again. The others are waits between tries, which
    double up to their `most`."""

    settle_s: float = 180.0
    send_within_s: float = 30.0
    first_look_s: float = 3.0
    ambiguous_most_s: float = 3_600.0
    unreachable_s: float = 1.0
    unreachable_most_s: float = 60.0
    denied_s: float = 30.0
    denied_most_s: float = 600.0
    catalogue_s: float = 2.0
    dependency_s: float = 60.0
    spill_s: float = 2.0
    command_s: float = 600.0
    file_s: float = 5.0
    file_most_s: float = 900.0
    file_deadline_s: float = 21_600.0


@dataclass(frozen=True)
class Tools:
    """What executions under one lease share. `instance` is the Halo that `client` reaches by the rules of
    `rule_sequence`, `fresh_s` how long a full read of it counts as fresh.
    """

    store: Store
    instance: str
    rules: RuleSet
    rule_sequence: int
    client: HaloClient
    gate: TenantGate
    held: Held
    steps: Steps
    timing: Timing
    metrics: Metrics
    fresh_s: float
    files: Files
