"""What is counted of a command: its end, and each request once, however many commands it was for."""

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


@pytest.mark.feature("log.metrics", part="all")
def test_a_rejected_command_is_counted_as_the_dead_letter_of_its_tenant_that_it_becomes() -> None:
    metrics = Metrics()
    tell = Teller(metrics)
    tell(work_of(Tool().item("SKU-1")), Ended("rejected", None, code="halo.rejected"))
    tell(work_of(Tool().item("SKU-2")), Ended("applied", 7))
    labels = {"tenant": "acme", "stage": "writer"}
    value = metrics.registry.get_sample_value
    assert value("hub_dead_letters_total", {**labels, "reason": "halo.rejected"}) == 1
    assert (
        metrics.registry.get_sample_value("hub_dead_letters_total", {**labels, "reason": "rejected"}) is None
    )
