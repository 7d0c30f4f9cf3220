"""Kafka stands still, is killed, or refuses dead letters: what was acknowledged is in Halo once, whatever became of it.

Outages are scaled: a session ends after 1.5 s, a publish is given up after 1 s, and Kafka is away for longer than both.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from hub.bus.positions import committed_and_end
from hub.bus.producer import partition_of
from hub.bus.records import Partition
from hub.bus.settings import BusSettings
from hub.bus.topics import create_topics
from schemas.envelope import headers_of
from schemas.topics import BY_NAME, COMMANDS, DEAD_LETTERS, QUOTES, TOPICS
from tests.faults.conftest import all_commands_ended, prove, quotes_titled
from tests.faults.on_the_log import (
    envelope_of,
    letters,
    outcomes,
    put,
    put_events,
    quote_in_partition,
    records,
)
from tests.support.hub import PRODUCER_TOKEN, Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
_OUTAGE_S = 4.0
_EARLY = ("early-1", "early-2", "early-3")


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker that these tests may stop and kill."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    asyncio.run(create_topics(server.bootstrap, TOPICS))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, own_kafka: KafkaServer
) -> Iterator[Hub]:
    """A hub whose mapper and writer were started, for the first time ever, after the events that they are to read."""
    directory: Path = tmp_path_factory.mktemp("hub")
    with running_hub(directory, own_kafka.bootstrap, postgres.create_database()) as running:
        running.environment["HUB_PUBLISH_TIMEOUT_S"] = "1"
        running.start("ingest")
        running.wait_ready("ingest")
        send_until_accepted(running, *(quote_event(quote, 1, customer=_KNOWN) for quote in _EARLY))
        approved = quote_event(_EARLY[0], 2, event_type="quote.status_changed.v1", status="approved")
        send_until_accepted(running, approved)
        running.start("mapper")
        eventually(lambda: len(records(running, COMMANDS)) >= len(_EARLY), _PATIENCE_S, what="commands")
        prove(running)
        running.start("writer")
        running.wait_ready()
        yield running


def committed(hub: Hub, group: str, topic: str) -> tuple[dict[Partition, int | None], dict[Partition, int]]:
    """Where the group has committed, and where the topic ends."""
    settings = BusSettings(bootstrap_servers=hub.bootstrap, client_id="test", group=group)
    return asyncio.run(committed_and_end(settings, [topic]))


def post(hub: Hub, *events: Mapping[str, Any]) -> httpx.Response:
    """What the door answers, whatever it is."""
    return httpx.post(
        f"http://127.0.0.1:{hub.http_port}/v1/events",
        content=json.dumps(list(events)),
        headers={
            "content-type": "application/cloudevents-batch+json",
            "authorization": f"Bearer {PRODUCER_TOKEN}",
        },
        trust_env=False,
        timeout=90.0,
    )


def send_until_accepted(hub: Hub, *events: Mapping[str, Any]) -> None:
    """As a producer does that was answered 503: also when a slow machine's Kafka took longer than a publish may."""
    eventually(lambda: post(hub, *events).status_code == 202, _PATIENCE_S, every_s=0.3, what="202")


def each_in_halo_once(hub: Hub, *quotes: str, status: int = 2) -> None:
    """Wait until Halo has them all and nothing is under way; fail when one is there twice, or has two opportunities."""
    titles = [f"Quote {quote}" for quote in quotes]

    def present() -> bool:
        rows = quotes_titled(hub, *titles)
        return {row["title"] for row in rows if row["status"] == status} >= set(titles)

    eventually(present, _PATIENCE_S, what=f"{titles} in Halo")
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    assert sorted(str(row["title"]) for row in quotes_titled(hub, *titles)) == sorted(titles)
    opportunities = [row["summary"] for row in hub.sandbox.state("Opportunities") if row["summary"] in titles]
    assert sorted(opportunities) == sorted(titles)


@contextmanager
def standing_still(kafka: KafkaServer) -> Iterator[None]:
    """Kafka keeps its connections and answers nothing."""
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)


def same_processes(hub: Hub, before: dict[str, int]) -> bool:
    return {
        name: process.popen.pid for name, process in hub.processes.items() if process.popen.poll() is None
    } == before


