"""Which Struct and which topic belong to a message's `type`."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas import (
    answers,
    commands,
    control,
    files,
    halo_events,
    opportunities,
    outcomes,
    products,
    quotes,
    targets,
    topics,
)


class MessageType(msgspec.Struct, frozen=True):
    """One version of one message: its `type`, the Struct of its data, its topic and a line for the documentation."""

    name: str
    data: type[msgspec.Struct]
    topic: str
    summary: str


def _types() -> tuple[MessageType, ...]:
    source = (
        MessageType(
            "quote.published.v1", quotes.Quote, topics.QUOTES, "A quote or a revision was published."
        ),
        MessageType("quote.updated.v1", quotes.Quote, topics.QUOTES, "A published quote changed."),
        MessageType(
            "quote.status_changed.v1", quotes.QuoteStatus, topics.QUOTES, "A quote's status changed."
        ),
        MessageType(
            "opportunity.upserted.v1",
            opportunities.Opportunity,
            topics.QUOTES,
            "A producer's own opportunity is new or has changed.",
        ),
        MessageType(
            "product.upserted.v1", products.SourceProduct, topics.PRODUCTS, "A product was made or changed."
        ),
        MessageType(
            "question.answered.v1",
            answers.QuestionAnswered,
            topics.QUOTES,
            "A producer's user answered a question about one of its records.",
        ),
        MessageType("file.added.v1", files.FileAdded, topics.QUOTES, "A file was added to an opportunity."),
        MessageType(
            "quote.converted.v1",
            quotes.QuoteConversion,
            topics.QUOTES,
            "A quote became an order or an invoice.",
        ),
    )
    halo = (
        MessageType("halo.client.changed.v1", halo_events.HaloClient, topics.HALO, "A Halo client was seen."),
        MessageType("halo.user.changed.v1", halo_events.HaloUser, topics.HALO, "A Halo user was seen."),
        MessageType("halo.item.changed.v1", halo_events.HaloItem, topics.HALO, "A Halo item was seen."),
        MessageType(
            "halo.reference.changed.v1", halo_events.HaloReference, topics.HALO, "A reference list was read."
        ),
        MessageType("halo.read.completed.v1", halo_events.ReadCompleted, topics.HALO, "A full read ended."),
    )
    command = tuple(
        MessageType(name, data, topics.COMMANDS, (data.__doc__ or "").splitlines()[0])
        for name, data in commands.COMMANDS.items()
    )
    outcome = (
        *(
            MessageType(f"command.{status}.v1", outcomes.Outcome, topics.OUTCOMES, f"A command was {status}.")
            for status in ("applied", "skipped", "superseded", "rejected", "failed")
        ),
        MessageType(
            "duplicate.suspected.v1",
            outcomes.DuplicateSuspected,
            topics.OUTCOMES,
            "Halo may hold two records of one target.",
        ),
    )
    rest = (
        MessageType("target.changed.v1", targets.TargetState, topics.TARGETS, "A target's row changed."),
        MessageType(
            "dead_letter.recorded.v1", outcomes.DeadLetter, topics.DEAD_LETTERS, "A message was set aside."
        ),
        MessageType(
            "settings.changed.v1", control.SettingsChanged, topics.CONTROL, "A tenant file was accepted."
        ),
        MessageType(
            "sync.requested.v1", control.SyncRequested, topics.CONTROL, "A read of Halo was asked for."
        ),
        MessageType(
            "connection.tested.v1", control.ConnectionTested, topics.CONTROL, "A tenant was checked."
        ),
        MessageType(
            "decision.requested.v1", control.DecisionRequested, topics.CONTROL, "A person must decide."
        ),
        MessageType(
            "decision.answered.v1", control.DecisionAnswered, topics.CONTROL, "A person has decided."
        ),
        MessageType(
            "redrive.requested.v1", control.RedriveRequested, topics.CONTROL, "A dead letter was redriven."
        ),
    )
    return (*source, *halo, *command, *outcome, *rest)


TYPES: dict[str, MessageType] = {message.name: message for message in _types()}
SOURCE_TYPES: frozenset[str] = frozenset(
    name for name, message in TYPES.items() if message.topic in topics.SOURCE_TOPICS
)

_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {
    message.data: msgspec.json.Decoder(message.data) for message in TYPES.values()
}
_ENCODER = msgspec.json.Encoder()


def decode(event_type: str, value: bytes) -> Any:
    """The data of a known type. Raises KeyError for an unknown type, msgspec.DecodeError for bytes that don't fit."""
    decoder = _DECODERS[TYPES[event_type].data]
    try:
        return decoder.decode(value)
    except UnicodeDecodeError as error:
        # msgspec lets these through, and a reader that forgets them would fall over one record for ever.
        raise msgspec.DecodeError(str(error)) from None


def encode(data: msgspec.Struct) -> bytes:
    """The JSON bytes of a message's data."""
    return _ENCODER.encode(data)
