"""The whole story of a record, put together from the topics: what happened, why, by which rules, with which answer.

It starts from a source id, or from targets (found by a Halo id). It tells ids, hashes and requests, and nothing of
what a message says about people.
"""

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Protocol

import msgspec

from cli.dead_letters import headers, message_of
from hub.bus.records import Record
from schemas.commands import TYPE_OF_KIND, Command
from schemas.control import DecisionAnswered, DecisionRequested, RedriveRequested, SettingsChanged
from schemas.envelope import Envelope
from schemas.outcomes import DeadLetter, DuplicateSuspected, Outcome
from schemas.targets import Kind, TargetState
from schemas.topics import COMMANDS, CONTROL, DEAD_LETTERS, OUTCOMES, SOURCE_TOPICS, TARGETS

KeyFilter = Callable[[bytes | None], bool]
Details = dict[str, Any]


class ReadTopic(Protocol):
    def __call__(self, topic: str, key_filter: KeyFilter | None = None) -> AsyncIterator[Record]: ...


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `at_ms` is when the log took it; `cause` the id of what led to it."""

    at_ms: int
    what: str
    id: str
    said: str
    topic: str
    partition: int
    offset: int
    cause: str | None = None
    details: Details = {}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Whose story is asked for: a source id, or the record that Halo calls `halo_id` of `kind`."""

    id: str | None = None
    halo_id: int | None = None
    kind: Kind | None = None
    tenant: str | None = None
    source: str | None = None


async def tell(question: Question, read: ReadTopic) -> list[Happening]:
    """Everything that the log knows of it, in the order in which the log took it; a repeated message once."""
    teller = _Teller(question, read)
    await teller.gather()
    return sorted(teller.found.values(), key=lambda one: (one.at_ms, _place(one), one.offset))


def _place(one: Happening) -> int:
    """An intent comes before the outcome that ends it, though the log may have taken both in one moment."""
    return _ORDER["intent" if "intent" in one.details else one.what]


_ORDER = {
    "rules": 0,
    "event": 1,
    "redrive": 2,
    "command": 3,
    "decision": 4,
    "intent": 5,
    "outcome": 6,
    "duplicate suspected": 7,
    "target": 8,
    "dead letter": 9,
}


