"""One JSON object a line on a stream, for our own events and for the libraries' log records alike."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from hub.telemetry.redaction import Redactor

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

# Their INFO lines repeat what ours say better, and httpx's carry whole URLs.
_QUIET = ("aiokafka", "httpcore", "httpx", "uvicorn.access", "uvicorn.error", "alembic")
_MAX_KINDS = 1_000
# An outcome that waits for a person is an error; all others are routine.
_LEVELS: Mapping[str, Level] = {"rejected": "ERROR", "failed": "ERROR", "dead_letter": "ERROR"}


def configure_logging(
    service: str,
    *,
    redactor: Redactor,
    level: Level = "INFO",
    stream: TextIO | None = None,
    console: bool = False,
) -> None:
    """Every later log line of the process goes to `stream` (stderr), redacted, with time, level and service.

    So does what nobody catches: an exception that ends the process or a thread is a log line like any other.
    `console` asks for readable lines instead of JSON; it is heeded on a terminal only, so that a collector
    that inherits the setting still gets JSON.
    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level]
    readable = console and stream.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _AddService(service),
    ]
    last: list[Processor] = [
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redactor,
        structlog.dev.ConsoleRenderer(timestamp_key="time") if readable else _render_json,
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.addFilter(Sparing("aiokafka"))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    # FastStream's own lines repeat the bus's; what a handler raises is an ERROR there, too.
    logging.getLogger("hub.bus.framework").setLevel(logging.ERROR)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(
        ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback
    )
    sys.unraisablehook = lambda lost: _log_uncaught(
        lost.exc_type, lost.exc_value or lost.exc_type(), lost.exc_traceback
    )


def hide(*secrets: str) -> None:
    """From now on no log line of this process shows these values, in any form; whoever reads a secret says so."""
    redactor = _redactor()
    if redactor is not None:
        redactor.add(*secrets)


def redacted(text: str) -> str:
    """The text as a log line of this process would show it: for what people are told in other ways."""
    redactor = _redactor()
    return (redactor or Redactor()).text(text)


def _redactor() -> Redactor | None:
    processors = structlog.get_config()["processors"]
    return next((processor for processor in processors if isinstance(processor, Redactor)), None)


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    structlog.get_logger(__name__).critical("process.failed", exc_info=(kind, error, traceback))


def outcome_line(
    log: FilteringBoundLogger,
    *,
    stage: str,
    outcome: str,
    tenant: str | None,
    target: str | None,
    op_id: str,
    ms: float,
    attempt: int = 0,
    halo_status: int | None = None,
    requests: int = 0,
    reason: str | None = None,
    **more: Any,
) -> None:
    """Writes the one wide line `message.settled` that tells how a message ended; a stage writes no other.

    `op_id` is the id of the event or command, `requests` counts requests to Halo, `halo_status` is the last
    answer's, `reason` is a code. `more` may add bounded facts, such as a revision; never a body.
    """
    log.log(
        logging.getLevelNamesMapping()[_LEVELS.get(outcome, "INFO")],
        "message.settled",
        stage=stage,
        outcome=outcome,
        tenant=tenant,
        target=target,
        op_id=op_id,
        attempt=attempt,
        halo_status=halo_status,
        requests=requests,
        ms=round(ms, 1),
        reason=reason,
        **more,
    )


class Sparing(logging.Filter):
    """Lets each line of a library pass once in `every_s`, with how many like it were held back since.

    While Kafka is away its client says so a hundred times a second.
    """

    def __init__(
        self, library: str, *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._library = library
        self._every_s = every_s
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != self._library:
            return True
        kind = (record.name, str(record.msg))
        said_at, held_back = self._said.get(kind, (-self._every_s, 0))
        now = self._clock()
        if now - said_at < self._every_s:
            self._said[kind] = (said_at, held_back + 1)
            return False
        if len(self._said) >= _MAX_KINDS:
            self._said.clear()
        self._said[kind] = (now, 0)
        if held_back:
            record.msg = f"{record.msg} (and {held_back} more like it)"
        return True


class _AddService:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", self._name)
        return line


def _render_json(_logger: Any, _method: str, line: Any) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()
