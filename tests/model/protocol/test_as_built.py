"""Interleavings that the model found to break the product once, run on the product itself."""

from __future__ import annotations

from hub.lease_keeper import LeaseKeeper
from services.halo_writer.backlog import Backlog
from services.halo_writer.standing import Standing
from services.halo_writer.tools import Timing
from tests.model.protocol.test_protocol import REVISIONS
from tests.model.stores import OneTransaction
from tests.unit.halo_writer.build import TENANT, work_of


def test_a_command_in_hand_is_told_even_if_the_process_dies_after_a_newer_one_got_a_row() -> None:
    with OneTransaction() as store:
        assert store.run(_told_after_a_crash(store)) == {"older", "newer"}


async def _told_after_a_crash(store: OneTransaction) -> set[str]:
    held = await LeaseKeeper(store.store, owner="a", ttl_s=30.0).take(TENANT, "write")
    assert held is not None
    backlog, standing = Backlog(TENANT, store.store), Standing(TENANT, Timing())
    older, newer = (work_of(command) for command in REVISIONS[:2])
    names = {older.command_id: "older", newer.command_id: "newer"}
    backlog.queue.add(older)
    await backlog.spill(held, 0.0)
    (in_hand,) = await backlog.next_round(standing, held, 10)
    backlog.queue.start(in_hand)
    backlog.queue.submit(newer)
    for work in await backlog.take_in(held):
        backlog.queue.add(work)
    await backlog.spill(held, 0.0)
    next_one = Backlog(TENANT, store.store)
    await next_one.load()
    (left,) = await next_one.next_round(standing, held, 10)
    from_rows = {left.command_id, *(other.command_id for other in left.superseded)}
    # What got no row comes again from the log: its offset can't have been committed.
    from_log = {work.command_id for work in (newer,) if not work.durable}
    return {names[command_id] for command_id in from_rows | from_log}
