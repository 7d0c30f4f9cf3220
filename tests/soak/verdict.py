"""What a soak found, as plain data: the figures of its report, and which findings are excused. Pure.

One window is known to be left: a writer that stands still between its last check and the socket, for longer than its
lease, may send what its successor has given up on. What that leads to is excused only if the hub itself named the
record (`duplicate.suspected`) and the request came right after such a writer went on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tests.soak.checker import VERDICTS, Finding

_RIGHT_AFTER_S = 2.0
DIED, BAD_EXIT, UNFINISHED, UNPUBLISHED = (
    "died by themselves",
    "ended badly on SIGTERM",
    "not at rest",
    "unacknowledged",
)
ALL_VERDICTS: tuple[str, ...] = (*VERDICTS, UNPUBLISHED, UNFINISHED, DIED, BAD_EXIT)


class Suspicion(msgspec.Struct, frozen=True):
    """One `duplicate.suspected` of the hub: whose, and which Halo records it names."""

    tenant: str
    kind: str
    halo_ids: tuple[int, ...]


class Frozen(msgspec.Struct, frozen=True):
    """A writer that stood still, from and until when by the clock of the sandbox's log."""

    name: str
    began: str
    ended: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as the page keeps it."""

    seed: int
    minutes: float
    took_s: float
    at: str
    commit: str
    machine: str
    tenants: int
    rate: float
    events: dict[str, int]
    requests: dict[str, int]
    faults: dict[str, int]
    met: dict[str, int]
    verdicts: dict[str, int]
    excused: int
    starts_refused: int
    findings: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not any(self.verdicts.values())


def split(
    findings: Iterable[Finding], suspicions: Sequence[Suspicion], frozen: Sequence[Frozen], lease_s: float
) -> tuple[list[Finding], list[Finding]]:
    """(what counts, what is excused)."""
    counts: list[Finding] = []
    excused: list[Finding] = []
    for finding in findings:
        named = any(
            suspicion.tenant == finding.tenant and set(suspicion.halo_ids) & set(finding.rows)
            for suspicion in suspicions
        )
        late = any(_right_after(finding.at, one, lease_s) for one in frozen)
        (excused if named and late else counts).append(finding)
    return counts, excused


def _right_after(at: str, frozen: Frozen, lease_s: float) -> bool:
    """Whether `at` is just after a standstill that outlasted a lease."""
    if not at or not frozen.ended:
        return False
    stood_s = (_moment(frozen.ended) - _moment(frozen.began)).total_seconds()
    since_s = (_moment(at) - _moment(frozen.ended)).total_seconds()
    return stood_s >= lease_s and -0.1 <= since_s <= _RIGHT_AFTER_S


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def described(finding: Finding) -> str:
    return f"{finding.verdict}: {finding.tenant}: {finding.text}" + (
        f" (at {finding.at})" if finding.at else ""
    )


def to_json(runs: Sequence[Run]) -> str:
    return msgspec.json.encode(list(runs)).decode()


def from_json(text: str) -> list[Run]:
    return msgspec.json.decode(text, type=list[Run])


def added(runs: Sequence[Run], run: Run) -> list[Run]:
    """The runs with this one in place of an older one of its seed, in the order of seeds."""
    return sorted([*(one for one in runs if one.seed != run.seed), run], key=lambda one: one.seed)


def plain(values: dict[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in sorted(values.items())}
