"""A client whose own tasks are cancelled while it stops cancels nobody else; who is cancelled is."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hub.bus.closing import close, stray_cancellation_ignored


class Consumer:
    """Stops as aiokafka's does: it cancels a fetch that waits to try again and awaits it."""

    def __init__(self) -> None:
        self.closed = False
        self.fetch = asyncio.create_task(asyncio.sleep(3600))
        self._client = SimpleNamespace(close=self._close)

    async def _close(self) -> None:
        self.closed = True

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.fetch.cancel()
        await self.fetch
        await self._close()


async def test_a_consumer_with_a_fetch_that_waits_is_closed_and_its_caller_goes_on() -> None:
    consumer: Any = Consumer()

    await close(consumer)

    assert consumer.closed


async def test_who_is_cancelled_while_a_consumer_stops_is_cancelled() -> None:
    stopping = asyncio.Event()

    class Slow(Consumer):
        async def stop(self) -> None:
            stopping.set()
            await asyncio.sleep(3600)

    slow: Any = Slow()
    closing = asyncio.create_task(close(slow))
    await stopping.wait()
    closing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await closing
    slow.fetch.cancel()


async def test_errors_are_let_out() -> None:
    with pytest.raises(ConnectionError), stray_cancellation_ignored():
        raise ConnectionError
