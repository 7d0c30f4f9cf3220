"""Takes each request through log, budget, bearer, scope and faults, then applies it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox import auth, writing
from sandbox.config import DEFAULT_INSTANCE
from sandbox.errors import TEXT, Answer, RefusalError, empty, json_answer
from sandbox.faults import FaultRule
from sandbox.instance import Instance
from sandbox.limits import throttled
from sandbox.log import Entry, note_changes
from sandbox.schema import stamp
from sandbox.wire import Dropped, Hung, Truncated, response
from sandbox.world import World

Apply = Callable[[], Answer]


@dataclass
class Api:
    """The tenant-facing endpoints of every instance."""

    world: World
    _late: set[asyncio.Task[None]]

    def __init__(self, world: World) -> None:
        self.world = world
        self._late = set()

    async def stop(self) -> None:
        """Forgets the stores that were still to come."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def instance(self, request: Request) -> Instance | None:
        return self.world.instances.get(request.path_params.get("instance", DEFAULT_INSTANCE))

    async def authinfo(self, request: Request) -> Response:
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        prefix = "" if instance.name == DEFAULT_INSTANCE else f"/{instance.name}"
        base = f"{request.url.scheme}://{request.url.netloc}{prefix}"
        return response(json_answer(200, {"auth_url": f"{base}/auth", "tenant_id": instance.name}))

    async def token(self, request: Request) -> Response:
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        wanted = auth.TokenRequest.read(await request.body())
        entry = self.open(instance, "token", request, "/token")
        entry.body = {"grant_type": wanted.grant_type, "client_id": wanted.client_id, "scope": wanted.scope}
        armed = self.world.faults.meet(instance.name, "token", request.method, "/token", "")
        apply = logged(entry, lambda: grant(instance, wanted))
        return await self.misbehave(instance, request, entry, armed.rule if armed else None, apply)

    async def call(self, request: Request) -> Response:
        """Any request under /api."""
        instance = self.instance(request)
        if instance is None:
            return Response(status_code=404)
        path = "/" + request.path_params["path"]
        body = await request.body()
        entry = self.open(instance, "api", request, path)
        entry.body = decoded(body)
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
        content_type = request.headers.get("content-type", "")
        call = writing.Call(request.method, path, dict(request.query_params), content_type, body)
        text = body.decode("utf-8", "replace")
        armed = self.world.faults.meet(instance.name, "api", request.method, path, text)
        apply = logged(entry, lambda: writing.answer(instance, call), instance)
        return await self.misbehave(instance, request, entry, armed.rule if armed else None, apply)

    def open(self, instance: Instance, kind: str, request: Request, path: str) -> Entry:
        at = stamp(self.world.clock.now())
        return self.world.log.open(instance.name, at, kind, request.method, path, dict(request.query_params))

    async def misbehave(
        self, instance: Instance, request: Request, entry: Entry, rule: FaultRule | None, apply: Apply
    ) -> Response:
        if rule is None:
            return finished(entry, apply())
        entry.fault = rule.action
        match rule.action:
            case "error" | "throttle" | "error_after_store":
                if rule.action == "error_after_store":
                    apply()
                limit = rule.action == "throttle"
                said = throttled(instance.config.budget, rule.retry_after_s) if limit else given(rule)
                return finished(entry, said)
            case "store_then_drop" | "drop_then_store" | "hang":
                self.unanswered(rule, apply)
                return Hung() if rule.action == "hang" else Dropped()
            case "truncate":
                whole = finished(entry, apply())
                return Truncated(whole.body, whole.status_code, dict(whole.headers))
            case "slow":
                return await slow(request, entry, rule, apply)

    def unanswered(self, rule: FaultRule, apply: Apply) -> None:
        """Applies a request that gets no answer: now, later or never."""
        if rule.action == "drop_then_store":
            self.later(rule.delay_s, apply)
        elif rule.action == "store_then_drop" or rule.apply == "first":
            apply()

    def later(self, delay_s: float, apply: Apply) -> None:
        async def wait_and_apply() -> None:
            await asyncio.sleep(delay_s)
            apply()

        task = asyncio.create_task(wait_and_apply())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def slow(request: Request, entry: Entry, rule: FaultRule, apply: Apply) -> Response:
    if rule.apply == "after":
        await asyncio.sleep(rule.delay_s)
        answer = apply()
    else:
        answer = apply()
        await asyncio.sleep(rule.delay_s)
    if await request.is_disconnected():
        return Dropped()
    return finished(entry, answer)


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


def finished(entry: Entry, answer: Answer) -> Response:
    entry.status = answer.status
    return response(answer)


def given(rule: FaultRule) -> Answer:
    """The answer that an `error` rule names: nothing, a text as it is, or JSON."""
    if rule.answer is None:
        return Answer(rule.status)
    if isinstance(rule.answer, str):
        return Answer(rule.status, rule.answer.encode(), TEXT)
    return json_answer(rule.status, rule.answer)


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
