"""What has to happen in a store that was restored, or failed over to an older copy, before anyone goes on with it.

All that was committed after the copy is forgotten, while Kafka and Halo remember it. Why going on is safe, table by
table, once `begin` has run and the groups were taken back to their stored positions:

* `position`: a position is saved after what it stands for, so the copy has everything before it; what comes after is
  handed out again. Kafka's offsets are what is wrong, and they are taken back to these.
* `target`: a row may lack a record that was created, an intent, a newer state. The generation says so: until a row
  has settled in the present one, what it says of Halo is looked up or read back before anything is written, and no
  absence counts before `settle_s` after the restore, when the last request of the forgotten past has had its effect.
  A newer state comes again from the log.
* `pending`: a row that has settled meanwhile runs again, under the same rules as any repeat. One that was forgotten
  comes again from the log, since it was put there before the position passed it.
* `reservation`, `target_owner`: what was claimed since is claimed again by whoever settles first; what was given back
  since is given back by the same rejection. Meanwhile a target waits for the holder of its natural key, never more.
* `record`: the mapper folds the same events onto the older record, and publishes the same commands with the same ids.
* `outbox`: what was published since is published again, with the same ids; what was forgotten is decided again.
* `lease`: removed here. A holder of then is not one now, whatever the copy says, and what it has spent since is
  unknown: the next holder takes the whole budget for spent at the time of the restore (`hub.store.leases.take`).
* `hold`: kept, but tried at once: what was refused then may be granted since. A 429's window ends by itself; one that
  was forgotten is met again.
* `catalogue`, `catalogue_read`: what is there was seen, and newer events come again. But it may lack what the hub
  itself made since, so reads that began before the restore prove no absence (`hub.store.catalogue.fresh_since`):
  Halo is asked until the next full read, and ingest makes one when it starts.
* `proof`, `rule_set`: come again from the log, which takes seconds; a proof that was withdrawn since is gone before
  any absence counts.
* `decision`: comes again from the log too; a question whose answer was forgotten is only asked again.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.store import holds, targets
from hub.store.tables import hold, lease


async def begin(conn: AsyncConnection, log_ends: Mapping[tuple[str, int], int]) -> int:
    """Make the store fit to go on with after a restore; its new generation. Again does no harm.

    No service may be running. `log_ends` is where each partition of the commands and of the targets ends now.
    """
    generation = await targets.raise_generation(conn, log_ends)
    await conn.execute(delete(lease))
    await conn.execute(update(hold).where(hold.c.scope != holds.WINDOW).values(probe_at=0.0, tries=0))
    return generation
