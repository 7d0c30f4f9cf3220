"""What the states of the protocol's model are made of: small, immutable, and equal when nothing tells them apart.

Clocks, versions, epochs and ids are gone: what the protocol asks of them is kept as answers (is this lease still
mine, has `settle_s` passed since that intent).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.commands import Command, Field, Named
from tests.unit.halo_writer.build import Tool, changed

NEVER = 99


class Waiting(NamedTuple):
    """A row in pending: its command, those that it replaced (bits), and whether it is from before a restore."""

    command: int
    replaced: int
    old: bool


class Record(NamedTuple):
    """What Halo holds of a target: the values by group, the newest command in it, and whether searches miss it."""

    values: tuple[int, ...]
    newest: int
    hidden: bool


class Place(NamedTuple):
    """A target: its row (a number that `Decisions` knows), whether `settle_s` has passed since its intent."""

    row: int = 0
    aged: bool = False
    waiting: Waiting | None = None
    record: Record | None = None


class Flight(NamedTuple):
    """A request that left: what it writes, and which writer waits for the answer (None: nobody any more)."""

    target: int
    creates: bool
    groups: tuple[int, ...]
    command: int
    writer: int | None


class Job(NamedTuple):
    """One command in a writer's memory; `first` is the lowest offset that it answers for, NEVER if it is in a row.

    `row` is the command that its target's row held when that was loaded, None without one.
    """

    target: int
    command: int
    replaced: int = 0
    old: bool = False
    first: int = NEVER
    row: int | None = None


class Write(NamedTuple):
    """A create, or an update of these groups; `row` is the row before it."""

    row: int
    creates: bool
    groups: tuple[int, ...]


class Hand(NamedTuple):
    """The one command that a writer is at, and what it is about to do."""

    stage: str
    job: Job
    row: int = 0
    looked: int = 0
    read: int = 0
    write: Write | None = None
    end: int | None = None


class Writer(NamedTuple):
    """One process, gone with a crash: how far it has read the log, what it holds in memory, what it is at.

    `mine` tells whether the lease is still the one that it took.
    """

    top: int
    memory: tuple[Job | None, ...]
    hand: Hand | None = None
    mine: bool = True


class Copy(NamedTuple):
    """The store as it was a moment ago."""

    places: tuple[Place, ...]
    offset: int


class World(NamedTuple):
    """Everything. The first writer is the one that holds the lease; of the other only what it is at can still matter.

    `told` are the commands with an outcome (bits); `offset` is where the present owner began to read.

    `restored` is None before a restore, else whether `settle_s` has passed since, and where the log ended then.
    """

    places: tuple[Place, ...]
    published: int
    offset: int = 0
    writers: tuple[Writer, Writer | None] = (Writer(0, ()), None)
    flights: tuple[Flight, ...] = ()
    told: int = 0
    crashes: int = 0
    takeovers: int = 0
    throttles: int = 0
    copies: int = 0
    copy: Copy | None = None
    restored: tuple[bool, int] | None = None


class Step(NamedTuple):
    """What happens, the world after it, and whether it is a fault: nothing may need one to go on."""

    name: str
    world: World
    fault: bool = False


@dataclass(frozen=True)
class Rules:
    """The protocol's rules; a test switches one off to see that the model then finds the harm."""

    waits_to_settle: bool = True
    looks_up_first: bool = True
    updates_have_intents: bool = True
    an_open_write_hides_the_state: bool = True
    saves_are_conditional: bool = True
    sends_are_fenced: bool = True
    sends_are_timely: bool = True
    row_before_offset: bool = True
    newest_wins: bool = True
    an_older_seq_never_writes: bool = True
    an_open_newer_write_is_left_alone: bool = True
    waits_for_what_it_refers_to: bool = True
    ends_only_its_own_row: bool = True
    leaves_the_row_of_the_command_in_hand: bool = True
    looks_first_after_a_restore: bool = True
    distrusts_rows_of_before_a_restore: bool = True
    waits_to_settle_after_a_restore: bool = True
    remembers_what_is_of_before: bool = True
    rewinds_after_a_restore: bool = True


@dataclass(frozen=True)
class Setup:
    """What is on the log, as (target, command of that target), and how much may go wrong."""

    commands: tuple[tuple[Command, ...], ...]
    log: tuple[tuple[int, int], ...]
    crashes: int = 0
    takeovers: int = 0
    throttles: int = 0
    copies: int = 0
    published: int | None = None
    """How much of the log is there at the start; None: all of it, of which a poll may see any part."""
    strict: bool = False
    """Whether an older state may not even follow a newer one whose write has not settled."""
    refers_to: dict[int, int] = field(default_factory=dict)
    """Which target's Halo id a target's writes name."""

    def bit(self, target: int, command: int) -> int:
        return 1 << self.log.index((target, command))

    def started(self, offset: int) -> Writer:
        """A process that begins to read there."""
        return Writer(offset, (None,) * len(self.commands))

    def start(self) -> World:
        return World(
            places=tuple(Place() for _ in self.commands),
            writers=(self.started(0), None),
            published=len(self.log) if self.published is None else self.published,
            crashes=self.crashes,
            takeovers=self.takeovers,
            throttles=self.throttles,
            copies=self.copies,
        )


def revisions(*states: tuple[str, str]) -> tuple[Command, ...]:
    """One quote's commands, in the order of their seq: its title and its status."""
    made = []
    for place, (title, status) in enumerate(states):
        command = Tool().quote(seq=(place + 1, 1), title=title, lines=[])
        named = Named(lookup="quote_status", name=status)
        made.append(changed(command, status=Field(value=named)))
    return tuple(made)
