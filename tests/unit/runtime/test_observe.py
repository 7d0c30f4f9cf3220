"""What a service tells of itself: each check, its start, and how far its consumers are behind."""

from __future__ import annotations

from collections.abc import Mapping

from hub.bus.health import ConsumerHealth
from hub.bus.records import Partition
from hub.runtime import Service, serving
from tests.support.eventually import eventually

TOPIC = "hub.quotes.v1"


def seen(lag: Mapping[Partition, int], oldest_unsettled_age_s: float | None = None) -> ConsumerHealth:
    return ConsumerHealth(
        phase="polling",
        tick_age_s=0.1,
        handling_age_s=None,
        assigned=tuple(lag),
        paused=(),
        lag=lag,
        unsettled=0,
        oldest_unsettled_age_s=oldest_unsettled_age_s,
        commits=0,
        commit_failures=0,
        poll_error=None,
        failure=None,
    )


def told(process: Service, name: str, /, **labels: str) -> float | None:
    return process.metrics.registry.get_sample_value(name, labels)


async def test_a_service_tells_its_start_and_each_of_its_checks() -> None:
    async with serving("mapper", host="127.0.0.1", port=0) as service:
        kafka = service.health.condition("kafka")
        assert told(service, "hub_start_time_seconds", component="mapper")
        assert told(service, "hub_ready", component="mapper") == 0
        await eventually(lambda: told(service, "hub_check_ok", check="kafka") == 0)
        assert told(service, "hub_check_ok", check="mapper loop") == 1
        kafka.holds()
        await eventually(lambda: told(service, "hub_ready", component="mapper") == 1)
        assert told(service, "hub_check_ok", check="kafka") == 1
        assert told(service, "process_resident_memory_bytes")


async def test_a_consumer_tells_the_partitions_that_it_has_and_no_other() -> None:
    health = seen({Partition(TOPIC, 0): 7, Partition(TOPIC, 1): 0}, 40.0)
    first, second = ({"group": "hub-mapper", "topic": TOPIC, "partition": number} for number in "01")
    async with serving("mapper", host="127.0.0.1", port=0) as service:
        service.watch("hub-mapper", lambda: health)
        await eventually(lambda: told(service, "hub_consumer_lag_messages", **first) == 7)
        assert told(service, "hub_unsettled_oldest_age_seconds", group="hub-mapper") == 40
        health = seen({Partition(TOPIC, 1): 3})
        await eventually(lambda: told(service, "hub_consumer_lag_messages", **second) == 3)
        assert told(service, "hub_consumer_lag_messages", **first) is None
        assert told(service, "hub_unsettled_oldest_age_seconds", group="hub-mapper") == 0
