"""Pending: the newest message of each target that can't settle now, with why and until when.

While a target has a row, newer messages of it replace the row instead of running. A backlog is a query over these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import Select

from hub.store.sql import insert_into, is_one_of, storable
from hub.store.tables import pending as table
from schemas.targets import kind_in

Stage = Literal["mapper", "writer"]
DECISION = "decision"
"""The reason of a row that waits for a person's answer: a command in the writer, a record's question in the mapper."""

_SEQ_DIGITS = 19
_PHASES = {
    "client": 0,
    "site": 1,
    "user": 2,
    "item": 3,
    "opportunity": 4,
    "quote": 5,
    "attachment": 6,
    "won": 7,
    "sales_order": 8,
}
"""By which 0.1.0 knows a row's kind. Nothing here reads it; the next release stops writing it, and another drops it."""


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One waiting message: `headers` is the JSON of its envelope, `value` its bytes, `waits_for` a target's key.

    `since` is when its target began to wait, `not_before` when trying again may help, in the store's seconds.
    """

    tenant: str
    stage: Stage
    target_key: str
    message_id: str
    message_type: str
    headers: bytes
    value: bytes
    reason: str
    waits_for: str | None = None
    not_before: float
    since: float
    seq: tuple[int, ...] = ()
    attempts: int = 0
    note: str | None = None


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What decides when a row runs, without the message itself: all that is kept in memory of a long backlog.

    `kind` is that of its target; empty for a row that is no target's.
    """

    target_key: str
    kind: str
    reason: str
    waits_for: str | None
    not_before: float
    since: float
    attempts: int

    @classmethod
    def of(cls, row: Pending) -> Brief:
        return cls(kind=kind_in(row.target_key), **{name: getattr(row, name) for name in _BRIEF})


_BRIEF = tuple(name for name in Brief.__struct_fields__ if name != "kind")


class Backlog(msgspec.Struct, frozen=True):
    """How many of a tenant's messages wait in one stage for one reason, and since when the oldest does."""

    tenant: str
    stage: Stage
    reason: str
    count: int
    oldest_since: float


_WHOLE = select(*(table.c[name] for name in Pending.__struct_fields__))


async def put(conn: AsyncConnection, row: Pending) -> None:
    """Store the row, in place of the target's former one in this stage, whose `since` stays."""
    await put_many(conn, [row])


async def put_many(conn: AsyncConnection, rows: Sequence[Pending]) -> None:
    """As `put`, for many rows of different targets."""
    if not rows:
        return
    values = [_columns(row) for row in rows]
    insert = insert_into(conn.dialect.name, table)
    changed = set(values[0]) - {column.name for column in table.primary_key.columns} - {"since"}
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: insert.excluded[name] for name in sorted(changed)},
    )
    await conn.execute(statement, values)


async def remove(
    conn: AsyncConnection, tenant: str, stage: Stage, target_key: str, message_id: str | None = None
) -> None:
    """The target waits no more; nothing happens if it didn't, or if another message than this one waits by now."""
    statement = delete(table).where(
        table.c.tenant == tenant, table.c.stage == stage, table.c.target_key == target_key
    )
    if message_id is not None:
        statement = statement.where(table.c.message_id == message_id)
    await conn.execute(statement)


async def of_tenant(conn: AsyncConnection, tenant: str, stage: Stage) -> list[Pending]:
    """All that waits for a tenant, what waits longest first."""
    statement = _WHOLE.where(table.c.tenant == tenant, table.c.stage == stage)
    return await _rows(conn, statement.order_by(table.c.since, table.c.target_key))


async def load(conn: AsyncConnection, tenant: str, stage: Stage, target_keys: Iterable[str]) -> list[Pending]:
    """The rows of those targets that have one, in no order."""
    return await _rows(
        conn,
        _WHOLE.where(
            table.c.tenant == tenant, table.c.stage == stage, is_one_of(conn, table.c.target_key, target_keys)
        ),
    )


async def briefs(conn: AsyncConnection, tenant: str, stage: Stage) -> list[Brief]:
    """All that waits for a tenant, without the messages."""
    columns = [table.c[name] for name in _BRIEF]
    statement = select(*columns).where(table.c.tenant == tenant, table.c.stage == stage)
    found = (await conn.execute(statement)).mappings()
    return [Brief(kind=kind_in(row["target_key"]), **row) for row in found]


