"""The hub's log and store as anybody may read them: whether all that was published has come to its end, and which."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from cli import context
from cli.story import Happening, KeyFilter, Question, tell
from hub.bus.connect import bus_settings
from hub.bus.positions import committed_and_end
from hub.bus.records import Record
from hub.settings import Settings
from hub.store import catalogue, outbox, pending
from schemas.commands import Command
from schemas.envelope import Envelope, from_headers
from schemas.outcomes import DeadLetter, DuplicateSuspected, Outcome
from schemas.registry import decode
from schemas.topics import COMMANDS, CONTROL, DEAD_LETTERS, OUTCOMES, PRODUCTS, QUOTES

MAPPER_GROUP, WRITER_GROUP, FEEDS_GROUP = "hub-mapper", "hub-writer", "hub-writer-feeds"
_SOURCES = (QUOTES, PRODUCTS)


@dataclass(frozen=True)
class Backlog:
    """What is not done yet: records behind each group's commits, and rows that wait in the store."""

    events: int
    commands: int
    waiting: int
    unpublished: int
    reasons: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.events + self.commands + self.waiting + self.unpublished

    @property
    def empty(self) -> bool:
        return not self.size

    def __str__(self) -> str:
        waits = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return (
            f"{self.events} events and {self.commands} commands to go, {self.waiting} that wait{waits}, "
            f"{self.unpublished} to publish"
        )


@dataclass(frozen=True)
class Ledger:
    """The whole log, read once. Commands and outcomes are (envelope, data) in the order of their partitions."""

    events: tuple[Envelope, ...]
    commands: tuple[tuple[Envelope, Command], ...]
    outcomes: tuple[tuple[Envelope, Outcome], ...]
    suspected: tuple[DuplicateSuspected, ...]
    dead_letters: tuple[DeadLetter, ...]

    def unended(self) -> frozenset[str]:
        """Events that came to nothing, and commands without an outcome; there are to be none.

        An event has come to something with a command of its own, with one of a later event that was made from what
        it said, or with a dead letter.
        """
        caused = {envelope.causationid for envelope, _ in self.commands}
        used = {
            (command.basis.subject, version)
            for _, command in self.commands
            for version in command.basis.record_versions.values()
        }
        set_aside = {letter.event_id for letter in self.dead_letters if letter.stage == "mapper"}
        ended = {outcome.command_id for _, outcome in self.outcomes}
        return frozenset(
            {
                f"event {event.id}"
                for event in self.events
                if event.id not in caused | set_aside and (event.subject, event.revision) not in used
            }
            | {f"command {envelope.id}" for envelope, _ in self.commands if envelope.id not in ended}
        )


async def backlog(settings: Settings) -> Backlog:
    """What is not done, asked in the order in which work moves on: none at one stage means none came after."""
    events = await _behind(settings, MAPPER_GROUP, *_SOURCES, CONTROL)
    events += await _behind(settings, FEEDS_GROUP, CONTROL)
    commands = await _behind(settings, WRITER_GROUP, COMMANDS)
    async with context.store(settings) as store, store.read() as conn:
        counted = await pending.count_by_reason(conn)
        unpublished = await outbox.depth(conn)
    # What is asked about a record holds nothing back but the step that it is about.
    waiting = [line for line in counted if (line.stage, line.reason) != ("mapper", pending.DECISION)]
    reasons = tuple(f"{line.count} {line.stage}/{line.reason}" for line in waiting)
    return Backlog(events, commands, sum(line.count for line in waiting), unpublished, reasons)


async def catalogue_read(settings: Settings, tenant: str, instance: str) -> bool:
    """Whether the hub has read the records of the tenant's Halo, which it does after all its lists."""
    async with context.store(settings) as store, store.read() as conn:
        found = await catalogue.summary(conn, tenant, instance)
    return {kind.kind for kind in found if kind.fresh_since is not None} >= {"client", "user", "item"}


async def read_ledger(settings: Settings) -> Ledger:
    """All that is on the log now."""
    outcomes: list[tuple[Envelope, Outcome]] = []
    suspected: list[DuplicateSuspected] = []
    for record in await _records(settings, OUTCOMES):
        envelope = from_headers(record.headers)
        match decode(envelope.type, record.value or b""):
            case Outcome() as outcome:
                outcomes.append((envelope, outcome))
            case DuplicateSuspected() as suspicion:
                suspected.append(suspicion)
    commands = [
        (envelope, decode(envelope.type, value)) for envelope, value in await _messages(settings, COMMANDS)
    ]
    letters = await read_dead_letters(settings)
    events = [
        from_headers(record.headers) for topic in _SOURCES for record in await _records(settings, topic)
    ]
    return Ledger(tuple(events), tuple(commands), tuple(outcomes), tuple(suspected), tuple(letters))


async def read_dead_letters(settings: Settings) -> list[DeadLetter]:
    """All that was set aside until now."""
    return [decode(envelope.type, value) for envelope, value in await _messages(settings, DEAD_LETTERS)]


async def read_story(settings: Settings, halo_quote_id: int) -> tuple[Happening, ...]:
    """What `hub audit show --kind quote` tells of one Halo quote."""

    def read(topic: str, key_filter: KeyFilter | None = None) -> AsyncIterator[Record]:
        return context.records_of(settings, topic, key_filter=key_filter)

    return tuple(await tell(Question(halo_id=halo_quote_id, kind="quote"), read))


async def _messages(settings: Settings, topic: str) -> list[tuple[Envelope, bytes]]:
    return [(from_headers(record.headers), record.value or b"") for record in await _records(settings, topic)]


async def _records(settings: Settings, topic: str) -> list[Record]:
    return [record async for record in context.records_of(settings, topic)]


async def _behind(settings: Settings, group: str, *topics: str) -> int:
    """How many records of the topics the group has not committed."""
    bus = bus_settings(settings, client_id="hub-demo", group=group)
    committed, end = await committed_and_end(bus, list(topics))
    return sum(end.values()) - sum(offset or 0 for offset in committed.values())
