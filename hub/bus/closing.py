"""Ending clients of Kafka: what aiokafka does to its own tasks on the way never looks like an order to us.

`AIOKafkaConsumer.stop` lets the cancellation of a fetch that waits to try again out to its caller (aiokafka 0.12,
`Fetcher.close`), and closes nothing more. While Kafka is away that is the rule, and a caller that took it for its own
cancellation would end where it is to begin anew.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer


async def close(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer and its connections, also one whose fetches wait for a Kafka that is away."""
    ended = False
    with stray_cancellation_ignored():
        await consumer.stop()
        ended = True
    if not ended:
        # Its connections and the task that renews its metadata would stay for as long as the process.
        await consumer._client.close()  # noqa: SLF001


@contextmanager
def stray_cancellation_ignored() -> Iterator[None]:
    """Let only a cancellation out that somebody asked for."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
