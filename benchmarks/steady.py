"""A steady load of changes of status, and what became of each in Halo's own log of requests."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import quotes
from benchmarks.quotes import Event
from benchmarks.stack import Door
from tests.sandbox.server import Sandbox
from tests.support.hub import Hub, eventually

_PATIENCE_S = 120.0
_NAP_S = 0.01


@dataclass(frozen=True)
class Sent:
    """A change of one quote's status, and when it was sent to the door (seconds since the epoch)."""

    tenant: str
    quote: str
    at: float


class Stream:
    """Changes of the quotes of some tenants, one after the other, over a connection of its own."""

    def __init__(self, hub: Hub, tenants: Sequence[str], *, quotes_each: int, per_s: float) -> None:
        self.tenants = tuple(tenants)
        self.newest: dict[str, Event] = {}
        self._door = Door(hub)
        self._quotes_each = quotes_each
        self._per_s = per_s
        self._changes = self._endless()

    def close(self) -> None:
        self._door.close()

    def publish_quotes(self) -> None:
        """Give each tenant its quotes."""
        for number, tenant in itertools.product(range(self._quotes_each), self.tenants):
            self._door.publish(quotes.known(_name(tenant, number), tenant=tenant))

    def wait_for_quotes(self, tenant: str, halo: Sandbox) -> None:
        """Return when its Halo has them all."""
        eventually(
            lambda: len(halo.state("Quotation")) == self._quotes_each,
            timeout_s=_PATIENCE_S,
            what=f"{tenant}'s quotes are in Halo",
        )

    def run(self, seconds: float) -> list[Sent]:
        """Publish for so long, at the stream's rate as far as the hub keeps up with it."""
        sent = []
        started = time.monotonic()
        for number in range(int(seconds * self._per_s)):
            time.sleep(max(0.0, started + number / self._per_s - time.monotonic()))
            event = next(self._changes)
            sent.append(Sent(event["tenant"], event["subject"], time.time()))
            self._door.publish(event)
            self.newest[event["subject"]] = event
        return sent

    def _endless(self) -> Iterator[Event]:
        for revision in itertools.count(2):
            for number, tenant in itertools.product(range(self._quotes_each), self.tenants):
                yield quotes.status_changed(_name(tenant, number), revision, tenant=tenant)


@contextmanager
def lateness() -> Iterator[list[float]]:
    """By how many seconds each of the sleeps of a thread lasts too long that does nothing else while the body runs.

    Where that is much, others have the machine's processors, and times are theirs as much as the hub's.
    """
    late: list[float] = []
    over = threading.Event()

    def sleep() -> None:
        asleep_at = time.monotonic()
        while not over.wait(_NAP_S):
            awake_at = time.monotonic()
            late.append(max(0.0, awake_at - asleep_at - _NAP_S))
            asleep_at = awake_at

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    try:
        yield late
    finally:
        over.set()
        sleeper.join()


def run_together(streams: Sequence[Stream], seconds: float) -> list[list[Sent]]:
    """What each stream sent in that time."""
    with ThreadPoolExecutor(len(streams)) as pool:
        return list(pool.map(lambda stream: stream.run(seconds), streams))


def took_s(sent: Sequence[Sent], halo: Sandbox, *, since: int) -> list[float]:
    """From sending each event to the first request about its quote, for events of one tenant.

    The acknowledgement is on the way and no point to count from: on a busy machine a request may be in Halo's log
    before the producer has read its answer. Waits for those that are still on their way. The stream comes back to a
    quote after seconds only.
    """
    names = {row["id"]: row["title"].rpartition(" ")[2] for row in halo.state("Quotation")}

    def taken() -> list[float] | None:
        reached = _reached(halo, names, since)
        found = [_first(reached[event.quote], event) for event in sent]
        return None if None in found else [took for took in found if took is not None]

    found: list[float] = eventually(
        taken, timeout_s=_PATIENCE_S, every_s=0.5, what=f"all changes have reached {halo.instance}"
    )
    return found


def _reached(halo: Sandbox, names: dict[int, str], since: int) -> dict[str, list[float]]:
    """When each quote was written about."""
    reached: defaultdict[str, list[float]] = defaultdict(list)
    for request in halo.requests(since=since, method="POST", path="Quotation"):
        for row in request["body"]:
            reached[names[row["id"]]].append(logged_at(request["at"]))
    return reached


def _first(times: Sequence[float], event: Sent) -> float | None:
    """The log's times are cut to whole milliseconds."""
    place = bisect_left(times, event.at - 0.001)
    return None if place == len(times) else max(0.0, times[place] - event.at)


def logged_at(text: str) -> float:
    """Seconds since the epoch of a time in the sandbox's log."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


def _name(tenant: str, number: int) -> str:
    return f"{tenant}-q{number}"
