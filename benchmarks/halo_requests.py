"""Line 1: how many requests to Halo an applied quote costs, counted in the log of the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks import quotes
from benchmarks.quotes import Event
from benchmarks.report import Figure
from benchmarks.stack import Door, hub_on_real_parts, wait_for_catalogue, wait_until_quiet
from tests.support.hub import Hub, eventually

LINE = 1
_NEW_RECORDS = 6
_NEW_BASE = 3


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Start a hub, publish each kind of quote, and count what reached Halo."""
    with hub_on_real_parts(directory) as hub:
        hub.start_all()
        wait_for_catalogue(hub)
        door = Door(hub)
        try:
            return _figures(hub, door, times=2 if quick else 10)
        finally:
            door.close()


def _figures(hub: Hub, door: Door, *, times: int) -> list[Figure]:
    def cost(make: Callable[[int], Event], *, expect: bool = True, times: int = times) -> tuple[float, str]:
        """The dearest of several events, and which requests it made."""
        counted = [_count(hub, door, make(number), expect=expect) for number in range(times)]
        dearest = max(counted, key=lambda calls: calls.total())
        return dearest.total(), ", ".join(f"{count}x {call}" for call, count in sorted(dearest.items()))

    first = cost(lambda _: quotes.known("first"), times=1)
    known = cost(lambda n: quotes.known(f"known-{n}"))
    repeat = cost(lambda n: quotes.known(f"known-{n}"), expect=False)
    same = cost(lambda n: quotes.known(f"known-{n}", 2), expect=False)
    status = cost(lambda n: quotes.status_changed(f"known-{n}", 3 if n % 2 else 4))
    line = cost(lambda n: quotes.known(f"known-{n}", 5, title=f"Workplaces known-{n}, amended"))
    new = cost(lambda n: quotes.new(f"new-{n}"))
    _check_oracle(hub, times)
    return [
        _figure("known client, 5 known products", known, aim=2),
        _figure("the same event again", repeat, aim=0),
        _figure("a new revision that changes nothing", same, aim=0),
        _figure("a change of status", status, aim=1),
        _figure("a changed title", line, aim=1),
        _figure("new client with site and contact, 5 new products", new, aim=_NEW_BASE + _NEW_RECORDS),
        _figure("client in Halo, its first quote", first),
    ]


def _figure(what: str, cost: tuple[float, str], aim: float | None = None) -> Figure:
    return Figure(LINE, what, cost[0], "requests", aim, detail=cost[1])


def _count(hub: Hub, door: Door, event: Event, *, expect: bool) -> Counter[str]:
    before = hub.sandbox.last_request()
    settled = len(_settled(hub))
    door.publish(event)
    eventually(lambda: len(_settled(hub)) > settled, every_s=0.02, what="the quote's command has ended")
    wait_until_quiet(hub, after=before, expect=expect)
    return Counter(
        f"{request['method']} {request['path'].strip('/').split('/')[0]}"
        for request in hub.sandbox.requests(since=before)
    )


def _settled(hub: Hub) -> list[object]:
    """The writer's lines of quotes that have ended: what shows that an event which costs nothing was handled too."""
    return [
        line
        for line in hub.processes["writer"].lines()
        if line.get("event") == "message.settled" and "/quote/" in str(line.get("target"))
    ]


def _check_oracle(hub: Hub, times: int) -> None:
    """A count is worth nothing if the quotes are not in Halo."""
    found = len(hub.sandbox.state("Quotation"))
    if found != 1 + 2 * times:
        raise RuntimeError(f"Halo has {found} quotes, of {1 + 2 * times} published: the counts mean nothing")
