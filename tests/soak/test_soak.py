"""A soak of seconds, so that the harness stays alive; the long ones are run by `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.run import Given, run

SOME = (
    "writer killed",
    "writer frozen",
    "mapper killed",
    "PostgreSQL stopped",
    "Halo: store_then_drop",
    "Halo: drop_then_store",
    "Halo: error_after_store",
    "Halo: slow",
    "Halo: chaos",
    "Halo: login revoked",
    "Halo: a person edits",
    "poisoned messages",
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_some_seconds_of_kills_freezes_and_a_misbehaving_halo_leave_halo_right(tmp_path: Path) -> None:
    given = Given(
        seed=11,
        minutes=0.4,
        tenants=6,
        rate=4.0,
        only=SOME,
        processes={"writer": 2, "mapper": 1, "ingest": 1},
    )
    done = run(given, tmp_path, print)
    assert done.findings == ()
    assert done.clean
    assert set(done.faults) == set(SOME)
    assert min(done.faults.values()) >= 1
    assert done.requests["writes that took effect"] > 50
    assert done.events["revisions published"] > 50
