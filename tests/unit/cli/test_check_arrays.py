"""What a check of arrays concludes from Halo's answers, and that an older hub still reads what a check tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from cli.check_arrays import Tried, in_words, try_arrays
from cli.tenant import to_publish
from halo import Outcome, Reply, Resource
from schemas.base import OwnData
from schemas.control import ArrayProof, Check, ConnectionTested, Proof

Row = dict[str, Any]
APPLIED, AMBIGUOUS = Outcome.APPLIED, Outcome.AMBIGUOUS


class Halo:
    """Answers two arrays, and has the record as `name` between them."""

    def __init__(self, *answers: list[Reply], name: str = "check", readable: bool = True) -> None:
        self.answers = list(answers)
        self.name = name
        self.readable = readable

    async def post_many(self, resource: Resource, elements: Sequence[Row]) -> list[Reply]:
        assert len(elements) == 2
        return self.answers.pop(0)

    async def get(self, resource: Resource, halo_id: int, *, details: bool) -> Reply:
        outcome, status = (APPLIED, 200) if self.readable else (AMBIGUOUS, 500)
        return Reply(outcome, status, body={"id": halo_id, "name": self.name})


async def tried(halo: Halo) -> Tried:
    good, bad = {"name": "check (3)"}, {"assetgroup_id": 1}
    return await try_arrays(halo, "item", 7, name="check", good=good, bad=bad)  # type: ignore[arg-type]


def both(outcome: Outcome, status: int | None, text: str = "") -> list[Reply]:
    return [Reply(outcome, status, text=text)] * 2


TAKEN = [
    Reply(APPLIED, 201, body={"id": 7, "name": "check (2)"}),
    Reply(APPLIED, 201, body={"id": 9, "name": "check (3)"}),
]
REFUSED = both(AMBIGUOUS, 400, "no name")


@pytest.mark.parametrize(
    ("halo", "ok", "atomic", "why"),
    [
        (Halo(REFUSED, TAKEN), True, True, None),
        (Halo(REFUSED, TAKEN, name="check (1)"), True, False, None),
        (Halo(REFUSED, TAKEN, readable=False), True, False, None),
        (Halo(both(AMBIGUOUS, 500), TAKEN), True, False, None),
        (Halo(TAKEN, TAKEN), True, False, None),
        (Halo(REFUSED, both(AMBIGUOUS, 400, "one, please")), False, False, "Halo answered 400: one, please"),
        (Halo(REFUSED, [TAKEN[0], Reply(AMBIGUOUS, 201, text="untold")]), False, False, "untold"),
        (
            Halo(REFUSED, [Reply(APPLIED, 201, body={"id": 7, "name": "check"}), TAKEN[1]]),
            False,
            False,
            "without the change",
        ),
        (Halo(both(AMBIGUOUS, None, "silence")), False, False, "silence"),
        (Halo(both(Outcome.THROTTLED, 429, "slow down")), False, False, "slow down"),
    ],
)
async def test_only_what_was_seen_to_work_is_proven(
    halo: Halo, ok: bool, atomic: bool, why: str | None
) -> None:
    found = (await tried(halo)).proof
    assert (found.ok, found.atomic) == (ok, atomic)
    assert (found.why is None) if why is None else (why in str(found.why))
    assert in_words(found)[0] == ("ok" if ok else "warning")


@pytest.mark.parametrize(
    ("halo", "made", "unsure"),
    [
        (Halo(REFUSED, TAKEN), (9,), ()),
        (Halo(REFUSED, both(AMBIGUOUS, 400)), (), ("good",)),
        (Halo([TAKEN[0], Reply(AMBIGUOUS, 201)], TAKEN), (9,), ("bad",)),
        (Halo(TAKEN, both(AMBIGUOUS, None)), (9,), ("good",)),
        (Halo(both(AMBIGUOUS, None)), (), ("bad",)),
        (Halo(both(AMBIGUOUS, 500), TAKEN), (9,), ("bad",)),
        (Halo(both(Outcome.THROTTLED, 429)), (), ()),
    ],
)
async def test_every_record_that_may_have_been_made_is_told_to_be_removed(
    halo: Halo, made: tuple[int, ...], unsure: tuple[str, ...]
) -> None:
    found = await tried(halo)
    assert (found.made, found.unsure) == (made, unsure)


class Former(OwnData, frozen=True, kw_only=True):
    """What a test came to, before arrays."""

    instance: str
    ok: bool
    checks: tuple[Check, ...] = ()
    proofs: tuple[Proof, ...] = ()


def test_a_hub_that_knows_no_arrays_reads_all_else_that_a_check_tells() -> None:
    """Its reader refuses fields that it doesn't know, and passes over what it refuses."""
    tested = ConnectionTested(
        instance="acme.halopsa.com",
        ok=True,
        checks=(Check(name="read", verdict="ok"),),
        proofs=(Proof(kind="item", by="field", ok=True),),
    )
    arrays = (ArrayProof(kind="item", ok=True, atomic=True),)
    first, second = to_publish("acme", tested, arrays, refresh=False)
    read = msgspec.json.decode(first.value or b"", type=Former)
    assert (read.instance, read.ok, read.checks, read.proofs) == (
        tested.instance,
        True,
        tested.checks,
        tested.proofs,
    )
    more = msgspec.json.decode(second.value or b"", type=ConnectionTested)
    assert more == ConnectionTested(instance=tested.instance, ok=True, arrays=arrays)
    assert len(to_publish("acme", tested, (), refresh=False)) == 1
    assert len(to_publish("acme", tested, arrays, refresh=True)) == 3
