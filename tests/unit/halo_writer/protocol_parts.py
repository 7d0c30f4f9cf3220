"""What the small world of `protocol` is made of: its rules, requests, records and writers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from schemas.commands import Command, Field, Named
from schemas.targets import TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.decisions import Known
from services.halo_writer.plan import plan
from tests.unit.halo_writer.build import Tool, changed

SEND_WITHIN_S = 2.0
REACH_S = 8.0
"""How long after it left a request may still be applied, and what it made be missing from searches."""
SETTLE_S = SEND_WITHIN_S + REACH_S
LAG_S = 4.0
TICK_S = 3.0
Plan = Callable[..., planned.Decision]
Action = tuple[str, Callable[[], None]]
Record = dict[str, str]


@dataclass(frozen=True)
class Rules:
    """The protocol's rules; a test switches one off to see that the world then breaks."""

    plan: Plan = plan
    settle_s: float = SETTLE_S
    saves_are_conditional: bool = True
    sends_are_fenced: bool = True
    sends_are_timely: bool = True
    row_before_offset: bool = True
    intents_before_writes: bool = True
    an_open_write_hides_the_state: bool = True


@dataclass
class Flight:
    """A request that left: what it writes, and until when Halo may still apply it."""

    operation: Literal["create", "update"]
    writes: Record
    halo_id: int | None
    sent_at: float
    writer: int
    number: int


@dataclass
class Stored:
    """What Halo holds, and from when a search shows it."""

    values: Record
    visible_at: float


@dataclass
class Writer:
    """One process: what it is about to do, gone with a crash."""

    doing: Literal["idle", "plan", "write", "send", "wait", "settle", "withdraw", "park", "commit"] = "idle"
    command: int = 0
    row: TargetState | None = None
    before: TargetState | None = None
    known: Known = field(default_factory=Known)
    epoch: int = 0
    offset: int = 0
    not_before: float = 0.0
    flight: int = 0
    decision: planned.Create | planned.Update | None = None
    end: tuple[TargetState | None, int | None] | None = None


def commands(states: list[tuple[str, str]]) -> list[Command]:
    """One command for each state, in the order of their seq."""
    made: list[Command] = []
    for place, (title, status) in enumerate(states):
        command = Tool().quote(seq=(place + 1, 1), title=title, lines=[])
        named = Named(lookup="quote_status", name=status)
        made.append(changed(command, status=Field(value=named)))
    return made


def state_of(command: Command) -> Record:
    """The command's desired state, by group, as Halo keeps it."""
    title, status = command.title.value, command.status.value.name  # type: ignore[attr-defined]
    return {"head": title, "status": status, "lines": ""}


class Broken(AssertionError):
    """The world did what the protocol excludes; the message tells the way there."""
