"""Answers that break off: they need the connection itself, which `server.Protocol` puts into the scope."""

import asyncio

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
