"""A store that was restored goes on in a new generation, with nothing in it that the past alone could vouch for."""

from hub.store import Store, holds, leases, restore, targets
from hub.store.holds import HALO, WINDOW, Hold

ENDS = {("hub.commands.v1", 0): 12, ("hub.commands.v1", 1): 0}


async def test_a_restore_begins_a_generation_frees_all_leases_and_tries_what_was_refused(
    store: Store, other: Store
) -> None:
    refused = Hold(tenant="acme", scope=HALO, reason="unauthorised", since=1.0, probe_at=1e12, tries=5)
    window = Hold(tenant="acme", scope=WINDOW, reason="limited", since=1.0, probe_at=1e12)
    async with store.write() as conn:
        assert await leases.take(conn, "acme", "write", "a", 3600.0)
        assert await leases.take(conn, "acme", "read", "b", 3600.0)
        await holds.put(conn, refused)
        await holds.put(conn, window)
    async with store.write() as conn:
        assert await restore.begin(conn, ENDS) == 1
    async with other.read() as conn:
        restored = await targets.restored(conn)
        assert restored is not None
        assert (restored.generation, restored.log_ends) == (1, ENDS)
        assert await leases.peek(conn, "acme", "write") is None
        assert not await leases.holds(conn, "acme", "read", "b", 1)
        tried = {hold.scope: (hold.probe_at, hold.tries) for hold in await holds.of_tenant(conn, "acme")}
    assert tried == {HALO: (0.0, 0), WINDOW: (1e12, 0)}


async def test_twice_does_no_harm(store: Store) -> None:
    for generation in (1, 2):
        async with store.write() as conn:
            assert await restore.begin(conn, ENDS) == generation
    async with store.write() as conn:
        lease = await leases.take(conn, "acme", "write", "a", 30.0)
    assert lease is not None
    assert lease.epoch == 1
