"""Positions: how far each consumer group had come, kept beside Kafka's own offsets so that a lost one is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, literal, select
from sqlalchemy.types import TypeEngine

from hub.store.engine import Store
from hub.store.sql import insert_into, json_rows
from hub.store.tables import position as table


class Positions:
    """The last positions that the groups of one Kafka cluster committed; what `hub.bus` keeps them in."""

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

    async def save(self, group: str, positions: Mapping[tuple[str, int], int]) -> None:
        """Remember these positions; those of other partitions stay. Raises StoreUnavailable."""
        if not positions:
            return
        values = [
            {"topic": topic, "partition": partition, "position": offset}
            for (topic, partition), offset in positions.items()
        ]
        types: dict[str, TypeEngine[Any]] = {
            "topic": Text(),
            "partition": Integer(),
            "position": BigInteger(),
        }
        async with self._store.write() as conn:
            rows = json_rows(conn, "moved", values, types)
            chosen = (
                select(
                    literal(self._cluster), literal(group), rows.c.topic, rows.c.partition, rows.c.position
                )
                .where(rows.c.topic.is_not(None))
                .order_by(rows.c.topic, rows.c.partition)
            )
            columns = ["cluster", "consumer_group", *types]
            insert = insert_into(conn.dialect.name, table).from_select(columns, chosen)
            await conn.execute(
                insert.on_conflict_do_update(
                    index_elements=list(table.primary_key.columns),
                    set_={"position": insert.excluded.position},
                )
            )
