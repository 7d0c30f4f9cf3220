"""The writer's transactions: each makes durable, all at once or not at all, what one step of the protocol needs.

Every write of a target's row is conditional on the version that was read and on the lease. A refusal means that
another owner is at work: `Overtaken`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.bus.records import Outgoing
from hub.lease_keeper import Held
from hub.store import catalogue, outbox, pending, targets
from hub.store.engine import Store
from schemas.commands import Command, UpsertClient
from schemas.targets import Target, TargetState
from services.halo_writer import ending as tell
from services.halo_writer.ending import Ending, Stored
from services.halo_writer.kinds import CATALOGUED
from services.halo_writer.tools import Tools
from services.halo_writer.work import Work

_log = structlog.get_logger(__name__)


class Overtaken(Exception):
    """The row or the lease changed under us: drop everything in memory and start anew."""


async def save_row(store: Store, held: Held, before: TargetState, after: TargetState) -> TargetState:
    """Write a row that is on its way (an intent, or its withdrawal), with its snapshot. Raises Overtaken."""
    saved = msgspec.structs.replace(after, version=before.version + 1)
    async with store.write() as conn:
        await _save(conn, held, before, saved)
        await into_outbox(conn, saved.target.tenant, [tell.snapshot(saved, held.store_now())])
    return saved


async def settle(
    store: Store,
    held: Held,
    work: Work,
    before: TargetState,
    after: TargetState | None,
    *,
    ending: Ending,
    stored: Stored,
    record: Mapping[str, Any],
) -> None:
    """The end of a command: its row (if it changes), the end of waiting, and all that is to be told. Raises Overtaken.

    `record` is Halo's record as it answered, for the catalogue.
    """
    target, now = work.command.target, held.store_now()
    messages = [tell.published(stored), *tell.superseded_messages(work, now)]
    if ending.status == "rejected":
        messages += [tell.rejected_command(work, ending, now), *tell.gone_question(work, ending, now)]
    async with store.write() as conn:
        if after is not None:
            await _save(conn, held, before, after)
            messages.append(tell.snapshot(after, now))
            await _remember(conn, work.command, ending, after, record)
        await _waits_no_more(conn, work)
        await into_outbox(conn, target.tenant, messages)


async def tell_again(store: Store, work: Work, stored: Stored, now: float) -> None:
    """Publish the outcome of a command that settled before, byte for byte."""
    tenant = work.command.target.tenant
    async with store.write() as conn:
        await _waits_no_more(conn, work)
        await into_outbox(conn, tenant, [tell.published(stored), *tell.superseded_messages(work, now)])


async def alarm(tools: Tools, target: Target, halo_ids: tuple[int, ...], why: str, now: float) -> None:
    """Tell that Halo may hold several records of a target, whoever holds the lease."""
    _log.error("duplicate.suspected", tenant=target.tenant, target=target.key, halo_ids=halo_ids, why=why)
    tools.metrics.duplicates_suspected.labels(tenant=target.tenant).inc()
    async with tools.store.write() as conn:
        await into_outbox(conn, target.tenant, [tell.duplicate_suspected(target, halo_ids, why, now)])


async def into_outbox(conn: AsyncConnection, tenant: str, messages: Sequence[Outgoing]) -> None:
    rows = [(out.topic, out.key or b"", out.headers, out.value or b"") for out in messages]
    await outbox.add(conn, tenant, rows)


async def _waits_no_more(conn: AsyncConnection, work: Work) -> None:
    """The end of waiting, for this command's row alone: a newer command may have got a row while it ran."""
    if work.row is not None:
        await pending.remove(conn, work.row.tenant, "writer", work.row_key, work.row.message_id)


async def _save(conn: AsyncConnection, held: Held, before: TargetState, after: TargetState) -> None:
    if not await targets.save(conn, after, expected_version=before.version, lease=held.fence):
        raise Overtaken(f"the row of {after.target.key} was written by another owner")


async def _remember(
    conn: AsyncConnection, command: Command, ending: Ending, state: TargetState, record: Mapping[str, Any]
) -> None:
    """What settled is in the catalogue at once; what was not made gives its natural keys back."""
    target = command.target
    if ending.status in ("rejected", "skipped") and state.halo_id is None:
        await targets.release_reservations(conn, target)
    elif ending.result == "created" and ending.halo_id is not None:
        await targets.claim(conn, target, ending.halo_id)
        await _into_catalogue(conn, command, ending.halo_id, record, state)


async def _into_catalogue(
    conn: AsyncConnection, command: Command, halo_id: int, record: Mapping[str, Any], state: TargetState
) -> None:
    target = command.target
    kind = CATALOGUED.get(target.kind)
    if not record or kind is None:
        return
    await catalogue.upsert_own(conn, target.tenant, target.instance, kind, halo_id, dict(record))
    if not isinstance(command, UpsertClient):
        return
    # By Halo's words alone: the record may have been created by another command than the one that settles it.
    name, contact_id = record.get("main_contact_name"), state.children.get("user")
    if name and contact_id is not None:
        born = {"name": name, "emailaddress": record.get("main_contact_email"), "client_id": halo_id}
        await catalogue.upsert_own(conn, target.tenant, target.instance, "user", contact_id, born)
