"""What a request that was not sent leaves to wait for."""

from __future__ import annotations

from halo import GateClosed
from services.halo_writer.gate import TooLate
from services.halo_writer.waits import not_sent


def test_a_request_that_came_too_late_waits_alone() -> None:
    parked = not_sent(TooLate("too late"), now=100.0, blocked_until=0.0)
    assert parked.trouble is None
    assert parked.not_before > 100.0


def test_a_used_up_budget_holds_the_whole_tenant_until_it_is_free() -> None:
    parked = not_sent(GateClosed("used up"), now=100.0, blocked_until=130.0)
    assert (parked.trouble, parked.not_before) == ("limited", 130.0)
