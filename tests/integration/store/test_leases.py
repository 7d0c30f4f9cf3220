"""At most one owner for each share of a tenant, whatever races."""

import asyncio

import pytest
from sqlalchemy import event, update

from hub.store import Store, leases, restore
from hub.store.tables import lease as table
from tests.support.eventually import eventually

KEY = ("acme", "write")


async def take(store: Store, owner: str, ttl_s: float = 30.0, tenant: str = "acme") -> leases.Lease | None:
    async with store.write() as conn:
        return await leases.take(conn, tenant, "write", owner, ttl_s)


async def renew(store: Store, owner: str, epoch: int, ttl_s: float = 30.0) -> set[tuple[str, str]]:
    async with store.write() as conn:
        return await leases.renew(conn, owner, {KEY: epoch}, ttl_s)


async def holds(store: Store, owner: str, epoch: int) -> bool:
    async with store.read() as conn:
        return await leases.holds(conn, *KEY, owner, epoch)


async def test_a_free_lease_is_taken_and_refused_to_others(store: Store, other: Store) -> None:
    before = await store.now()
    lease = await take(store, "a")
    after = await store.now()
    assert lease is not None
    assert (lease.tenant, lease.share, lease.owner, lease.epoch, lease.spend) == (*KEY, "a", 1, {})
    assert before + 30 <= lease.until <= after + 30
    assert await take(other, "b") is None
    assert await holds(other, "a", 1)
    assert not await holds(other, "a", 2)
    assert not await holds(other, "b", 1)


async def test_taking_what_is_mine_keeps_the_epoch_and_extends_it(store: Store) -> None:
    first, again = await take(store, "a", 10), await take(store, "a", 20)
    assert first is not None
    assert again is not None
    assert again.epoch == first.epoch
    assert again.until > first.until + 9


async def test_shares_and_tenants_are_apart(store: Store) -> None:
    assert await take(store, "a")
    assert await take(store, "b", tenant="globex")
    async with store.write() as conn:
        assert await leases.take(conn, "acme", "read", "b", 30)


async def test_an_expired_lease_goes_to_the_next_owner_with_a_higher_epoch(
    store: Store, other: Store
) -> None:
    assert await take(store, "a", 0.2)

    async def taken() -> leases.Lease | None:
        return await take(other, "b")

    lease = await eventually(taken)
    assert lease is not None
    assert lease.epoch == 2
    assert await renew(store, "a", 1) == set()
    assert not await holds(store, "a", 1)


async def test_an_expired_lease_of_mine_gets_a_higher_epoch_when_i_take_it(store: Store) -> None:
    assert await take(store, "a", 0)
    lease = await take(store, "a")
    assert lease is not None
    assert lease.epoch == 2
    assert await renew(store, "a", 1) == set()


async def test_an_expired_lease_that_nobody_took_is_renewed(store: Store) -> None:
    assert await take(store, "a", 0)
    assert not await holds(store, "a", 1)
    assert await renew(store, "a", 1) == {KEY}
    assert await holds(store, "a", 1)


async def test_a_released_lease_is_free_at_once_and_dead_for_its_former_owner(
    store: Store, other: Store
) -> None:
    assert await take(store, "a")
    async with store.write() as conn:
        await leases.release(conn, *KEY, "a", 1, spend={"100": 7})
    assert not await holds(store, "a", 1)
    assert await renew(store, "a", 1) == set()
    lease = await take(other, "b")
    assert lease is not None
    assert (lease.epoch, lease.spend) == (2, {"100": 7})


async def test_a_stale_release_does_not_touch_the_new_owner(store: Store) -> None:
    assert await take(store, "a", 0)
    assert await take(store, "b")
    async with store.write() as conn:
        await leases.release(conn, *KEY, "a", 1, spend={"1": 1})
    assert await holds(store, "b", 2)
    async with store.read() as conn:
        lease = await leases.peek(conn, *KEY)
    assert lease is not None
    assert lease.spend == {}


async def test_spend_is_written_by_renewal_and_handed_to_the_next_owner(store: Store) -> None:
    assert await take(store, "a", 0)
    async with store.write() as conn:
        assert await leases.renew(conn, "a", {KEY: 1}, 0, {KEY: {"1700000010": 12}}) == {KEY}
        # A renewal without counts keeps those that were written before.
        assert await leases.renew(conn, "a", {KEY: 1}, 0) == {KEY}
    lease = await take(store, "b")
    assert lease is not None
    assert lease.spend == {"1700000010": 12}


