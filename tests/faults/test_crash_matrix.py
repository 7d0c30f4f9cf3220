"""The crash matrix: the writer is killed at every named step, and Halo must end with one record in its newest state.

Each cell is a process that SIGKILLs itself at the step (the mark file shows that it came there), a plain writer that
is started after it, and the sandbox's final state as the oracle.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.steps import STEPS
from tests.faults.conftest import all_commands_ended, quotes_titled
from tests.support.hub import SETTLE_S, Hub, eventually, quote_event

pytestmark = pytest.mark.timeout(180)
_PATIENCE_S = 45.0


@pytest.fixture(autouse=True)
def only_armed_writers(hub: Hub) -> Iterator[None]:
    """A cell leaves no writer, no uncommitted command and no fault behind, whatever became of it."""
    yield
    hub.sandbox.disarm()
    writer = hub.processes.get("writer")
    if writer is not None and writer.popen.poll() is None:
        hub.wait_ready("writer")
        assert writer.stop() == 0


def killed_at(hub: Hub, step: str, count: int, tmp_path: Path, *events: dict[str, Any]) -> None:
    """Publish the events to a writer that is armed, and return once it has been killed at the step."""
    if step == "sent_without_reply":
        # Halo applies the write at once and answers when nobody is there any more.
        hub.sandbox.arm("slow", method="POST", delay_s=1.0, apply="first", times=0)
    mark = tmp_path / "mark"
    writer = hub.start("writer", HUB_STOP_AT=f"{step}:{count}", HUB_STOP_MARK=str(mark))
    hub.wait_ready("writer")
    hub.publish(*events)
    assert writer.ended(_PATIENCE_S) == -signal.SIGKILL
    assert mark.read_text() == step
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
_SECOND_WRITE = [(step, 1 if step in ("after_poll", "after_commit") else 2) for step in STEPS]
_FIRST_WRITE = [(step, 1) for step in STEPS]


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.fault("F1")
@pytest.mark.fault("F2")
@pytest.mark.fault("F3")
@pytest.mark.parametrize(("step", "count"), cells(*_SECOND_WRITE))
def test_create_of_a_quote_survives_a_kill(hub: Hub, tmp_path: Path, step: str, count: int) -> None:
    quote = f"create-{step}"
    killed_at(
        hub,
        step,
        count,
        tmp_path,
        quote_event(quote, 1, customer={"id": "org-0", "name": "Warm Up Ltd"}),
    )
    hub.start("writer")
    one_quote(hub, quote, f"Quote {quote}", lines=1, status=2)


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
    quote, customer = f"grow-{step}", {"id": "org-0", "name": "Warm Up Ltd"}
    first = [line("a", "FW-100"), line("b", "AP-W6")]
    hub.start("writer")
    hub.publish(quote_event(quote, 1, customer=customer, lines=first))
    eventually(lambda: quotes_titled(hub, f"Quote {quote}"), _PATIENCE_S)
    hub.wait_ready("writer")
    assert hub.processes["writer"].stop() == 0
    grown = [line("a", "FW-100", 3), *first[1:], line("c", "KM-SET")]
    killed_at(hub, step, count, tmp_path, quote_event(quote, 2, customer=customer, lines=grown))
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
    quote, customer = f"over-{step}", {"id": "org-0", "name": "Warm Up Ltd"}
    killed_at(hub, step, count, tmp_path, quote_event(quote, 1, customer=customer, title=f"Old {quote}"))
    newer = [line("a", "FW-100"), line("b", "AP-W6")]
    hub.publish(
        quote_event(quote, 2, customer=customer, title=f"New {quote}", lines=newer, status="approved")
    )
    hub.start("writer")
    found = one_quote(hub, quote, f"Old {quote}", f"New {quote}", lines=2, status=3)
    assert found["title"] == f"New {quote}"
