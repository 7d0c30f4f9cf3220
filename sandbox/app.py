"""Composition root: one ASGI app with every instance and the admin endpoints."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sandbox import fixtures
from sandbox.admin import Admin, AdminError, on_admin_error
from sandbox.api import Api
from sandbox.config import InstanceConfig
from sandbox.schema import Schema
from sandbox.state import Clock
from sandbox.world import World

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class SandboxConfig:
    """`fixture` is a file that every new instance starts with; None = empty instances."""

    fixture: Path | None = None
    instance: InstanceConfig = field(default_factory=InstanceConfig)
    clock: Clock = field(default_factory=Clock)


def create_app(config: SandboxConfig) -> Starlette:
    """The app, whose `state.world` is what it holds. Raises FixtureError or OSError for the fixture.

    It must be served with `server.Protocol`, which the faults that break a connection need.
    """
    schema = Schema.load()
    fixture = fixtures.read(config.fixture, schema) if config.fixture else None
    world = World(schema, fixture, config.instance, config.clock)
    api, admin = Api(world), Admin(world)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await api.misbehaviour.stop()

    tenant = [
        Route("/api/authinfo", api.authinfo),
        Route("/auth/token", api.token, methods=["POST"]),
        Route("/api/{path:path}", api.call, methods=METHODS),
    ]
    named = [Route("/{instance}" + one.path, one.endpoint, methods=list(one.methods or ())) for one in tenant]
    app = Starlette(
        routes=[Mount("/_sandbox", routes=admin.routes()), *tenant, *named],
        lifespan=lifespan,
        exception_handlers={AdminError: on_admin_error, ClientDisconnect: on_client_gone},
    )
    app.state.world = world
    return app


async def on_client_gone(_: Request, __: Exception) -> Response:
    """The caller went away before its request was whole: nothing happened, and there is nobody to tell."""
    return Response(status_code=400)
