"""Which commands may share a request, whatever the batch; and after which answers they no longer may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from random import Random

import pytest
from msgspec.structs import replace

from halo import Outcome, Reply, RequestLine
from hub.store.targets import Restored
from schemas.commands import Command, Field
from schemas.control import ArrayProof
from schemas.identity import group_hashes
from schemas.targets import Intent, Kind, Target, TargetState
from services.halo_writer.arrays import may_go_together, why_not_again
from services.halo_writer.coalesce import in_order
from services.halo_writer.decisions import FindMatch, Known, Update
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import KindSpec
from services.halo_writer.plan import plan
from services.halo_writer.work import Work
from tests.unit.halo_writer.build import Tool, sealed, work_of

tool = Tool()
GENERATION = 1
RESTORED = Restored(GENERATION, 0.0, {("hub.commands.v1", 0): 10})
"""Every command here was on the log before the last restore: what it hasn't settled since is looked for first."""
NOW, SETTLE_S = 5000.0, 180.0
PROVEN = ArrayProof(kind="item", ok=True)
ATOMIC = ArrayProof(kind="item", ok=True, atomic=True)
REFUSED = ArrayProof(kind="item", ok=False, why="Halo answered 400")


def item(number: int, *, ensure: bool = False, seq: tuple[int, ...] = (2, 1), cause: str = "") -> Command:
    """The price of one product, as it shall be."""
    base = tool.item(f"SKU-{number}", f"Product {number}", price=str(10 + seq[0]))
    basis = replace(base.basis, cause=cause)
    price = Field(value=base.price.value)
    return sealed(replace(base, ensure=ensure, seq=() if ensure else seq, price=price, basis=basis))


def settled(command: Command, **fields: object) -> TargetState:
    """The row of a target that Halo has, in another state than the command's."""
    values = {"version": 3, "halo_id": 40, "seq": (1, 1), "generation": GENERATION, "state_hash": "before"}
    return TargetState(target=command.target, **{**values, **fields})  # type: ignore[arg-type]


def groups(
    commands: Sequence[Command],
    rows: Mapping[Target, TargetState],
    proofs: Mapping[Kind, ArrayProof],
    most: int = 20,
) -> list[list[Work]]:
    works = in_order(work_of(command) for command in commands)
    for work in works:
        work.position = (0, 1)
    return may_go_together(works, rows, proofs, most, now=NOW, settle_s=SETTLE_S, restored=RESTORED)


def sizes(found: list[list[Work]]) -> list[int]:
    return [len(group) for group in found]


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(
    ("most", "expected"), [(20, [20, 20, 5]), (100, [45]), (2, [2] * 22 + [1]), (1, [1] * 45)]
)
def test_updates_of_a_proven_kind_go_together_up_to_the_most(most: int, expected: list[int]) -> None:
    commands = [item(number) for number in range(45)]
    rows = {command.target: settled(command) for command in commands}
    assert sizes(groups(commands, rows, {"item": PROVEN}, most)) == expected


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize("proofs", [{}, {"item": REFUSED}, {"client": replace(ATOMIC, kind="client")}])
def test_without_a_proof_of_the_kind_everything_goes_singly(proofs: dict[Kind, ArrayProof]) -> None:
    commands = [item(number) for number in range(5)]
    rows = {command.target: settled(command) for command in commands}
    assert sizes(groups(commands, rows, proofs)) == [1] * 5


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(("proof", "expected"), [(PROVEN, [1, 1, 1]), (ATOMIC, [3])])
@pytest.mark.parametrize("ensure", [True, False])
def test_creates_go_together_only_where_halo_stores_all_or_none(
    proof: ArrayProof, expected: list[int], ensure: bool
) -> None:
    commands = [item(number, ensure=ensure) for number in range(3)]
    rows = {command.target: TargetState(target=command.target, generation=GENERATION) for command in commands}
    assert sizes(groups(commands, rows, {"item": proof})) == expected


