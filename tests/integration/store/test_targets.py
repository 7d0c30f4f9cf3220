"""Target rows: written only onto the version that was read and under the lease, reserved and owned by one."""

import asyncio
import random
from typing import Any

import msgspec
import pytest

from hub.store import Store, leases, targets
from schemas.targets import Intent, Target, TargetState


def target(number: object = 1, tenant: str = "acme", kind: Any = "client", **parts: str) -> Target:
    values = {"instance": "acme.halopsa.com", "source": "quoter", "id": f"c-{number}", **parts}
    return Target(tenant=tenant, kind=kind, **values)


def fresh(of: Target, **fields: Any) -> TargetState:
    return TargetState(target=of, version=1, **fields)


def following(state: TargetState, **fields: Any) -> TargetState:
    return msgspec.structs.replace(state, version=state.version + 1, **fields)


async def save(store: Store, state: TargetState, lease: tuple[str, int] | None = None) -> bool:
    async with store.write() as conn:
        return await targets.save(conn, state, expected_version=state.version - 1, lease=lease)


async def load(store: Store, of: Target) -> TargetState | None:
    async with store.read() as conn:
        return (await targets.load(conn, [of])).get(of)


FULL = TargetState(
    target=target("50%/ä\n", scope="r1/sent"),
    version=1,
    halo_id=2**40,
    owns=False,
    children={"site": 3, "line:ä": 4},
    seq=(1_700_000_000_000 << 20, 3),
    state_hash="s",
    groups={"head": "h", "lines": "l"},
    answered_hash="a",
    intent=Intent(command_id="c", operation="create", epoch=3, sent_at=1795248446.4229932, state_hash="s"),
    look_first=True,
    generation=2,
    last_command_id="c",
    last_outcome=b'\x00\xff{"not":"text"}',
)


async def test_every_field_comes_back_as_it_was_saved(store: Store) -> None:
    assert {
        name for name in FULL.__struct_fields__ if getattr(FULL, name) == getattr(fresh(target()), name)
    } == {"version"}
    assert await save(store, FULL)
    assert await load(store, FULL.target) == FULL
    bare = following(TargetState(target=FULL.target, version=1))
    assert await save(store, bare)
    assert await load(store, FULL.target) == bare


async def test_a_target_that_was_never_saved_is_missing(store: Store) -> None:
    await save(store, fresh(target(1)))
    async with store.read() as conn:
        assert set(await targets.load(conn, [target(1), target(2)])) == {target(1)}
        assert await targets.load(conn, []) == {}


async def test_a_stale_version_writes_nothing(store: Store) -> None:
    first = fresh(target(), halo_id=1)
    assert await save(store, first)
    assert not await save(store, fresh(target(), halo_id=2))
    second = following(first, halo_id=3)
    assert await save(store, second)
    assert not await save(store, following(first, halo_id=4))
    assert await load(store, target()) == second


async def test_a_row_that_vanished_is_not_made_again_from_a_later_version(store: Store) -> None:
    assert not await save(store, following(fresh(target())))
    assert await load(store, target()) is None


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_version_that_does_not_follow_is_a_mistake(store: Store, version: int) -> None:
    state = TargetState(target=target(), version=version)
    async with store.write() as conn:
        with pytest.raises(ValueError, match="can't follow"):
            await targets.save(conn, state, expected_version=1, lease=None)


async def test_only_the_holder_of_the_writing_lease_saves(store: Store) -> None:
    assert not await save(store, fresh(target()), ("a", 1))
    async with store.write() as conn:
        await leases.take(conn, "acme", "read", "a", 30)
        await leases.take(conn, "globex", "write", "a", 30)
    assert not await save(store, fresh(target()), ("a", 1))
    async with store.write() as conn:
        await leases.take(conn, "acme", "write", "a", 30)
    assert not await save(store, fresh(target()), ("a", 2))
    assert not await save(store, fresh(target()), ("b", 1))
    assert await save(store, fresh(target()), ("a", 1))


async def test_an_expired_lease_fences_only_once_it_is_taken(store: Store, other: Store) -> None:
    async with store.write() as conn:
        await leases.take(conn, "acme", "write", "a", 0)
    assert await save(store, fresh(target(1)), ("a", 1))
    async with other.write() as conn:
        assert await leases.take(conn, "acme", "write", "b", 30)
    assert not await save(store, fresh(target(2)), ("a", 1))
    assert await save(store, fresh(target(2)), ("b", 2))


