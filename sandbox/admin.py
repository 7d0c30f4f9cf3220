"""`/_sandbox/`: how people and tests steer a sandbox; never counted against a budget, never logged.

    GET    health
    GET    instances                    names with settings and use of the budget
    PUT    instances/{name}             create or change; body: settings (?blank=true: no start fixture)
    DELETE instances/{name}             forget a named one; start the default one afresh
    POST   fixtures?instance=           add rows, body: YAML or JSON (?replace=true: drop all rows before)
    GET    state?instance=&resource=    rows as stored, all resources or one
    PATCH  state?instance=&resource=&id=    a person edits a record; body: fields, null empties one
    DELETE state?instance=&resource=&id=    a person deletes a record
    GET    counts?instance=&since=      rows per resource, requests per kind, call and status
    GET    requests?since=&instance=&kind=&method=&path=&limit=   the log; `path` is a regular expression
    DELETE requests                     empty the log (numbers go on)
    GET    faults   POST faults (one rule or several)   DELETE faults[/{id}]
    POST   tokens/revoke?instance=      every token ends now (setting `login`: the credentials fail as well)

`instance` is `default` when left out, save for `requests` and `counts`' requests, where it means all.
A request that cannot be understood is answered 400 `{"error": "..."}`, an unknown instance 404.
"""

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import fixtures, people
from sandbox.config import DEFAULT_INSTANCE
from sandbox.errors import RefusalError, json_answer
from sandbox.faults import Armed, FaultRule
from sandbox.instance import Instance
from sandbox.log import Entry, tally
from sandbox.resources import BY_PATH, Resource
from sandbox.wire import response
from sandbox.world import World


