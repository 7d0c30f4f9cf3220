"""A service that is told to stop, fails, or loses what it needs while it starts."""

from __future__ import annotations

import asyncio

import pytest

from hub.runtime import Service, ServiceFailed, serving


async def test_a_start_that_hangs_ends_when_the_service_is_told_to_stop() -> None:
    undone = asyncio.Event()

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            undone.set()

    async with serving("test", host="127.0.0.1", port=0) as service:
        asyncio.get_running_loop().call_later(0.01, service.stop)
        await service.host(run())
    assert undone.is_set()


async def test_a_service_that_has_started_drains_when_told_to_stop() -> None:
    drained = []

    async def run(service: Service) -> None:
        await service.until_stopped()
        await asyncio.sleep(0.01)
        drained.append(True)

    async with serving("test", host="127.0.0.1", port=0) as service:
        asyncio.get_running_loop().call_later(0.01, service.stop)
        await service.host(run(service))
    assert drained == [True]


async def test_a_loop_that_fails_during_the_start_fails_the_service() -> None:
    async def loop() -> None:
        raise RuntimeError("the loop's own fault")

    async def run(service: Service) -> None:
        service.run(loop(), "loop")
        await asyncio.Event().wait()

    async with serving("test", host="127.0.0.1", port=0) as service:
        with pytest.raises(ServiceFailed, match="the loop's own fault"):
            await service.host(run(service))
