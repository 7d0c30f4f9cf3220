"""Hand-made topics: what the log would hold, as records that a reader gives out."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from hub.bus.records import Outgoing, Record
from schemas.commands import Basis, Field, Named, UpsertClient, UpsertQuote
from schemas.control import DecisionRequested, SettingsChanged
from schemas.envelope import Envelope
from schemas.identity import id_of, state_hash
from schemas.outcomes import DeadLetter, Outcome, Request
from schemas.registry import encode
from schemas.targets import Kind, Target, TargetState
from schemas.topics import QUOTES
from services.ingest.log import record_of

TIME = dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)
QUOTE_VALUE = b'{"title": "Secret project","customer":{"name":"Bright Dental"},"lines":[]}'


class Topics:
    """An append-only log in memory, read like the real one."""

    def __init__(self) -> None:
        self.records: defaultdict[str, list[Record]] = defaultdict(list)
        self._clock = itertools.count(1_760_000_000_000, 10)

    async def publish(self, records: Any) -> None:
        for record in records:
            self.add(record)

    def add(self, record: Outgoing) -> Record:
        held = self.records[record.topic]
        held.append(
            Record(
                record.topic, 0, len(held), next(self._clock), record.key, record.value, tuple(record.headers)
            )
        )
        return held[-1]

    async def read(
        self, topic: str, key_filter: Callable[[bytes | None], bool] | None = None
    ) -> AsyncIterator[Record]:
        for record in list(self.records[topic]):
            if key_filter is None or key_filter(record.key):
                yield record


def envelope(type_: str, id_: str, subject: str, *, tenant: str = "acme", **more: Any) -> Envelope:
    source = more.pop("source", "/hub/writer")
    return Envelope(id=id_, source=source, type=type_, subject=subject, time=TIME, tenant=tenant, **more)


def target(kind: Kind, id_: str, *, tenant: str = "acme") -> Target:
    return Target(tenant=tenant, instance="acme.halopsa.com", source="quoter", kind=kind, id=id_)


def basis(event_id: str, subject: str, cause: str = "") -> Basis:
    return Basis(
        event_id=event_id,
        event_type="quote.published.v1",
        origin=QUOTES,
        subject=subject,
        rule_sequence=3,
        rule_hash="f" * 64,
        cause=cause,
    )


def event(id_: str, subject: str, *, tenant: str = "acme") -> Outgoing:
    made = envelope("quote.published.v1", id_, subject, tenant=tenant, source="/quoter", revision=1)
    return record_of(made, QUOTE_VALUE)


def command(kind: Kind, id_: str, because: Basis, *, tenant: str = "acme") -> tuple[str, Outgoing]:
    """The id and record of a command for one target."""
    whole: Any
    if kind == "client":
        whole = UpsertClient(
            target=target(kind, id_, tenant=tenant), basis=because, name=Field(value="Bright Dental")
        )
    else:
        status = Field(value=Named(lookup="quote_status", name="Sent"))
        whole = UpsertQuote(target=target(kind, id_, tenant=tenant), basis=because, seq=(1, 3), status=status)
    whole = msgspec.structs.replace(whole, state_hash=state_hash(whole))
    made = envelope(
        f"upsert_{kind}.v1",
        id_of(whole),
        id_,
        tenant=tenant,
        source="/hub/mapper",
        causationid=because.event_id,
    )
    return made.id, record_of(made, encode(whole))


def question(
    id_: str, message: str = "shall it be completed?", *, tenant: str = "acme", **more: Any
) -> Outgoing:
    """What the mapper asks of a quote, unless told otherwise."""
    asked = {
        "target": target("quote", "Q-1", tenant=tenant),
        "question": "won.opp.exists",
        "message": message,
        "choices": ("convert", "leave"),
    }
    data = DecisionRequested(**(asked | more))  # type: ignore[arg-type]
    made = envelope("decision.requested.v1", id_, data.target.id, tenant=tenant, source="/hub/mapper")
    return record_of(made, encode(data))


def outcome(
    command_id: str, kind: Kind, id_: str, because: Basis, status: str = "applied", **more: Any
) -> Outgoing:
    data = Outcome(
        command_id=command_id,
        command_type=f"upsert_{kind}.v1",
        target=target(kind, id_),
        status=status,  # type: ignore[arg-type]
        basis=because,
        requests=(Request(method="POST", path=f"/{kind}", outcome="applied", duration_ms=12, status=201),),
        **more,
    )
    made = envelope(f"command.{status}.v1", f"o-{command_id}", id_, causationid=command_id)
    return record_of(made, encode(data))


def snapshot(kind: Kind, id_: str, halo_id: int) -> Outgoing:
    state = TargetState(target=target(kind, id_), version=1, halo_id=halo_id)
    made = record_of(envelope("target.changed.v1", f"t-{id_}", id_), encode(state))
    return msgspec.structs.replace(made, key=state.target.key.encode())


def settings(sequence: int) -> Outgoing:
    data = SettingsChanged(sequence=sequence, hash="f" * 64, text="{}")
    return record_of(envelope("settings.changed.v1", f"s-{sequence}", "acme"), encode(data))


def letter_of_command(
    id_: str, command_id: str, made: Outgoing, because: Basis, reason: str = "halo.rejected"
) -> Outgoing:
    data = DeadLetter(
        stage="writer",
        reason=reason,
        message="Halo said no",
        topic=made.topic,
        tenant="acme",
        event_id=command_id,
        subject=because.subject,
        key=b64(made.key),
        value=b64(made.value),
        headers=tuple((name, b64(value)) for name, value in made.headers),
        target=target("quote", because.subject),
        basis=because,
    )
    return record_of(envelope("dead_letter.recorded.v1", id_, because.subject), encode(data))


def letter_of_event(
    id_: str, made: Outgoing, reason: str = "data.invalid", tenant: str | None = "acme"
) -> Outgoing:
    data = DeadLetter(
        stage="mapper",
        reason=reason,
        message="data: is wrong",
        topic=made.topic,
        partition=0,
        offset=7,
        tenant=tenant,
        event_id="e-bad",
        subject="Q-1",
        key=b64(made.key),
        value=b64(made.value),
        headers=tuple((name, b64(value)) for name, value in made.headers),
    )
    return record_of(
        envelope("dead_letter.recorded.v1", id_, "Q-1", tenant=tenant or "unknown"), encode(data)
    )


def b64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def headers(record: Record) -> dict[str, bytes | None]:
    return dict(record.headers)


def a_whole_story() -> Topics:
    """One quote that was written, another of the same customer that Halo refused."""
    log = Topics()
    log.add(settings(3))
    log.add(event("e-1", "Q-1"))
    log.add(event("e-2", "Q-2"))
    for number in ("1", "2"):
        because = basis(f"e-{number}", f"Q-{number}")
        client_id, client = command("client", "c-9", because)
        quote_id, quote = command("quote", f"Q-{number}", because)
        log.add(client)
        log.add(quote)
        log.add(outcome(client_id, "client", "c-9", because, result="created", halo_id=31))
        if number == "1":
            log.add(outcome(quote_id, "quote", "Q-1", because, result="created", halo_id=77))
            log.add(snapshot("client", "c-9", 31))
            log.add(snapshot("quote", "Q-1", 77))
        else:
            log.add(
                outcome(quote_id, "quote", "Q-2", because, "rejected", message="Halo said no", fix="mend it")
            )
            log.add(letter_of_command("dl-2", quote_id, quote, because))
    return log
