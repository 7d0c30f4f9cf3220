"""Plays a recorded history: through the mapper's core to commands, and those through a writer's lane to Halo requests.

Nothing has to be made alike afterwards: ids follow from the events, times are the events' own, and the sandbox, which
runs in this process, counts its ids up from the same numbers each time.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from cli.events import read_events
from hub.bus.records import Record
from hub.store.engine import Store
from hub.tenants.follower import Rules
from hub.tenants.load import accept, from_text
from sandbox.app import SandboxConfig, create_app
from sandbox.world import World
from schemas.commands import TYPE_OF_KIND, Command
from schemas.identity import id_of
from schemas.outcomes import DeadLetter
from schemas.registry import decode
from schemas.targets import Target
from services.halo_writer.fetch import Fetcher
from services.halo_writer.file_rules import IpAddress
from services.halo_writer.files import FileRoom
from services.halo_writer.lane import Lane
from services.halo_writer.rehearsal import Rehearsal as Writing
from services.halo_writer.rehearsal import Step
from services.halo_writer.tools import Timing
from services.ingest.log import record_of
from services.mapper.intake import Event, Refused, read
from services.mapper.rehearsal import Played, Rehearsal
from tests.golden.history import History, histories, tidy
from tests.integration.halo_writer.bench import Bench, template

HALO = Path(__file__).with_name("halo.yaml")
_PATIENCE_S = 60.0
_TIMING = Timing(
    settle_s=60.0,
    send_within_s=_PATIENCE_S,
    spill_s=_PATIENCE_S,
    dependency_s=0.2,
    file_s=0.1,
    file_most_s=0.1,
)
"""Nothing is late, however slow the machine: what waits for its time would take another place in the order."""
_WELL = (200, 201)
_TARGET = frozenset({"tenant", "instance", "source", "kind", "id"})


# The mapper ---------------------------------------------------------------------------------------------------------


def events_of(history: History) -> list[Event]:
    """Its events as the mapper reads them from the log, each at the moment at which it was made."""
    judged = read_events(history.events_file)
    assert not judged.faults, f"{history.name}: {judged.faults}"
    found = []
    for event in judged.events:
        sent = record_of(event.envelope, event.data)
        message = Record(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)
        taken = read(message, event.envelope.time)
        assert isinstance(taken, Event), f"{history.name}: {event.envelope.id} is refused"
        found.append(taken)
    return found


def rules_of(history: History) -> Rules:
    accepted = accept(history.tenant_file.read_bytes())
    return Rules(accepted.tenant, 1, accepted.hash, from_text(accepted.text))


def mapped(history: History) -> list[Played]:
    rehearsal = Rehearsal(rules_of(history))
    return [rehearsal.play(event) for event in events_of(history)]


def commands_text(played: Sequence[Played]) -> str:
    """What the events came to, as it is recorded."""
    return tidy([_chapter(one) for one in played])


def shown(played: Sequence[Played]) -> list[list[Step]]:
    """What `hub rules try` shows of the requests, event by event."""
    writing = Writing()
    return [writing.steps(one.commands) for one in played]


def shown_text(played: Sequence[Played]) -> str:
    return tidy([[msgspec.to_builtins(step) for step in steps] for steps in shown(played)])


def _chapter(played: Played) -> dict[str, Any]:
    chapter: dict[str, Any] = {"event": _name(played.event)}
    if isinstance(played.result, Refused):
        letter: DeadLetter = decode("dead_letter.recorded.v1", played.result.letter.value or b"")
        chapter |= {"refused": letter.reason, "faults": msgspec.to_builtins(letter.faults)}
    else:
        chapter |= {"result": played.result}
    if played.questions:
        chapter["questions"] = [_readable(question) for question in played.questions]
    bases = list(dict.fromkeys(msgspec.json.encode(command.basis) for command in played.commands))
    if len(bases) == 1:
        chapter["basis"] = msgspec.json.decode(bases[0])
    chapter["commands"] = [_command(command, with_basis=len(bases) > 1) for command in played.commands]
    return chapter


def _command(command: Command, *, with_basis: bool) -> dict[str, Any]:
    """The command's type and id, and all of its data; the basis stands once where the event's commands share it."""
    data: dict[str, Any] = _readable(command)
    if not with_basis:
        del data["basis"]
    return {"command": f"{TYPE_OF_KIND[command.kind]} {id_of(command)}", **data}


def _readable(data: msgspec.Struct) -> Any:
    """The data as JSON, each target as the one line that is its key."""

    def keyed(value: Any) -> Any:
        if isinstance(value, list):
            return [keyed(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.keys() >= _TARGET:
            return msgspec.convert(value, Target).key
        return {name: keyed(one) for name, one in value.items()}

    return keyed(msgspec.json.decode(msgspec.json.encode(data)))


def _name(event: Event) -> str:
    envelope = event.envelope
    return f"{envelope.id} {envelope.type} {envelope.subject}"


# The writer ---------------------------------------------------------------------------------------------------------


@dataclass
class HaloInProcess:
    """The sandbox behind whatever address the tenant file names; its log is what was asked of it."""

    world: World
    resource_url: str
    auth_url: str

    def last_request(self) -> int:
        return self.world.log.last

    def requests(
        self, *, since: int = 0, method: str | None = None, path: str | None = None
    ) -> list[dict[str, Any]]:
        assert (method, path) == (None, None), "all of them are recorded"
        entries = (entry for entry in self.world.log.since(since) if entry.kind == "api")
        return [msgspec.to_builtins(entry) for entry in entries]


@dataclass
class Replayed(Bench):
    """A bench whose tenant has the history's own file."""

    text: str = ""

    def _tenant_file(self) -> str:
        return self.text


