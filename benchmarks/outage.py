"""Line 9: what other tenants feel while one tenant's Halo is away and its producers go on publishing.

One hub, one writer process. Every tenant gets changes of status at a steady rate, the noisy one as many as all others
together. First every Halo answers, for half of a scaled hour; then the noisy tenant's hangs for half an hour and cuts
connections for another half; then, when that tenant has caught up, every Halo answers for half an hour again. The load
is the same throughout. Some of the others share the noisy tenant's partition of the commands topic.

An hour is 36 seconds, one in a hundred. The hub's waits are scaled less, to one in ten with `HUB_SETTLE_S`, so that the
noisy tenant is tried no more often than it would be; a request without an answer is given up after one second, not 30.

The phases come one after the other, so whoever else uses the machine in one of them changes what is compared: where
the hub gets less of it than the load takes, everybody's events wait, up to as long as a phase lasts, outage or not. How
late the machine was in each tells that apart.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure, percentile
from benchmarks.stack import give_halos, hub_on_real_parts, wait_for_catalogue, wait_until_quiet
from benchmarks.steady import Stream, lateness, run_together, took_s
from hub.bus.producer import partition_of
from schemas.topics import BY_NAME, COMMANDS
from tests.sandbox.server import Sandbox
from tests.support.hub import DEFAULT_RULES, eventually

LINE = 9
AIM = 1.2
NOISY = "noisy"
_SCALE = 100
_HOUR_S = 3600 / _SCALE
_SCALED = {"HUB_SETTLE_S": "18", "HUB_REQUEST_TIMEOUT_S": "1"}
_NEIGHBOURS = 3
_STRANGERS = 5
_QUOTES_EACH = 20
_PER_S = 16.0
_WARM_UP_S = 4.0
_PATIENCE_S = 120.0
_STATUS_IDS = {"sent": 2, "approved": 3, "declined": 4, "expired": 5}
"""Of the sandbox's packaged tenant."""


@dataclass(frozen=True)
class Tenants:
    """`neighbours` share the noisy tenant's partition of the commands topic, `strangers` don't."""

    neighbours: tuple[str, ...]
    strangers: tuple[str, ...]

    @property
    def others(self) -> tuple[str, ...]:
        return (*self.neighbours, *self.strangers)


@dataclass(frozen=True)
class Phase:
    """What the others' events took to Halo, by tenant; how many the noisy one sent, and requests its Halo saw.

    `late_s` is how late the machine itself was (`steady.lateness`).
    """

    took_s: dict[str, list[float]]
    noisy_sent: int
    noisy_requests: int
    late_s: Sequence[float] = (0.0,)

    def of(self, tenants: Sequence[str]) -> list[float]:
        return [took for tenant in tenants for took in self.took_s[tenant]]

    def and_then(self, later: Phase) -> Phase:
        """Both, as one."""
        return Phase(
            {tenant: took_s + later.took_s[tenant] for tenant, took_s in self.took_s.items()},
            self.noisy_sent + later.noisy_sent,
            self.noisy_requests + later.noisy_requests,
            (*self.late_s, *later.late_s),
        )


def measure(directory: Path, *, quick: bool) -> list[Figure]:
    """All tenants well, one away, all well again; the same hub, the same load."""
    hour_s = 6.0 if quick else _HOUR_S
    tenants = tenants_around(NOISY)
    with hub_on_real_parts(directory) as hub:
        halos = give_halos(hub, (*tenants.others, NOISY), DEFAULT_RULES)
        hub.environment.update(_SCALED)
        hub.start_all()
        for tenant, halo in halos.items():
            wait_for_catalogue(hub, tenant, halo)
        steady = Stream(hub, tenants.others, quotes_each=_QUOTES_EACH, per_s=_PER_S)
        flood = Stream(hub, [NOISY], quotes_each=_QUOTES_EACH * len(tenants.others), per_s=_PER_S)
        try:
            for stream in (steady, flood):
                stream.publish_quotes()
                for tenant in stream.tenants:
                    stream.wait_for_quotes(tenant, halos[tenant])
            run_together((steady, flood), _WARM_UP_S)
            wait_until_quiet(hub, after=0)
            part_s = hour_s / 2
            before = _phase(halos, steady, flood, part_s)
            wait_until_quiet(hub, after=0)
            halos[NOISY].arm("hang", on="all", times=0)
            hanging = _phase(halos, steady, flood, part_s)
            halos[NOISY].disarm()
            halos[NOISY].arm("drop", on="all", times=0)
            away = hanging.and_then(_phase(halos, steady, flood, part_s))
            back_s = _caught_up_s(halos[NOISY], flood)
            wait_until_quiet(hub, after=0)
            after = _phase(halos, steady, flood, part_s)
        finally:
            steady.close()
            flood.close()
    return figures(tenants, before.and_then(after), away, back_s)


