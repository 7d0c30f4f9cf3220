"""The crash matrix: at every named step the writer is killed, told to end, or frozen past its lease; and Halo must end
with one record in its newest state.

Each cell is a process that signals itself at the step (the mark file shows that it came there), a plain writer beside
or after it, and the sandbox's final state as the oracle.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.steps import STEPS
from schemas.envelope import from_headers
from schemas.outcomes import DuplicateSuspected
from schemas.registry import decode
from schemas.topics import OUTCOMES
from tests.faults.conftest import KNOWN, all_commands_ended, quotes_titled
from tests.faults.on_the_log import records
from tests.support.hub import LEASE_S, SETTLE_S, Hub, Process, eventually, quote_event

pytestmark = pytest.mark.timeout(600)
_PATIENCE_S = 120.0
_DUPLICATE_SUSPECTED = "duplicate.suspected.v1"


@pytest.fixture(autouse=True)
def only_armed_writers(hub: Hub) -> Iterator[None]:
    """A cell leaves no writer, no uncommitted command and no fault behind, whatever became of it."""
    yield
    hub.sandbox.disarm()
    for name in ("armed", "writer"):
        process = hub.processes.get(name)
        if process is not None and process.is_running():
            process.thaw()
            hub.wait_ready(name)
            assert process.stop() == 0


def armed(
    hub: Hub, step: str, count: int, tmp_path: Path, *events: dict[str, Any], by: str = "KILL"
) -> Process:
    """Publish the events to a writer that signals itself at the step; return once it has come there."""
    if step == "sent_without_reply":
        # Halo applies the write at once and answers when nobody is there any more.
        hub.sandbox.arm("slow", method="POST", delay_s=1.0, apply="first", times=0)
    mark = tmp_path / "mark"
    writer = hub.start(
        "writer", "armed", HUB_STOP_AT=f"{step}:{count}", HUB_STOP_MARK=str(mark), HUB_STOP_SIGNAL=by
    )
    hub.wait_ready("armed")
    hub.publish(*events)
    eventually(
        lambda: mark.exists() and mark.read_text() == step,
        _PATIENCE_S,
        every_s=0.02,
        what=f"the writer at {step}",
    )
    return writer


def killed_at(hub: Hub, step: str, count: int, tmp_path: Path, *events: dict[str, Any]) -> None:
    """Publish the events to a writer that is armed, and return once it has been killed at the step."""
    assert armed(hub, step, count, tmp_path, *events).ended(_PATIENCE_S) == -signal.SIGKILL
    hub.sandbox.disarm()


def one_quote(hub: Hub, quote: str, *titles: str, lines: int, status: int) -> dict[str, Any]:
    """Wait for the quote's newest state; fail when any of its records is there twice."""

    def newest() -> dict[str, Any] | None:
        found = quotes_titled(hub, titles[-1])
        return found[0] if found and found[0]["status"] == status and len(_lines(found[0])) == lines else None

    found: dict[str, Any] = eventually(newest, _PATIENCE_S, what=f"{quote} in its newest state")
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    eventually(lambda: _settled(hub), _PATIENCE_S, what="nothing under way")
    assert len(quotes_titled(hub, *titles)) == 1, "the quote is in Halo more than once"
    opportunities = [row for row in hub.sandbox.state("Opportunities") if row["summary"] in titles]
    assert len(opportunities) == 1, "the opportunity is in Halo more than once"
    clients = [row["name"] for row in hub.sandbox.state("Client")]
    assert len(clients) == len(set(clients)), "a client is in Halo more than once"
    codes = [line["productcode"] for line in _lines(found)]
    assert len(codes) == len(set(codes)), "a line is on the quote more than once"
    return found


def _lines(quote: dict[str, Any]) -> list[dict[str, Any]]:
    return list(quote["lines"])


def _settled(hub: Hub) -> bool:
    """No write reached Halo for longer than a lost one could take to be sent again."""
    before = len(hub.sandbox.requests(method="POST"))
    try:
        eventually(lambda: len(hub.sandbox.requests(method="POST")) > before, timeout_s=SETTLE_S / 2)
    except AssertionError:
        return True
    return False