@asynccontextmanager
async def bench_of(history: History, store_file: Path) -> AsyncIterator[Bench]:
    """A Halo of the history's own, and its tenant on a store."""
    app = create_app(SandboxConfig(fixture=HALO))
    url = rules_of(history).rules.halo.url
    halo = HaloInProcess(app.state.world, f"{url}/api", f"{url}/auth")
    store = await Store.open(f"sqlite+aiosqlite:///{store_file}")
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            yield Replayed(
                halo,  # type: ignore[arg-type]
                store,
                http,
                timing=_TIMING,
                request_timeout_s=10.0,
                files=_file_room(),
                text=history.tenant_file.read_text(),
            )
    finally:
        await store.close()


def ground(directory: Path) -> Path:
    """A store that knows Halo's lists and nothing else, to be copied: all histories have one Halo to begin with."""
    path = template(directory)

    async def read() -> None:
        async with bench_of(histories()[0], path) as bench:
            await bench.read_halo()

    asyncio.run(read())
    return path


async def requested(played: Sequence[Played], history: History, store_file: Path) -> str:
    """What Halo was asked, as it is recorded; the commands of an event have ended before the next one's come."""
    async with bench_of(history, store_file) as bench, bench.lane() as lane:
        return tidy([await _requests(bench, lane, one) for one in played])


async def _requests(bench: Bench, lane: Lane, played: Played) -> dict[str, Any]:
    bench.marked()
    await bench.submit(lane, played.commands, _PATIENCE_S)
    await bench.until_nothing_waits(_PATIENCE_S)
    return {"event": _name(played.event), "requests": [_request(entry) for entry in bench.requests()]}


def _request(entry: dict[str, Any]) -> dict[str, Any]:
    """A request; its answer only where it was a refusal."""
    told = {name: entry[name] for name in ("method", "path", "query", "body") if entry[name]}
    return told if entry["status"] in _WELL else told | {"status": entry["status"], "error": entry["error"]}


def _file_room() -> FileRoom:
    """Every address that an event names has a short text of its own."""

    async def resolve(host: str) -> list[IpAddress]:
        return [ipaddress.ip_address("93.184.216.34")]

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.extensions["target"].decode().partition("?")[0]
        content = content_at(f"https://{request.headers['host']}{path}")
        return httpx.Response(200, stream=_Bytes(content))

    return FileRoom(Fetcher(resolve, lambda: httpx.MockTransport(answer)))


class _Bytes(httpx.AsyncByteStream):
    """A body as it comes from a connection: read once, piece by piece."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def content_at(url: str) -> bytes:
    return f"What lies at {url}".encode()