class AdminError(Exception):
    """An admin request that cannot be carried out, with the status to answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Admin:
    world: World

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/instances", self.list_instances),
            Route("/instances/{name}", self.configure, methods=["PUT"]),
            Route("/instances/{name}", self.forget, methods=["DELETE"]),
            Route("/fixtures", self.load, methods=["POST"]),
            Route("/state", self.state),
            Route("/state", self.edit, methods=["PATCH"]),
            Route("/state", self.remove, methods=["DELETE"]),
            Route("/counts", self.counts),
            Route("/requests", self.requests),
            Route("/requests", self.clear_requests, methods=["DELETE"]),
            Route("/faults", self.list_faults),
            Route("/faults", self.arm, methods=["POST"]),
            Route("/faults", self.disarm, methods=["DELETE"]),
            Route("/faults/{fault_id:int}", self.disarm, methods=["DELETE"]),
            Route("/tokens/revoke", self.revoke, methods=["POST"]),
        ]

    def instance(self, request: Request) -> Instance:
        name = request.query_params.get("instance", DEFAULT_INSTANCE)
        found = self.world.instances.get(name)
        if found is None:
            raise AdminError(404, f"no instance `{name}`; PUT /_sandbox/instances/{name} makes one")
        return found

    async def health(self, _: Request) -> Response:
        names = sorted(self.world.instances)
        return ok({"status": "ok", "instances": names, "last_request": self.world.log.last})

    async def list_instances(self, _: Request) -> Response:
        return ok([self.described(instance) for instance in self.world.instances.values()])

    def described(self, instance: Instance) -> dict[str, Any]:
        used = instance.window.used(self.world.clock.monotonic_s())
        return {"name": instance.name, "config": instance.config, "budget_used": used}

    async def configure(self, request: Request) -> Response:
        changes = await body(request, dict[str, Any])
        blank = request.query_params.get("blank") == "true"
        try:
            instance = self.world.configure(request.path_params["name"], changes, blank=blank)
        except msgspec.ValidationError as error:
            raise AdminError(400, str(error)) from None
        return ok(self.described(instance))

    async def forget(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == DEFAULT_INSTANCE:
            self.world.reset(name)
        elif self.world.instances.pop(name, None) is None:
            raise AdminError(404, f"no instance `{name}`")
        return ok({"forgotten": name})

    async def load(self, request: Request) -> Response:
        instance = self.instance(request)
        try:
            fixture = fixtures.parse((await request.body()).decode("utf-8", "replace"), self.world.schema)
        except fixtures.FixtureError as error:
            raise AdminError(400, str(error)) from None
        if request.query_params.get("replace") == "true":
            instance.wipe()
        instance.configure(fixture.configured(instance.config))
        return ok({"loaded": fixtures.load(instance, fixture)})

    async def state(self, request: Request) -> Response:
        store = self.instance(request).store
        wanted = request.query_params.get("resource")
        names = [wanted] if wanted else list(store.tables())
        tables = {name: sorted(store.table(table_of(name)).items()) for name in names}
        return ok({name: [row.values for _, row in rows] for name, rows in tables.items()})

    async def edit(self, request: Request) -> Response:
        instance, resource, number = self.record(request)
        fields = await body(request, dict[str, Any])
        try:
            return ok(people.edit(instance, resource, number, fields))
        except RefusalError as refusal:
            raise refused(refusal) from None

    async def remove(self, request: Request) -> Response:
        instance, resource, number = self.record(request)
        try:
            people.remove(instance, resource, number)
        except RefusalError as refusal:
            raise refused(refusal) from None
        return ok({"deleted": number})

    def record(self, request: Request) -> tuple[Instance, Resource, int]:
        name = request.query_params.get("resource", "")
        resource = BY_PATH.get(name.lower())
        if resource is None:
            raise AdminError(404, f"no resource `{name}`")
        return self.instance(request), resource, number(request, "id", 0)

    async def counts(self, request: Request) -> Response:
        store = self.instance(request).store
        name = request.query_params.get("instance")
        since = self.world.log.since(number(request, "since", 0))
        calls = tally(entry for entry in since if name in {None, entry.instance})
        return ok({"rows": {table: len(store.table(table)) for table in store.tables()}, "requests": calls})

    async def requests(self, request: Request) -> Response:
        query = request.query_params
        try:
            path = re.compile(query.get("path", ""), re.IGNORECASE)
        except re.error as error:
            raise AdminError(400, f"`path` is no regular expression: {error}") from None

        exact = {name: query[name] for name in ("instance", "kind", "method") if name in query}

        def wanted(entry: Entry) -> bool:
            same = all(getattr(entry, name) == value for name, value in exact.items())
            return same and path.search(entry.path) is not None

        entries = filter(wanted, self.world.log.since(number(request, "since", 0)))
        shown = list(islice(entries, number(request, "limit", self.world.log.last)))
        return ok({"last": self.world.log.last, "requests": shown})

    async def clear_requests(self, _: Request) -> Response:
        self.world.log.clear()
        return ok({"last": self.world.log.last})

    async def list_faults(self, _: Request) -> Response:
        return ok([self.fault(armed) for armed in self.world.faults.listed()])

    async def arm(self, request: Request) -> Response:
        sent = await body(request, list[FaultRule] | FaultRule)
        rules = sent if isinstance(sent, list) else [sent]
        try:
            armed = [self.world.faults.arm(rule) for rule in rules]
        except re.error as error:
            raise AdminError(400, f"`path` is no regular expression: {error}") from None
        return ok([self.fault(one) for one in armed])

    def fault(self, armed: Armed) -> dict[str, Any]:
        counts = {"seen": armed.seen, "met": armed.met, "actions": armed.actions}
        return {"id": armed.id, **counts, "spent": self.world.faults.is_spent(armed), "rule": armed.rule}

    async def disarm(self, request: Request) -> Response:
        return ok({"disarmed": self.world.faults.clear(request.path_params.get("fault_id"))})

    async def revoke(self, request: Request) -> Response:
        return ok({"revoked": self.instance(request).tokens.revoke_all()})


async def on_admin_error(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, AdminError) else 500
    return response(json_answer(status, {"error": str(error)}))


def refused(refusal: RefusalError) -> AdminError:
    return AdminError(refusal.answer.status, refusal.answer.body.decode() or "no such record")


def ok(value: Any) -> Response:
    return response(json_answer(200, value))


def table_of(name: str) -> str:
    return "Faults" if name.lower() in {"opportunities", "tickets"} else name


def number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    try:
        return default if text is None else int(text)
    except ValueError:
        raise AdminError(400, f"`{name}` must be a whole number") from None


async def body(request: Request, kind: Any) -> Any:
    """The body as `kind`; raises AdminError 400."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise AdminError(400, str(error)) from None
