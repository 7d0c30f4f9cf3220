"""The shell around the mapping: load records, fold and map, publish, save, mark; in this order and no other.

Invariants:
    * an event is marked done only when all that it caused is acknowledged by Kafka and its record is saved;
    * a record is saved only after its commands are on the log: a crash in between makes the same ones again;
    * nothing here waits for one tenant: what can't be mapped yet becomes a pending row, and what never can a dead
      letter, whose event alone stays undone while dead letters can't be written.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol

import structlog

from hub.bus.delivery import Delivery, held_up
from hub.bus.errors import PublishFailed
from hub.bus.records import Outgoing, Record
from hub.dead_letter_box import DeadLetterBox, Posted
from hub.steps import Steps
from hub.store import pending, records
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.pending import DECISION
from hub.store.records import Record as LoadedRecord
from hub.store.records import RecordKey
from hub.telemetry.metrics import UNKNOWN, Metrics
from hub.tenants.follower import Rules
from schemas.files import FileAdded
from schemas.registry import SOURCE_TYPES
from schemas.topics import CONTROL
from services.mapper.batch import Batch, DesiredCache
from services.mapper.files import quote_of_file
from services.mapper.intake import Event, NotOurs, Refused, Tombstone, read, unforeseen
from services.mapper.questions import Question
from services.mapper.rows import parked_row, question_key, question_row, waiting_key, waiting_row

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0
_WAITS = ("waiting", "parked", "unanswered")
_log = structlog.get_logger(__name__)


class RulesSource(Protocol):
    """Where the rules come from: `hub.tenants.follower.RulesFollower`."""

    def get(self, tenant: str) -> Rules | None: ...


class Mapper:
    """Handles batches of source events; `handle` is the consumer's handler.

    `publish` returns once Kafka has acknowledged everything. `now` is the clock against which an event counts as
    from the future.
    """

    def __init__(
        self,
        store: Store,
        rules: RulesSource,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        letters: DeadLetterBox,
        metrics: Metrics,
        *,
        max_message_bytes: int,
        now: Callable[[], dt.datetime],
        steps: Steps,
    ) -> None:
        self._store = store
        self._rules = rules
        self._publish = publish
        self._letters = letters
        self._metrics = metrics
        self._max_message_bytes = max_message_bytes
        self._now = now
        self._steps = steps
        self._cache = DesiredCache()

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Finish a batch; what is refused is finished when its dead letters are acknowledged."""
        if any(delivery.record.topic != CONTROL for delivery in deliveries):
            self._steps.reached("after_poll")
        refused = await self._processed(deliveries)
        if refused is None:
            return
        letters = {_at(refusal.record): refusal.letter for refusal in refused}
        posted = []
        for delivery in deliveries:
            letter = letters.get(_at(delivery.record))
            if letter is None:
                delivery.done()
            else:
                posted.append(Posted(letter, delivery))
        await self._letters.post(posted)

    async def _processed(self, deliveries: Sequence[Delivery]) -> list[Refused] | None:
        """What the batch refuses, once an absent Kafka or store is back: doing it all again gives the same messages.

        None when its partitions went to other processes meanwhile.
        """
        delay_s = _FIRST_DELAY_S
        while True:
            try:
                return await self.process([delivery.record for delivery in deliveries])
            except (PublishFailed, StoreUnavailable) as error:
                _log.warning("mapper.held_up", events=len(deliveries), problem=str(error), again_in_s=delay_s)
            if not await held_up(deliveries, delay_s):
                return None
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    async def process(self, batch: Sequence[Record]) -> list[Refused]:
        """Carry out what a batch of records comes to; what is refused is the caller's to set aside.

        Raises PublishFailed, StoreUnavailable.
        """
        now = self._now()
        events: list[Event] = []
        refusals: list[Refused] = []
        for record in batch:
            match self._read(record, now):
                case Event() as event:
                    events.append(event)
                case Refused() as refusal:
                    refusals.append(refusal)
                case NotOurs(problem):
                    if problem is not None:
                        _log.error("control.unreadable", problem=problem[:500], **_place(record))
                case Tombstone():
                    self._metrics.mapper_events.labels(type="none", result="ignored.tombstone").inc()
                    _log.info(
                        "message.settled", stage="mapper", outcome="ignored.tombstone", **_place(record)
                    )
        while events:
            unmappable, lost = await self._fold_and_map(events)
            refusals += unmappable
            events = [event for event in events if event.key in lost]
        for refusal in refusals:
            self._tell_refused(refusal)
        return refusals

    def _read(self, record: Record, now: dt.datetime) -> Event | Refused | Tombstone | NotOurs:
        try:
            return read(record, now)
        except Exception as error:  # noqa: BLE001 - one record's surprise must not hold up all that come behind it
            _log.error("mapper.failed", exc_info=error, **_place(record))
            return unforeseen(record, error)

    async def _fold_and_map(self, events: Sequence[Event]) -> tuple[list[Refused], set[RecordKey]]:
        """One pass: what it refuses, and the keys that need another, since another process changed their records."""
        async with self._store.read() as conn:
            loaded = await records.load_many(conn, {event.key for event in events})
            asked = await pending.keys_of(
                conn, "mapper", DECISION, {(event.key.tenant, question_key(event.key)) for event in events}
            )
            quotes = _quotes_of_files(events, loaded.values()) - loaded.keys()
            if quotes:
                loaded = loaded | await records.load_many(conn, quotes)
        mapped = Batch(loaded, self._rules.get, self._cache, max_message_bytes=self._max_message_bytes)
        mapped.run(events)
        await self._publish(mapped.outgoing)
        self._steps.reached("after_publish")
        lost = await self._save(mapped, asked)
        self._steps.reached("after_settle")
        self._tell(mapped, lost)
        ended = (settled.result for settled in mapped.settled if settled.event.key not in lost)
        return [result for result in ended if isinstance(result, Refused)], lost

    async def _save(self, mapped: Batch, asked: Collection[tuple[str, str]]) -> set[RecordKey]:
        """Save what the pass came to, except of records that another process changed meanwhile: returns their keys.

        `asked` are the rows of questions, as (tenant, key), that there were.
        """
        changed = mapped.changed()
        asking = {key: (event, questions) for key, (event, questions) in mapped.asking.items() if questions}
        answered = {
            key for key in mapped.asking.keys() - asking.keys() if (key.tenant, question_key(key)) in asked
        }
        if not (changed or mapped.waiting or mapped.arrived or mapped.parked or asking or answered):
            return set()
        at = await self._store.now() if mapped.waiting or mapped.parked or asking else 0.0
        async with self._store.write() as conn:
            lost = set(await records.save_many(conn, changed))
            for key in mapped.arrived - lost:
                await pending.remove(conn, key.tenant, "mapper", waiting_key(key))
            for key, event in mapped.waiting.items():
                if key not in lost:
                    await pending.put(conn, waiting_row(key, event, at, mapped.orphans.get(key)))
            for event in mapped.parked:
                await pending.put(conn, parked_row(event, at))
            for key, (event, questions) in asking.items():
                if key not in lost:
                    await pending.put(conn, question_row(key, event, questions, at))
            for key in answered - lost:
                await pending.remove(conn, key.tenant, "mapper", question_key(key))
        return lost

    def _tell(self, mapped: Batch, lost: set[RecordKey]) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        for event, error in mapped.surprises:
            _log.error("mapper.failed", exc_info=error, **_place(event.record))
        for event, question in mapped.questions:
            self._tell_question(event, question)
        for settled in mapped.settled:
            event, result = settled.event, settled.result
            if event.key in lost or isinstance(result, Refused):
                continue
            counts[event.envelope.type, result] += 1
            if result not in ("mapped", "repeat", "stale"):
                self._tell_outcome(event, result)
        for (event_type, ended), count in counts.items():
            self._metrics.mapper_events.labels(type=event_type, result=ended).inc(count)
        for command_type, count in mapped.commands.items():
            self._metrics.mapper_commands.labels(type=command_type).inc(count)

    def _tell_question(self, event: Event, question: Question) -> None:
        _log.warning(
            "mapper.question",
            tenant=event.envelope.tenant,
            target=question.target.key,
            question=question.id,
            message=question.message,
            choices=question.choices,
            op_id=event.envelope.id,
        )

    def _tell_outcome(self, event: Event, result: str) -> None:
        envelope = event.envelope
        _log.info(
            "message.settled",
            stage="mapper",
            outcome=result if result in _WAITS else f"ignored.{result}",
            tenant=envelope.tenant,
            target=f"{event.key.source}/{event.key.kind}/{event.key.id}",
            op_id=envelope.id,
            type=envelope.type,
        )

    def _tell_refused(self, refusal: Refused) -> None:
        envelope = refusal.envelope
        event_type = UNKNOWN if envelope is None or envelope.type not in SOURCE_TYPES else envelope.type
        # A label is no place for whatever somebody writes on the log.
        known = envelope is not None and self._rules.get(envelope.tenant) is not None
        tenant = envelope.tenant if envelope is not None and known else UNKNOWN
        self._metrics.mapper_events.labels(type=event_type, result="dead_letter").inc()
        self._metrics.dead_letters.labels(tenant=tenant, stage="mapper", reason=refusal.reason).inc()
        _log.error(
            "message.settled",
            stage="mapper",
            outcome="dead_letter",
            reason=refusal.reason,
            tenant=None if envelope is None else envelope.tenant,
            op_id=None if envelope is None else envelope.id,
            **_place(refusal.record),
        )


def _quotes_of_files(events: Iterable[Event], loaded: Iterable[LoadedRecord]) -> set[RecordKey]:
    """The quotes that the mapping of files reads beside the files' own records."""
    keys = {
        RecordKey(event.key.tenant, event.key.source, "quote", event.data.owner.id)
        for event in events
        if isinstance(event.data, FileAdded)
    }
    if not keys:
        return keys
    known = {quote_of_file(record) for record in loaded if record.kind == "file"}
    return keys | {key for key in known if key is not None}


def _at(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _place(record: Record) -> dict[str, str | int]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
