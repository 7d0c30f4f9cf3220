"""A FastStream handler of one message at a time that decodes it with pydantic, and does nothing else.

`python -m benchmarks.baselines.faststream_pydantic MODE SERVERS TOPIC GROUP COUNT` reads COUNT messages from where
the group stands and prints one JSON object: `cpu_s` and `wall_s` from the first message to the last. The modes:

    silent          without FastStream's log lines: the least that such a handler can cost
    default         as FastStream comes: two log lines a message; offsets are committed whether or not it was handled
    acknowledged    without log lines, each message acknowledged after it was handled: none is lost, as in the hub
"""

import asyncio
import json
import sys
import time
from typing import Annotated, Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from pydantic import BaseModel, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
LongText = Annotated[str, StringConstraints(max_length=20_000)]

BROKER: dict[str, dict[str, Any]] = {
    "silent": {"logger": None},
    "default": {},
    "acknowledged": {"logger": None},
}
SUBSCRIBER: dict[str, dict[str, Any]] = {
    "silent": {},
    "default": {},
    "acknowledged": {"ack_policy": AckPolicy.ACK},
}


class QuoteStatus(BaseModel):
    """The data of `quote.status_changed.v1`."""

    status: Name
    reason: LongText | None = None


async def run(mode: str, servers: str, topic: str, group: str, count: int) -> dict[str, float]:
    """Handle `count` messages; seconds of CPU and of wall time."""
    broker = KafkaBroker(servers, **BROKER[mode])
    finished = asyncio.Event()
    seen = 0
    started: tuple[float, float] | None = None
    ended = (0.0, 0.0)

    @broker.subscriber(topic, group_id=group, auto_offset_reset="earliest", **SUBSCRIBER[mode])  # type: ignore[untyped-decorator]
    async def handle(event: QuoteStatus) -> None:
        nonlocal seen, started, ended
        if started is None:
            started = (time.process_time(), time.perf_counter())
        seen += 1
        if seen == count:
            ended = (time.process_time(), time.perf_counter())
            finished.set()

    await broker.start()
    await finished.wait()
    await broker.stop()
    assert started is not None
    return {"cpu_s": ended[0] - started[0], "wall_s": ended[1] - started[1]}


def main() -> None:
    mode, servers, topic, group, count = sys.argv[1:]
    print(json.dumps(asyncio.run(run(mode, servers, topic, group, int(count)))))


if __name__ == "__main__":
    main()
