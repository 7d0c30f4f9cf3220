"""Commands, and events once more, as messages: all in them follows from event and record, so a repeat is the same."""

from __future__ import annotations

from hub.bus.records import Outgoing
from schemas.answers import QuestionAnswered
from schemas.commands import TYPE_OF_KIND, Basis, Command
from schemas.control import REDRIVE_ID, DecisionAnswered, DecisionRequested
from schemas.envelope import Envelope, headers_of
from schemas.identity import derived_id, id_of
from schemas.registry import TYPES, encode
from schemas.targets import Target
from schemas.topics import COMMANDS, CONTROL, key_on
from services.mapper.questions import Question

SOURCE = "/hub/mapper"


def basis_of(
    envelope: Envelope, origin: str, versions: dict[str, int], sequence: int, rule_hash: str
) -> Basis:
    """Why the commands of an event exist. A redrive publishes the event again with its own id as the cause.

    A cause that its producer gave is left out: only a person's redrive has settled commands run again.
    """
    cause = envelope.causationid or ""
    return Basis(
        event_id=envelope.id,
        event_type=envelope.type,
        origin=origin,
        subject=envelope.subject,
        rule_sequence=sequence,
        rule_hash=rule_hash,
        record_versions=versions,
        cause=cause if cause.startswith(REDRIVE_ID) else "",
    )


def event_again(envelope: Envelope, value: bytes) -> Outgoing:
    """A source event as it came, to be published once more: the same id, under the same key."""
    topic = TYPES[envelope.type].topic
    return Outgoing(topic, key_on(topic, envelope.tenant, envelope.key), value, headers_of(envelope))


def question_event(question: Question, event: Envelope) -> tuple[Envelope, DecisionRequested]:
    """The event of one question: the same however often the same state of its record asks it."""
    envelope = Envelope(
        id=derived_id("decision", question.target.key, question.id),
        source=SOURCE,
        type="decision.requested.v1",
        subject=question.target.id,
        time=event.time,
        tenant=event.tenant,
        correlationid=event.correlationid or event.id,
        causationid=event.id,
        traceparent=event.traceparent,
    )
    asked = DecisionRequested(
        target=question.target, question=question.id, message=question.message, choices=question.choices
    )
    return envelope, asked


def question_message(question: Question, event: Envelope) -> Outgoing:
    envelope, asked = question_event(question, event)
    return Outgoing(CONTROL, event.tenant.encode(), encode(asked), headers_of(envelope))


def answer_message(said: QuestionAnswered, event: Envelope, instance: str) -> Outgoing:
    """A producer's answer about a record of its own, as the hub takes answers; the same however often it comes."""
    target = Target(
        tenant=event.tenant,
        instance=instance,
        source=event.producer,
        kind=said.kind,
        id=event.subject,
        scope=said.scope,
    )
    envelope = Envelope(
        id=derived_id("answer", event.source, event.id),
        source=SOURCE,
        type="decision.answered.v1",
        subject=event.subject,
        time=event.time,
        tenant=event.tenant,
        correlationid=event.correlationid or event.id,
        traceparent=event.traceparent,
    )
    by = f"{said.by} ({event.producer})" if said.by else event.producer
    answered = DecisionAnswered(target=target, question=said.question, choice=said.choice, by=by)
    return Outgoing(CONTROL, event.tenant.encode(), encode(answered), headers_of(envelope))


def command_message(command: Command, event: Envelope) -> Outgoing:
    """The message of one command, keyed by its tenant."""
    envelope = Envelope(
        id=id_of(command),
        source=SOURCE,
        type=TYPE_OF_KIND[command.kind],
        subject=command.target.id,
        time=event.time,
        tenant=event.tenant,
        correlationid=event.correlationid or event.id,
        causationid=event.id,
        traceparent=event.traceparent,
    )
    return Outgoing(COMMANDS, event.tenant.encode(), encode(command), headers_of(envelope))
