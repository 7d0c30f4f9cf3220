"""The store goes away for longer than a lease and comes back: no process ends, nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.bus.reader import read_range
from schemas.envelope import from_headers
from schemas.outcomes import Outcome
from schemas.registry import decode
from schemas.topics import OUTCOMES
from tests.faults.conftest import all_commands_ended, prove, quotes_titled
from tests.support.hub import LEASE_S, Hub, eventually, quote_event
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
BEFORE = [f"before-{number}" for number in range(6)]
DURING = [f"during-{number}" for number in range(4)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this module's own, to stop. Under root it runs as a user who can't reach every directory."""
    with tempfile.TemporaryDirectory(prefix="hub-postgres-") as directory:
        server = PostgresServer(Path(directory), options={"synchronous_commit": "on"})
        server.start()
        yield server
        server.stop()


def stop_at_once(server: PostgresServer) -> None:
    """As `pg_ctl stop -m immediate`: nobody's transaction is finished, and the log is recovered at the next start."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
    server.stop()


def logged(hub: Hub, service: str, event: str) -> bool:
    return any(line["event"] == event for line in hub.processes[service].lines())


def applied_quotes(hub: Hub) -> set[str]:
    async def read() -> set[str]:
        found = set()
        async for record in read_range(hub.bootstrap, OUTCOMES):
            told: Any = decode(from_headers(record.headers).type, record.value or b"")
            if isinstance(told, Outcome) and told.target.kind == "quote" and told.status == "applied":
                found.add(told.target.id)
        return found

    return asyncio.run(read())


def test_a_store_that_is_away_for_longer_than_a_lease_ends_no_process_and_costs_nothing(
    hub: Hub, postgres: PostgresServer
) -> None:
    hub.start("writer")
    hub.wait_ready()
    before = hub.sandbox.last_request()
    hub.sandbox.arm("slow", method="POST", path="/Quotation", delay_s=0.8, times=0)
    for quote in BEFORE:
        hub.publish(quote_event(quote, 1, customer={"id": f"org-{quote}", "name": f"Customer {quote}"}))
    eventually(
        lambda: hub.sandbox.requests(since=before, method="POST", path="/Quotation"), what="a write under way"
    )

    stop_at_once(postgres)
    for quote in DURING:
        hub.publish(quote_event(quote, 1, customer=_KNOWN))
    prove(hub)
    time.sleep(1.5 * LEASE_S)
    eventually(lambda: logged(hub, "mapper", "mapper.held_up"), what="the mapper waiting for the store")
    eventually(lambda: logged(hub, "writer", "feed.held_up"), what="the feeds waiting for the store")
    assert [name for name, process in hub.processes.items() if process.popen.poll() is not None] == []
    hub.sandbox.disarm()
    postgres.start()

    wanted = {f"Quote {quote}" for quote in (*BEFORE, *DURING)}
    eventually(
        lambda: {quote["title"] for quote in quotes_titled(hub, *wanted) if quote["status"] == 2} == wanted,
        _PATIENCE_S,
        what="all quotes in Halo",
    )
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    eventually(lambda: applied_quotes(hub) >= {*BEFORE, *DURING}, _PATIENCE_S, what="every outcome told")
    assert len(quotes_titled(hub, *wanted)) == len(wanted)
    opportunities = [row["summary"] for row in hub.sandbox.state("Opportunities")]
    clients = [row["name"] for row in hub.sandbox.state("Client")]
    assert len(opportunities) == len(set(opportunities))
    assert len(clients) == len(set(clients))
    eventually(lambda: logged(hub, "writer", "feed.goes_on"), what="the feeds going on")
    assert [name for name, process in hub.processes.items() if process.popen.poll() is not None] == []
    hub.wait_ready()
    assert hub.processes["writer"].stop() == 0
