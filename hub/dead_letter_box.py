"""Dead letters on their way to their topic: none is dropped, and nobody waits while the topic can't be written.

A record is finished only once its dead letter is acknowledged. Until then its offset, and with it its partition's
commits, stay where they are, while later records go on; a process that ends meanwhile is handed the record again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from hub.bus.delivery import Delivery
from hub.bus.errors import PublishFailed, RecordTooLarge
from hub.bus.producer import record_size
from hub.bus.records import Outgoing
from hub.telemetry.health import Condition

MAX_KEPT_BYTES = 32 * 1024 * 1024
_RETRY_S = 2.0
_log = structlog.get_logger(__name__)


class Posted(NamedTuple):
    """A dead letter and the delivery of the record that it is about."""

    letter: Outgoing
    delivery: Delivery


class DeadLetterBox:
    """Publishes dead letters in the background, and finishes their records.

    `writable` fails, and with it readiness, while the topic can't be written. When `MAX_KEPT_BYTES` wait to be written,
    `post` waits too, and shows life: only then do others. `unwritten` is told how many the topic does not take.
    """

    def __init__(
        self,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        writable: Condition,
        *,
        unwritten: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._publish = publish
        self._writable = writable
        self._unwritten = unwritten
        self._kept: list[Posted] = []
        self._posted = asyncio.Event()
        self._tried = asyncio.Event()
        writable.holds()

    async def post(self, posted: Iterable[Posted]) -> None:
        """Take dead letters over; `run` publishes them."""
        ours = list(posted)
        if not ours:
            return
        self._kept += ours
        self._posted.set()
        while self._is_full():
            self._tried.clear()
            await self._tried.wait()
            ours[0].delivery.waits()

    async def run(self) -> None:
        """For ever: publish what was posted, and try again what is refused."""
        while True:
            await self._posted.wait()
            self._posted.clear()
            await self.flush()
            if self._kept:
                await asyncio.sleep(_RETRY_S)
                self._posted.set()

    async def flush(self) -> None:
        """Publish what can be; the rest is kept."""
        # A partition that went to another process has taken its records along.
        trying, self._kept = [one for one in self._kept if one.delivery.active], []
        problem: Exception | None = None
        try:
            await self._written(trying)
        except PublishFailed as error:
            problem = error
            self._kept = trying + self._kept
        except RecordTooLarge:
            # One that is refused must not hold up the others.
            problem = await self._each(trying)
        self._tell(problem)
        self._tried.set()

    async def _each(self, trying: Sequence[Posted]) -> Exception | None:
        problem: Exception | None = None
        for place, one in enumerate(trying):
            try:
                await self._written([one])
            except RecordTooLarge as error:
                problem = error
                self._kept.append(one)
            except PublishFailed as error:
                self._kept += trying[place:]
                return error
        return problem

    async def _written(self, posted: Sequence[Posted]) -> None:
        await self._publish([one.letter for one in posted])
        for one in posted:
            one.delivery.done()

    def _is_full(self) -> bool:
        return sum(record_size(one.letter) for one in self._kept) > MAX_KEPT_BYTES

    def _tell(self, problem: Exception | None) -> None:
        self._unwritten(0 if problem is None else len(self._kept))
        if problem is not None:
            self._writable.fails(f"{len(self._kept)} dead letters can't be written: {problem}")
            _log.error("dead_letters.unwritable", waiting=len(self._kept), problem=str(problem))
        elif not self._writable.ok:
            self._writable.holds()
            _log.info("dead_letters.written")
