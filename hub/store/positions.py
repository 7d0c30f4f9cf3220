"""Positions: how far each consumer group had come, kept beside Kafka's own offsets so that a lost one is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, and_, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

from hub.store.engine import Store
from hub.store.sql import insert_into, json_rows
from hub.store.tables import position as table

_TYPES: dict[str, TypeEngine[Any]] = {
    "topic": Text(),
    "partition": Integer(),
    "position": BigInteger(),
    "at_least": BigInteger(),
}


class Positions:
    """Up to where the groups of one Kafka cluster have finished; what `hub.bus` keeps them in."""

    def __init__(self, store: Store, cluster: str) -> None:
        self._store = store
        self._cluster = cluster

    async def load(self, group: str) -> Mapping[tuple[str, int], int]:
        """The last saved position by topic and partition. Raises StoreUnavailable."""
        statement = select(table.c.topic, table.c.partition, table.c.position).where(
            table.c.cluster == self._cluster, table.c.consumer_group == group
        )
        async with self._store.read() as conn:
            rows = (await conn.execute(statement)).all()
        return {(row.topic, row.partition): row.position for row in rows}

    async def save(
        self,
        group: str,
        positions: Mapping[tuple[str, int], int],
        at_least: Mapping[tuple[str, int], int] | None = None,
    ) -> set[tuple[str, int]]:
        """Raise positions in one statement; none is lowered, those of other partitions stay. Raises StoreUnavailable.

        Partitions of which less is stored than `at_least` says are not saved but returned.
        """
        if not positions:
            return set()
        at_least = at_least or {}
        rows = [_row(at, position, at_least.get(at, 0)) for at, position in positions.items()]
        async with self._store.write() as conn:
            moved = json_rows(conn, "moved", rows, _TYPES)
            here = and_(
                table.c.cluster == self._cluster,
                table.c.consumer_group == group,
                table.c.topic == moved.c.topic,
                table.c.partition == moved.c.partition,
            )
            stored = select(table.c.position).where(here).correlate(moved).scalar_subquery()
            enough = func.coalesce(stored, 0) >= moved.c.at_least
            saved = await conn.execute(self._upsert(conn, group, moved, enough, only_raise=True))
            return set(positions) - {(row.topic, row.partition) for row in saved}

    async def replace(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        """Remember these positions, higher or lower; those of other partitions stay. Raises StoreUnavailable."""
        if not positions:
            return
        async with self._store.write() as conn:
            moved = json_rows(conn, "moved", [_row(at, to, 0) for at, to in positions.items()], _TYPES)
            given = moved.c.topic.is_not(None)
            await conn.execute(self._upsert(conn, group, moved, given, only_raise=False))

    def _upsert(
        self,
        conn: AsyncConnection,
        group: str,
        moved: FromClause,
        condition: ColumnElement[bool],
        *,
        only_raise: bool,
    ) -> ReturningInsert[Any]:
        chosen = (
            select(literal(self._cluster), literal(group), moved.c.topic, moved.c.partition, moved.c.position)
            .where(condition)
            .order_by(moved.c.topic, moved.c.partition)
        )
        columns = ["cluster", "consumer_group", "topic", "partition", "position"]
        insert = insert_into(conn.dialect.name, table).from_select(columns, chosen)
        new = insert.excluded.position
        kept = case((table.c.position > new, table.c.position), else_=new)
        return insert.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_={"position": kept if only_raise else new}
        ).returning(table.c.topic, table.c.partition)


def _row(partition: tuple[str, int], position: int, at_least: int) -> dict[str, str | int]:
    topic, number = partition
    return {"topic": topic, "partition": number, "position": position, "at_least": at_least}
