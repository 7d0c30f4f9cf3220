"""What is counted of a command's requests: each request once, however many commands it was for."""

from __future__ import annotations

import pytest

from hub.telemetry.metrics import Metrics
from schemas.outcomes import Request
from services.halo_writer.teller import Teller
from services.halo_writer.tools import Ended
from tests.unit.halo_writer.build import Tool, work_of


@pytest.mark.feature("beyond.bulk", part="writer")
def test_a_request_that_three_commands_shared_is_counted_once_and_their_own_ones_too() -> None:
    metrics = Metrics()
    tell = Teller(metrics)
    for place in range(3):
        work = work_of(Tool().item(f"SKU-{place}"))
        line = {"method": "POST", "path": "/Item", "outcome": "applied", "duration_ms": 5, "status": 201}
        work.requests.append(Request(**line, elements=3, place=place))  # type: ignore[arg-type]
        if place == 1:
            work.requests.append(Request(**line))  # type: ignore[arg-type]
        tell(work, Ended("applied", 7))
    counted = metrics.halo_requests.labels(tenant="acme", resource="Item", outcome="applied")
    assert counted._value.get() == 2
