"""The outbox: messages that a transaction decided to publish, kept until Kafka has acknowledged them.

Whoever holds a tenant's writing lease publishes its rows in the order of their ids, then removes them. So a
message is published at least once, and never without the change that it tells of.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.sql import is_one_of, to_json
from hub.store.tables import outbox as table

Headers = tuple[tuple[str, bytes], ...]

_HEADERS = msgspec.json.Decoder(Headers)


class OutboxRow(msgspec.Struct, frozen=True):
    """One message to publish: its topic, key, headers and value as Kafka is to have them."""

    id: int
    tenant: str
    topic: str
    key: bytes
    headers: Headers
    value: bytes


async def add(conn: AsyncConnection, tenant: str, rows: Sequence[tuple[str, bytes, Headers, bytes]]) -> None:
    """Append messages (topic, key, headers, value), to be published in this order."""
    values = [
        {"tenant": tenant, "topic": topic, "key": key, "headers": to_json(headers), "value": value}
        for topic, key, headers, value in rows
    ]
    if values:
        await conn.execute(insert(table), values)


async def of_tenant(conn: AsyncConnection, tenant: str, limit: int) -> list[OutboxRow]:
    """The tenant's oldest rows, up to `limit`, in the order in which they are to be published."""
    statement = select(table).where(table.c.tenant == tenant).order_by(table.c.id).limit(limit)
    return [
        OutboxRow(row.id, row.tenant, row.topic, row.key, _HEADERS.decode(row.headers), row.value)
        for row in await conn.execute(statement)
    ]


async def remove(conn: AsyncConnection, ids: Sequence[int]) -> None:
    """Forget rows that Kafka has acknowledged."""
    if ids:
        await conn.execute(delete(table).where(is_one_of(conn, table.c.id, ids)))


async def tenants(conn: AsyncConnection) -> list[str]:
    """The tenants that have something to publish."""
    return list((await conn.execute(select(table.c.tenant).distinct().order_by(table.c.tenant))).scalars())


async def depth(conn: AsyncConnection) -> int:
    """How many messages wait to be published."""
    return (await conn.execute(select(func.count()).select_from(table))).scalar_one()