def line(line_id: str, code: str, quantity: int = 1) -> dict[str, Any]:
    return {
        "id": line_id,
        "product": {"name": f"Product {code}", "manufacturer_part_number": code},
        "quantity": quantity,
        "price": "10.00",
    }


def cells(*counts: tuple[str, int]) -> list[Any]:
    return [pytest.param(step, count, id=f"{step}-{count}") for step, count in counts]


# A create of a known customer's quote writes the opportunity first, the quote second.
_EVERY_STEP = [(step, 1 if step in ("after_poll", "after_commit") else 2) for step in STEPS]
# To be killed before the socket is all one, whether before or after the last checks.
_SECOND_WRITE = [cell for cell in _EVERY_STEP if cell[0] != "at_socket"]
_FIRST_WRITE = [(step, 1) for step, _ in _SECOND_WRITE]


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.fault("F3")
@pytest.mark.parametrize(("step", "count"), cells(*_EVERY_STEP))
def test_create_of_a_quote_survives_a_kill(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    quote = f"create-{step}"
    killed_at(hub, step, count, tmp_path, quote_event(quote, 1, customer=KNOWN))
    hub.start("writer")
    one_quote(hub, quote, f"Quote {quote}", lines=1, status=2)


@pytest.mark.fault("F24")
@pytest.mark.parametrize(("step", "count"), cells(*_EVERY_STEP))
def test_create_of_a_quote_survives_a_stop(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    """SIGTERM: what is in hand is finished, the process ends well, and its successor doubles nothing."""
    quote = f"stop-{step}"
    event = quote_event(quote, 1, customer=KNOWN)
    assert armed(hub, step, count, tmp_path, event, by="TERM").ended(_PATIENCE_S) == 0
    hub.sandbox.disarm()
    hub.start("writer")
    one_quote(hub, quote, f"Quote {quote}", lines=1, status=2)


@pytest.mark.fault("F10")
@pytest.mark.parametrize(("step", "count"), cells(*_SECOND_WRITE))
def test_create_of_a_quote_survives_a_freeze(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    """SIGSTOP past the session and the lease: another writer goes on meanwhile, and the frozen one comes too late."""
    quote = f"freeze-{step}"
    frozen = frozen_while_another_goes_on(hub, step, count, tmp_path, quote)
    frozen.thaw()
    one_quote(hub, quote, f"Quote {quote}", lines=1, status=2)
    assert frozen.stop() == 0


@pytest.mark.fault("F10")
def test_a_writer_frozen_behind_its_last_check_may_double_and_then_it_is_told(
    hub: Hub, tmp_path: Path
) -> None:
    """The one cell that no check can close: nothing is left between it and the socket."""
    quote = "freeze-at_socket"
    frozen = frozen_while_another_goes_on(hub, "at_socket", 2, tmp_path, quote)
    (first,) = quotes_titled(hub, f"Quote {quote}")
    frozen.thaw()
    eventually(lambda: len(quotes_titled(hub, f"Quote {quote}")) > 1, _PATIENCE_S, what="the second record")
    told = eventually(lambda: suspected(hub, quote), _PATIENCE_S, what="an alarm")
    eventually(lambda: _settled(hub), _PATIENCE_S, what="nothing under way")
    ids = {row["id"] for row in quotes_titled(hub, f"Quote {quote}")}
    assert len(ids) == 2
    assert ids - {first["id"]} <= {halo_id for alarm in told for halo_id in alarm.halo_ids}
    assert frozen.stop() == 0


def frozen_while_another_goes_on(hub: Hub, step: str, count: int, tmp_path: Path, quote: str) -> Process:
    """A writer that stands still at the step; its lease is over, and another has brought the quote to its end."""
    frozen = armed(hub, step, count, tmp_path, quote_event(quote, 1, customer=KNOWN), by="STOP")
    since = time.monotonic()
    hub.start("writer")
    hub.wait_ready("writer")
    hub.sandbox.disarm()
    eventually(
        lambda: quotes_titled(hub, f"Quote {quote}") and all_commands_ended(hub) and not waiting(hub, quote),
        _PATIENCE_S,
        what="the quote by another writer",
    )
    eventually(lambda: time.monotonic() - since > LEASE_S, what="the end of the lease")
    assert frozen.is_frozen()
    return frozen


def waiting(hub: Hub, quote: str) -> bool:
    """Whether the writer that goes on has said of the quote that it waits, and not yet that it has ended."""
    told = [
        line["outcome"]
        for line in hub.processes["writer"].lines()
        if line["event"] == "message.settled" and f"/quote/{quote}/" in line["target"]
    ]
    return bool(told) and told[-1] == "waiting"


def suspected(hub: Hub, quote: str) -> list[DuplicateSuspected]:
    """The alarms about this quote."""
    found = []
    for record in records(hub, OUTCOMES):
        about = from_headers(record.headers)
        if about.type == _DUPLICATE_SUSPECTED:
            alarm = decode(about.type, record.value or b"")
            assert isinstance(alarm, DuplicateSuspected)
            found += [alarm] if (alarm.target.kind, alarm.target.id) == ("quote", quote) else []
    return found


@pytest.mark.fault("F1")
@pytest.mark.parametrize(("step", "count"), cells(*_FIRST_WRITE))
def test_create_of_everything_new_survives_a_kill(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    """The first write is the client's, with its site and main contact in the same request."""
    quote = f"new-{step}"
    customer = {"id": f"org-{step}", "name": f"New Customer {step}"}
    contact = {"id": f"person-{step}", "name": "Kim Novak", "email": f"kim@{step.replace('_', '-')}.example"}
    killed_at(hub, step, count, tmp_path, quote_event(quote, 1, customer=customer, contact=contact))
    hub.start("writer")
    one_quote(hub, quote, f"Quote {quote}", lines=1, status=2)
    users = [row for row in hub.sandbox.state("Users") if row.get("emailaddress") == contact["email"]]
    assert len(users) == 1


@pytest.mark.fault("F36")
@pytest.mark.parametrize(("step", "count"), cells(*_FIRST_WRITE))
def test_update_that_adds_a_line_survives_a_kill(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    quote = f"grow-{step}"
    first = [line("a", "FW-100"), line("b", "AP-W6")]
    hub.start("writer")
    hub.publish(quote_event(quote, 1, customer=KNOWN, lines=first))
    eventually(lambda: quotes_titled(hub, f"Quote {quote}"), _PATIENCE_S)
    hub.wait_ready("writer")
    assert hub.processes["writer"].stop() == 0
    grown = [line("a", "FW-100", 3), *first[1:], line("c", "KM-SET")]
    killed_at(hub, step, count, tmp_path, quote_event(quote, 2, customer=KNOWN, lines=grown))
    hub.start("writer")
    found = one_quote(hub, quote, f"Quote {quote}", lines=3, status=2)
    assert [(row["productcode"], row["quantity"]) for row in _lines(found)] == [
        ("FW-100", 3),
        ("AP-W6", 1),
        ("KM-SET", 1),
    ]


@pytest.mark.fault("F37")
@pytest.mark.parametrize(("step", "count"), cells(*_SECOND_WRITE))
def test_newer_revision_takes_over_what_a_killed_one_began(
    hub: Hub, tmp_path: Path, step: str, count: int
) -> None:
    quote = f"over-{step}"
    killed_at(hub, step, count, tmp_path, quote_event(quote, 1, customer=KNOWN, title=f"Old {quote}"))
    newer = [line("a", "FW-100"), line("b", "AP-W6")]
    hub.publish(quote_event(quote, 2, customer=KNOWN, title=f"New {quote}", lines=newer, status="approved"))
    hub.start("writer")
    found = one_quote(hub, quote, f"Old {quote}", f"New {quote}", lines=2, status=3)
    assert found["title"] == f"New {quote}"
