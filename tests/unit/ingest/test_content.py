"""A body that has another form than its header says is told with the header for it."""

from __future__ import annotations

import pytest

from services.ingest.content import BATCH, STRUCTURED, events_of
from services.ingest.problems import Problem


def test_a_batch_under_the_header_of_one_event() -> None:
    (received,) = events_of(STRUCTURED, (), b"[{}]", max_events=10)

    assert f"several events are sent as {BATCH}" in received.faults[0].problem


def test_one_event_under_the_header_of_a_batch() -> None:
    with pytest.raises(Problem, match="one event alone is sent as "):
        events_of(BATCH, (), b"{}", max_events=10)


def test_an_empty_body() -> None:
    (received,) = events_of(STRUCTURED, (), b"", max_events=10)

    assert received.faults[0].problem == "is empty; send a CloudEvent as a JSON object"
