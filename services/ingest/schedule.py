"""When each kind of one tenant's Halo is to be read. Pure: `now` comes in, in seconds of the store's clock."""

from collections.abc import Mapping
from zlib import crc32

from schemas.control import CatalogueKind
from services.ingest.catalogue import KINDS

_SPREAD = 0.1


class Schedule:
    """Reads on a timer and on request; a kind that failed is tried again at its own time.

    Invariants:
    * a request is served by a read that began after it, and by no more than one.
    """

    def __init__(
        self, tenant: str, every_s: Mapping[CatalogueKind, float], last_read: Mapping[CatalogueKind, float]
    ) -> None:
        """`last_read` says when each kind's last complete read began; a kind that is not in it is due."""
        self._every_s = {
            kind: every * (1 + _SPREAD * crc32(f"{tenant}/{kind}".encode()) / 2**32)
            for kind, every in every_s.items()
        }
        self._last = dict(last_read)
        self._requested: dict[CatalogueKind, float] = {}
        self._not_before: dict[CatalogueKind, float] = {}

    def due(self, now: float) -> list[CatalogueKind]:
        """The kinds to read now, names before records."""
        return [kind for kind in KINDS if self._due_at(kind) <= now]

    def is_behind(self, now: float) -> bool:
        """Whether a read is due that was not made, whatever the reason."""
        return any(self._due_at(kind, failed=False) <= now for kind in KINDS)

    def next_at(self) -> float:
        """When something is due next."""
        return min(self._due_at(kind) for kind in KINDS)

    def request(self, kind: CatalogueKind, at: float) -> None:
        """Someone asked at `at` for this kind to be read again."""
        self._requested[kind] = max(at, self._requested.get(kind, at))
        self._not_before.pop(kind, None)

    def done(self, kind: CatalogueKind, started_at: float) -> None:
        self._last[kind] = started_at
        self._not_before.pop(kind, None)

    def learn(self, reads: Mapping[CatalogueKind, float]) -> None:
        """When another process's last reads began: what it has read since need not be read here too."""
        for kind, started_at in reads.items():
            if started_at > self._last.get(kind, float("-inf")):
                self.done(kind, started_at)

    def failed(self, kind: CatalogueKind, again_at: float) -> None:
        self._not_before[kind] = again_at

    def _due_at(self, kind: CatalogueKind, *, failed: bool = True) -> float:
        """When it is due; what `failed` is put off, or not."""
        last = self._last.get(kind)
        if last is None:
            at = float("-inf")
        elif kind in self._requested and self._requested[kind] >= last:
            at = self._requested[kind]
        else:
            at = last + self._every_s[kind]
        return max(at, self._not_before.get(kind, at)) if failed else at
