"""Serves an ASGI application on a port of its own, inside the service's event loop.

What is no request, or never becomes one, is refused here, before there is anything for the application to see.
"""

import asyncio
import functools
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_HEAD_BYTES = 16 * 1024
"""Of a request's line and headers."""
HEAD_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 10.0
_DRAIN_TIMEOUT_S = 2
_LINGER_S = 1.0
_PROBLEMS = {
    HTTPStatus.BAD_REQUEST: ("request.malformed", "this is no HTTP/1.1 request"),
    HTTPStatus.REQUEST_TIMEOUT: (
        "request.slow",
        "the request's headers did not come in time; send it faster",
    ),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "headers.too_large",
        f"the request's headers are over {MAX_HEAD_BYTES} bytes; send less in them",
    ),
}


class AsgiServer:
    """Runs `app` between `start()` and `stop()`; signals stay with the service that owns the loop.

    Use it as an async context manager, or call the two. Port 0 takes a free one, told by `port`. `on_refused` is told
    the code of each refusal that the application doesn't see.
    """

    def __init__(
        self,
        app: Any,
        *,
        host: str,
        port: int,
        on_refused: Callable[[str], None] = lambda _code: None,
        head_timeout_s: float = HEAD_TIMEOUT_S,
    ) -> None:
        protocol: Any = functools.partial(_Protocol, on_refused=on_refused, head_timeout_s=head_timeout_s)
        self._address = (host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=_DRAIN_TIMEOUT_S,
            )
        )
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on. Raises RuntimeError before `start()`."""
        if self._socket is None:
            raise RuntimeError("the server has no port yet: call start() first")
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Returns when the port answers. Raises OSError, naming the address, when it cannot be had."""
        host, port = self._address
        try:
            self._socket = socket.create_server(self._address, family=_family(host))
        except OSError as error:
            problem = (
                f"cannot listen on {host}:{port} ({error.strerror}): free it, or set another: "
                "HUB_HEALTH_PORT is one for each process on a machine, HUB_HTTP_PORT that of ingest's door"
            )
            raise OSError(error.errno, problem) from error
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="asgi-server")
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not self._server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Returns when open requests have been answered or cut off and the port is free."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None

    async def __aenter__(self) -> "AsgiServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class _Protocol(H11Protocol):
    """HTTP/1.1 in which each request's head must come whole, in time and within its size."""

    def __init__(
        self, *arguments: Any, on_refused: Callable[[str], None], head_timeout_s: float, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._on_refused = on_refused
        self._head_timeout_s = head_timeout_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _Transport(transport, self._is_unread)))
        self._start_clock()

    def _is_unread(self) -> bool:
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR, h11.IDLE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Called while h11's error is being handled, which says what it is."""
        error = sys.exception()
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else None
        self._refuse(HTTPStatus(hint) if hint in tuple(_PROBLEMS) else HTTPStatus.BAD_REQUEST)

    def _watch(self) -> None:
        """Time runs while there is the beginning of a head; between two requests uvicorn's own clock does."""
        if self.conn.their_state is not h11.IDLE or not self.conn.trailing_data[0]:
            self._stop_clock()
        elif self._deadline is None:
            self._start_clock()

    def _start_clock(self) -> None:
        self._deadline = self.loop.call_later(self._head_timeout_s, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: HTTPStatus) -> None:
        self._stop_clock()
        code, detail = _PROBLEMS[status]
        self._on_refused(code)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            problem = {
                "type": f"urn:halo-hub:problem:{code}",
                "title": status.phrase,
                "status": status.value,
                "detail": detail,
            }
            headers = [("content-type", "application/problem+json"), ("connection", "close")]
            answer = h11.Response(status_code=status.value, headers=headers, reason=status.phrase)
            for event in (answer, h11.Data(data=msgspec.json.encode(problem)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class _Transport:
    """A transport that is closed in two steps while the other side may still be sending.

    Closed at once, the system would answer what comes with a reset, and the other side lose the answer it was sent.
    """

    def __init__(self, transport: asyncio.Transport, is_unread: Callable[[], bool]) -> None:
        self._transport = transport
        self._is_unread = is_unread
        self._closing = False

    def close(self) -> None:
        if self._closing or not self._is_unread() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._closing = True
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._closing:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
