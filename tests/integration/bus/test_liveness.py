"""Liveness tells a handler that waits for what is away from one that hangs: only the second is worth a new process."""

import asyncio
from collections.abc import Sequence

import pytest

from hub.bus.delivery import Delivery, held_up
from tests.support.bus import bus_settings, make_topic, member, send
from tests.support.eventually import eventually

_AN_HOUR_S = 3600.0


class Clock:
    """The consumer's idea of time, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.feature("hub.k8s", part="all")
async def test_a_handler_that_waits_shows_life_and_one_that_hangs_does_not(bootstrap: str) -> None:
    topic, clock = await make_topic(bootstrap), Clock()
    await send(bootstrap, topic, [b"1"])
    away, has_it, hangs, let_go = True, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(batch: Sequence[Delivery]) -> None:
        has_it.set()
        while away:
            assert await held_up(batch, 0.01)
        hangs.set()
        await let_go.wait()
        for delivery in batch:
            delivery.done()

    async with member(bus_settings(bootstrap), [topic], handler, clock=clock) as consumer:
        await has_it.wait()
        for _ in range(3):
            clock.now += _AN_HOUR_S
            await eventually(lambda: consumer.health().is_live())
            assert consumer.health().handling_age_s == pytest.approx(clock.now)
        away = False
        await hangs.wait()
        assert consumer.health().is_live()
        clock.now += _AN_HOUR_S
        await asyncio.sleep(0.1)
        assert not consumer.health().is_live()
        let_go.set()
        await eventually(lambda: consumer.health().is_live())
        assert consumer.health().unsettled == 0