def _intent(operation: str) -> Intent:
    return Intent(command_id="c", operation=operation, epoch=1, sent_at=NOW, state_hash="s")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "row"),
    [
        (item(1), {"intent": _intent("update")}),
        (item(1), {"intent": _intent("create"), "halo_id": None}),
        (item(1), {"look_first": True, "halo_id": None}),
        (item(1), {"generation": 0, "halo_id": None}),
        (item(1), {"seq": (9, 9)}),
        (item(1), {"owns": False}),
        (item(1), {"state_hash": item(1).state_hash}),
        (item(1, ensure=True), {}),
        (item(1, cause="redrive-1"), {}),
    ],
    ids=[
        "update open",
        "create open",
        "refused before",
        "older store",
        "older seq",
        "another owns it",
        "has it already",
        "ensure",
        "redriven",
    ],
)
def test_what_must_be_looked_at_first_or_needs_no_write_never_joins(
    command: Command, row: dict[str, object]
) -> None:
    others = [item(number) for number in (2, 3)]
    rows = {other.target: settled(other) for other in others} | {command.target: settled(command, **row)}
    found = groups([command, *others], rows, {"item": ATOMIC})
    assert sorted(sizes(found)) == [1, 2]
    (alone,) = [group for group in found if len(group) == 1]
    assert alone[0].command == command


def test_a_quote_with_a_line_that_halo_has_not_got_goes_singly() -> None:
    commands = [tool.quote(f"q-{number}", seq=(2, 1)) for number in range(3)]
    rows = {command.target: settled(command, children={"line:l1": 7}) for command in commands}
    proofs: dict[Kind, ArrayProof] = {"quote": ArrayProof(kind="quote", ok=True)}
    assert sizes(groups(commands, rows, proofs)) == [3]
    rows[commands[1].target] = settled(commands[1])
    assert sorted(sizes(groups(commands, rows, proofs))) == [1, 2]


def test_a_quote_whose_lines_stay_may_share_a_request_whatever_its_lines() -> None:
    commands = [tool.quote(f"q-{number}", seq=(2, 1)) for number in range(3)]
    rows = {
        command.target: settled(command, groups={"lines": group_hashes(command)["lines"]})
        for command in commands
    }
    assert sizes(groups(commands, rows, {"quote": ArrayProof(kind="quote", ok=True)})) == [3]


def test_an_array_stays_small_enough_to_be_taken() -> None:
    lines = [tool.line(f"l{number}", description="x" * 2000) for number in range(100)]
    commands = [tool.quote(f"q-{number}", seq=(2, 1), lines=lines) for number in range(6)]
    children = {f"line:l{number}": number + 1 for number in range(100)}
    rows = {command.target: settled(command, children=children) for command in commands}
    found = groups(commands, rows, {"quote": ArrayProof(kind="quote", ok=True)})
    assert sizes(found) == [2, 2, 2]


def test_a_kind_of_whose_repeats_nothing_is_said_would_go_singly() -> None:
    command = item(1)
    spec = KindSpec(kind="item", resource=SPECS["item"].resource, fills={})
    assert not spec.repeatable(command, settled(command), ("head",))


STATES = ("fresh", "settled", "settled", "settled", "same", "open", "shared")
KINDS: tuple[Kind, ...] = ("item", "quote", "user")


def _batch(dice: Random) -> tuple[list[Command], dict[Target, TargetState], dict[Kind, ArrayProof]]:
    """Up to 16 commands for a few targets of three kinds, their rows, and what is known of arrays."""
    commands = [
        _command(dice.randrange(9), dice.choice(KINDS), dice.random() < 0.4)
        for _ in range(dice.randint(1, 16))
    ]
    rows: dict[Target, TargetState] = {}
    for command in commands:
        rows.setdefault(command.target, _row(command, dice.choice(STATES)))
    proofs = {kind: dice.choice([PROVEN, ATOMIC, REFUSED, None]) for kind in KINDS}
    return commands, rows, {kind: proof for kind, proof in proofs.items() if proof is not None}


def _command(number: int, kind: Kind, ensure: bool) -> Command:
    if kind == "quote":
        return tool.quote(f"q-{number}", seq=(2, 1))
    if kind == "user":
        user = tool.user(f"p-{number}", f"Person {number}")
        named = replace(user, name=Field(value=f"Person {number}"))
        return sealed(named if ensure else replace(named, ensure=False, seq=(2, 1)))
    return item(number, ensure=ensure)


def _row(command: Command, state: str) -> TargetState:
    match state:
        case "fresh":
            return TargetState(target=command.target, generation=GENERATION)
        case "same":
            return settled(command, state_hash=command.state_hash)
        case "open":
            return settled(command, intent=_intent("update"))
        case "shared":
            return settled(command, owns=False)
        case _:
            return settled(command, children={"line:l1": 7})


