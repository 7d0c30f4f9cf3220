"""Writes of several commands that leave in one request: each command runs as if alone, up to its write.

Every command saves its own intent and settles by its own reply, so a crash or a refusal at any point leaves each as a
single write would have left it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from halo import GateClosed, HaloClient, Reply, Resource
from hub.store import proofs, targets
from hub.store.errors import StoreUnavailable
from hub.store.targets import Restored
from schemas.control import ArrayProof
from schemas.targets import Kind, TargetState
from services.halo_writer.arrays import may_go_together, why_not_again
from services.halo_writer.tools import Tools
from services.halo_writer.work import Work

_log = structlog.get_logger(__name__)
_PATIENCE = 1 / 3
T = TypeVar("T")
Row = dict[str, Any]


class Poster(Protocol):
    """Sends the write that an intent announces."""

    async def post(self, resource: Resource, element: Row, not_after: float) -> Reply:
        """The reply to this element. Raises GateClosed, when nothing has left or `not_after` has passed."""


Way = Callable[[Poster], Awaitable[T]]
"""A command on its way: it sends its one write through the poster that it is given."""


class Announced(Protocol):
    """What a gate is told before a write (`services.halo_writer.gate`)."""

    def writing(self, not_after: float) -> None: ...


class Single:
    """Sends each write by itself."""

    def __init__(self, client: HaloClient, gate: Announced) -> None:
        self._client = client
        self._gate = gate

    async def post(self, resource: Resource, element: Row, not_after: float) -> Reply:
        self._gate.writing(not_after)
        return await self._client.post(resource, element)


@dataclass(eq=False)
class _Seat:
    place: int
    resource: Resource
    element: Row
    not_after: float
    answer: asyncio.Future[Reply]


class Together:
    """Sends the writes of commands that run at the same time in arrays of at most `most`.

    An array leaves when no command is still on its way to its write, or when the first has waited for `patience_s`; its
    elements are in the order of their commands.
    """

    def __init__(self, client: HaloClient, gate: Announced, *, most: int, patience_s: float) -> None:
        self._client = client
        self._gate = gate
        self._most = most
        self._patience_s = patience_s
        self._seats: list[_Seat] = []
        self._since = 0.0
        self._moved = asyncio.Event()
        self.why_not_again: str | None = None
        """Set once an array had an answer after which such arrays should not be tried again."""

    async def seated(self, place: int, resource: Resource, element: Row, not_after: float) -> Reply:
        """The reply to the write of the command at this place."""
        loop = asyncio.get_running_loop()
        if not self._seats:
            self._since = loop.time()
        seat = _Seat(place, resource, element, not_after, loop.create_future())
        self._seats.append(seat)
        self._moved.set()
        return await seat.answer

    async def run(self, ways: Sequence[Way[T]]) -> list[T | Exception]:
        """How each command ended, in their order: its result, or the error that it raised.

        Whatever would end the process ends all of them at once, as it would a single one.
        """
        tasks = [asyncio.ensure_future(way(_Place(self, place))) for place, way in enumerate(ways)]
        for task in tasks:
            task.add_done_callback(lambda _: self._moved.set())
        try:
            while running := sum(not _ended(task) for task in tasks):
                self._moved.clear()
                if len(self._seats) == running or not await self._more_come():
                    await self._send()
            return [
                error if isinstance(error := task.exception(), Exception) else task.result() for task in tasks
            ]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _more_come(self) -> bool:
        """Return when one more command has come to its write or has ended; False when those that wait can't longer."""
        patience_s = None
        if self._seats:
            patience_s = self._since + self._patience_s - asyncio.get_running_loop().time()
        try:
            await asyncio.wait_for(self._moved.wait(), patience_s)
        except TimeoutError:
            return False
        return True

    async def _send(self) -> None:
        seats, self._seats = sorted(self._seats, key=lambda seat: seat.place), []
        for array in _arrays(seats, self._most):
            try:
                self._gate.writing(min(seat.not_after for seat in array))
                replies = await self._client.post_many(array[0].resource, [seat.element for seat in array])
            except (GateClosed, StoreUnavailable) as error:
                for seat in array:
                    seat.answer.set_exception(error)
                continue
            self.why_not_again = self.why_not_again or why_not_again(replies)
            for seat, reply in zip(array, replies, strict=True):
                seat.answer.set_result(reply)


