"""Events through the mapping one after another, as a tenant's mapper takes them, without a log or a store. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hub.bus.records import Outgoing
from hub.bus.records import Record as Message
from hub.store.records import Record, RecordKey
from hub.tenants.follower import Rules
from schemas.commands import Command
from schemas.envelope import from_headers
from schemas.registry import decode
from schemas.topics import COMMANDS, CONTROL
from services.mapper.batch import Batch, DesiredCache, Result
from services.mapper.intake import Event, Refused, read
from services.mapper.questions import Question

_MAX_MESSAGE_BYTES = 1_000_000


class Played(msgspec.Struct, frozen=True):
    """What one event came to. `waits_for` is the quote without which a file can't be mapped."""

    event: Event
    result: Result | Refused
    commands: tuple[Command, ...] = ()
    questions: tuple[Question, ...] = ()
    waits_for: RecordKey | None = None


class Rehearsal:
    """One tenant under one revision of its rules; it remembers what it was told, as the mapper's store does."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._records: dict[RecordKey, Record] = {}
        self._cache = DesiredCache()

    @property
    def records(self) -> Mapping[RecordKey, Record]:
        """The folded state of every entity that was spoken of."""
        return self._records

    def play(self, event: Event) -> Played:
        """The event's own result, and the commands and questions that it leads to; an answer is taken up at once."""
        batch = Batch(self._records, lambda _: self._rules, self._cache, max_message_bytes=_MAX_MESSAGE_BYTES)
        batch.run([event])
        self._records |= {record.key: record for record, _ in batch.changed()}
        commands = tuple(_commands_of(batch.outgoing))
        questions = tuple(question for _, question in batch.questions)
        for answer in _answers_in(batch.outgoing, event):
            taken = self.play(answer)
            commands, questions = (*commands, *taken.commands), (*questions, *taken.questions)
        (settled,) = batch.settled
        return Played(event, settled.result, commands, questions, batch.orphans.get(event.key))


def _commands_of(messages: Sequence[Outgoing]) -> Iterator[Command]:
    for message in messages:
        if message.topic == COMMANDS:
            command: Command = decode(from_headers(message.headers).type, message.value or b"")
            yield command


def _answers_in(messages: Sequence[Outgoing], event: Event) -> Iterator[Event]:
    """The answers about quotes among these, as they come back on the control topic."""
    for message in messages:
        if message.topic == CONTROL:
            came_back = Message(CONTROL, 0, 0, 0, message.key, message.value, message.headers)
            answer = read(came_back, event.envelope.time)
            if isinstance(answer, Event):
                yield answer