def figures(tenants: Tenants, well: Phase, away: Phase, back_s: float) -> list[Figure]:
    """Ratios of the two phases, and what they are ratios of."""

    def ratio(what: str, of: Sequence[str], percent: float, aim: float | None = None) -> Figure:
        without, during = percentile(well.of(of), percent), percentile(away.of(of), percent)
        detail = f"{during * 1000:.0f} ms in the outage, {without * 1000:.0f} ms without it"
        return Figure(LINE, what, during / without, "x", aim, detail=detail)

    without, during = well.of(tenants.others), away.of(tenants.others)
    return [
        ratio("others' p99 while one tenant's Halo is away", tenants.others, 99, AIM),
        ratio("  of those in its partition of the commands topic", tenants.neighbours, 99),
        ratio("  of those in other partitions", tenants.strangers, 99),
        ratio("  others' p50", tenants.others, 50),
        Figure(
            LINE,
            "  the slowest of the others' events in the outage",
            max(during) * 1000,
            "ms",
            detail=f"of {len(during)}; without it {max(without) * 1000:.0f} ms, of {len(without)}",
        ),
        Figure(
            LINE,
            "  requests to the Halo that was away",
            away.noisy_requests,
            "requests",
            detail=f"for {away.noisy_sent} events; without the outage {well.noisy_requests} for {well.noisy_sent}",
        ),
        Figure(
            LINE,
            "  p99 of how late a thread is woken that only sleeps, in the outage",
            percentile(away.late_s, 99) * 1000,
            "ms",
            detail=f"without it {percentile(well.late_s, 99) * 1000:.0f} ms: by much more, others had the machine",
        ),
        Figure(LINE, "  from its return to its last event in Halo", back_s, "s"),
    ]


def tenants_around(noisy: str) -> Tenants:
    """Tenants of which some share a partition with the noisy one."""
    count = BY_NAME[COMMANDS].partitions
    names = [f"tenant{number:03}" for number in range(500)]
    its_own = partition_of(noisy.encode(), count)
    same = [name for name in names if partition_of(name.encode(), count) == its_own]
    different = [name for name in names if partition_of(name.encode(), count) != its_own]
    return Tenants(tuple(same[:_NEIGHBOURS]), tuple(different[:_STRANGERS]))


def _phase(halos: dict[str, Sandbox], steady: Stream, flood: Stream, seconds: float) -> Phase:
    """The load for so long: each time as long, so that a machine that can't carry it falls behind as far each time."""
    noisy = halos[NOISY]
    before = noisy.last_request()
    with lateness() as late_s:
        sent, flooded = run_together((steady, flood), seconds)
    taken = {
        tenant: took_s([event for event in sent if event.tenant == tenant], halos[tenant], since=before)
        for tenant in steady.tenants
    }
    return Phase(taken, len(flooded), len(noisy.requests(since=before)), late_s or (0.0,))


def _caught_up_s(noisy: Sandbox, flood: Stream) -> float:
    """How long it takes, once its Halo is back, until that has the newest status of every quote."""

    def behind() -> list[str]:
        statuses = {row["title"].rpartition(" ")[2]: row["status"] for row in noisy.state("Quotation")}
        return [
            quote
            for quote, event in flood.newest.items()
            if statuses[quote] != _STATUS_IDS[event["data"]["status"]]
        ]

    started = time.monotonic()
    noisy.disarm()
    eventually(lambda: not behind(), timeout_s=_PATIENCE_S, what="the noisy tenant has caught up")
    return time.monotonic() - started