class _Place:
    """The poster of one of the commands."""

    def __init__(self, together: Together, place: int) -> None:
        self._together = together
        self._place = place

    async def post(self, resource: Resource, element: Row, not_after: float) -> Reply:
        return await self._together.seated(self._place, resource, element, not_after)


class Arrays:
    """What one tenant's commands share under one lease when they go out together."""

    def __init__(self, tools: Tools, restored: Restored | None) -> None:
        self._t = tools
        self._restored = restored
        self._tenant = tools.held.tenant
        self._most = tools.rules.halo.most_together
        self.single: Poster = Single(tools.client, tools.gate)

    async def groups(self, works: Sequence[Work]) -> list[list[Work]]:
        """The works in the order in which they may run, alone or together. Raises StoreUnavailable."""
        kinds = {work.command.target.kind for work in works}
        if self._most < 2 or len(kinds) == len(works):
            return [[work] for work in works]
        async with self._t.store.read() as conn:
            proven = await proofs.arrays_of(conn, self._tenant, self._t.instance)
            if not any(kind in proven and proven[kind].ok for kind in kinds):
                return [[work] for work in works]
            wanted = [work.command.target for work in works]
            found = await targets.load(conn, wanted)
        return may_go_together(
            works,
            {target: found.get(target) or TargetState(target=target) for target in wanted},
            proven,
            self._most,
            now=self._t.held.store_now(),
            settle_s=self._t.timing.settle_s,
            restored=self._restored,
        )

    async def run(
        self, works: Sequence[Work], end_of: Callable[[Work, Poster], Awaitable[T]]
    ) -> list[T | Exception]:
        """How each command of one group ended, in their order: its result, or the error that it raised."""
        patience_s = self._t.timing.send_within_s * _PATIENCE
        together = Together(self._t.client, self._t.gate, most=self._most, patience_s=patience_s)
        ends = await together.run([partial(end_of, work) for work in works])
        if together.why_not_again is not None:
            await self._go_singly(works[0].command.target.kind, together.why_not_again)
        return ends

    async def _go_singly(self, kind: Kind, why: str) -> None:
        """Until the next `hub tenant check --write-proof`: this kind's arrays were not what its proof said."""
        _log.warning(
            "halo.arrays_given_up", tenant=self._tenant, instance=self._t.instance, kind=kind, why=why
        )
        given_up = ArrayProof(kind=kind, ok=False, why=why)
        now = self._t.held.store_now()
        try:
            async with self._t.store.write() as conn:
                await proofs.put_arrays(conn, self._tenant, self._t.instance, [given_up], now)
        except StoreUnavailable as error:
            # The commands have ended all the same; the next array will say it again.
            _log.warning("lane.store_unavailable", tenant=self._tenant, error=str(error))


def _arrays(seats: Sequence[_Seat], most: int) -> Iterator[list[_Seat]]:
    """The writes that wait, in arrays of one resource and one operation; none names a record twice."""
    left = list(seats)
    while left:
        first = left[0]
        array: list[_Seat] = []
        rest: list[_Seat] = []
        ids: set[Any] = set()
        for seat in left:
            same = seat.resource == first.resource and ("id" in seat.element) == ("id" in first.element)
            halo_id = seat.element.get("id")
            if same and len(array) < most and halo_id not in ids:
                array.append(seat)
                ids |= set() if halo_id is None else {halo_id}
            else:
                rest.append(seat)
        yield array
        left = rest


def _ended(task: asyncio.Future[Any]) -> bool:
    """Whether it has ended, be it by an error. Raises what is no error but an end of everything."""
    if task.done() and (task.cancelled() or not isinstance(task.exception(), Exception | None)):
        task.result()
    return task.done()