async def due_tenants(
    conn: AsyncConnection, stage: Stage, now: float, *, besides: str | None = None
) -> list[str]:
    """The tenants that have a row whose `not_before` has come, and whose reason isn't `besides`."""
    statement = select(table.c.tenant).distinct().where(table.c.stage == stage, table.c.not_before <= now)
    if besides is not None:
        statement = statement.where(table.c.reason != besides)
    return list((await conn.execute(statement.order_by(table.c.tenant))).scalars())


async def try_now(conn: AsyncConnection, tenant: str, stage: Stage, target_key: str, reason: str) -> None:
    """What the target's row waited for has come, if this is its reason."""
    row = (table.c.tenant == tenant, table.c.stage == stage, table.c.target_key == target_key)
    await conn.execute(update(table).where(*row, table.c.reason == reason).values(not_before=0.0))


async def to_try_now(conn: AsyncConnection, stage: Stage, reason: str) -> list[tuple[str, str]]:
    """The rows of this reason whose waiting `try_now` has ended, as (tenant, target key)."""
    statement = select(table.c.tenant, table.c.target_key).where(
        table.c.stage == stage, table.c.not_before <= 0.0, table.c.reason == reason
    )
    return [(row.tenant, row.target_key) for row in await conn.execute(statement)]


async def waiting_for(conn: AsyncConnection, stage: Stage, reason: str) -> list[tuple[str, str, str]]:
    """All rows of this reason, as (tenant, target key, message id)."""
    statement = select(table.c.tenant, table.c.target_key, table.c.message_id).where(
        table.c.stage == stage, table.c.reason == reason
    )
    return [(row.tenant, row.target_key, row.message_id) for row in await conn.execute(statement)]


async def keys_of(
    conn: AsyncConnection, stage: Stage, reason: str, among: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Which of these (tenant, target key) have a row of this reason."""
    if not among:
        return set()
    statement = select(table.c.tenant, table.c.target_key).where(
        is_one_of(conn, table.c.tenant, {tenant for tenant, _ in among}),
        table.c.stage == stage,
        is_one_of(conn, table.c.target_key, {key for _, key in among}),
        table.c.reason == reason,
    )
    return {(row.tenant, row.target_key) for row in await conn.execute(statement)} & set(among)


async def tenants_with(conn: AsyncConnection, stage: Stage, reason: str) -> list[str]:
    """The tenants that have a row of this reason, due or not."""
    statement = select(table.c.tenant).distinct().where(table.c.stage == stage, table.c.reason == reason)
    return list((await conn.execute(statement.order_by(table.c.tenant))).scalars())


async def count_by_reason(conn: AsyncConnection) -> list[Backlog]:
    """The backlog of every tenant that has one."""
    group = (table.c.tenant, table.c.stage, table.c.reason)
    statement = select(*group, func.count(), func.min(table.c.since)).group_by(*group).order_by(*group)
    return [Backlog(*row) for row in await conn.execute(statement)]


async def listing(
    conn: AsyncConnection, tenant: str | None = None, reason: str | None = None, limit: int = 100
) -> list[Pending]:
    """Up to `limit` rows for people to look at, those that wait longest first."""
    statement = _WHOLE.order_by(table.c.since, table.c.tenant, table.c.target_key).limit(limit)
    if tenant is not None:
        statement = statement.where(table.c.tenant == tenant)
    if reason is not None:
        statement = statement.where(table.c.reason == reason)
    return await _rows(conn, statement)


def _columns(row: Pending) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__struct_fields__}
    return values | {
        "seq": _text(row.seq),
        "note": None if row.note is None else storable(row.note),
        "phase": _PHASES.get(kind_in(row.target_key), 0),
    }


async def _rows(conn: AsyncConnection, statement: Select[Any]) -> list[Pending]:
    found = (await conn.execute(statement)).mappings()
    return [Pending(**{**row, "seq": _seq(row["seq"])}) for row in found]


def _text(seq: tuple[int, ...]) -> str:
    return ".".join(f"{number:0{_SEQ_DIGITS}d}" for number in seq)


def _seq(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")) if text else ()