async def test_a_released_lease_fences_at_once(store: Store) -> None:
    async with store.write() as conn:
        await leases.take(conn, "acme", "write", "a", 30)
        await leases.release(conn, "acme", "write", "a", 1)
    assert not await save(store, fresh(target()), ("a", 1))


async def test_a_batch_writes_what_fits_and_names_what_was_refused(store: Store) -> None:
    stored = fresh(target(1))
    await save(store, stored)
    batch = [(following(stored), 1), (fresh(target(2)), 0), (following(fresh(target(3))), 1)]
    async with store.write() as conn:
        assert await targets.save_many(conn, batch, lease=None) == [target(3)]
        assert await targets.save_many(conn, [], lease=None) == []
        assert {state.version for state in (await targets.load(conn, map(target, (1, 2, 3)))).values()} == {
            2,
            1,
        }
        with pytest.raises(ValueError, match="once"):
            await targets.save_many(conn, [(fresh(target(4)), 0)] * 2, lease=None)
        mixed = [(fresh(target(4)), 0), (fresh(target(4, tenant="globex")), 0)]
        with pytest.raises(ValueError, match="one tenant"):
            await targets.save_many(conn, mixed, lease=("a", 1))


@pytest.mark.parametrize("stored", [False, True])
async def test_of_many_who_save_onto_one_version_exactly_one_does(
    store: Store, other: Store, stored: bool
) -> None:
    for number in range(10):
        state = fresh(target(number))
        if stored:
            await save(store, state)
            state = following(state)
        racers = [
            save(who, msgspec.structs.replace(state, halo_id=index + 1))
            for index, who in enumerate([store, other] * 4)
        ]
        saved = await asyncio.gather(*racers)
        assert saved.count(True) == 1
        row = await load(store, target(number))
        assert row is not None
        assert row.halo_id == saved.index(True) + 1


async def test_who_waited_for_anothers_commit_sees_it_and_is_refused(store: Store, other: Store) -> None:
    state = fresh(target())
    await save(store, state)
    async with store.write() as conn:
        assert await targets.save(conn, following(state, halo_id=1), expected_version=1, lease=None)
        waiting = asyncio.create_task(save(other, following(state, halo_id=2)))
        # The answer is the same if the other has not come to its statement yet.
        await asyncio.wait([waiting], timeout=0.1)
        assert not waiting.done()
    assert await waiting is False


async def test_batches_in_opposite_order_do_not_deadlock(store: Store, other: Store) -> None:
    states = [fresh(target(number)) for number in range(100)]
    for _ in range(5):
        batch = [(state, state.version - 1) for state in states]

        async def run(who: Store, of: list[tuple[TargetState, int]]) -> int:
            async with who.write() as conn:
                return len(of) - len(await targets.save_many(conn, of, lease=None))

        assert sorted(await asyncio.gather(run(store, batch), run(other, batch[::-1]))) == [0, 100]
        states = [following(state) for state in states]


async def test_find_answers_by_whatever_is_given(store: Store) -> None:
    rows = [
        fresh(target(1), halo_id=10),
        fresh(target(1, kind="quote"), halo_id=10),
        fresh(target(1, kind="quote", scope="r2")),
        fresh(target(1, source="crm")),
        fresh(target(1, tenant="globex"), halo_id=10),
    ]
    async with store.write() as conn:
        await targets.save_many(conn, [(row, 0) for row in rows], lease=None)
    async with store.read() as conn:
        assert len(await targets.find(conn, "acme")) == 4
        assert len(await targets.find(conn, "acme", id="c-1", source="quoter")) == 3
        assert await targets.find(conn, "acme", halo_id=10, kind="client") == [rows[0]]
        assert await targets.find(conn, "acme", kind="quote") == [rows[1], rows[2]]
        assert await targets.find(conn, "acme", id="none") == []


