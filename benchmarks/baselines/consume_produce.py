"""A bare loop on aiokafka: read, decode, publish an answer of the same size for each message, wait, commit.

`python -m benchmarks.baselines.consume_produce SERVERS TOPIC GROUP COUNT ANSWERS VALUE_BYTES HEADERS` reads COUNT
messages from where the group stands, publishes each one's answer (VALUE_BYTES long, with HEADERS headers of 40 bytes)
to the topic ANSWERS, and prints one JSON object: `cpu_s` and `wall_s` from the first poll to the last commit. It keeps
nothing, suppresses nothing and can't tell what it has done before.
"""

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

_BATCH = 500
_HEADER_BYTES = 40


async def run(
    servers: str, topic: str, group: str, count: int, answers: str, value_bytes: int, headers: int
) -> dict[str, float]:
    """Answer `count` messages; seconds of CPU and of wall time."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=0)
    value = b"x" * value_bytes
    pairs = [(f"ce_header{number}", b"x" * _HEADER_BYTES) for number in range(headers)]
    await consumer.start()
    await producer.start()
    await _assigned(consumer)
    started = (time.process_time(), time.perf_counter())
    answered = 0
    while answered < count:
        polled = await consumer.getmany(timeout_ms=500, max_records=_BATCH)
        records = [record for of_one in polled.values() for record in of_one]
        sent = []
        for record in records:
            json.loads(record.value)
            sent.append(await producer.send(answers, value, key=record.key, headers=pairs))
        await asyncio.gather(*sent)
        if records:
            await consumer.commit()
            answered += len(records)
    ended = (time.process_time(), time.perf_counter())
    await producer.stop()
    await consumer.stop()
    return {"cpu_s": ended[0] - started[0], "wall_s": ended[1] - started[1]}


async def _assigned(consumer: AIOKafkaConsumer) -> None:
    """Joining the group is no part of the work."""
    while not consumer.assignment():  # noqa: ASYNC110 - aiokafka has no event for it
        await asyncio.sleep(0.01)


def main(arguments: list[str]) -> None:
    servers, topic, group, count, answers, value_bytes, headers = arguments
    spent = asyncio.run(run(servers, topic, group, int(count), answers, int(value_bytes), int(headers)))
    print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
