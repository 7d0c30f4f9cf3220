"""Folding: the latest state of one source entity, whatever the order in which its events arrive.

Invariants:
    * each field group holds the event of the highest version seen that carries it, so any order of arrival and any
      repetition of a history ends in the same groups;
    * one version has one content: another content for it is a conflict and changes nothing;
    * `seq_of` rises with every effective fold and never falls, by `schemas.ordering.order_of`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

import msgspec

from hub.store.records import Group, Record, RecordKey
from schemas.control import DecisionAnswered
from schemas.envelope import Envelope, kind_of
from schemas.identity import content_hash, version_of
from schemas.ordering import Seq, sequence
from schemas.quotes import QuoteStatus
from services.mapper.answers import with_answer
from services.mapper.parts import GROUPS, WHOLE, GroupName, Part, SourceDocument, split

FoldStatus = Literal["effective", "repeat", "stale", "conflict", "mixed"]
Ordering = Literal["revision", "time"]
_ORDERED_ELSEWHERE = frozenset({"answered"})


class Folded(msgspec.Struct, frozen=True):
    """What one event did to a record. `touched` are the groups that it carries, `changed` those that it moved on.

    `effective` changed the record; `repeat` and `stale` did not; `conflict` (another content for a version that is
    taken) and `mixed` (revisions and none for one entity) are faults of the producer and change nothing.
    """

    record: Record
    status: FoldStatus
    touched: frozenset[GroupName]
    changed: frozenset[GroupName] = frozenset()


def fold(record: Record | None, envelope: Envelope, data: SourceDocument | DecisionAnswered) -> Folded:
    """The record after one more event. Its row's `version` is for whoever saves it."""
    if isinstance(data, DecisionAnswered):
        return _fold_answer(record, envelope, data)
    ordering: Ordering = "time" if envelope.revision is None else "revision"
    record = _begun(record, envelope, ordering)
    parts = split(data)
    touched = frozenset(parts)
    if record.ordering != ordering:
        return Folded(record, "mixed", touched)
    version = version_of(envelope.revision, envelope.time, envelope.id)
    if _claimed_by_another(record.groups, touched, version, envelope.id):
        return Folded(record, "conflict", touched)
    current = {
        name: _group(part, version, envelope)
        for name, part in parts.items()
        if name not in record.groups or record.groups[name].version <= version
    }
    return _laid_over(record, current, touched)


def _laid_over(record: Record, current: Mapping[GroupName, Group], touched: frozenset[GroupName]) -> Folded:
    """The record with the groups of one version, none of which is older than the record's own."""
    known = {
        name: present
        for name, group in current.items()
        if (present := record.groups.get(name)) is not None and present.version == group.version
    }
    if any(current[name].hash != present.hash for name, present in known.items()):
        return Folded(record, "conflict", touched)
    news = {name: group for name, group in current.items() if name not in known}
    if not news:
        return Folded(record, "repeat" if known else "stale", touched)
    grown = msgspec.structs.replace(record, groups={**record.groups, **news})
    return Folded(grown, "effective", touched, frozenset(news))


def _begun(record: Record | None, envelope: Envelope, ordering: Ordering) -> Record:
    """The record that an event is laid over; one that holds answers alone takes the ordering of its first event."""
    if record is None:
        key = RecordKey(envelope.tenant, envelope.producer, kind_of(envelope.type), envelope.subject)
        return _empty(key, ordering)
    if record.groups.keys() <= _ORDERED_ELSEWHERE:
        return msgspec.structs.replace(record, ordering=ordering)
    return record


def _group(part: Part, version: int, envelope: Envelope) -> Group:
    return Group(
        version=version,
        event_id=envelope.id,
        event_type=envelope.type,
        hash=_status_hash(part) if isinstance(part, QuoteStatus) else content_hash(part),
        data=msgspec.Raw(msgspec.json.encode(part)),
    )


def _fold_answer(record: Record | None, envelope: Envelope, data: DecisionAnswered) -> Folded:
    """The record with a person's answer, which may come before all else of it; the whole is mapped anew."""
    touched: frozenset[GroupName] = WHOLE | {"answered"}
    if record is None:
        target = data.target
        record = _empty(RecordKey(envelope.tenant, target.source, "quote", target.id), "time")
    before = record.groups.get("answered")
    after = with_answer(before, envelope, data)
    if after is before:
        return Folded(record, "repeat", touched)
    grown = msgspec.structs.replace(record, groups={**record.groups, "answered": after})
    return Folded(grown, "effective", touched, frozenset({"answered"}))


def _empty(key: RecordKey, ordering: Ordering) -> Record:
    tenant, source, kind, name = key
    return Record(tenant=tenant, source=source, kind=kind, id=name, version=0, ordering=ordering, groups={})


def seq_of(record: Record, rule_sequence: int) -> Seq:
    """The place of a record's present commands among all those of their targets."""
    return sequence(versions_of(record).values(), rule_sequence)


def versions_of(record: Record) -> dict[str, int]:
    return {name: record.groups[name].version for name in GROUPS if name in record.groups}


@functools.lru_cache(maxsize=1_024)
def _status_hash(part: QuoteStatus) -> str:
    """Most status changes say one of a few words."""
    return content_hash(part)


def _claimed_by_another(
    groups: Mapping[str, Group], touched: frozenset[GroupName], version: int, event_id: str
) -> bool:
    """Whether another event of this version carried groups that this one doesn't: a version is one change."""
    return any(
        group.version == version and group.event_id != event_id and name not in touched
        for name, group in groups.items()
    )
