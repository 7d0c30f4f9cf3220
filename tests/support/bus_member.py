"""A group member in a process of its own that finishes nothing, for tests that kill it.

python -m tests.support.bus_member BOOTSTRAP GROUP TOPIC      # prints "got VALUE" for each record
"""

import asyncio
import logging
import sys
from collections.abc import Sequence

from hub.bus.delivery import Delivery
from tests.support.bus import bus_settings, member


async def run(bootstrap: str, group: str, topic: str) -> None:
    async def handler(batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            print("got", (delivery.record.value or b"").decode(), flush=True)

    # Whoever takes over waits for the end of its session.
    settings = bus_settings(bootstrap, group=group, session_timeout_ms=3_000)
    async with member(settings, [topic], handler):
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(run(*sys.argv[1:4]))