async def test_the_longest_targets_and_natural_keys_that_messages_allow_are_stored(store: Store) -> None:
    """An index of PostgreSQL holds no more than 2704 bytes an entry, and a random text can't be made smaller."""
    rng = random.Random(1)

    def text(length: int) -> str:
        return "".join(chr(rng.randrange(0x10000, 0x2FFFF)) for _ in range(length))

    longest = Target(
        tenant="t" * 63, instance="i" * 200, source="/" * 200, kind="site", id=text(200), scope=""
    )
    other = msgspec.structs.replace(longest, id=text(200))
    site = f"site:{longest.key}:"
    name = text(254)
    async with store.write() as conn:
        assert await targets.save(
            conn, TargetState(target=longest, version=1), expected_version=0, lease=None
        )
        assert await targets.reserve(conn, longest, [f"{site}{name}a"]) is None
        assert await targets.reserve(conn, other, [f"{site}{name}b"]) is None
        assert await targets.reserve(conn, other, [f"{site}{name}a"]) == longest


async def test_a_natural_key_is_reserved_by_one_target_all_or_none(store: Store) -> None:
    one, two, three = target(1), target(2), target(3)
    async with store.write() as conn:
        assert await targets.reserve(conn, one, ["sku:a", "name:ä", "name:\0"]) is None
        assert await targets.reserve(conn, one, ["name:ä", "sku:b", "sku:b"]) is None
        assert await targets.reserve(conn, two, ["sku:c", "sku:b"]) == one
        # The refused one left nothing behind.
        assert await targets.reserve(conn, three, ["sku:c"]) is None
        assert await targets.reserve(conn, two, []) is None
        await targets.release_reservations(conn, one)
        assert await targets.reserve(conn, two, ["sku:a", "sku:b"]) is None
        assert await targets.reserve(conn, two, ["sku:c", "sku:d"]) == three


async def test_a_natural_key_is_one_tenants_instance_and_kind(store: Store) -> None:
    async with store.write() as conn:
        for of in (target(1), target(2, kind="item"), target(3, tenant="globex"), target(4, instance="b")):
            assert await targets.reserve(conn, of, ["name:x"]) is None
        assert await targets.reserve(conn, target(5, source="crm"), ["name:x"]) == target(1)


async def test_of_many_who_reserve_a_key_at_once_exactly_one_gets_it(store: Store, other: Store) -> None:
    async def reserve(who: Store, of: Target, keys: list[str]) -> Target | None:
        async with who.write() as conn:
            return await targets.reserve(conn, of, keys)

    for number in range(8):
        keys = [f"sku:{number}", f"name:{number}"]
        rivals = [target(f"{number}-{index}", scope="%2F/%") for index in range(6)]
        racers = [
            reserve(who, rival, keys if index % 2 else keys[::-1])
            for index, (who, rival) in enumerate(zip([store, other] * 3, rivals, strict=True))
        ]
        answers = await asyncio.gather(*racers)
        winner = rivals[answers.index(None)]
        assert answers.count(None) == 1
        assert {answer for answer in answers if answer} == {winner}


async def test_a_halo_record_is_owned_by_one_target(store: Store, other: Store) -> None:
    async def claim(who: Store, of: Target, halo_id: int) -> bool:
        async with who.write() as conn:
            return await targets.claim(conn, of, halo_id)

    for halo_id in range(1, 9):
        racers = [claim(who, target(index), halo_id) for index, who in enumerate([store, other] * 3)]
        claimed = await asyncio.gather(*racers)
        assert claimed.count(True) == 1
        owner = target(claimed.index(True))
        assert await claim(store, owner, halo_id)
    assert await claim(store, target(kind="item"), 1)
    assert await claim(store, target(tenant="globex"), 1)


async def test_the_generation_rises_by_one_for_everyone_who_raises_it(store: Store, other: Store) -> None:
    async def raised(who: Store) -> int:
        async with who.write() as conn:
            return await targets.raise_generation(conn)

    async with store.read() as conn:
        assert await targets.generation(conn) == 0
    assert sorted(await asyncio.gather(*(raised(who) for who in [store, other] * 3))) == [1, 2, 3, 4, 5, 6]
    async with other.read() as conn:
        assert await targets.generation(conn) == 6


async def test_a_restore_is_told_with_its_time_and_where_the_log_ended_then(
    store: Store, other: Store
) -> None:
    async with store.read() as conn:
        assert await targets.restored(conn) is None
    for generation, ends in ((1, {("hub.commands.v1", 0): 7}), (2, {("hub.commands.v1", 11): 2**40})):
        before = await store.now()
        async with store.write() as conn:
            assert await targets.raise_generation(conn, ends) == generation
        async with other.read() as conn:
            restored = await targets.restored(conn)
        assert restored is not None
        assert (restored.generation, restored.log_ends) == (generation, ends)
        assert before <= restored.at <= await store.now()
