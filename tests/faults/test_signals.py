"""Processes that are told to end in the middle of their work, or stand still past their session and wake up again."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.topics import COMMANDS
from tests.faults.conftest import all_commands_ended, quotes_titled
from tests.faults.on_the_log import outcomes, records
from tests.support.hub import PATIENT, Hub, Process, eventually, quote_event

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0


def in_halo_once(hub: Hub, *quotes: str) -> None:
    """Wait until Halo has them all and every command has ended; fail when one is there twice."""
    titles = sorted(f"Quote {quote}" for quote in quotes)

    def there() -> list[str]:
        return sorted(str(row["title"]) for row in quotes_titled(hub, *titles))

    eventually(lambda: set(there()) >= set(titles), _PATIENCE_S, what=f"{titles} in Halo")
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    assert there() == titles
    opportunities = [row["summary"] for row in hub.sandbox.state("Opportunities") if row["summary"] in titles]
    assert sorted(opportunities) == titles


def writes_of(hub: Hub, path: str, quote: str) -> list[dict[str, Any]]:
    return [
        row
        for row in hub.sandbox.requests(method="POST", path=path)
        if f"'Quote {quote}'" in str(row["body"])
    ]


# Told to end ------------------------------------------------------------------------------------------------


@pytest.mark.feature("hub.k8s", part="all")
@pytest.mark.fault("F24")
@pytest.mark.parametrize("path", ["/Opportunities", "/Quotation"])
def test_sigterm_in_the_middle_of_a_write_finishes_it_and_the_next_writer_goes_on(
    hub: Hub, path: str
) -> None:
    quotes = [f"term{path[1:]}-{number}" for number in range(3)]
    hub.start("writer", **PATIENT)
    hub.wait_ready("writer")
    hub.sandbox.arm("slow", method="POST", path=path, delay_s=2.5, times=0)
    since = hub.sandbox.last_request()
    hub.publish(*(quote_event(quote, 1, customer=_KNOWN) for quote in quotes))
    under_way = eventually(
        lambda: hub.sandbox.requests(since=since, method="POST", path=path), what="a write"
    )
    assert under_way[-1]["status"] is None
    # Kubernetes would kill it after 30 s; this raises after as long.
    assert hub.processes["writer"].stop(30.0) == 0
    hub.sandbox.disarm()
    done = hub.sandbox.requests(since=since, method="POST", path=path)
    assert [row["applied"] for row in done] == [True], "it finished the write in hand and began no other"
    hub.start("writer")
    hub.wait_ready("writer")
    in_halo_once(hub, *quotes)
    for quote in quotes:
        assert len(writes_of(hub, path, quote)) == 1
    assert hub.processes["writer"].stop() == 0


@pytest.mark.feature("hub.k8s", part="all")
@pytest.mark.fault("F24")
def test_sigterm_to_the_door_leaves_no_accepted_event_behind(hub: Hub) -> None:
    accepted: list[str] = []
    stop = threading.Event()

    def publish() -> None:
        number = 0
        while not stop.is_set():
            quote = f"door-{number}"
            try:
                hub.publish(quote_event(quote, 1, customer=_KNOWN))
            except (AssertionError, httpx.TransportError):
                # Refused, or cut off: nothing was promised, and the producer sends the same again.
                time.sleep(0.05)
                continue
            accepted.append(quote)
            number += 1

    hub.start("writer")
    producer = threading.Thread(target=publish)
    producer.start()
    try:
        eventually(lambda: len(accepted) >= 5, what="events accepted")
        assert hub.processes["ingest"].stop() == 0
        hub.start("ingest")
        before = len(accepted)
        eventually(lambda: len(accepted) >= before + 5, _PATIENCE_S, what="events accepted again")
    finally:
        stop.set()
        producer.join()
    hub.wait_ready()
    in_halo_once(hub, *accepted)
    assert hub.processes["writer"].stop() == 0


# Standing still ---------------------------------------------------------------------------------------------


@pytest.mark.fault("F23")
@pytest.mark.parametrize("service", ["writer", "mapper"])
def test_a_commit_that_is_refused_is_dropped_and_halo_hears_of_nothing_twice(
    hub: Hub, tmp_path: Path, service: str
) -> None:
    """The group has gone on with another member, which was handed what this one had done and not committed."""
    quote = f"refused-{service}"
    if service == "mapper":
        hub.start("writer")
        hub.wait_ready("writer")
        assert hub.processes["mapper"].stop() == 0
    frozen = _stopped_after_settling(hub, tmp_path, service, quote)
    eventually(lambda: quotes_titled(hub, f"Quote {quote}"), _PATIENCE_S, what="the quote in Halo")
    made = len(records(hub, COMMANDS))
    hub.start(service, name="second")
    hub.wait_ready("second")
    in_halo_once(hub, quote)
    if service == "mapper":
        eventually(lambda: len(records(hub, COMMANDS)) > made, _PATIENCE_S, what="the same commands again")
    os.kill(frozen.popen.pid, signal.SIGCONT)
    eventually(lambda: "bus.commit_dropped" in _events(frozen), _PATIENCE_S, what="a refused commit")
    hub.publish(quote_event(f"after-{quote}", 1, customer=_KNOWN))
    in_halo_once(hub, quote, f"after-{quote}")
    for path in ("/Opportunities", "/Quotation"):
        assert len(writes_of(hub, path, quote)) == 1
    told = eventually(lambda: outcomes(hub, "quote", quote), _PATIENCE_S, what="the outcome")
    assert [one.status for one in told.values()] == ["applied"]
    assert frozen.popen.poll() is None
    for name in ("second", "writer"):
        assert hub.processes[name].stop() == 0


def _stopped_after_settling(hub: Hub, tmp_path: Path, service: str, quote: str) -> Process:
    """A service that stopped itself (SIGSTOP) when the quote had settled and its offset was not committed."""
    mark = tmp_path / "mark"
    # The writer settles the opportunity first.
    count = 2 if service == "writer" else 1
    armed = {"HUB_STOP_AT": f"after_settle:{count}", "HUB_STOP_SIGNAL": "STOP", "HUB_STOP_MARK": str(mark)}
    process = hub.start(service, **armed)
    hub.wait_ready(service)
    hub.publish(quote_event(quote, 1, customer=_KNOWN))
    eventually(mark.exists, _PATIENCE_S, what=f"the {service} standing still")
    return process


def _events(process: Process) -> list[str]:
    return [line["event"] for line in process.lines()]
