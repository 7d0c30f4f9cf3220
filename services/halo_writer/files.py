"""The files of one tenant that are being fetched, beside the lane's runner: no command waits for another one's file.

A command whose file isn't here yet waits in its row for `wait_name`; the lane wakes it when the fetch has ended. The
bytes are kept only until they are sent or nobody has asked for them for a while, within a bound for the whole process.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from schemas.commands import FileSource
from services.halo_writer.fetch import Fetcher, FileUnreachable
from services.halo_writer.file_rules import Waits, check_file, locate, next_try
from services.halo_writer.kinds.base import NotYet, Refused
from services.halo_writer.work import Work

REASON = "file"
"""Why a command waits in its row."""
_PREFIX = "file/"
_COPIES = 4
"""The bytes of a file, in base64, in the request's body and in the check of that body."""


@dataclass(frozen=True)
class FileLimits:
    """`max_bytes` of one file; `memory_bytes` for all that the process has in hand; `at_once` for one tenant.

    `of_one_host` are fewer than those: a host that hangs holds up no file that lies elsewhere. `keep_s` is how long a
    fetched file is kept for a command that doesn't come for it; `turn_s` the distance between the tries of commands
    for which there is no room.
    """

    max_bytes: int = 20 * 1024 * 1024
    memory_bytes: int = 320 * 1024 * 1024
    at_once: int = 4
    of_one_host: int = 3
    keep_s: float = 60.0
    turn_s: float = 0.5


class Memory:
    """What the process may hold of files, in bytes."""

    def __init__(self, total: int) -> None:
        self._free = total

    def take(self, size: int, held: int = 0) -> bool:
        """Whether there was room; what is taken is given back.

        Who holds some already must leave as much for others: a tenant whose hosts hang has not all of it.
        """
        if size > self._free or (held and held + size > self._free - size):
            return False
        self._free -= size
        return True

    def give_back(self, size: int) -> None:
        self._free += size


@dataclass(frozen=True)
class FileRoom:
    """What the lanes of a process share."""

    fetcher: Fetcher
    limits: FileLimits = field(default_factory=FileLimits)
    memory: Memory = field(default_factory=lambda: Memory(FileLimits().memory_bytes))


@dataclass(eq=False)
class _Flight:
    file: FileSource
    task: asyncio.Task[bytearray]
    until: float
    taken: int
    host: str


def wait_name(target_key: str) -> str:
    """What the row of a command says that it waits for while its file is fetched."""
    return _PREFIX + target_key


def is_fetch(name: str | None) -> bool:
    """Whether a row waits for a fetch, which ends with the term that began it."""
    return name is not None and name.startswith(_PREFIX)


class Files:
    """One lane's files during one term. `now` is the store's clock; `moved` is called when a fetch has ended."""

    def __init__(
        self, room: FileRoom, waits: Waits, *, now: Callable[[], float], moved: Callable[[], None]
    ) -> None:
        self._room = room
        self._waits = waits
        self._now = now
        self._moved = moved
        self._flights: dict[str, _Flight] = {}
        self._turns: dict[str, float] = {}

    @property
    def in_hand(self) -> int:
        """How many are being fetched, or are here and not sent."""
        return len(self._flights)

    def here(self) -> list[str]:
        """What rows wait for whose fetches have ended, well or not."""
        return [wait_name(key) for key, flight in self._flights.items() if flight.task.done()]

    def of(self, work: Work, hosts: Collection[str]) -> OneFile:
        """The files that this command may have."""
        return OneFile(self, work, hosts)

    def content(self, work: Work, name: str, file: FileSource, hosts: Collection[str]) -> bytearray:
        """The bytes, until `forget`; raises NotYet while they are fetched, Refused when they can't be had."""
        check_file(name, file, self._room.limits.max_bytes)
        host = locate(file.url, hosts).host
        flight = self._flights.get(work.target_key)
        if flight is not None and flight.file != file:
            self._drop(work.target_key, flight)
            flight = None
        if flight is None:
            flight = self._begun(work.target_key, file, host, hosts)
        if not flight.task.done():
            raise NotYet(REASON, flight.until, wait_name(work.target_key), "its file is being fetched")
        try:
            content = flight.task.result()
        except FileUnreachable as error:
            self._drop(work.target_key, flight)
            raise self._later(work, name, error) from None
        except Refused:
            self._drop(work.target_key, flight)
            raise
        work.failing_since = None
        return content

    def forget(self, work: Work) -> None:
        """The command needs its file no more, or will ask for it again."""
        flight = self._flights.get(work.target_key)
        if flight is not None:
            self._drop(work.target_key, flight)

    async def close(self) -> None:
        """End every fetch: the term is over."""
        tasks = [flight.task for flight in self._flights.values()]
        for key, flight in list(self._flights.items()):
            self._drop(key, flight)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begun(self, key: str, file: FileSource, host: str, hosts: Collection[str]) -> _Flight:
        taken = file.size * _COPIES
        if not self._has_turn(host) or not self._room.memory.take(taken, self._held):
            raise NotYet(REASON, self._turn(host), None, "other files are fetched first")
        task = asyncio.create_task(self._room.fetcher.fetch(file, hosts), name=f"file {key}")
        until = self._now() + self._room.fetcher.patience.total_s + 1.0
        flight = self._flights[key] = _Flight(file, task, until, taken, host)
        task.add_done_callback(lambda _: self._landed(key, flight))
        return flight

    def _has_turn(self, host: str) -> bool:
        limits, hosts = self._room.limits, [flight.host for flight in self._flights.values()]
        return len(hosts) < limits.at_once and hosts.count(host) < limits.of_one_host

    def _turn(self, host: str) -> float:
        """When a file of this host is asked for again: one after the other, for they would take each other's turn."""
        now = self._now()
        at = max(self._turns.get(host, now), now) + self._room.limits.turn_s
        self._turns = {other: turn for other, turn in self._turns.items() if turn > now} | {host: at}
        return at

    @property
    def _held(self) -> int:
        return sum(flight.taken for flight in self._flights.values())

    def _landed(self, key: str, flight: _Flight) -> None:
        if not flight.task.cancelled():
            # Whoever would have asked may be gone: then its error is nobody's.
            flight.task.exception()
        if self._flights.get(key) is flight:
            asyncio.get_running_loop().call_later(self._room.limits.keep_s, self._drop, key, flight)
            self._moved()

    def _drop(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is not flight:
            return
        del self._flights[key]
        self._room.memory.give_back(flight.taken)
        flight.task.cancel()

    def _later(self, work: Work, name: str, error: FileUnreachable) -> NotYet | Refused:
        now = self._now()
        if work.failing_since is None:
            work.failing_since = now
        again = next_try(work.failing_since, now, self._waits)
        if again is None:
            hours = (now - work.failing_since) / 3600
            return Refused(
                "file.unreachable",
                f"{name!r} could not be fetched for {hours:.1f} hours: {error}",
                "see that its host serves it to the hub's machines, then redrive this dead letter",
            )
        return NotYet(REASON, again, None, f"its file could not be fetched: {error}")


@dataclass(frozen=True)
class OneFile:
    """One command's way to its file."""

    _files: Files
    _work: Work
    _hosts: Collection[str]

    def data_uri(self, name: str, file: FileSource) -> str:
        """The file's bytes as a data URI. Raises NotYet, Refused."""
        content = self._files.content(self._work, name, file, self._hosts)
        return f"data:{file.media_type};base64,{base64.b64encode(content).decode('ascii')}"
