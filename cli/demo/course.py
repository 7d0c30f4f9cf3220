"""The demo from its first process to the verdict: start the parts, publish the day, kill the writer, wait, count."""

import asyncio
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cli.demo import producer_side
from cli.demo.day import TENANT, Day, one_more, the_day
from cli.demo.expected import Expected, expected
from cli.demo.log_side import Backlog, Ledger, catalogue_read, read_ledger, read_story
from cli.demo.log_side import backlog as log_backlog
from cli.demo.place import HURRIED, Guest, Place, Times, furnish, guest_of_the_day, own_environment
from cli.demo.processes import Child, Family, free_port, tail, wait_for_file, wait_ready
from cli.demo.progress import Progress
from cli.demo.sandbox_side import ONE_TIME_ITEM, SandboxSide
from cli.demo.verify import Check, Halo, verify
from cli.errors import CommandFailed
from cli.story import Happening
from cli.tenant_rules import rules_of_file
from hub.bus.embedded import NOTICE
from hub.settings import Settings

BUDGET = (300, 2)
"""Halo's usual budget is 300 requests in five minutes; here its window is shorter, as every other time is."""
THE_DAY = guest_of_the_day(BUDGET)
SERVICES = ("mapper", "writer", "ingest")
_HELD_S = 60.0
"""Longer than the writer waits for it: however busy the machine is, it is killed before it is answered."""
_LOOK_S = 0.4
_LIMIT_S = 90.0


@dataclass(frozen=True)
class Killed:
    """How the writer died: its exit code (-9), and the create that Halo had carried out and never answered."""

    exit_code: int
    pid: int
    subject: str
    request: int
    halo_id: int | None
    answered: bool
    quotes_then: int


@dataclass(frozen=True)
class Result:
    """All that the demo found out. `requests` is the sandbox's log since the first event, token calls included."""

    day: Day
    wanted: Expected
    halo: Halo
    requests: tuple[dict[str, Any], ...]
    ledger: Ledger
    left: Backlog
    checks: tuple[Check, ...]
    refusal: dict[str, Any]
    killed: Killed
    tenant_check: dict[str, Any]
    story: tuple[Happening, ...]
    took_s: float

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@dataclass
class Stage:
    """The running parts."""

    place: Place
    settings: Settings
    family: Family
    sandbox: SandboxSide
    services: dict[str, Child]

    def start(self, *names: str) -> None:
        """Starts services and returns when they are ready."""
        for name in names:
            self.services[name] = self.family.service(name, self.place.environment)
        wait_ready(*(self.services[name] for name in names))


@contextmanager
def stage(
    directory: Path, progress: Progress, guests: Sequence[Guest] = (THE_DAY,), times: Times = HURRIED
) -> Iterator[Stage]:
    """The parts that the services need, running; everything is stopped at the end, by its pid."""
    family = Family(directory)
    try:
        progress.now("starting the embedded broker and the sandbox")
        environment = own_environment()
        broker_ready, sandbox_ready = directory / "broker.ready", directory / "sandbox.ready"
        broker = family.start(
            "broker",
            ("hub.bus.embedded", "--ready-file", str(broker_ready), "--until-stdin-closes"),
            environment,
        )
        halo = family.start(
            "sandbox", ("sandbox", "--port", "0", "--ready-file", str(sandbox_ready)), environment
        )
        bootstrap, url = wait_for_file(broker, broker_ready), wait_for_file(halo, sandbox_ready)
        place = furnish(
            directory, bootstrap=bootstrap, sandbox=url, http_port=free_port(), guests=guests, times=times
        )
        with SandboxSide(url) as sandbox:
            sandbox.configure({"budget": {"limit": BUDGET[0], "window_s": BUDGET[1]}})
            progress.step(f"Kafka is an embedded broker at {bootstrap}; {NOTICE.partition(': ')[2]}")
            progress.step(f"Halo is the sandbox at {url}; the store is a SQLite file in {directory}")
            yield Stage(place, place.settings(), family, sandbox, {})
    finally:
        family.stop()


def play(on: Stage, progress: Progress) -> Result:
    """The whole demo. Raises CommandFailed when a part fails or the day does not come to its end."""
    began = time.monotonic()
    progress.now("checking the tenant's Halo")
    checked = check_tenant(on.place, TENANT)
    progress.step(f"hub tenant check: {what_was_proven(checked)}")
    progress.now("starting the services")
    on.start(*SERVICES)
    progress.step(f"{', '.join(SERVICES)} run, each a process of its own; all waiting times are scaled down")
    wait_catalogue(on, TENANT)
    progress.step("the hub has read Halo's lists, clients, users and items")
    # The hub takes this item for a recurring one until it reads again, so that Halo itself has to refuse it.
    on.sandbox.load({"Item": [ONE_TIME_ITEM]})
    before, since = on.sandbox.state(), on.sandbox.last_request()
    now = dt.datetime.now(dt.UTC)
    day = the_day(now)
    on.place.one_more_file.write_bytes(msgspec.json.encode(one_more(now)))
    refusal = producer_side.refused(on.place, day.refused)
    progress.step(
        f"a faulty event is refused with {refusal['status']} and all {len(refusal['faults'])} faults"
    )
    killed = _publish_and_kill(on, day, since, progress)
    left = _wait_settled(on, progress)
    ledger = asyncio.run(read_ledger(on.settings))
    halo = Halo(before, on.sandbox.state())
    requests = tuple(on.sandbox.requests(since))
    wanted = expected(day)
    return Result(
        day=day,
        wanted=wanted,
        halo=halo,
        requests=requests,
        ledger=ledger,
        left=left,
        checks=verify(wanted, halo, requests, ledger, left),
        refusal=refusal,
        killed=killed,
        tenant_check=checked,
        story=_story(on, killed),
        took_s=round(time.monotonic() - began, 1),
    )


