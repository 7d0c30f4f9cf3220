"""Records: the mapper's latest folded state of each source entity, one part for each field group.

Records are written in batches, each only onto the version that its fold started from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Text, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import json_rows, to_json
from hub.store.tables import record as table
from hub.store.versioned import save_versioned


class RecordKey(NamedTuple):
    """The identity of one source entity."""

    tenant: str
    source: str
    kind: str
    id: str


class Group(msgspec.Struct, frozen=True):
    """One field group as an event left it. `version` orders its events (`schemas.identity.version_of`)."""

    version: int
    event_id: str
    event_type: str
    hash: str
    data: msgspec.Raw


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One source entity. `version` counts the changes of the row, from 1; its groups carry the source's order."""

    tenant: str
    source: str
    kind: str
    id: str
    version: int
    ordering: Literal["revision", "time"]
    groups: dict[str, Group]

    @property
    def key(self) -> RecordKey:
        return RecordKey(self.tenant, self.source, self.kind, self.id)


_GROUPS = msgspec.json.Decoder(dict[str, Group])


async def load_many(conn: AsyncConnection, keys: Iterable[RecordKey]) -> dict[RecordKey, Record]:
    """The records of those keys that have one."""
    rows = [key._asdict() for key in set(keys)]
    if not rows:
        return {}
    wanted = json_rows(conn, "wanted", rows, {name: Text() for name in RecordKey._fields})
    same = and_(*(table.c[name] == wanted.c[name] for name in RecordKey._fields))
    found = await conn.execute(select(table).join(wanted, same))
    records = (
        Record(
            tenant=row.tenant,
            source=row.source,
            kind=row.kind,
            id=row.id,
            version=row.version,
            ordering=row.ordering,
            groups=_GROUPS.decode(row.groups),
        )
        for row in found
    )
    return {record.key: record for record in records}


async def save_many(conn: AsyncConnection, records: Sequence[tuple[Record, int]]) -> list[RecordKey]:
    """Write records (with their expected versions, 0: none stored yet) in one statement; the keys refused.

    Raises ValueError for a record whose version isn't the expected one plus 1, and for a key given twice.
    """
    if not records:
        return []
    for record, expected in records:
        if record.version != expected + 1:
            raise ValueError(f"version {record.version} can't follow the expected version {expected}")
    keys = [record.key for record, _ in records]
    if len(set(keys)) < len(keys):
        raise ValueError("a batch holds each record once: fold its events first")
    rows = [
        {
            **record.key._asdict(),
            "version": record.version,
            "ordering": record.ordering,
            "groups": to_json(record.groups),
        }
        for record, _ in records
    ]
    written = await save_versioned(conn, table, rows)
    return [key for key in keys if tuple(key) not in written]
