"""Answers that break off: they need the connection itself, which `server.Protocol` puts into the scope."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.errors import Answer

TRANSPORT = "sandbox.transport"


def response(answer: Answer) -> Response:
    made = Response(answer.body, answer.status, headers=dict(answer.headers))
    if answer.content_type is not None:
        made.headers["content-type"] = answer.content_type
    return made


def close(scope: Scope) -> None:
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]
    transport.close()


async def disconnected(receive: Receive) -> None:
    """Returns when the other side, or we, have closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Dropped(Response):
    """Closes the TCP connection without a byte."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        close(scope)
        await disconnected(receive)


class Hung(Response):
    """Never answers; ends when the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await disconnected(receive)


class Truncated(Response):
    """Announces the whole body, sends half of it, closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": bytes(half), "more_body": True})
        close(scope)
        await disconnected(receive)


class Trickled(Response):
    """Sends the headers and then one piece each `delay_s`; `on_gone` is called if the caller goes away first."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        status: int,
        headers: Mapping[str, str],
        delay_s: float,
        on_gone: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(status_code=status)
        self.raw_headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._pieces, self._delay_s, self._on_gone = pieces, delay_s, on_gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.wait({gone}, timeout=self._delay_s)
                if gone.done():
                    break
        finally:
            gone.cancel()
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})
        elif self._on_gone is not None:
            self._on_gone()