class _Teller:
    def __init__(self, question: Question, read: ReadTopic) -> None:
        self._question = question
        self._read = read
        self.found: dict[str, Happening] = {}
        self._target_keys: set[str] = set()
        self._commands: set[str] = set()
        self._subjects: set[tuple[str, str]] = set()
        # By tenant: an event's id is its producer's, and two tenants may have the same.
        self._events: set[tuple[str, str]] = set()
        self._origins: set[str] = set()
        self._letters: set[str] = set()
        self._rules: set[tuple[str, int]] = set()

    async def gather(self) -> None:
        """From the record to its targets, to their commands, to the events behind, and back to what came of them."""
        await self._targets_of_halo_id()
        await self._take(COMMANDS, self._of_tenant(), self._command)
        await self._source_events()
        await self._take(OUTCOMES, self._of_tenant(), self._outcome)
        await self._take(DEAD_LETTERS, None, self._dead_letter)
        await self._take(TARGETS, self._of_targets(), self._target)
        await self._take(CONTROL, self._of_tenant(), self._control)

    async def _targets_of_halo_id(self) -> None:
        question = self._question
        if question.halo_id is None:
            return
        async for record in self._read(TARGETS):
            message = message_of(record)
            if message is None or not isinstance(message[1], TargetState):
                continue
            state = message[1]
            if (
                state.halo_id == question.halo_id
                and state.target.kind == question.kind
                and question.tenant in (None, state.target.tenant)
            ):
                self._target_keys.add(state.target.key)

    async def _source_events(self) -> None:
        topics = SOURCE_TOPICS if self._question.id is not None else tuple(sorted(self._origins))
        for topic in topics:
            await self._take(topic, self._of_subject(), self._event)

    async def _take(
        self,
        topic: str,
        key_filter: KeyFilter | None,
        tell: Callable[[Envelope, Any, Record], Happening | None],
    ) -> None:
        async for record in self._read(topic, key_filter=key_filter):
            message = message_of(record)
            if message is None or not self._is_tenant(message[0].tenant):
                continue
            told = tell(*message, record)
            if told is not None:
                self.found.setdefault(f"{message[0].tenant}/{told.what}/{told.id}/{told.cause or ''}", told)

    def _command(self, envelope: Envelope, command: Any, record: Record) -> Happening | None:
        assert isinstance(command, Command)
        if not self._asked_for(command):
            return None
        basis = command.basis
        self._commands.add(envelope.id)
        self._target_keys.add(command.target.key)
        self._subjects.add((command.target.tenant, basis.subject))
        self._events.add((command.target.tenant, basis.event_id))
        self._origins.add(basis.origin)
        self._rules.add((command.target.tenant, basis.rule_sequence))
        how = "create or adopt" if command.ensure else "create or update"
        return _happening(
            record,
            "command",
            envelope,
            f"{TYPE_OF_KIND[command.kind]}: {how} {command.target.kind} {command.target.id}",
            {
                "target": command.target.key,
                "seq": command.seq,
                "state_hash": command.state_hash,
                "rule_sequence": basis.rule_sequence,
                "rule_hash": basis.rule_hash,
                "event_id": basis.event_id,
                "redrive": basis.cause or None,
            },
        )

    def _asked_for(self, command: Command) -> bool:
        question = self._question
        if not self._is_tenant(command.target.tenant):
            return False
        if question.halo_id is not None:
            return command.target.key in self._target_keys
        return question.id in (command.basis.subject, command.target.id) and self._is_source(
            command.target.source
        )

    def _is_source(self, source: str) -> bool:
        return self._question.source in (None, source)

    def _event(self, envelope: Envelope, data: Any, record: Record) -> Happening | None:
        if self._question.id is None:
            if (envelope.tenant, envelope.id) not in self._events:
                return None
        elif not self._is_source(envelope.producer):
            return None
        self._events.add((envelope.tenant, envelope.id))
        self._subjects.add((envelope.tenant, envelope.subject))
        revision = "" if envelope.revision is None else f" revision {envelope.revision}"
        said = f"{envelope.type} of {envelope.subject}{revision}, by {envelope.producer}"
        details = {
            "time": envelope.time,
            "correlationid": envelope.correlationid,
            "status": getattr(data, "status", None),
        }
        return _happening(record, "event", envelope, said, details)

    def _outcome(self, envelope: Envelope, data: Any, record: Record) -> Happening | None:
        if isinstance(data, DuplicateSuspected):
            if data.target.key not in self._target_keys:
                return None
            ids = ", ".join(map(str, data.halo_ids))
            return _happening(record, "duplicate suspected", envelope, f"Halo ids {ids}: {data.why}", {})
        assert isinstance(data, Outcome)
        if data.command_id not in self._commands:
            return None
        result = f" ({data.result})" if data.result else ""
        # Winning is a step of its own, and has no record of its own in Halo.
        record_kind = "opportunity" if data.target.kind == "won" else data.target.kind
        halo = f" as Halo's {record_kind} {data.halo_id}" if data.halo_id is not None else ""
        why = f": {data.message}" if data.message else ""
        return _happening(
            record,
            "outcome",
            envelope,
            f"{data.status}{result} {data.target.kind} {data.target.id}{halo}{why}",
            {
                "command_id": data.command_id,
                "target": data.target.key,
                "halo_id": data.halo_id,
                "code": data.code,
                "fix": data.fix,
                "requests": data.requests,
                "notices": data.notices,
            },
        )

    def _dead_letter(self, envelope: Envelope, data: Any, record: Record) -> Happening | None:
        assert isinstance(data, DeadLetter)
        # A command's id is its target's, and so its tenant's.
        known = (envelope.tenant, data.event_id) in self._events or data.event_id in self._commands
        if not known and not self._is_about(data):
            return None
        self._letters.add(envelope.id)
        said = f"{data.stage} set it aside ({data.reason}): {data.message}"
        return _happening(record, "dead letter", envelope, said, {"reason": data.reason, "fix": data.fix})

    def _is_about(self, data: DeadLetter) -> bool:
        """A message that could not be read any further still names its entity."""
        if self._question.id is None or data.subject != self._question.id or not self._is_tenant(data.tenant):
            return False
        made_by = (
            data.target.source if data.target is not None else (headers(data).get("ce_source") or "")[1:]
        )
        return self._is_source(made_by)

    def _is_tenant(self, tenant: str | None) -> bool:
        return self._question.tenant in (None, tenant)

    def _target(self, envelope: Envelope, data: Any, record: Record) -> Happening | None:
        assert isinstance(data, TargetState)
        if data.target.key not in self._target_keys:
            return None
        intent = "" if data.intent is None else f", {data.intent.operation} under way"
        halo = "not known in Halo" if data.halo_id is None else f"Halo's {data.halo_id}"
        said = f"{data.target.kind} {data.target.id}: {halo}{intent}, version {data.version}"
        details: Details = {"target": data.target.key, "version": data.version}
        if data.intent is not None:
            details["intent"] = data.intent.operation
        return _happening(record, "target", envelope, said, details)

    def _control(self, envelope: Envelope, data: Any, record: Record) -> Happening | None:
        match data:
            case SettingsChanged() if (envelope.tenant, data.sequence) in self._rules:
                said = f"rule revision {data.sequence} of {envelope.tenant} accepted"
                return _happening(
                    record, "rules", envelope, said, {"sequence": data.sequence, "hash": data.hash}
                )
            case RedriveRequested() if data.dead_letter_id in self._letters:
                said = f"redrive of {data.dead_letter_id} asked for by {data.by}"
                return _happening(record, "redrive", envelope, said, {"by": data.by})
            case DecisionRequested() if data.target.key in self._target_keys:
                return _happening(record, "decision", envelope, data.message, {"choices": data.choices})
            case DecisionAnswered() if data.target.key in self._target_keys:
                said = f"{data.question} answered by {data.by}: {data.choice}"
                return _happening(record, "decision", envelope, said, {"by": data.by})
            case _:
                return None

    def _of_tenant(self) -> KeyFilter | None:
        tenant = self._question.tenant
        return None if tenant is None else (lambda key: key == tenant.encode())

    def _of_targets(self) -> KeyFilter:
        wanted = {key.encode() for key in self._target_keys}
        return wanted.__contains__

    def _of_subject(self) -> KeyFilter:
        """Events are keyed `tenant/kind/id`, and an id may hold slashes of its own."""
        subjects = {subject for _, subject in self._subjects}
        if self._question.id is not None:
            subjects.add(self._question.id)
        return lambda key: key is not None and self._subject_of(key, subjects)

    def _subject_of(self, key: bytes, subjects: Collection[str]) -> bool:
        parts = key.decode(errors="replace").split("/", 2)
        return len(parts) == 3 and parts[2] in subjects and self._is_tenant(parts[0])


def _happening(record: Record, what: str, envelope: Envelope, said: str, details: Details) -> Happening:
    return Happening(
        at_ms=record.timestamp_ms,
        what=what,
        id=envelope.id,
        said=said,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        cause=envelope.causationid,
        details={name: value for name, value in details.items() if value not in (None, (), "")},
    )