async def test_all_of_a_thousand_leases_are_renewed_in_one_statement(store: Store, other: Store) -> None:
    held = {(f"t{number}", "write"): 1 for number in range(1000)}
    async with store.write() as conn:
        for tenant, share in held:
            await leases.take(conn, tenant, share, "a", 0 if tenant in ("t3", "t7") else 30)
    async with other.write() as conn:
        assert await leases.take(conn, "t3", "write", "b", 30)
    statements = []
    event.listen(
        store._writer.sync_engine,
        "before_cursor_execute",
        lambda *arguments: statements.append(arguments[2]) if "UPDATE" in arguments[2] else None,
    )
    before = await store.now()
    async with store.write() as conn:
        kept = await leases.renew(conn, "a", held, 30, {("t1", "write"): {"5": 5}})
    assert kept == set(held) - {("t3", "write")}
    assert len(statements) == 1
    async with store.read() as conn:
        one, seven = await leases.peek(conn, "t1", "write"), await leases.peek(conn, "t7", "write")
    assert one is not None
    assert one.spend == {"5": 5}
    assert seven is not None
    assert seven.until >= before + 30


async def test_nobody_ever_held_it(store: Store) -> None:
    async with store.write() as conn:
        assert await leases.peek(conn, *KEY) is None
        assert await leases.renew(conn, "a", {KEY: 1}, 30) == set()
        assert await leases.renew(conn, "a", {}, 30) == set()
        await leases.release(conn, *KEY, "a", 1)
        assert await leases.peek(conn, *KEY) is None


@pytest.mark.parametrize("state", ["new", "expired", "released"])
async def test_of_many_who_race_for_a_lease_exactly_one_gets_it(
    store: Store, other: Store, state: str
) -> None:
    for number in range(10):
        tenant = f"t{number}"
        if state != "new":
            assert await take(store, "former", 0 if state == "expired" else 30, tenant)
        if state == "released":
            async with store.write() as conn:
                await leases.release(conn, tenant, "write", "former", 1)
        racers = [take(who, f"owner-{index}", 30, tenant) for index, who in enumerate([store, other] * 4)]
        winners = [lease for lease in await asyncio.gather(*racers) if lease]
        assert [lease.epoch for lease in winners] == [1 if state == "new" else 2]


async def test_a_renewal_and_a_takeover_at_once_leave_one_owner(store: Store, other: Store) -> None:
    outcomes = set()
    for number in range(30):
        key = (f"t{number}", "write")
        assert await take(store, "a", 0, key[0])

        async def renewed(key: tuple[str, str] = key) -> bool:
            async with store.write() as conn:
                return key in await leases.renew(conn, "a", {key: 1}, 30)

        kept, stolen = await asyncio.gather(renewed(), take(other, "b", 30, key[0]))
        assert kept != (stolen is not None)
        outcomes.add(kept)
    assert outcomes


async def set_clock_back(store: Store, by_s: float) -> None:
    """As the lease sees it: its end was set by a clock that was ahead of the present one."""
    async with store.write() as conn:
        await conn.execute(update(table).values(until=table.c.until + by_s))


async def until(store: Store) -> float:
    async with store.read() as conn:
        lease = await leases.peek(conn, *KEY)
    assert lease is not None
    return lease.until


async def test_a_dead_owners_lease_is_free_after_one_term_though_the_clock_was_set_back(
    store: Store, other: Store
) -> None:
    assert await take(store, "a", 0.4)
    await set_clock_back(store, 3600.0)
    refused_at = await store.now()
    assert await take(other, "b", 0.4) is None
    assert refused_at < await until(store) <= await store.now() + 0.4
    lease = await eventually(lambda: take(other, "b", 0.4))
    assert lease is not None
    assert lease.epoch == 2
    # Not before the end of the term that its former holder could still believe in.
    assert await store.now() >= refused_at + 0.4


async def test_a_living_owner_keeps_its_lease_when_the_clock_is_set_back(store: Store, other: Store) -> None:
    assert await take(store, "a")
    await set_clock_back(store, 3600.0)
    assert await take(other, "b") is None
    assert await holds(store, "a", 1)
    assert await renew(store, "a", 1) == {KEY}
    end = await until(store)
    assert await take(other, "b") is None
    assert await until(store) == end


async def test_an_end_that_a_right_clock_has_set_is_not_moved_by_who_waits_for_it(
    store: Store, other: Store
) -> None:
    assert await take(store, "a", 100)
    end = await until(store)
    assert await take(other, "b", 600) is None
    assert await take(other, "b", 100) is None
    assert await until(store) == end


async def test_a_lease_nobody_held_since_a_restore_begins_with_the_whole_budget_spent(store: Store) -> None:
    assert await take(store, "a")
    before = await store.now()
    async with store.write() as conn:
        await restore.begin(conn, {})
    assert await renew(store, "a", 1) == set()
    lease = await take(store, "b")
    assert lease is not None
    ((start, count),) = lease.spend.items()
    # A window begins with a whole second; which one a fraction is rounded to is the store's matter.
    assert before - 1 <= float(start) <= await store.now() + 1
    assert count > 1_000_000
    async with store.write() as conn:
        await leases.release(conn, *KEY, "b", lease.epoch, {"7": 1})
    again = await take(store, "c")
    assert again is not None
    assert again.spend == {"7": 1}
