"""Commands that wait for each other at their write: each gets the reply to its own element, and none waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo import GateClosed, Outcome, Reply, Resource
from halo.resources import ITEM, USERS
from hub.store.errors import StoreUnavailable
from services.halo_writer.together import Poster, Single, Together, Way

Row = dict[str, Any]


class Halo:
    """Answers each element with itself, or as it is told to."""

    def __init__(self, raises: Exception | None = None) -> None:
        self.raises = raises
        self.sent: list[tuple[str, list[Row]]] = []
        self.announced: list[float] = []

    def writing(self, not_after: float) -> None:
        self.announced.append(not_after)

    async def post(self, resource: Resource, element: Row) -> Reply:
        (reply,) = await self.post_many(resource, [element])
        return reply

    async def post_many(self, resource: Resource, elements: Sequence[Row]) -> list[Reply]:
        await asyncio.sleep(0)
        if self.raises is not None:
            raise self.raises
        self.sent.append((resource.name, list(elements)))
        return [Reply(Outcome.APPLIED, 201, body=element) for element in elements]

    @property
    def sizes(self) -> list[int]:
        return [len(elements) for _, elements in self.sent]


class Ended(BaseException):
    """The process ends here."""


def together(halo: Halo, most: int = 20, patience_s: float = 60.0) -> Together:
    return Together(halo, halo, most=most, patience_s=patience_s)  # type: ignore[arg-type]


def write(
    number: int, *, resource: Resource = ITEM, update: bool = True, not_after: float = 100.0, steps: int = 0
) -> Way[Any]:
    """A command that takes some steps before its write; its result is the record that it was told."""

    async def way(poster: Poster) -> Any:
        for _ in range(steps):
            await asyncio.sleep(0)
        element = {"id": number} if update else {"name": str(number)}
        return (await poster.post(resource, element, not_after)).body

    return way


async def nothing(poster: Poster) -> str:
    return "unchanged"


@pytest.mark.feature("beyond.bulk", part="writer")
async def test_twenty_writes_leave_in_one_request_and_each_gets_its_own_reply() -> None:
    halo = Halo()
    ends = await together(halo).run([write(n, steps=n % 3) for n in range(1, 21)])
    assert halo.sent == [("Item", [{"id": n} for n in range(1, 21)])], "in the order of the commands"
    assert ends == [{"id": n} for n in range(1, 21)]


async def test_a_command_that_needs_no_write_is_not_waited_for() -> None:
    halo = Halo()
    assert await together(halo).run([write(1), nothing, write(2, steps=5)]) == [
        {"id": 1},
        "unchanged",
        {"id": 2},
    ]
    assert halo.sizes == [2]
    assert await together(halo).run([nothing, nothing]) == ["unchanged", "unchanged"]
    assert await together(halo).run([]) == []


async def test_arrays_hold_one_resource_and_one_operation_and_each_record_once() -> None:
    halo = Halo()
    ways = [
        write(1),
        write(2, update=False),
        write(3, resource=USERS),
        write(1),
        write(4),
        write(5, update=False),
    ]
    ends = await together(halo).run(ways)
    assert halo.sent == [
        ("Item", [{"id": 1}, {"id": 4}]),
        ("Item", [{"name": "2"}, {"name": "5"}]),
        ("Users", [{"id": 3}]),
        ("Item", [{"id": 1}]),
    ]
    assert ends == [{"id": 1}, {"name": "2"}, {"id": 3}, {"id": 1}, {"id": 4}, {"name": "5"}]


async def test_an_array_leaves_before_the_first_of_its_intents_is_too_old() -> None:
    halo = Halo()
    await together(halo, most=2).run(
        [write(1, not_after=9.0), write(2, not_after=7.0), write(3, not_after=8.0)]
    )
    assert (halo.sizes, halo.announced) == ([2, 1], [7.0, 8.0])


async def test_a_command_that_writes_twice_is_served_twice() -> None:
    halo = Halo()

    async def twice(poster: Poster) -> Any:
        await poster.post(ITEM, {"id": 1}, 0.0)
        return (await poster.post(ITEM, {"id": 2}, 0.0)).body

    assert await together(halo).run([twice, write(3)]) == [{"id": 2}, {"id": 3}]
    assert halo.sizes == [2, 1]


@pytest.mark.parametrize("error", [GateClosed("the lease ends too soon"), StoreUnavailable("no store")])
async def test_what_stops_the_array_is_heard_by_each_that_waited(error: Exception) -> None:
    withdrawn: list[int] = []

    def withdrawing(number: int) -> Way[Any]:
        async def way(poster: Poster) -> Any:
            try:
                return await write(number)(poster)
            except (GateClosed, StoreUnavailable):
                withdrawn.append(number)
                raise

        return way

    ends = await together(Halo(error)).run([withdrawing(1), nothing, withdrawing(2)])
    assert ends == [error, "unchanged", error]
    assert withdrawn == [1, 2]


async def test_the_error_of_one_is_its_own_and_the_others_go_on() -> None:
    async def broken(poster: Poster) -> Any:
        raise ValueError("of one command")

    halo = Halo()
    ends = await together(halo).run([write(1), broken, write(2)])
    assert [isinstance(end, ValueError) for end in ends] == [False, True, False]
    assert halo.sizes == [2]


async def test_one_that_never_comes_to_its_write_holds_up_nobody_for_ever() -> None:
    halo = Halo()
    sent = asyncio.Event()

    async def slow(poster: Poster) -> Any:
        await sent.wait()
        return await write(3)(poster)

    async def sending(poster: Poster) -> Any:
        record = await write(1)(poster)
        sent.set()
        return record

    ends = await together(halo, patience_s=0.02).run([sending, write(2), slow])
    assert halo.sizes == [2, 1]
    assert ends == [{"id": 1}, {"id": 2}, {"id": 3}]


@pytest.mark.parametrize("where", ["before its write", "at the gate"])
async def test_what_ends_the_process_ends_all_of_them_at_once(where: str) -> None:
    halo = Halo()
    after: list[int] = []

    async def ending(poster: Poster) -> Any:
        if where == "before its write":
            raise Ended
        return await write(9)(poster)

    async def waiting(poster: Poster) -> Any:
        await write(1)(poster)
        after.append(1)

    def at_the_gate(not_after: float) -> None:
        raise Ended

    if where == "at the gate":
        halo.writing = at_the_gate  # type: ignore[method-assign]
    with pytest.raises(Ended):
        await together(halo).run([waiting, ending])
    assert (halo.sent, after) == ([], [])


async def test_being_cancelled_leaves_no_command_running() -> None:
    halo = Halo()
    stopped: list[str] = []

    async def hanging(poster: Poster) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("stopped")

    running = asyncio.create_task(together(halo).run([hanging, write(1)]))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped == ["stopped"]
    assert halo.sent == []


async def test_why_arrays_are_given_up_is_kept_from_the_first_that_says_it() -> None:
    class Refusing(Halo):
        async def post_many(self, resource: Resource, elements: Sequence[Row]) -> list[Reply]:
            self.sent.append((resource.name, list(elements)))
            return [Reply(Outcome.AMBIGUOUS, 400, text=f"no {len(self.sent)}") for _ in elements]

    halo = Refusing()
    sharing = together(halo, most=2)
    assert sharing.why_not_again is None
    await sharing.run([write(n) for n in range(1, 5)])
    assert sharing.why_not_again == "Halo answered 400 to an array of 2: no 1"


async def test_a_write_by_itself_is_announced_and_sent_alone() -> None:
    halo = Halo()
    reply = await Single(halo, halo).post(ITEM, {"id": 1}, 5.0)  # type: ignore[arg-type]
    assert (reply.body, halo.sizes, halo.announced) == ({"id": 1}, [1], [5.0])


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans(), st.booleans()), max_size=12),
    st.integers(1, 5),
)
async def test_whoever_comes_when_each_gets_its_own_reply_and_nothing_is_sent_twice(
    plans: list[tuple[int, int, bool, bool]], most: int
) -> None:
    halo = Halo()
    ways = [
        write(number, steps=steps, update=update) if writes else nothing
        for number, steps, update, writes in plans
    ]
    ends = await together(halo, most=most).run(ways)
    expected: list[Any] = [
        ({"id": number} if update else {"name": str(number)}) if writes else "unchanged"
        for number, _, update, writes in plans
    ]
    assert ends == expected
    sent = [element for _, elements in halo.sent for element in elements]
    assert sorted(map(str, sent)) == sorted(str(end) for end in expected if end != "unchanged")
    for _, elements in halo.sent:
        assert len(elements) <= most
        ids = [element["id"] for element in elements if "id" in element]
        assert len(set(ids)) == len(ids)
        assert len(ids) in (0, len(elements))
