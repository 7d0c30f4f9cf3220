"""Targets: for each record in Halo that the hub answers for, what Halo holds and how far its history has settled.

A row is written only onto the version that its writer read, and only by the holder of the tenant's writing lease.
The lease is checked against the moment of the write; a holder that lost it a moment later is stopped by the
version, since its successor reads before it writes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Text, bindparam, delete, exists, literal, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store.leases import is_held
from hub.store.sql import insert_into, is_one_of, json_rows, storable, store_now, to_json
from hub.store.tables import reservation, store_generation, target_owner
from hub.store.tables import target as table
from hub.store.versioned import save_versioned
from schemas.targets import Intent, Kind, Target, TargetState

_GENERATION_ROW = 1
# An entry of PostgreSQL's index has 2704 at most, those of the tenant and its instance included.
_MAX_KEY_BYTES = 2_000
_FENCED = exists(
    select(literal(1)).where(
        is_held(bindparam("fence_tenant"), "write", bindparam("fence_owner"), bindparam("fence_epoch"))
    )
)
_INTENT = msgspec.json.Decoder(Intent)
_CHILDREN = msgspec.json.Decoder(dict[str, int])
_GROUPS = msgspec.json.Decoder(dict[str, str])
_SEQ = msgspec.json.Decoder(tuple[int, ...])
_LOG_ENDS = msgspec.json.Decoder(dict[str, int])


class Restored(msgspec.Struct, frozen=True):
    """When the store was last restored, and what it may lack since: whatever was done before `at`.

    `at` is the store's clock. `log_ends` is where each partition, as (topic, number), of the commands and of the
    targets ended then: of the commands before that, any may have been carried out without a trace here.
    """

    generation: int
    at: float
    log_ends: dict[tuple[str, int], int]


async def load(conn: AsyncConnection, targets: Iterable[Target]) -> dict[Target, TargetState]:
    """The rows of those targets that have one."""
    keys = {target.key for target in targets}
    if not keys:
        return {}
    rows = await conn.execute(select(table).where(is_one_of(conn, table.c.target_key, keys)))
    states = (_state(row) for row in rows)
    return {state.target: state for state in states}


async def find(
    conn: AsyncConnection,
    tenant: str,
    *,
    kind: Kind | None = None,
    source: str | None = None,
    id: str | None = None,  # noqa: A002 - the target's own word
    halo_id: int | None = None,
) -> list[TargetState]:
    """The tenant's rows that fit all that is given, by kind, source, id and scope."""
    wanted = {"kind": kind, "source": source, "id": id, "halo_id": halo_id}
    statement = select(table).where(table.c.tenant == tenant)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(table.c[name] == value)
    states = [_state(row) for row in await conn.execute(statement)]
    return sorted(states, key=lambda state: state.target)


async def save(
    conn: AsyncConnection, state: TargetState, *, expected_version: int, lease: tuple[str, int] | None
) -> bool:
    """Write the row if it still has `expected_version` (0: if there is none); False if nothing was written.

    `lease` is the owner and epoch under which the tenant's writing lease must still be held; None is for rebuilds.
    """
    return not await save_many(conn, [(state, expected_version)], lease=lease)


async def save_many(
    conn: AsyncConnection, states: Sequence[tuple[TargetState, int]], *, lease: tuple[str, int] | None
) -> list[Target]:
    """Write many rows of one tenant (with their expected versions) in one statement; those refused.

    Raises ValueError for a state whose version isn't the expected one plus 1, for a target given twice, and for
    targets of several tenants under one lease.
    """
    if not states:
        return []
    targets = [state.target for state, _ in states]
    tenants = {target.tenant for target in targets}
    if len(set(targets)) < len(targets) or (lease is not None and len(tenants) > 1):
        raise ValueError("a batch holds each target once, and one tenant's alone when it goes under a lease")
    for state, expected in states:
        if state.version != expected + 1:
            raise ValueError(f"version {state.version} can't follow the expected version {expected}")
    rows = [_columns(state) for state, _ in states]
    if lease is None:
        written = await save_versioned(conn, table, rows)
    else:
        fence = {"fence_tenant": targets[0].tenant, "fence_owner": lease[0], "fence_epoch": lease[1]}
        written = await save_versioned(conn, table, rows, also=_FENCED, values=fence)
    return [target for target in targets if _parts(target) not in written]


async def reserve(conn: AsyncConnection, target: Target, match_keys: Sequence[str]) -> Target | None:
    """Reserve all of these natural keys for the target, or none; the other target that holds one of them.

    A key is reserved within one tenant, Halo instance and kind, until `release_reservations`. Reserving again
    what the target holds is no error.
    """
    keys = sorted({_indexable(key) for key in match_keys})
    if not keys:
        return None
    space = {"tenant": target.tenant, "instance": target.instance, "kind": target.kind}
    wanted = json_rows(conn, "wanted", [{"match_key": key} for key in keys], {"match_key": Text()})
    columns = [*space, "match_key", "target_key"]
    # A WHERE is needed: without one SQLite takes ON CONFLICT for a join's ON.
    chosen = (
        select(*map(literal, space.values()), wanted.c.match_key, literal(target.key))
        .where(wanted.c.match_key.is_not(None))
        .order_by(wanted.c.match_key)
    )
    insert = insert_into(conn.dialect.name, reservation).from_select(columns, chosen)
    statement = insert.on_conflict_do_update(
        index_elements=list(reservation.primary_key.columns),
        set_={"target_key": insert.excluded.target_key},
        where=reservation.c.target_key == insert.excluded.target_key,
    ).returning(reservation.c.match_key)
    others = select(reservation.c.target_key).where(
        *(reservation.c[name] == value for name, value in space.items()),
        is_one_of(conn, reservation.c.match_key, keys),
        reservation.c.target_key != target.key,
    )
    while True:
        async with conn.begin_nested() as savepoint:
            if len((await conn.execute(statement)).all()) == len(keys):
                return None
            await savepoint.rollback()
        holder = (await conn.execute(others.order_by(reservation.c.match_key).limit(1))).scalar_one_or_none()
        # None: the other one let go between the two statements.
        if holder is not None:
            return target_of(holder)


