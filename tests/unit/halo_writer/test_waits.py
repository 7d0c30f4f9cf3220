"""What a request that was not sent leaves to wait for."""

from __future__ import annotations

from typing import Literal

import pytest

from halo import GateClosed
from schemas.outcomes import Request
from schemas.targets import Intent
from services.halo_writer.gate import TooLate
from services.halo_writer.tools import Timing
from services.halo_writer.waits import after_doubt, not_sent

TIMING = Timing(settle_s=100.0, first_look_s=3.0, ambiguous_most_s=1000.0)


def doubt(operation: Literal["create", "update"], times: int) -> float:
    """Seconds until it is seen to, after a write of 10 s that ended so this many times."""
    intent = Intent(command_id="c", operation=operation, epoch=1, sent_at=990.0, state_hash="h")
    sent = Request(method="POST", path="/Attachment", outcome="ambiguous", duration_ms=10_000)
    looked = Request(method="GET", path="/Attachment", outcome="applied", duration_ms=1)
    return after_doubt(intent, [sent, looked, looked] * times, now=1000.0, timing=TIMING) - 1000.0


def test_a_request_that_came_too_late_waits_alone() -> None:
    parked = not_sent(TooLate("too late"), now=100.0, blocked_until=0.0)
    assert parked.trouble is None
    assert parked.not_before > 100.0


def test_a_used_up_budget_holds_the_whole_tenant_until_it_is_free() -> None:
    parked = not_sent(GateClosed("used up"), now=100.0, blocked_until=130.0)
    assert (parked.trouble, parked.not_before) == ("limited", 130.0)


@pytest.mark.parametrize(
    ("times", "create", "update"),
    [
        (0, 3, 90),
        (1, 3, 90),
        (2, 6, 90),
        (5, 48, 90),
        (6, 90, 96),
        (7, 192, 192),
        (10, 1000, 1000),
        (60, 1000, 1000),
    ],
)
def test_a_write_that_never_comes_to_an_end_is_sent_ever_more_seldom(
    times: int, create: float, update: float
) -> None:
    """Each try may cost its tenant Halo's whole patience; the first ones look as soon as ever."""
    assert doubt("create", times) == create
    assert doubt("update", times) == update
