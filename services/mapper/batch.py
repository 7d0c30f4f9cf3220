"""What a batch of events comes to: records to save, messages to publish, rows that begin or end to wait. Pure.

The events of one entity fold one after another, so a batch counts like its events one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from hub.bus.producer import record_size
from hub.bus.records import Outgoing
from hub.store.records import Record, RecordKey
from hub.tenants.follower import Rules
from hub.tenants.model import RuleSet
from schemas.answers import QuestionAnswered
from schemas.commands import TYPE_OF_KIND, Basis, Command
from schemas.envelope import Fault
from services.mapper.emit import answer_message, basis_of, command_message, event_again, question_message
from services.mapper.entities import ENTITIES
from services.mapper.files import Orphan, map_file
from services.mapper.intake import Event, Refused, refused
from services.mapper.questions import Question
from services.mapper.quote import (
    Desired,
    Mapped,
    NothingToWrite,
    Waiting,
    commands,
    desired,
)
from services.mapper.record import Folded, fold, versions_of
from services.mapper.scope import MappingRejected

Result = Literal[
    "mapped",
    "repeat",
    "stale",
    "waiting",
    "parked",
    "switched_off",
    "not_won",
    "unanswered",
    "no_opportunity",
]
"""How an event ended: `waiting` for its entity's base, `parked` until its tenant has rules, `switched_off` by these;
the last three write nothing of a quote, as `winning.NotWritten` says."""
Unmapped = Literal["waiting", "switched_off"]
"""The results of what is not mapped at all."""

_CONFLICT = Fault("revision", "another event of this entity has this revision with other content")
_MIXED = Fault("revision", "an entity's events all carry a revision, or none does; this one differs")
_MOST_ATTRIBUTE_BYTES = 64 * 1024
"""More than the attributes of any envelope take: an event whose data leaves that much room fits."""


class Settled(msgspec.Struct, frozen=True):
    """How one event ended in this stage; a refused one ends as its dead letter."""

    event: Event
    result: Result | Refused


class Batch:
    """Folds and maps events onto the records that were loaded for them. Made anew for each batch.

    `waiting` has the last event of each entity whose base has not come, `orphans` the quote that a file among them
    needs, `arrived` the entities that wait no more, `parked` the events whose tenant has no rules yet. `asking` has the
    questions that wait for a person by what was mapped last of each record, and the event of that. `surprises` are
    errors that nobody foresaw; their events are refused.
    """

    def __init__(
        self,
        records: Mapping[RecordKey, Record],
        rules_of: Callable[[str], Rules | None],
        cache: DesiredCache,
        *,
        max_message_bytes: int,
    ) -> None:
        self._loaded = records
        self._records = dict(records)
        self._rules_of = rules_of
        self._cache = cache
        self._max_message_bytes = max_message_bytes
        self.outgoing: list[Outgoing] = []
        self.commands: Counter[str] = Counter()
        self.settled: list[Settled] = []
        self.waiting: dict[RecordKey, Event] = {}
        self.orphans: dict[RecordKey, RecordKey] = {}
        self.arrived: set[RecordKey] = set()
        self.parked: list[Event] = []
        self.questions: list[tuple[Event, Question]] = []
        self.asking: dict[RecordKey, tuple[Event, tuple[Question, ...]]] = {}
        self.surprises: list[tuple[Event, Exception]] = []

    def run(self, events: Sequence[Event]) -> None:
        """Take in events in their order."""
        for event in events:
            try:
                result = self._one(event)
            except Exception as error:  # noqa: BLE001 - one quote's surprise must not hold up every other tenant
                self.surprises.append((event, error))
                result = _refuse(event, "mapper.failed", (Fault("", f"{type(error).__name__}: {error}"),))
            self.settled.append(Settled(event, result))

    def changed(self) -> list[tuple[Record, int]]:
        """The records to save, each with the version that it must still have."""
        changed = []
        for key, record in self._records.items():
            before = self._loaded.get(key)
            if record is not before:
                version = 0 if before is None else before.version
                changed.append((msgspec.structs.replace(record, version=version + 1), version))
        return changed

    def _one(self, event: Event) -> Result | Refused:
        fault = self._unrepeatable(event)
        if fault is not None:
            return _refuse(event, "data.too_large", (fault,))
        rules = self._rules_of(event.envelope.tenant)
        if rules is None:
            self.parked.append(event)
            return "parked"
        if isinstance(event.data, QuestionAnswered):
            # It comes back on the control topic, where every answer is taken up.
            self.outgoing.append(answer_message(event.data, event.envelope, rules.rules.instance))
            return "mapped"
        before = self._records.get(event.key)
        folded = fold(before, event.envelope, event.data)
        if folded.status == "conflict":
            return _refuse(event, "revision.conflict", (_CONFLICT,))
        if folded.status == "mixed":
            return _refuse(event, "ordering.mixed", (_MIXED,))
        if folded.status == "effective":
            self._records[event.key] = folded.record
            if before is not None and "head" in folded.changed and "head" not in before.groups:
                self.arrived.add(event.key)
                self.waiting.pop(event.key, None)
        return self._map(event, folded, rules)

    def _map(self, event: Event, folded: Folded, rules: Rules) -> Result | Refused:
        try:
            made = self._made(event, folded, rules)
        except MappingRejected as error:
            return _refuse(event, "mapping.rejected", error.faults)
        if isinstance(made, str):
            if made == "switched_off":
                self.asking[event.key] = (event, ())
            return made
        self.asking[event.key] = (event, made.questions)
        self.questions += [(event, question) for question in made.questions]
        self.outgoing += [question_message(question, event.envelope) for question in made.questions]
        if isinstance(made, NothingToWrite):
            return made.why
        messages = [command_message(command, event.envelope) for command in made.commands]
        fault = self._too_large(made.commands, messages)
        if fault is not None:
            return _refuse(event, "command.too_large", (fault,))
        self.outgoing += messages
        self.commands.update(TYPE_OF_KIND[command.kind] for command in made.commands)
        return "mapped" if folded.status == "effective" else _quiet(folded)

    def _made(self, event: Event, folded: Folded, rules: Rules) -> Mapped | NothingToWrite | Unmapped:
        """What the event's entity maps to by the rules of its producer."""
        record, its_rules = folded.record, rules.rules.for_source(event.key.source)
        basis = basis_of(event.envelope, event.record.topic, versions_of(record), rules.sequence, rules.hash)
        match event.key.kind:
            case "quote":
                return self._quote(event, folded, its_rules, rules.hash, basis)
            case "file":
                return self._file(event, record, its_rules, basis)
            case kind:
                commanded = ENTITIES[kind](record, its_rules, basis)
                return commanded if isinstance(commanded, str) else Mapped(commanded)

    def _quote(
        self, event: Event, folded: Folded, rules: RuleSet, rule_hash: str, basis: Basis
    ) -> Mapped | NothingToWrite | Unmapped:
        if rules.quotes is None:
            return "switched_off"
        record = folded.record
        state = self._cache.get(record, rule_hash, lambda: desired(record, rules))
        if isinstance(state, Waiting):
            if folded.status == "effective":
                # A repeat has its row already, or had it until the base came. It saves no record, so that nothing
                # would tell it if another process has seen the base come.
                self.waiting[event.key] = event
            return "waiting"
        return commands(state, record, rules, basis, folded.touched)

    def _file(self, event: Event, record: Record, rules: RuleSet, basis: Basis) -> Mapped | Unmapped:
        made = map_file(record, self._records.get, rules, basis)
        if isinstance(made, Orphan):
            self.waiting[event.key] = event
            self.orphans[event.key] = made.quote
            return "waiting"
        self.waiting.pop(event.key, None)
        self.arrived.add(event.key)
        return Mapped(made) if isinstance(made, tuple) else made

    def _unrepeatable(self, event: Event) -> Fault | None:
        """The fault of an event that Kafka took and the hub could not publish again, as a redrive would have to.

        So would its release, if it waits for its tenant's rules, and all that wait with it would be held up by it.
        """
        value = event.record.value or b""
        if len(value) + _MOST_ATTRIBUTE_BYTES <= self._max_message_bytes:
            return None
        size = record_size(event_again(event.envelope, value))
        if size <= self._max_message_bytes:
            return None
        return Fault("", f"has {size} bytes with its attributes, of {self._max_message_bytes} at most")

    def _too_large(self, made: Sequence[Command], messages: Sequence[Outgoing]) -> Fault | None:
        for command, message in zip(made, messages, strict=True):
            size = record_size(message)
            if size > self._max_message_bytes:
                problem = f"the {command.kind} command has {size} bytes, of {self._max_message_bytes} at most"
                return Fault("", problem)
        return None


class DesiredCache:
    """What the head and lines of recent records map to, so that a change of status doesn't map them again."""

    def __init__(self, size: int = 2_000) -> None:
        self._size = size
        self._entries: dict[RecordKey, tuple[tuple[str, ...], Desired]] = {}

    def get(self, record: Record, rule_hash: str, make: Callable[[], Desired | Waiting]) -> Desired | Waiting:
        head, lines = record.groups.get("head"), record.groups.get("lines")
        if head is None or lines is None:
            return make()
        link = record.groups.get("link")
        answered = record.groups.get("answered")
        stamp = (head.hash, lines.hash, rule_hash, *("" if g is None else g.hash for g in (link, answered)))
        entry = self._entries.get(record.key)
        if entry is not None and entry[0] == stamp:
            return entry[1]
        state = make()
        if isinstance(state, Desired):
            self._entries.pop(record.key, None)
            if len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
            self._entries[record.key] = (stamp, state)
        return state


def _quiet(folded: Folded) -> Result:
    return "repeat" if folded.status == "repeat" else "stale"


def _refuse(event: Event, reason: str, faults: tuple[Fault, ...]) -> Refused:
    return refused(event.record, event.envelope, reason, faults)