@pytest.mark.feature("beyond.bulk", part="writer")
def test_whatever_the_batch_its_groups_keep_the_rules() -> None:
    largest: Counter[bool] = Counter()

    for seed in range(400):
        dice = Random(seed)
        commands, rows, proofs = _batch(dice)
        most = dice.randint(1, 5)
        works = in_order(work_of(command) for command in commands)
        found = may_go_together(works, rows, proofs, most, now=NOW, settle_s=SETTLE_S, restored=RESTORED)
        _keeps_all_in_order(works, found)
        for group in found:
            if len(group) > 1:
                _check(group, rows, proofs, most)
        largest[max(sizes(found)) > 1] += 1
    print(f"batches with commands that go together: {largest[True]} of {largest.total()}")
    assert largest[True] >= largest.total() * 0.05


def _keeps_all_in_order(works: list[Work], found: list[list[Work]]) -> None:
    flat = [work for group in found for work in group]
    assert sorted(map(id, flat)) == sorted(map(id, works))
    assert [work.command.target.kind for work in flat] == [work.command.target.kind for work in works]
    for target in {work.command.target for work in works}:
        of_target = [id(work) for work in works if work.command.target == target]
        assert [id(work) for work in flat if work.command.target == target] == of_target


def _check(
    group: list[Work], rows: Mapping[Target, TargetState], proofs: Mapping[Kind, ArrayProof], most: int
) -> None:
    (kind,) = {work.command.target.kind for work in group}
    assert len(group) <= most
    assert proofs[kind].ok
    assert len({work.command.target for work in group}) == len(group)
    said = [plan(w.command, rows[w.command.target], Known(), now=NOW, settle_s=SETTLE_S) for w in group]
    assert len({type(decision) for decision in said}) == 1
    for work, decision in zip(group, said, strict=True):
        row = rows[work.command.target]
        assert row.intent is None
        if isinstance(decision, Update):
            assert not work.command.ensure
            assert SPECS[kind].repeatable(work.command, row, decision.groups)
        else:
            assert isinstance(decision, FindMatch)
            assert proofs[kind].atomic


def _replies(outcome: Outcome, status: int | None, *, of: int = 3, applied: int = 0) -> list[Reply]:
    line = RequestLine("POST", "/Item", status, 5, outcome, of)
    doubtful = Reply(outcome, status, text="bad group", lines=(line,))
    return [Reply(Outcome.APPLIED, status)] * applied + [doubtful] * (of - applied)


@pytest.mark.feature("beyond.bulk", part="writer")
@pytest.mark.parametrize(
    ("replies", "why"),
    [
        (_replies(Outcome.AMBIGUOUS, 400), "Halo answered 400 to an array of 3: bad group"),
        (_replies(Outcome.AMBIGUOUS, 500), "Halo answered 500 to an array of 3: bad group"),
        (_replies(Outcome.AMBIGUOUS, 201, applied=1), "the answer to an array of 3 told 1 of them"),
        (_replies(Outcome.AMBIGUOUS, 201), "the answer to an array of 3 told 0 of them"),
        (_replies(Outcome.APPLIED, 201), None),
        (_replies(Outcome.AMBIGUOUS, None), None),
        (_replies(Outcome.AMBIGUOUS, 503), None),
        (_replies(Outcome.AMBIGUOUS, 403), None),
        (_replies(Outcome.THROTTLED, 429), None),
        (_replies(Outcome.NOT_SENT, None), None),
        (_replies(Outcome.REJECTED, 400, of=1), None),
        (_replies(Outcome.AMBIGUOUS, 500, of=1), None),
    ],
)
def test_arrays_are_given_up_for_what_they_are_answered_and_not_for_an_outage(
    replies: list[Reply], why: str | None
) -> None:
    assert why_not_again(replies) == why


def test_groups_are_whole_runs_of_a_kind() -> None:
    """The phases' order is kept: what others depend on comes first."""
    commands = [*(item(n) for n in range(3)), *(tool.quote(f"q-{n}", seq=(2, 1)) for n in range(2))]
    rows = {command.target: settled(command, children={"line:l1": 7}) for command in commands}
    proofs: dict[Kind, ArrayProof] = {"item": PROVEN, "quote": ArrayProof(kind="quote", ok=True)}
    found = groups(commands, rows, proofs)
    assert [(kind, len(list(g))) for kind, g in groupby(found, lambda g: g[0].command.target.kind)] == [
        ("item", 1),
        ("quote", 1),
    ]
