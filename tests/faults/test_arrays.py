"""Several records in one request to Halo, and one of them is bad: the whole hub, with the sandbox as the oracle."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from typing import Any

import pytest

from hub.bus.producer import Publisher
from hub.bus.reader import read_range
from hub.bus.records import Outgoing
from hub.bus.settings import BusSettings
from schemas.control import ArrayProof, ConnectionTested
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.registry import encode
from schemas.targets import KINDS
from schemas.topics import COMMANDS, CONTROL, QUOTES
from tests.faults.conftest import quotes_titled, worked_off
from tests.faults.tenants import backlog
from tests.support.hub import PATIENT, Hub, eventually, quote_event

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
ENVIRONMENT = PATIENT
NAMES = [f"array-{number}" for number in range(6)]


@pytest.mark.fault("F39")
@pytest.mark.feature("beyond.bulk", part="writer")
def test_an_array_that_halo_refuses_after_storing_a_part_of_it_doubles_and_loses_nothing(hub: Hub) -> None:
    """Six quotes change in one request; Halo stores three, refuses the fourth, and answers 400."""
    hub.start("writer")
    hub.wait_ready("writer")
    hub.publish(*(quote_event(name, 1, customer=_KNOWN) for name in NAMES))
    eventually(lambda: len(quotes(hub)) == len(NAMES), _PATIENCE_S, what="six quotes in Halo")
    eventually(lambda: worked_off(hub, "hub-writer", COMMANDS), _PATIENCE_S, what="the log worked off")
    eventually(lambda: not backlog(hub, "acme"), _PATIENCE_S, what="nothing that waits")
    ids = {title.removeprefix("Quote "): quote["id"] for title, quote in quotes(hub).items()}
    lines = said_lines(hub)
    prove_arrays(hub)
    assert hub.processes["writer"].stop() == 0

    mark = hub.sandbox.last_request()
    change_all(hub, 2, "approved")
    bad = asyncio.run(in_order_of_commands(hub))[3]
    # A person deletes its opportunity: Halo takes no change of a quote without one.
    hub.sandbox.remove("Opportunities", quotes(hub)[f"Quote {bad}"]["ticket_id"])
    hub.start("writer")
    hub.wait_ready("writer")

    def ended() -> bool:
        return statuses(hub) == {name: 2 if name == bad else 3 for name in NAMES}

    eventually(ended, _PATIENCE_S, what="five accepted quotes")
    eventually(lambda: refused_alone(hub, mark, ids[bad]), _PATIENCE_S, what="the bad one refused by itself")
    together, *singles = writes(hub, mark)
    assert (len(together["body"]), together["status"]) == (len(NAMES), 400)
    kept = [one["id"] for one in together["updated"]]
    assert len(kept) == 3, "Halo had stored a part of it"
    assert {len(request["body"]) for request in singles} == {1}
    # Each good one was written once: what had been kept was read back, not sent again.
    written = Counter(one["id"] for request in writes(hub, mark) for one in request["updated"])
    assert written == {ids[name]: 1 for name in NAMES if name != bad}
    assert sorted(request["body"][0]["id"] for request in singles) == sorted(set(ids.values()) - set(kept))
    after = quotes(hub)
    assert len(after) == len(NAMES)
    assert said_lines(hub) == lines

    # That kind goes one by one from now on.
    mark = hub.sandbox.last_request()
    assert hub.processes["writer"].stop() == 0
    change_all(hub, 3, "declined", but=bad)
    hub.start("writer")
    hub.wait_ready("writer")
    eventually(
        lambda: Counter(statuses(hub).values()) == {4: 5, 2: 1}, _PATIENCE_S, what="five rejected quotes"
    )
    assert [len(request["body"]) for request in writes(hub, mark)] == [1] * 5
    assert hub.processes["writer"].stop() == 0


def quotes(hub: Hub) -> dict[str, dict[str, Any]]:
    rows = quotes_titled(hub, *(f"Quote {name}" for name in NAMES))
    assert len({row["title"] for row in rows}) == len(rows), "a quote was doubled"
    return {str(row["title"]): row for row in rows}


def statuses(hub: Hub) -> dict[str, Any]:
    return {title.removeprefix("Quote "): row["status"] for title, row in quotes(hub).items()}


def writes(hub: Hub, mark: int) -> list[dict[str, Any]]:
    return hub.sandbox.requests(since=mark, method="POST", path="^/Quotation$")


def refused_alone(hub: Hub, mark: int, quote_id: int) -> bool:
    return any(
        request["status"] == 400 and [element["id"] for element in request["body"]] == [quote_id]
        for request in writes(hub, mark)
    )


def said_lines(hub: Hub) -> dict[str, list[dict[str, object]]]:
    """Each quote's lines without what is as if it had never been sent: no tax of its own, no period."""
    found = quotes(hub)
    return {
        name: [
            {field: value for field, value in line.items() if value not in (False, 0)}
            for line in found[f"Quote {name}"]["lines"]
        ]
        for name in NAMES
    }


def change_all(hub: Hub, revision: int, status: str, *, but: str = "") -> None:
    """Publish a change of each quote, and return when all commands are on the log: the writer takes them at once."""
    hub.publish(
        *(
            quote_event(name, revision, event_type="quote.status_changed.v1", status=status)
            for name in NAMES
            if name != but
        )
    )
    eventually(lambda: worked_off(hub, "hub-mapper", QUOTES), _PATIENCE_S, what="the commands")


async def in_order_of_commands(hub: Hub) -> list[str]:
    """The quotes in the order in which the writer gets their newest commands."""
    subjects = []
    async for record in read_range(hub.bootstrap, COMMANDS):
        envelope = from_headers(record.headers)
        if envelope.type == "upsert_quote.v1" and envelope.subject in NAMES:
            subjects.append(envelope.subject)
    return subjects[-len(NAMES) :]


def prove_arrays(hub: Hub) -> None:
    """What `hub tenant check --write-proof` publishes where each kind's arrays are taken, in part if one is bad."""
    instance = hub.sandbox.url.removeprefix("http://")
    tested = ConnectionTested(
        instance=instance, ok=True, arrays=tuple(ArrayProof(kind=kind, ok=True) for kind in KINDS)
    )
    now = dt.datetime.now(dt.UTC)
    envelope = Envelope(
        id=f"arrays-{now.timestamp()}",
        source="/hub/cli",
        type="connection.tested.v1",
        subject="acme",
        time=now,
        tenant="acme",
    )
    asyncio.run(_publish(hub.bootstrap, Outgoing(CONTROL, b"acme", encode(tested), headers_of(envelope))))

    eventually(
        lambda: worked_off(hub, "hub-writer-feeds", CONTROL), _PATIENCE_S, what="the proof in the store"
    )


async def _publish(bootstrap: str, record: Outgoing) -> None:
    publisher = Publisher(BusSettings(bootstrap_servers=bootstrap, client_id="test"))
    await publisher.start()
    await publisher.publish([record])
    await publisher.stop()