def _indexable(key: str) -> str:
    """The key, or a hash of one that an index of PostgreSQL can't hold."""
    key = storable(key)
    raw = key.encode()
    return key if len(raw) <= _MAX_KEY_BYTES else f"sha256:{hashlib.sha256(raw).hexdigest()}"


async def release_reservations(conn: AsyncConnection, target: Target) -> None:
    """Free all natural keys that the target holds."""
    await conn.execute(delete(reservation).where(reservation.c.target_key == target.key))


async def claim(conn: AsyncConnection, target: Target, halo_id: int) -> bool:
    """Make the target the one that updates this Halo record; False if another target owns it already."""
    insert = insert_into(conn.dialect.name, target_owner).values(
        tenant=target.tenant,
        instance=target.instance,
        kind=target.kind,
        halo_id=halo_id,
        target_key=target.key,
    )
    statement = insert.on_conflict_do_update(
        index_elements=list(target_owner.primary_key.columns),
        set_={"target_key": insert.excluded.target_key},
        where=target_owner.c.target_key == insert.excluded.target_key,
    ).returning(target_owner.c.halo_id)
    return (await conn.execute(statement)).first() is not None


async def generation(conn: AsyncConnection) -> int:
    """How often the store was rebuilt or restored; 0 for one that never was."""
    found = (await conn.execute(select(store_generation.c.generation))).scalar_one_or_none()
    return found or 0


async def restored(conn: AsyncConnection) -> Restored | None:
    """The last restore, or None for a store that never was restored."""
    row = (await conn.execute(select(store_generation))).one_or_none()
    if row is None or row.raised_at is None:
        return None
    ends = _LOG_ENDS.decode(row.log_ends or "{}")
    return Restored(row.generation, row.raised_at, {_partition(name): end for name, end in ends.items()})


async def raise_generation(
    conn: AsyncConnection, log_ends: Mapping[tuple[str, int], int] | None = None
) -> int:
    """Start the next generation, in which every unsettled create looks up first; its number.

    `log_ends` is where the partitions end now; see `Restored`.
    """
    ends = {f"{topic}/{number}": end for (topic, number), end in (log_ends or {}).items()}
    now = {"raised_at": store_now(), "log_ends": to_json(ends)}
    insert = insert_into(conn.dialect.name, store_generation).values(id=_GENERATION_ROW, generation=1, **now)
    statement = insert.on_conflict_do_update(
        index_elements=[store_generation.c.id],
        set_={"generation": store_generation.c.generation + 1, **now},
    ).returning(store_generation.c.generation)
    return int((await conn.execute(statement)).scalar_one())


def target_of(key: str) -> Target:
    """The target that a key names: the inverse of `Target.key`. Raises ValueError for any other text."""
    parts = [part.replace("%2F", "/").replace("%25", "%") for part in key.split("/")]
    names = ("tenant", "instance", "source", "kind", "id", "scope")
    return msgspec.convert(dict(zip(names, parts, strict=True)), Target)


def _partition(name: str) -> tuple[str, int]:
    topic, _, number = name.rpartition("/")
    return topic, int(number)


def _parts(target: Target) -> tuple[str, ...]:
    return (target.tenant, target.instance, target.source, target.kind, target.id, target.scope)


def _columns(state: TargetState) -> dict[str, Any]:
    target = state.target
    return {
        "tenant": target.tenant,
        "instance": target.instance,
        "source": target.source,
        "kind": target.kind,
        "id": target.id,
        "scope": target.scope,
        "target_key": target.key,
        "version": state.version,
        "halo_id": state.halo_id,
        "owns": state.owns,
        "children": to_json(state.children),
        "seq": to_json(state.seq),
        "state_hash": state.state_hash,
        "groups": to_json(state.groups),
        "answered_hash": state.answered_hash,
        "intent": to_json(state.intent) if state.intent else None,
        "look_first": state.look_first,
        "generation": state.generation,
        "last_command_id": state.last_command_id,
        "last_outcome": base64.b64encode(state.last_outcome).decode()
        if state.last_outcome is not None
        else None,
    }


def _state(row: Row[tuple[Any, ...]]) -> TargetState:
    return TargetState(
        target=Target(
            tenant=row.tenant,
            instance=row.instance,
            source=row.source,
            kind=row.kind,
            id=row.id,
            scope=row.scope,
        ),
        version=row.version,
        halo_id=row.halo_id,
        owns=row.owns,
        children=_CHILDREN.decode(row.children),
        seq=_SEQ.decode(row.seq),
        state_hash=row.state_hash,
        groups=_GROUPS.decode(row.groups),
        answered_hash=row.answered_hash,
        intent=_INTENT.decode(row.intent) if row.intent is not None else None,
        look_first=row.look_first,
        generation=row.generation,
        last_command_id=row.last_command_id,
        last_outcome=base64.b64decode(row.last_outcome) if row.last_outcome is not None else None,
    )
