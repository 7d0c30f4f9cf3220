"""A proxy before the sandbox that tells back what it was sent: the client's secret and its own token, in any form."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.telemetry.server import AsgiServer

Echo = Callable[[str], tuple[int, bytes]]


class Mirror:
    """Hands out `token` for each token of the sandbox's; answers the next requests that match with its echoes."""

    def __init__(self, sandbox: str, token: str) -> None:
        self._sandbox = sandbox
        self._token = token
        self._real = ""
        self._path = re.compile("")
        self._echoes: list[Echo] = []
        self._always: tuple[bytes, Echo] | None = None
        self.told: list[str] = []
        self.refused: list[str] = []
        self.address = ""

    def echo(self, path: str, echoes: list[Echo]) -> None:
        """Answer as many POSTs to a path, each with a status and what an echo makes of the secrets sent."""
        self._path, self._echoes = re.compile(path), list(echoes)

    def always(self, words: str, echo: Echo) -> None:
        """Answer every POST whose body has the words in it so, for good."""
        self._always = (words.encode(), echo)

    @property
    def left(self) -> int:
        return len(self._echoes)

    async def handle(self, request: Request) -> Response:
        body = await request.body()
        async with httpx.AsyncClient(base_url=self._sandbox, trust_env=False, timeout=60) as http:
            if request.url.path.endswith("/token"):
                return await self._sign_in(http, request, body)
            sent = request.headers.get("authorization", "")
            if request.method == "POST" and self._always and self._always[0] in body:
                status, said = self._always[1](sent)
                return Response(said, status, media_type="application/json")
            if request.method == "POST" and self._echoes and self._path.search(request.url.path):
                self.told.append(sent)
                status, said = self._echoes.pop(0)(sent)
                return Response(said, status, media_type="application/json")
            passed = sent.replace(self._token, self._real)
            return _passed_on(await _forward(http, request, body, passed))

    async def _sign_in(self, http: httpx.AsyncClient, request: Request, body: bytes) -> Response:
        answer = await _forward(http, request, body, "")
        if answer.status_code == 200:
            told: dict[str, Any] = answer.json()
            self._real = told["access_token"]
            return JSONResponse(told | {"access_token": self._token})
        (secret,) = parse_qs(body.decode())["client_secret"]
        self.refused.append(secret)
        said = f"client_secret {secret!r} is wrong: {body.decode()}"
        return JSONResponse({"error": "invalid_client", "error_description": said}, answer.status_code)


async def _forward(http: httpx.AsyncClient, request: Request, body: bytes, sent: str) -> httpx.Response:
    headers = {"content-type": request.headers.get("content-type", "")}
    if sent:
        headers["authorization"] = sent
    query = request.url.query
    url = request.url.path + (f"?{query}" if query else "")
    return await http.request(request.method, url, content=body, headers=headers)


def _passed_on(answer: httpx.Response) -> Response:
    return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))


@contextmanager
def running_mirror(sandbox: str, token: str) -> Iterator[Mirror]:
    """A mirror in a thread of its own."""
    mirror = Mirror(sandbox, token)
    listening, stopped = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        methods = ["GET", "POST", "DELETE"]
        application = Starlette(routes=[Route("/{path:path}", mirror.handle, methods=methods)])
        async with AsgiServer(application, host="127.0.0.1", port=0) as server:
            mirror.address = f"http://127.0.0.1:{server.port}"
            listening.set()
            await stopped.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert listening.wait(60)
    try:
        yield mirror
    finally:
        loops[0].call_soon_threadsafe(stopped.set)
        thread.join()
