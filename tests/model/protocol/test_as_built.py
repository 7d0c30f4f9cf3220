"""Where the product falls short of the protocol that the model holds with; each test tells the shortest way there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.lease_keeper import LeaseKeeper
from services.halo_writer.backlog import Backlog
from services.halo_writer.standing import Standing
from services.halo_writer.tools import Timing
from tests.model.protocol.explore import explore
from tests.model.protocol.parts import Rules
from tests.model.protocol.test_protocol import RESTORED, REVISIONS, TWICE
from tests.model.stores import OneTransaction
from tests.unit.halo_writer.build import TENANT, work_of


@pytest.mark.xfail(
    strict=True, reason="what a restored row says of Halo is trusted, and absence at once believed"
)
def test_after_a_restore_the_writer_itself_waits_looks_and_distrusts_the_rows_of_before() -> None:
    as_built = Rules(distrusts_rows_of_before_a_restore=False, waits_to_settle_after_a_restore=False)
    found = explore(RESTORED, as_built)
    assert found.harm is None, found


@pytest.mark.xfail(strict=True, reason="an intent doesn't say which seq it is of")
def test_no_older_state_is_written_over_one_whose_write_is_still_open() -> None:
    found = explore(replace(TWICE, strict=True))
    assert found.harm is None, found


@pytest.mark.xfail(strict=True, reason="a row for its turn takes the place of the row of the command in hand")
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