def pids(hub: Hub) -> dict[str, int]:
    return {name: process.popen.pid for name, process in hub.processes.items()}


@pytest.mark.fault("F34")
def test_groups_that_never_ran_begin_with_the_first_event(hub: Hub) -> None:
    each_in_halo_once(hub, *_EARLY[1:])
    each_in_halo_once(hub, _EARLY[0], status=3)


# Away -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F21")
def test_while_kafka_stands_still_nothing_is_accepted_and_nothing_accepted_is_lost(
    hub: Hub, own_kafka: KafkaServer
) -> None:
    running = pids(hub)
    before, after = ([f"{when}-still-{number}" for number in range(3)] for when in ("before", "after"))
    send_until_accepted(hub, *(quote_event(quote, 1, customer=_KNOWN) for quote in before))
    refused = [quote_event(quote, 1, customer=_KNOWN) for quote in after]
    with standing_still(own_kafka):
        began = time.monotonic()
        while time.monotonic() - began < _OUTAGE_S:
            answer = post(hub, *refused)
            assert (answer.status_code, answer.json()["type"]) == (
                503,
                "urn:halo-hub:problem:not_acknowledged",
            )
            assert int(answer.headers["retry-after"]) > 0
    send_until_accepted(hub, *refused)
    each_in_halo_once(hub, *before, *after)
    assert same_processes(hub, running), "a process ended because Kafka was away"


@pytest.mark.fault("F21")
@pytest.mark.fault("F22")
def test_kafka_killed_between_halos_answer_and_the_outcome_delays_the_outcome_alone(
    hub: Hub, own_kafka: KafkaServer
) -> None:
    running = pids(hub)
    quotes = [f"cut-{number}" for number in range(3)]
    hub.sandbox.arm("slow", method="POST", path="/Opportunities", delay_s=0.5, times=0)
    since = hub.sandbox.last_request()
    send_until_accepted(hub, *(quote_event(quote, 1, customer=_KNOWN) for quote in quotes))
    eventually(lambda: hub.sandbox.requests(since=since, path="/Opportunities"), what="the first write")
    own_kafka.kill()
    try:
        eventually(
            lambda: any(row["applied"] for row in hub.sandbox.requests(since=since)), what="Halo's answer"
        )
        refused = quote_event("during-cut", 1, customer=_KNOWN)
        assert post(hub, refused).status_code == 503
    finally:
        hub.sandbox.disarm()
        own_kafka.start()
    send_until_accepted(hub, refused)
    each_in_halo_once(hub, *quotes, "during-cut")
    for quote in [*quotes, "during-cut"]:
        for kind in ("opportunity", "quote"):
            told = eventually(lambda kind=kind, quote=quote: outcomes(hub, kind, quote), what="an outcome")
            assert [(one.status, one.result) for one in told.values()] == [("applied", "created")]
    assert same_processes(hub, running), "a process ended because Kafka was away"


