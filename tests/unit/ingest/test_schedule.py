"""When a tenant's kinds are read: on a timer, on request, later again after a failure."""

from __future__ import annotations

import pytest

from schemas.control import CatalogueKind
from services.ingest.catalogue import KINDS
from services.ingest.schedule import Schedule

EVERY: dict[CatalogueKind, float] = dict.fromkeys(KINDS, 100.0)


def schedule(**last: float) -> Schedule:
    return Schedule("acme", EVERY, last)  # type: ignore[arg-type]


def all_read(at: float) -> Schedule:
    return Schedule("acme", EVERY, dict.fromkeys(KINDS, at))


def test_what_was_never_read_is_due_names_before_records() -> None:
    due = schedule().due(0.0)
    assert due == list(KINDS)
    assert due.index("quote_status") < due.index("client")


def test_a_kind_is_due_again_when_its_time_has_come_and_no_two_at_the_same_moment() -> None:
    read = all_read(1000.0)
    assert read.due(1099.0) == []
    assert read.due(1111.0) == list(KINDS)
    assert 1 < len(read.due(1105.0)) < len(KINDS), "reads are spread over a tenth of the interval"
    assert 1100.0 <= read.next_at() < 1111.0


def test_a_request_is_served_once_by_a_read_that_begins_after_it() -> None:
    read = all_read(1000.0)
    read.request("client", 1010.0)
    assert read.due(1011.0) == ["client"]
    read.done("client", 1011.0)
    assert read.due(1012.0) == []
    read.request("client", 1005.0)
    assert read.due(1012.0) == [], "a read has begun since"


def test_a_failed_kind_waits_and_a_request_ends_the_wait() -> None:
    read = all_read(1000.0)
    read.failed("supplier", 2000.0)
    assert "supplier" not in read.due(1500.0)
    assert "supplier" in read.due(2000.0)
    read.request("supplier", 1500.0)
    assert "supplier" in read.due(1500.0)


@pytest.mark.parametrize("kind", ["client", "tax"])
def test_a_failure_of_a_first_read_does_not_loop(kind: CatalogueKind) -> None:
    read = schedule()
    read.failed(kind, 50.0)
    assert kind not in read.due(49.0)


def test_a_read_that_failed_is_behind_also_while_it_is_put_off() -> None:
    read = all_read(1000.0)
    assert not read.is_behind(1099.0)
    assert read.is_behind(1111.0)
    for kind in KINDS:
        read.failed(kind, 2000.0)
    assert read.due(1500.0) == []
    assert read.is_behind(1500.0)
    for kind in KINDS:
        read.done(kind, 1501.0)
    assert not read.is_behind(1502.0)


def test_what_another_process_has_read_is_not_due_here() -> None:
    read = all_read(1000.0)
    read.request("item", 1200.0)
    read.learn({"client": 1190.0, "item": 1190.0, "user": 900.0})
    due = read.due(1201.0)
    assert "client" not in due
    assert "user" in due, "that read was older than ours"
    assert "item" in due, "someone asked after that read had begun"
