"""Line 1: how many requests to Halo an applied quote costs, counted in the log of the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import everything, quotes
from benchmarks.quotes import Event
from benchmarks.report import Figure
from benchmarks.stack import Door, hub_on_real_parts, wait_for_catalogue, wait_until_quiet
from tests.sandbox.server import Sandbox
from tests.support.hub import Hub, eventually, tenant_file

LINE = 1
_NEW_RECORDS = 6
_NEW_BASE = 3
_EVERYTHING = "everything on"


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """Start a hub, publish each kind of quote, and count what reached Halo."""
    times = 2 if quick else 10
    with hub_on_real_parts(directory) as hub:
        halo = _everything_on(hub)
        hub.start_all()
        wait_for_catalogue(hub)
        wait_for_catalogue(hub, everything.TENANT, halo)
        door = Door(hub)
        try:
            return [*_plain(Counted(hub, door, hub.sandbox, times)), *_full(Counted(hub, door, halo, times))]
        finally:
            door.close()
            halo.close()


def _everything_on(hub: Hub) -> Sandbox:
    """A second tenant, whose rules say all that rules can say of quotes, and its Halo."""
    halo = hub.sandbox.named(everything.TENANT, budget={"limit": 0})
    halo.load(everything.HALO)
    file = Path(hub.environment["HUB_TENANTS_DIR"]) / f"{everything.TENANT}.yaml"
    file.write_text(tenant_file(everything.TENANT, halo, everything.RULES))
    return halo


@dataclass(frozen=True)
class Counted:
    """Publishes events of one tenant and counts the requests that reach its Halo for each, until it is quiet."""

    hub: Hub
    door: Door
    halo: Sandbox
    times: int

    def dearest(
        self, make: Callable[[int], Event], *, expect: bool = True, times: int | None = None
    ) -> tuple[float, str]:
        """The dearest of several events, and which requests it made."""
        counted = [self._count(make(number), expect=expect) for number in range(times or self.times)]
        dearest = max(counted, key=lambda calls: calls.total())
        return dearest.total(), ", ".join(f"{count}x {call}" for call, count in sorted(dearest.items()))

    def _count(self, event: Event, *, expect: bool) -> Counter[str]:
        before = self.hub.sandbox.last_request()
        settled = len(_settled(self.hub))
        self.door.publish(event)
        eventually(
            lambda: len(_settled(self.hub)) > settled, every_s=0.02, what="the quote's command has ended"
        )
        wait_until_quiet(self.hub, after=before, expect=expect)
        return Counter(
            f"{request['method']} {request['path'].strip('/').split('/')[0]}"
            for request in self.halo.requests(since=before)
        )

    def check(self, quotes_in_halo: int) -> None:
        """A count is worth nothing if the quotes are not in Halo."""
        found = len(self.halo.state("Quotation"))
        if found != quotes_in_halo:
            raise RuntimeError(
                f"Halo has {found} quotes, of {quotes_in_halo} published: the counts mean nothing"
            )


def _plain(on: Counted) -> list[Figure]:
    """A tenant file of a few lines."""
    first = on.dearest(lambda _: quotes.known("first"), times=1)
    known = on.dearest(lambda n: quotes.known(f"known-{n}"))
    repeat = on.dearest(lambda n: quotes.known(f"known-{n}"), expect=False)
    same = on.dearest(lambda n: quotes.known(f"known-{n}", 2), expect=False)
    status = on.dearest(lambda n: quotes.status_changed(f"known-{n}", 3 if n % 2 else 4))
    line = on.dearest(lambda n: quotes.known(f"known-{n}", 5, title=f"Workplaces known-{n}, amended"))
    new = on.dearest(lambda n: quotes.new(f"new-{n}"))
    on.check(1 + 2 * on.times)
    return [
        _figure("known client, 5 known products", known, aim=2),
        _figure("the same event again", repeat, aim=0),
        _figure("a new revision that changes nothing", same, aim=0),
        _figure("a change of status", status, aim=1),
        _figure("a changed title", line, aim=1),
        _figure("new client with site and contact, 5 new products", new, aim=_NEW_BASE + _NEW_RECORDS),
        _figure("client in Halo, its first quote", first),
    ]


def _full(on: Counted) -> list[Figure]:
    """Everything on but files."""
    first = on.dearest(lambda _: everything.known("first"), times=1)
    known = on.dearest(lambda n: everything.known(f"known-{n}"))
    repeat = on.dearest(lambda n: everything.known(f"known-{n}"), expect=False)
    same = on.dearest(lambda n: everything.known(f"known-{n}", 2), expect=False)
    status = on.dearest(lambda n: everything.status_changed(f"known-{n}", 3, "declined"))
    title = on.dearest(lambda n: everything.known(f"known-{n}", 4, title=f"Workplaces known-{n}, amended"))
    approved = on.dearest(lambda n: everything.status_changed(f"known-{n}", 5, "approved"))
    ordered = on.dearest(lambda n: everything.converted(f"known-{n}", 6))
    new = on.dearest(lambda n: everything.new(f"new-{n}"))
    bought = on.dearest(lambda n: everything.converted(f"new-{n}", 2))
    on.check(1 + 2 * on.times)
    return [
        _figure(f"{_EVERYTHING}: known client, 5 known products", known, aim=2),
        _figure(f"{_EVERYTHING}: the same event again", repeat, aim=0),
        _figure(f"{_EVERYTHING}: a new revision that changes nothing", same, aim=0),
        _figure(f"{_EVERYTHING}: a change of status", status, aim=1),
        _figure(f"{_EVERYTHING}: a changed title, of quote and opportunity", title, aim=2),
        _figure(f"{_EVERYTHING}: a new lead, 5 new products", new, aim=_NEW_BASE + _NEW_RECORDS),
        _figure(f"{_EVERYTHING}: approved, which makes its sales order", approved),
        _figure(f"{_EVERYTHING}: then ordered, which wins its opportunity", ordered),
        _figure(f"{_EVERYTHING}: the lead's quote is ordered", bought),
        _figure(f"{_EVERYTHING}: client in Halo, its first quote", first),
    ]


def _figure(what: str, cost: tuple[float, str], aim: float | None = None) -> Figure:
    return Figure(LINE, what, cost[0], "requests", aim, detail=cost[1])


def _settled(hub: Hub) -> list[object]:
    """The writer's lines of quotes that have ended: what shows that an event which costs nothing was handled too."""
    return [
        line
        for line in hub.processes["writer"].lines()
        if line.get("event") == "message.settled" and "/quote/" in str(line.get("target"))
    ]
