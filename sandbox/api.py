"""Takes each request through log, faults at the door, budget, bearer, scope and faults, then applies it."""

import asyncio
from dataclasses import dataclass, field

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox import auth, writing
from sandbox.config import DEFAULT_INSTANCE
from sandbox.errors import Answer, RefusalError, empty, json_answer
from sandbox.faults import Door
from sandbox.instance import Instance
from sandbox.log import Entry, note_changes
from sandbox.misbehave import Apply, Misbehaviour, finished
from sandbox.schema import stamp
from sandbox.world import World


@dataclass
class Api:
    """The tenant-facing endpoints of every instance."""

    world: World
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)

    def instance(self, request: Request) -> Instance | None:
        return self.world.instances.get(request.path_params.get("instance", DEFAULT_INSTANCE))

    async def authinfo(self, request: Request) -> Response:
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        prefix = "" if instance.name == DEFAULT_INSTANCE else f"/{instance.name}"
        base = f"{request.url.scheme}://{request.url.netloc}{prefix}"
        info = json_answer(200, {"auth_url": f"{base}/auth", "tenant_id": instance.name})
        entry = self.open(instance, "authinfo", request, "/authinfo")
        down = await self.met(instance, request, entry, "all", lambda: info)
        return down or finished(entry, info)

    async def token(self, request: Request) -> Response:
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        wanted = auth.TokenRequest.read(await request.body())
        entry = self.open(instance, "token", request, "/token")
        entry.body = {"grant_type": wanted.grant_type, "client_id": wanted.client_id, "scope": wanted.scope}
        apply = logged(entry, lambda: grant(instance, wanted))
        down = await self.met(instance, request, entry, "all", apply)
        broken = down or await self.met(instance, request, entry, "token", apply)
        return broken or finished(entry, apply())

    async def call(self, request: Request) -> Response:
        """Any request under /api."""
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        path = "/" + request.path_params["path"]
        body = await request.body()
        entry = self.open(instance, "api", request, path)
        entry.body = decoded(body)
        content_type = request.headers.get("content-type", "")
        call = writing.Call(request.method, path, dict(request.query_params), content_type, body)
        apply = logged(entry, lambda: writing.answer(instance, call), instance)
        down = await self.met(instance, request, entry, "all", apply, body)
        if down is not None:
            return down
        now_s = self.world.clock.monotonic_s()
        if not instance.window.take(now_s):
            entry.fault = "budget"
            return finished(entry, instance.window.refusal(now_s))
        try:
            authorise(instance, request, path)
        except RefusalError as refusal:
            return finished(entry, refusal.answer)
        if instance.config.latency_s:
            await asyncio.sleep(instance.config.latency_s)
        broken = await self.met(instance, request, entry, "api", apply, body)
        return broken or finished(entry, apply())

    async def met(
        self, instance: Instance, request: Request, entry: Entry, door: Door, apply: Apply, body: bytes = b""
    ) -> Response | None:
        """The answer of the fault that this request meets at `door`; None when it meets none."""
        text = body.decode("utf-8", "replace")
        met = self.world.faults.meet(instance.name, door, entry.method, entry.path, text)
        if met is None:
            return None
        return await self.misbehaviour.answer(met, instance.config.budget, request, entry, apply)

    def open(self, instance: Instance, kind: str, request: Request, path: str) -> Entry:
        at = stamp(self.world.clock.now())
        return self.world.log.open(instance.name, at, kind, request.method, path, dict(request.query_params))


def logged(entry: Entry, apply: Apply, instance: Instance | None = None) -> Apply:
    """`apply`, with what it refused and what it changed written into the log entry."""

    def run() -> Answer:
        answer = apply()
        if answer.status >= 400:
            entry.error = answer.body.decode("utf-8", "replace")
        if instance is not None:
            note_changes(entry, instance.store.take_journal())
        return answer

    return run


def grant(instance: Instance, wanted: auth.TokenRequest) -> Answer:
    ttl_s = instance.config.token_ttl_s
    known = () if instance.config.login == "revoked" else instance.config.clients
    try:
        held = auth.grant(wanted, known, instance.clock.monotonic_s() + ttl_s)
    except RefusalError as refusal:
        return refusal.answer
    agent = instance.store.values("Agent", instance.config.agent_id) or {}
    return auth.token_answer(instance.tokens.issue(held), held, ttl_s, agent.get("name", ""))


def authorise(instance: Instance, request: Request, path: str) -> None:
    """Raises RefusalError 401 without a valid bearer or with a refused login, 403 outside the bearer's scopes."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    held = instance.tokens.valid(bearer, instance.clock.monotonic_s())
    if held is None or instance.config.login == "refused":
        raise empty(401)
    found = writing.target(path)
    if found is not None:
        auth.check_scope(held, found.resource, request.method)


def decoded(body: bytes) -> object:
    """The body as JSON, or as text when it is none."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
