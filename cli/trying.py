"""Sample events under a tenant's rules: what the mapper makes of them, and the writer of that. Nothing is asked."""

from collections.abc import Sequence

import msgspec

from cli.errors import BadInput
from hub.bus.records import Record
from hub.tenants.follower import Rules
from hub.tenants.load import hash_of
from hub.tenants.model import RuleSet
from schemas.commands import Command
from schemas.envelope import Envelope, Fault
from schemas.outcomes import DeadLetter
from schemas.registry import decode
from services.halo_writer.rehearsal import Rehearsal as Writing
from services.halo_writer.rehearsal import Step
from services.ingest.log import record_of
from services.ingest.validate import Accepted
from services.mapper.intake import Event, Refused, read
from services.mapper.questions import Question
from services.mapper.rehearsal import Played
from services.mapper.rehearsal import Rehearsal as Mapping

_SWITCHED_OFF = {
    "quote": "quotes are switched off: the file has no `quotes`",
    "opportunity": "opportunities are switched off: the file has no `opportunities`",
    "product": "products are switched off: the file has no `items.push: true`",
    "file": "files are switched off: the file has no `opportunities`",
}
_SAID = {
    "mapped": "effective",
    "repeat": "repeat",
    "stale": "stale: a newer one came before it",
    "not_won": "nothing is written before the quote is won (quotes.push)",
    "unanswered": "nothing is written before the question is answered",
    "no_opportunity": "nothing is written: no opportunity is made for a converted quote (opportunities.won.if_none)",
}
_ANSWER = "is an answer: it counts where the hub has asked"


class Tried(msgspec.Struct, frozen=True):
    """What one event came to: commands in their order, or why there are none, and how each command would end."""

    event: str
    type: str
    subject: str
    said: str
    commands: tuple[Command, ...] = ()
    questions: tuple[Question, ...] = ()
    faults: tuple[Fault, ...] = ()
    steps: tuple[Step, ...] = ()


def try_events(rules: RuleSet, events: Sequence[Accepted]) -> list[Tried]:
    """Folds and maps events one after another, as the hub does. Raises BadInput for another tenant's event."""
    for event in events:
        if event.envelope.tenant != rules.tenant:
            raise BadInput(
                f"event {event.envelope.id} is for tenant {event.envelope.tenant!r}, the file for {rules.tenant!r}"
            )
    mapping, writing = Mapping(Rules(rules.tenant, 0, hash_of(rules), rules)), Writing()
    return [_tried(mapping, writing, event) for event in events]


def in_place_of(other: RuleSet, rules: RuleSet) -> RuleSet:
    """The other file's rules as if they were those of this tenant, so that what differs is what the rules make."""
    return other.model_copy(update={"tenant": rules.tenant, "halo": rules.halo})


def _tried(mapping: Mapping, writing: Writing, event: Accepted) -> Tried:
    envelope = event.envelope
    sent = record_of(envelope, event.data)
    taken = read(Record(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers), envelope.time)
    if isinstance(taken, Refused):
        return _told(envelope, "can't be mapped", faults=_faults_of(taken))
    assert isinstance(taken, Event), "what was accepted is a source event"
    played = mapping.play(taken)
    if isinstance(played.result, Refused):
        return _told(envelope, _refusal(played.result), faults=_faults_of(played.result))
    return msgspec.structs.replace(
        _told(envelope, _said(played)),
        commands=played.commands,
        questions=played.questions,
        steps=tuple(writing.steps(played.commands)),
    )


def _told(envelope: Envelope, said: str, faults: tuple[Fault, ...] = ()) -> Tried:
    return Tried(envelope.id, envelope.type, envelope.subject, said, faults=faults)


def _said(played: Played) -> str:
    assert isinstance(played.result, str), "what is refused is told by its faults"
    if played.event.envelope.type == "question.answered.v1" and not played.commands:
        return _ANSWER
    match played.result:
        case "waiting" if played.waits_for is not None:
            return f"waits: it is for the opportunity of the quote {played.waits_for.id}, which has not come"
        case "waiting":
            return "waits: the quote itself has not been published yet"
        case "switched_off":
            return _SWITCHED_OFF[played.event.key.kind]
        case _:
            return _SAID[played.result]


def _refusal(refused: Refused) -> str:
    return "can't be mapped" if refused.reason == "mapping.rejected" else f"is refused: {refused.reason}"


def _faults_of(refused: Refused) -> tuple[Fault, ...]:
    letter: DeadLetter = decode("dead_letter.recorded.v1", refused.letter.value or b"")
    return letter.faults
