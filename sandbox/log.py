"""Every request in the order of arrival, with what was answered and what it changed: the oracle of a test."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sandbox.state import Change

KEPT = 200_000


class Touched(msgspec.Struct, frozen=True):
    resource: str
    id: int


class Entry(msgspec.Struct):
    """One request.

    status: what was answered; null = nothing was (dropped, hung, or still at work).
    applied: it changed rows. error: the body of a refusal. fault: the action that met it, `budget` = over it.
    """

    n: int
    instance: str
    at: str
    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Any = None
    status: int | None = None
    applied: bool = False
    created: list[Touched] = []
    updated: list[Touched] = []
    deleted: list[Touched] = []
    fault: str | None = None
    error: str | None = None


class RequestLog:
    """The last 200,000 entries; numbers only rise, also after `clear`."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._last = 0

    def open(
        self, instance: str, at: str, kind: str, method: str, path: str, query: Mapping[str, str]
    ) -> Entry:
        self._last += 1
        entry = Entry(self._last, instance, at, kind, method, path, query)
        self._entries.append(entry)
        return entry

    def since(self, n: int) -> Iterator[Entry]:
        return (entry for entry in self._entries if entry.n > n)

    @property
    def last(self) -> int:
        return self._last

    def clear(self) -> None:
        self._entries.clear()


def note_changes(entry: Entry, changes: Sequence[Change]) -> None:
    """Writes the net effect of a request into its entry: a row made and then filled counts as created."""
    first: dict[tuple[str, int], Change] = {}
    last: dict[tuple[str, int], Change] = {}
    for change in changes:
        first.setdefault((change.table, change.id), change)
        last[change.table, change.id] = change
    entry.created, entry.updated, entry.deleted = [], [], []
    for key, change in first.items():
        after = last[key].after
        if change.before is None and after is not None:
            entry.created.append(Touched(*key))
        elif after is not None:
            entry.updated.append(Touched(*key))
        else:
            entry.deleted.append(Touched(*key))
    entry.applied = bool(changes)


def tally(entries: Iterator[Entry]) -> dict[str, Any]:
    """Counts of requests by kind, by method and resource, and of rows created, updated and deleted."""
    kinds: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    rows: dict[str, Counter[str]] = {"created": Counter(), "updated": Counter(), "deleted": Counter()}
    for entry in entries:
        kinds[entry.kind] += 1
        statuses[str(entry.status)] += 1
        if entry.kind == "api":
            calls[f"{entry.method} {entry.path.strip('/').split('/')[0]}"] += 1
        for verb, counter in rows.items():
            counter.update(touched.resource for touched in getattr(entry, verb))
    return {"kinds": kinds, "calls": calls, "statuses": statuses, **rows}
