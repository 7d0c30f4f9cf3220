"""A Halo of a few lines for the client's tests: a token endpoint, a handler for data, a clock, a gate."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec

from halo import Connection, GateClosed, HaloClient, Secret

CANARY = "s3cr3t-canary-4f1e0c77"
RESOURCE = "https://acme.halopsa.com/api"
AUTHORIZATION = "https://login.example.net/auth"

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def connection(**changes: Any) -> Connection:
    values: dict[str, Any] = {
        "resource_server": RESOURCE,
        "authorization_server": AUTHORIZATION,
        "client_id": "client-1",
        "client_secret": Secret(CANARY),
        "tenant": None,
        "scopes": ("all:standard", "edit:quotes"),
    }
    return Connection(**{**values, **changes})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Jump:
    """The running loop's clock, which a test sets ahead: what would take minutes is over at once, and not before."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ahead_s, real = 0.0, loop.time
        loop.time = lambda: real() + self.ahead_s  # type: ignore[method-assign]


class OpenGate:
    """Admits everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.admitted: list[tuple[str, str, float]] = []
        self.throttles: list[float | None] = []

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        self.admitted.append((method, path, timeout_s))

    def throttled(self, retry_after_s: float | None) -> None:
        self.throttles.append(retry_after_s)


class ClosingGate(OpenGate):
    """Admits the first `open_for` requests and refuses the rest."""

    def __init__(self, open_for: int = 0) -> None:
        super().__init__()
        self.open_for = open_for

    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        if len(self.admitted) >= self.open_for:
            raise GateClosed("the lease ends too soon", 5.0)
        await super().admit(method, path, timeout_s)


class FakeHalo:
    """Counts token calls, hands data requests to `handler`, and refuses tokens named in `dead`."""

    def __init__(self, handler: Handler | None = None, *, token: Handler | None = None) -> None:
        self.handler = handler or (lambda request: httpx.Response(200, json=[]))
        self.token = token or self._grant
        self.token_requests: list[httpx.Request] = []
        self.requests: list[httpx.Request] = []
        self.dead: set[str] = set()
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def client(
        self, gate: OpenGate | None = None, *, clock: Clock | None = None, **options: Any
    ) -> HaloClient:
        settings = options.pop("connection", None) or connection()
        return HaloClient(settings, self.http, gate or OpenGate(), clock=clock or Clock(), **options)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            self.token_requests.append(request)
            answer = self.token(request)
        else:
            self.requests.append(request)
            if bearer(request) in self.dead:
                return httpx.Response(401)
            answer = self.handler(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def _grant(self, request: httpx.Request) -> httpx.Response:
        body = {
            "access_token": f"token-{len(self.token_requests)}",
            "expires_in": 3600,
            "token_type": "Bearer",
        }
        return httpx.Response(200, json=body)


class Held:
    """A handler that says when it was asked and answers when it is released."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.asked = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.release.wait()
        return self.answer


def bearer(request: httpx.Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def body_of(request: httpx.Request) -> Any:
    return msgspec.json.decode(request.content)