@pytest.mark.fault("F22")
def test_a_writer_killed_before_it_settled_while_kafka_is_away_doubles_nothing(
    hub: Hub, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    assert hub.processes["writer"].stop() == 0
    mark = tmp_path / "mark"
    writer = hub.start("writer", HUB_STOP_AT="after_reply:2", HUB_STOP_MARK=str(mark))
    hub.wait_ready("writer")
    hub.sandbox.arm("slow", method="POST", path="/Quotation", delay_s=0.6)
    since = hub.sandbox.last_request()
    send_until_accepted(hub, quote_event("killed-away", 1, customer=_KNOWN))
    eventually(lambda: hub.sandbox.requests(since=since, path="/Quotation"), what="the quote's write")
    with standing_still(own_kafka):
        assert writer.ended(_PATIENCE_S) == -signal.SIGKILL
        assert mark.read_text() == "after_reply"
        time.sleep(2.0)  # longer than the session of the writer that was killed
    hub.start("writer")
    each_in_halo_once(hub, "killed-away")
    told = eventually(lambda: outcomes(hub, "quote", "killed-away"), what="the outcome")
    assert [one.status for one in told.values()] == ["applied"]


# There, and refusing ----------------------------------------------------------------------------------------


@pytest.mark.fault("F26")
def test_an_event_whose_dead_letter_cannot_be_written_is_never_passed_over(hub: Hub) -> None:
    poisoned = quote_in_partition("unwritable", 3)
    behind, elsewhere = quote_in_partition("behind", 3), quote_in_partition("elsewhere", 4)
    event = quote_event(poisoned, 1, customer=_KNOWN)
    place = Partition(QUOTES, partition_of(envelope_of(event).key, BY_NAME[QUOTES].partitions))
    with largest_dead_letter(hub, 100):
        offset = committed(hub, "hub-mapper", QUOTES)[1][place]
        put(hub, QUOTES, (envelope_of(event).key, b"{", headers_of(envelope_of(event))))
        put_events(hub, *(quote_event(quote, 1, customer=_KNOWN) for quote in (behind, elsewhere)))
        each_in_halo_once(hub, behind, elsewhere)
        eventually(lambda: _not_ready(hub, "mapper") == ["dead letters"], _PATIENCE_S, what="the reason why")
        hub.processes["mapper"].kill()
        hub.start("mapper")
        eventually(lambda: _not_ready(hub, "mapper") == ["dead letters"], _PATIENCE_S, what="the same again")
        eventually(lambda: "dead_letters.unwritable" in _said(hub, "mapper", "error"), what="the same error")
        assert (committed(hub, "hub-mapper", QUOTES)[0][place] or 0) <= offset
    found = eventually(lambda: letters(hub, subject=poisoned), _PATIENCE_S, what="the dead letter")
    assert [(letter.data.reason, letter.data.offset) for letter in found] == [("data.not_json", offset)]
    hub.wait_ready("mapper")
    eventually(lambda: _all_committed(hub, "hub-mapper", QUOTES), _PATIENCE_S, what="every event committed")
    each_in_halo_once(hub, behind, elsewhere)


@pytest.mark.fault("F26")
def test_a_rejected_command_whose_dead_letter_cannot_be_written_keeps_it_until_it_can(hub: Hub) -> None:
    with largest_dead_letter(hub, 100):
        send_until_accepted(hub, quote_event("refused", 1, customer=_KNOWN, currency="Nobody's"))
        eventually(lambda: "outbox.refused" in _said(hub, "writer", "error"), _PATIENCE_S, what="an error")
        send_until_accepted(hub, quote_event("after-refused", 1, customer=_KNOWN))
        each_in_halo_once(hub, "after-refused")
        hub.processes["writer"].kill()
        hub.start("writer")
        eventually(
            lambda: "outbox.refused" in _said(hub, "writer", "error"), _PATIENCE_S, what="the same again"
        )
        assert not letters(hub, subject="refused")
    found = eventually(lambda: letters(hub, subject="refused"), _PATIENCE_S, what="the dead letter")
    assert [letter.data.reason for letter in found] == ["name.unknown"]
    each_in_halo_once(hub, "after-refused")
    told = eventually(lambda: outcomes(hub, "quote", "refused"), _PATIENCE_S, what="the outcome")
    assert [one.status for one in told.values()] == ["rejected"]


@contextmanager
def largest_dead_letter(hub: Hub, limit_bytes: int) -> Iterator[None]:
    """The topic of dead letters takes nothing larger."""

    async def alter(configs: dict[str, str]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=hub.bootstrap)
        await admin.start()
        try:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, DEAD_LETTERS, configs)])
        finally:
            await admin.close()

    asyncio.run(alter({"max.message.bytes": str(limit_bytes)}))
    try:
        yield
    finally:
        asyncio.run(alter({}))


def _not_ready(hub: Hub, service: str) -> list[str]:
    """Which of the service's checks fail."""
    url = f"http://127.0.0.1:{hub.processes[service].health_port}/health/ready"
    try:
        checks = httpx.get(url, trust_env=False, timeout=60.0).json()["checks"]
    except httpx.TransportError:
        return ["no answer"]
    return [name for name, words in checks.items() if words != "ok"]


def _said(hub: Hub, service: str, level: str) -> list[str]:
    return [line["event"] for line in hub.processes[service].lines() if line.get("level") == level]


def _all_committed(hub: Hub, group: str, topic: str) -> bool:
    positions, ends = committed(hub, group, topic)
    return all((positions[partition] or 0) == end for partition, end in ends.items())