def _publish_and_kill(on: Stage, day: Day, since: int, progress: Progress) -> Killed:
    """The morning, the kill in the middle of a create that Halo carries out, the afternoon, and the restart."""
    on.sandbox.hold_answer("^/Quotation$", day.lost_answer, _HELD_S)
    producer_side.publish(on.place, day.morning)
    asyncio.run(producer_side.smuggle(on.settings, day.smuggled))
    progress.step(f"{len(day.morning)} events published over HTTP, one faulty one straight to Kafka")
    progress.now(f"waiting until the writer creates {day.lost_answer}")
    held = on.sandbox.wait_held(since, _LIMIT_S)
    writer = on.services["writer"]
    if held is None:
        raise CommandFailed(
            f"the writer never created {day.lost_answer}; its log ends with:\n{tail(writer.log)}"
        )
    code = writer.kill()
    quotes = on.sandbox.quotes()
    progress.step(
        f"SIGKILL to the writer (pid {writer.pid}): Halo has stored {day.lost_answer}, the writer never heard of it",
        style="bold",
    )
    producer_side.publish(on.place, day.afternoon)
    progress.step(
        f"{len(day.afternoon)} more events published meanwhile: revisions, late and repeated ones too"
    )
    on.start("writer")
    progress.step(f"the writer is back (pid {on.services['writer'].pid})")
    entry = next(entry for entry in on.sandbox.requests(since) if entry["n"] == held["n"])
    return Killed(
        exit_code=code,
        pid=writer.pid,
        subject=day.lost_answer,
        request=entry["n"],
        halo_id=next(
            (touched["id"] for touched in entry["created"] if touched["resource"] == "Quotation"), None
        ),
        answered=entry["status"] is not None,
        quotes_then=quotes,
    )


def _wait_settled(on: Stage, progress: Progress) -> Backlog:
    """Returns when the log is worked off and nothing waits. Raises CommandFailed when it becomes no less."""
    patience = Patience(_LIMIT_S)
    while True:
        on.family.check()
        left = asyncio.run(log_backlog(on.settings))
        if left.empty:
            progress.step("everything has settled: the log is worked off and nothing waits")
            return left
        if patience.is_over(left.size, time.monotonic()):
            raise CommandFailed(
                f"the day did not come to its end: for {_LIMIT_S:g} s it became no less than {left}. "
                f"On a machine that is very busy, run it again when it is less so; the logs are in {on.place.directory}"
            )
        waits = f"; waiting: {', '.join(left.reasons)}" if left.reasons else ""
        progress.now(
            f"{on.sandbox.quotes()} quotes in Halo, {left.events + left.commands} messages to go{waits}"
        )
        time.sleep(_LOOK_S)


class Patience:
    """Ends when what is left has not become less for a while: how long a day takes is the machine's affair."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._least: int | None = None
        self._since = 0.0

    def is_over(self, left: int, now: float) -> bool:
        """Whether `left` is no less than it was before, and was so for longer than the limit."""
        if self._least is None or left < self._least:
            self._least, self._since = left, now
        return now - self._since > self._limit_s


def _story(on: Stage, killed: Killed) -> tuple[Happening, ...]:
    return () if killed.halo_id is None else asyncio.run(read_story(on.settings, killed.halo_id))


def check_tenant(place: Place, tenant: str) -> dict[str, Any]:
    """`hub tenant check --write-proof`, before any service runs; the hub takes its proofs from the log."""
    environment = {name: value for name, value in place.environment.items() if name != "HUB_STORE_URL"}
    command = ("tenant", "check", str(place.tenant_file(tenant)), "--write-proof", "--json")
    try:
        ended = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "cli.main", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
        found: dict[str, Any] = msgspec.json.decode(ended.stdout)
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise CommandFailed(f"hub {' '.join(command)} gave no answer: {error}") from None
    if ended.returncode != 0:
        failed = [
            f"{check['name']}: {check.get('detail')}"
            for check in found["checks"]
            if check["verdict"] == "failed"
        ]
        raise CommandFailed(f"hub tenant check failed: {'; '.join(failed)}")
    return found


def what_was_proven(checked: dict[str, Any]) -> str:
    proven = sorted({proof["kind"] for proof in checked["proofs"] if proof["ok"]})
    return f"passed; our key is written and found again on {', '.join(proven)}"


def wait_catalogue(on: Stage, tenant: str) -> None:
    """Returns when the hub has read the tenant's Halo."""
    instance = rules_of_file(on.place.tenant_file(tenant)).instance
    _until(lambda: asyncio.run(catalogue_read(on.settings, tenant, instance)), "the catalogue was not read")


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise CommandFailed(f"{otherwise} within {_LIMIT_S:g} s")
        time.sleep(_LOOK_S)
