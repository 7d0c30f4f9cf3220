"""Serves an ASGI application on a port of its own, inside the service's event loop."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

_START_TIMEOUT_S = 10.0
_DRAIN_TIMEOUT_S = 2


class AsgiServer:
    """Runs `app` between `start()` and `stop()`; signals stay with the service that owns the loop.

    Use it as an async context manager, or call the two. Port 0 takes a free one, told by `port`.
    """

    def __init__(self, app: Any, *, host: str, port: int) -> None:
        self._address = (host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
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
            problem = f"cannot listen on {host}:{port} ({error.strerror}): free it or set another"
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


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
