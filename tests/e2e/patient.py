"""`python -m tests.e2e.patient demo ...` runs `hub demo ...` as it is, but waits as long as a busy machine may take.

What it tells a person after a minute or two, that something hasn't come, would say no more here than that others run.
A request to Halo that takes seconds isn't given up either: each that is costs others, which a test counts.
"""

from __future__ import annotations

from cli.demo import course, place, processes, producer_side
from cli.demo.like import course as like
from cli.main import main
from tests.support.processes import free_port

LONG_S = 400.0


def wait_longer() -> None:
    processes._READY_S = processes._STOP_S = LONG_S
    course._LIMIT_S = like._LIMIT_S = producer_side._TIMEOUT_S = LONG_S
    processes.free_port = course.free_port = free_port  # type: ignore[attr-defined]
    place.HURRIED = place.Times(settle_s=6.0, lease_s=6.0, request_timeout_s=4.0)


if __name__ == "__main__":
    wait_longer()
    main()
