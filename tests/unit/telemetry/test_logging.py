import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from hub.telemetry.logging import Sparing, configure_logging, outcome_line
from hub.telemetry.redaction import HIDDEN, Redactor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_line_is_one_json_object_with_time_level_and_service() -> None:
    stream = io.StringIO()
    configure_logging("writer", redactor=Redactor(), stream=stream)

    structlog.get_logger().info("lease.taken", tenant="acme", since=object)

    (line,) = lines(stream)
    assert line["event"] == "lease.taken"
    assert (line["level"], line["service"], line["tenant"]) == ("info", "writer", "acme")
    assert line["time"].endswith("Z")


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging("writer", redactor=Redactor(), level="WARNING", stream=stream)

    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet too")

    assert stream.getvalue() == ""


def test_records_of_libraries_take_the_same_form_and_redaction() -> None:
    stream = io.StringIO()
    configure_logging("ingest", redactor=Redactor(["s3cret-value"]), stream=stream)

    logging.getLogger("library.part").warning("cannot use %s", "s3cret-value")

    (line,) = lines(stream)
    assert line["event"] == f"cannot use {HIDDEN}"
    assert (line["logger"], line["level"], line["service"]) == ("library.part", "warning", "ingest")


def test_tracebacks_are_redacted_too() -> None:
    stream = io.StringIO()
    configure_logging("ingest", redactor=Redactor(["s3cret-value"]), stream=stream)

    try:
        raise RuntimeError("s3cret-value refused")
    except RuntimeError:
        structlog.get_logger().exception("failed")

    (line,) = lines(stream)
    assert "RuntimeError" in line["exception"]
    assert "s3cret-value" not in stream.getvalue()


@pytest.mark.parametrize(("stream", "readable"), [(Terminal(), True), (io.StringIO(), False)])
def test_readable_lines_are_for_terminals_only(stream: io.StringIO, readable: bool) -> None:
    configure_logging("demo", redactor=Redactor(), stream=stream, console=True)

    structlog.get_logger().info("hello")

    assert stream.getvalue().startswith("{") is not readable


def settle(**changes: Any) -> dict[str, Any]:
    stream = io.StringIO()
    configure_logging("writer", redactor=Redactor(), stream=stream)
    given: dict[str, Any] = {
        "stage": "writer",
        "outcome": "applied",
        "tenant": "acme",
        "target": "acme/quote/Q-1",
        "op_id": "0b0e",
        "attempt": 1,
        "halo_status": 201,
        "requests": 2,
        "ms": 12.345,
        "reason": None,
    }
    outcome_line(structlog.get_logger(), **(given | changes))
    (line,) = lines(stream)
    return line


def test_an_outcome_is_one_wide_line() -> None:
    line = settle(revision=3)

    told = {key: value for key, value in line.items() if key not in ("time", "service", "level")}
    assert told == {
        "event": "message.settled",
        "stage": "writer",
        "outcome": "applied",
        "tenant": "acme",
        "target": "acme/quote/Q-1",
        "op_id": "0b0e",
        "attempt": 1,
        "halo_status": 201,
        "requests": 2,
        "ms": 12.3,
        "reason": None,
        "revision": 3,
    }


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        ("applied", "info"),
        ("skipped", "info"),
        ("superseded", "info"),
        ("rejected", "error"),
        ("failed", "error"),
    ],
)
def test_only_what_needs_a_person_is_an_error(outcome: str, level: str) -> None:
    assert settle(outcome=outcome)["level"] == level


def test_a_library_that_says_the_same_again_and_again_is_heard_now_and_then() -> None:
    """The lines of others, and the library's own that are new, pass as they are."""
    now = 0.0
    sparing = Sparing("aiokafka", every_s=10.0, clock=lambda: now)

    def said(name: str, message: str, *args: object) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, message, args, None)
        return record.getMessage() if sparing.filter(record) else None

    assert said("aiokafka.conn", "no %s", "broker") == "no broker"
    assert said("aiokafka.conn", "no %s", "other") is None
    assert said("aiokafka.group", "no %s", "group") == "no group"
    assert said("httpx", "no %s", "server") == said("httpx", "no %s", "server") == "no server"
    now = 9.0
    assert said("aiokafka.conn", "no %s", "broker") is None
    now = 11.0
    assert said("aiokafka.conn", "no %s", "broker") == "no broker (and 2 more like it)"
    assert said("aiokafka.conn", "no %s", "broker") is None


def test_what_kafkas_client_repeats_is_written_once() -> None:
    stream = io.StringIO()
    configure_logging("writer", redactor=Redactor(), stream=stream)

    for port in range(100):
        logging.getLogger("aiokafka.conn").error("Unable connect to %s", port)

    assert [line["event"] for line in lines(stream)] == ["Unable connect to 0"]
