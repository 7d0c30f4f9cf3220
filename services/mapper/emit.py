"""Commands, and events once more, as messages: all in them follows from event and record, so a repeat is the same."""

from __future__ import annotations

from hub.bus.records import Outgoing
from schemas.commands import TYPE_OF_KIND, Basis, Command
from schemas.envelope import Envelope, headers_of
from schemas.identity import id_of
from schemas.registry import TYPES, encode
from schemas.topics import COMMANDS

SOURCE = "/hub/mapper"


def basis_of(
    envelope: Envelope, origin: str, versions: dict[str, int], sequence: int, rule_hash: str
) -> Basis:
    """Why the commands of an event exist. A redrive publishes the event again with its own id as the cause."""
    return Basis(
        event_id=envelope.id,
        event_type=envelope.type,
        origin=origin,
        subject=envelope.subject,
        rule_sequence=sequence,
        rule_hash=rule_hash,
        record_versions=versions,
        cause=envelope.causationid or "",
    )


def event_again(envelope: Envelope, value: bytes) -> Outgoing:
    """A source event as it came, to be published once more: the same id, under the same key."""
    return Outgoing(TYPES[envelope.type].topic, envelope.key, value, headers_of(envelope))


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
