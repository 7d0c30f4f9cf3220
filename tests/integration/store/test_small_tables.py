"""Rule sets, positions and proofs."""

import asyncio
from typing import Any

import pytest

from hub.store import Store, proofs, rule_sets
from hub.store.positions import Positions
from hub.store.rule_sets import RuleSetRow
from schemas.control import ArrayProof, Proof


def rules(sequence: int, tenant: str = "acme", **fields: Any) -> RuleSetRow:
    values = {"hash": f"h{sequence}", "text": '{"ä":"\\u0000"}', "accepted_at": 1.5}
    return RuleSetRow(tenant=tenant, sequence=sequence, **{**values, **fields})


async def test_rule_sets_are_found_by_sequence_and_the_newest_is_known(store: Store) -> None:
    async with store.write() as conn:
        assert await rule_sets.latest(conn, "acme") is None
        assert await rule_sets.all_latest(conn) == {}
        for row in (rules(2), rules(10), rules(1), rules(3, "globex")):
            assert await rule_sets.put(conn, row)
    async with store.read() as conn:
        assert await rule_sets.latest(conn, "acme") == rules(10)
        assert await rule_sets.at(conn, "acme", 2) == rules(2)
        assert await rule_sets.at(conn, "acme", 4) is None
        assert await rule_sets.all_latest(conn) == {"acme": rules(10), "globex": rules(3, "globex")}


async def test_the_same_rules_again_change_nothing_and_others_of_that_sequence_are_refused(
    store: Store,
) -> None:
    async with store.write() as conn:
        assert await rule_sets.put(conn, rules(1))
        assert await rule_sets.put(conn, rules(1, accepted_at=9.0))
        assert not await rule_sets.put(conn, rules(1, hash="other", text="{}"))
        assert await rule_sets.at(conn, "acme", 1) == rules(1)


async def test_positions_are_kept_by_cluster_and_group_and_only_rise(store: Store) -> None:
    one, two = Positions(store, "one"), Positions(store, "two")
    assert await one.load("writer") == {}
    await one.save("writer", {("commands", 0): 5, ("commands", 1): 2**40})
    # A former owner's word may come late.
    assert await one.save("writer", {("commands", 0): 3, ("quotes", 0): 0}) == set()
    await one.save("writer", {})
    await one.save("mapper", {("commands", 0): 8})
    await two.save("writer", {("commands", 0): 9})
    assert await one.load("writer") == {("commands", 0): 5, ("commands", 1): 2**40, ("quotes", 0): 0}
    assert await one.load("mapper") == {("commands", 0): 8}
    assert await two.load("writer") == {("commands", 0): 9}
    await one.replace("writer", {("commands", 0): 2, ("quotes", 1): 4})
    assert await one.load("writer") == {
        ("commands", 0): 2,
        ("commands", 1): 2**40,
        ("quotes", 0): 0,
        ("quotes", 1): 4,
    }


async def test_a_position_that_the_store_has_forgotten_is_not_saved_over(store: Store) -> None:
    positions = Positions(store, "k")
    await positions.save("g", {("t", 0): 90, ("t", 1): 7})
    moved = {("t", 0): 101, ("t", 1): 8, ("t", 2): 4, ("t", 3): 1}
    refused = await positions.save("g", moved, {("t", 0): 100, ("t", 1): 7, ("t", 2): 3, ("t", 3): 0})
    assert refused == {("t", 0), ("t", 2)}
    assert await positions.load("g") == {("t", 0): 90, ("t", 1): 8, ("t", 3): 1}


async def test_positions_saved_by_several_at_once_all_arrive(store: Store, other: Store) -> None:
    partitions = list(range(30))
    await asyncio.gather(
        Positions(store, "k").save("g", {("t", number): number for number in partitions}),
        Positions(other, "k").save("g", {("t", number): number for number in reversed(partitions)}),
    )
    assert await Positions(store, "k").load("g") == {("t", number): number for number in partitions}


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_the_newest_proof_of_a_kind_and_lookup_holds(store: Store, order: tuple[int, int]) -> None:
    tests = {
        1: [Proof(kind="client", by="field", ok=True, lag_s=1.5), Proof(kind="item", by="field", ok=True)],
        2: [Proof(kind="client", by="field", ok=False), Proof(kind="client", by="external_link", ok=True)],
    }
    async with store.write() as conn:
        for at in order:
            await proofs.put(conn, "acme", "h", tests[at], float(at))
        assert await proofs.load(conn, "acme", "h") == {"client": tests[2][::-1], "item": tests[1][1:]}
        assert await proofs.load(conn, "acme", "other") == {}
        assert await proofs.load(conn, "globex", "h") == {}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
async def test_the_newest_word_on_a_kinds_arrays_holds_and_says_why(
    store: Store, order: tuple[int, ...]
) -> None:
    item, refused = ArrayProof(kind="item", ok=True, atomic=True), "Halo answered 400 to an array"
    words = {
        1: [item, ArrayProof(kind="client", ok=True)],
        2: [ArrayProof(kind="item", ok=False, why=f"{refused}\0")],
        3: [ArrayProof(kind="client", ok=True, atomic=True)],
    }
    async with store.write() as conn:
        await proofs.put(conn, "acme", "h", [Proof(kind="item", by="field", ok=True)], 1.0)
        for at in order:
            await proofs.put_arrays(conn, "acme", "h", words[at], float(at))
        await proofs.put_arrays(conn, "acme", "other", [item], 1.0)
        assert await proofs.arrays_of(conn, "acme", "h") == {
            "client": words[3][0],
            "item": ArrayProof(kind="item", ok=False, why=f"{refused}\ufffd"),
        }
        assert [
            (known.instance, known.proof.kind, known.since) for known in await proofs.arrays(conn, "acme")
        ] == [
            ("h", "client", 3.0),
            ("h", "item", 2.0),
            ("other", "item", 1.0),
        ]
        # What is known of arrays is no look-up.
        assert await proofs.load(conn, "acme", "h") == {"item": [Proof(kind="item", by="field", ok=True)]}
        await proofs.put_arrays(conn, "acme", "h", [item], 4.0)
        assert (await proofs.arrays_of(conn, "acme", "h"))["item"] == item
        assert await proofs.arrays(conn, "globex") == []
