"""What the writer learns from the log beside commands: Halo's catalogue, rules, what tests have proven, answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import msgspec
import structlog

from hub.bus.delivery import Delivery, held_up
from hub.bus.records import Record
from hub.store import catalogue, decisions, holds, pending, proofs, rule_sets
from hub.store.catalogue import HaloEvent
from hub.store.decisions import Decision
from hub.store.engine import Store
from hub.store.errors import StoreUnavailable
from hub.store.pending import DECISION
from hub.store.rule_sets import RuleSetRow
from schemas.answers import fits
from schemas.control import ConnectionTested, DecisionAnswered, SettingsChanged
from schemas.envelope import Envelope, EnvelopeInvalid, Fault, from_headers
from schemas.registry import TYPES, decode
from schemas.topics import CONTROL, HALO, is_keyed_by

_log = structlog.get_logger(__name__)
_HALO_SOURCE = "halo/"
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 10.0


class Feeds:
    """Projects `hub.halo.v1` into the catalogue, and settings, connection tests and answers of `hub.control.v1`.

    Repeats change nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, batch: Sequence[Delivery]) -> None:
        """Project a batch, waiting out an absent store; then mark it done."""
        delay_s, waited = _FIRST_DELAY_S, False
        while True:
            try:
                await self._project(batch)
                break
            except StoreUnavailable as error:
                if not waited:
                    _log.warning("feed.held_up", messages=len(batch), problem=str(error))
                waited = True
            if not await held_up(batch, delay_s):
                return
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
        if waited:
            _log.info("feed.goes_on", messages=len(batch))
        for delivery in batch:
            delivery.done()

    async def _project(self, batch: Sequence[Delivery]) -> None:
        """Bring the store to what a batch says. Raises StoreUnavailable; what was done then is only done again."""
        seen: defaultdict[tuple[str, str], list[tuple[HaloEvent, float]]] = defaultdict(list)
        revisions: list[RuleSetRow] = []
        for delivery in batch:
            message = _read(delivery.record)
            if message is None:
                continue
            envelope, data = message
            time = envelope.time.timestamp()
            if isinstance(data, ConnectionTested):
                async with self._store.write() as conn:
                    await proofs.put(conn, envelope.tenant, data.instance, data.proofs, time)
                    await proofs.put_arrays(conn, envelope.tenant, data.instance, data.arrays, time)
                    if data.ok:
                        await holds.probe_now(conn, envelope.tenant)
            elif isinstance(data, DecisionAnswered):
                await self._answered(envelope.tenant, data, time)
            elif isinstance(data, SettingsChanged):
                revision = RuleSetRow(
                    tenant=envelope.tenant,
                    sequence=data.sequence,
                    hash=data.hash,
                    text=data.text,
                    accepted_at=time,
                )
                revisions.append(revision)
            elif delivery.record.topic == HALO and envelope.producer.startswith(_HALO_SOURCE):
                instance = envelope.producer.removeprefix(_HALO_SOURCE)
                seen[envelope.tenant, instance].append((cast(HaloEvent, data), time))
        if revisions:
            # Thousands of tenant files may be accepted at once, and catalogues wait behind them on this feed.
            async with self._store.write() as conn:
                for revision in revisions:
                    await rule_sets.put(conn, revision)
        for (tenant, instance), events in seen.items():
            await self._catalogued(tenant, instance, events)

    async def _catalogued(
        self, tenant: str, instance: str, events: Sequence[tuple[HaloEvent, float]]
    ) -> None:
        """Project what one Halo was seen to hold; what the store can't hold is logged and passed over."""
        try:
            async with self._store.write() as conn:
                await catalogue.apply_dated(conn, tenant, instance, events)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - one Halo's surprise must not end the process of every other tenant
            if len(events) > 1:
                for event in events:
                    await self._catalogued(tenant, instance, [event])
            else:
                _log.exception("feed.fault", tenant=tenant, instance=instance)

    async def _answered(self, tenant: str, data: DecisionAnswered, time: float) -> None:
        """Keep an answer, and let what waits for it be tried at once."""
        if data.target.tenant != tenant:
            _log.error("feed.foreign_answer", tenant=tenant, target=data.target.key)
            return
        key = data.target.key
        if not fits(data.question, data.choice):
            _log.error(
                "feed.no_answer", tenant=tenant, target=key, question=data.question, choice=data.choice
            )
            return
        answer = Decision(
            tenant=tenant, target_key=key, question=data.question, choice=data.choice, by=data.by, at=time
        )
        async with self._store.write() as conn:
            await decisions.put(conn, answer)
            await pending.try_now(conn, tenant, "writer", key, DECISION)


def _read(record: Record) -> tuple[Envelope, msgspec.Struct] | None:
    """A message of ours, or None for what is not: these topics are the hub's own, so it is logged and passed."""
    if record.value is None or record.topic not in (HALO, CONTROL):
        return None
    try:
        envelope = from_headers(record.headers)
        if envelope.type not in TYPES:
            return None
        if not is_keyed_by(record.topic, record.key, envelope.tenant):
            raise EnvelopeInvalid([Fault("key", f"is not one of tenant {envelope.tenant!r}")])
        return envelope, decode(envelope.type, record.value)
    except (EnvelopeInvalid, msgspec.DecodeError) as error:
        _log.error(
            "feed.unreadable",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=str(error)[:500],
        )
        return None
