"""Publishes what changed in the mounted directory of tenant files, as `settings.changed`; nothing else reads it.

Only the holder of the lease ("*", "settings") may call `scan`. A file that can't be used changes nothing: the last
accepted revision stays in force, and one ERROR says so for each content of the file.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from hub.bus.records import Outgoing
from hub.tenants.follower import SETTINGS_CHANGED, RulesFollower
from hub.tenants.load import MAX_FILE_BYTES, Accepted, RulesInvalid, accept, from_text
from schemas.control import SettingsChanged
from schemas.envelope import Envelope, Fault, headers_of
from schemas.identity import derived_id
from schemas.registry import encode
from schemas.topics import CONTROL

SOURCE = "/hub/mapper"
_log = structlog.get_logger(__name__)


class _Seen(NamedTuple):
    """One file as it was last read: `stamp` tells whether it has to be read again."""

    stamp: tuple[int, int, int]
    digest: str
    accepted: Accepted | None


class SettingsPublisher:
    """Compares files with the revisions on the log. `now` gives the time that an event is stamped with."""

    def __init__(
        self,
        directory: Path,
        follower: RulesFollower,
        publish: Callable[[Sequence[Outgoing]], Awaitable[None]],
        *,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._directory = directory
        self._follower = follower
        self._publish = publish
        self._now = now
        self._seen: dict[str, _Seen] = {}
        self._sent: dict[str, tuple[int, str]] = {}
        self._shouted: set[tuple[str, str]] = set()
        self._unread: set[str] = set()
        self._unused: set[str] = set()

    @property
    def invalid(self) -> frozenset[str]:
        """The files that the last scan could not use; "." when their directory isn't there."""
        bad = {name for name, seen in self._seen.items() if seen.accepted is None}
        return frozenset(bad | self._unread | self._unused)

    async def scan(self) -> int:
        """Read the files that changed and publish each tenant whose settings differ from the log's; how many."""
        await asyncio.to_thread(self._read_changed)
        outgoing: list[Outgoing] = []
        sent: dict[str, tuple[int, str]] = {}
        for tenant, accepted in self._by_tenant().items():
            sequence, present = self._present(tenant)
            if accepted.hash == present:
                continue
            self._compare(tenant, accepted)
            sent[tenant] = (sequence + 1, accepted.hash)
            outgoing.append(message(accepted, sequence + 1, self._now()))
        await self._publish(outgoing)
        self._sent |= sent
        for tenant, (sequence, _) in sent.items():
            _log.info("settings.published", tenant=tenant, sequence=sequence)
        return len(outgoing)

    def _present(self, tenant: str) -> tuple[int, str]:
        """What the log holds, or will hold once our own last event has come back."""
        followed = self._follower.revision(tenant)
        own = self._sent.get(tenant, (0, ""))
        return own if own[0] > followed[0] else followed

    def _compare(self, tenant: str, accepted: Accepted) -> None:
        """Say it aloud when a tenant gets another Halo: one that is the same under another name is taken for new."""
        present, after = self._follower.get(tenant), from_text(accepted.text).instance
        if present is not None and present.rules.instance != after:
            _log.warning(
                "settings.another_halo",
                tenant=tenant,
                before=present.rules.instance,
                after=after,
                then="the hub knows no record there: what comes from now on is made anew. If it is the same Halo "
                "under another address, keep the former one as halo.resource_server",
            )

    def _by_tenant(self) -> dict[str, Accepted]:
        found: dict[str, Accepted] = {}
        self._unused = set()
        for name in sorted(self._seen):
            seen = self._seen[name]
            if seen.accepted is None:
                continue
            if seen.accepted.tenant in found:
                self._unused.add(name)
                fault = Fault("tenant", f"{seen.accepted.tenant} has a file already; this one is not used")
                self._shout(name, f"{seen.digest}+", (fault,))
            else:
                found[seen.accepted.tenant] = seen.accepted
        return found

    def _read_changed(self) -> None:
        self._unread = set() if self._directory.is_dir() else {"."}
        if self._unread and ("", "missing") not in self._shouted:
            self._shouted.add(("", "missing"))
            _log.error(
                "settings.no_directory",
                directory=str(self._directory),
                fix="mount it, or set HUB_TENANTS_DIR",
            )
        paths = {
            path.name: path
            for path in self._directory.glob("*")
            if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
        }
        for gone in self._seen.keys() - paths.keys():
            del self._seen[gone]
        for name, path in paths.items():
            try:
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                seen = self._seen.get(name)
                if seen is None or seen.stamp != stamp:
                    self._seen[name] = self._read(name, path, stamp)
            except OSError as error:
                # A file that is being replaced is there again at the next scan.
                self._unread.add(name)
                _log.warning("settings.unreadable", file=name, problem=error.strerror)

    def _read(self, name: str, path: Path, stamp: tuple[int, int, int]) -> _Seen:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        digest = hashlib.sha256(content).hexdigest()
        try:
            accepted = accept(content)
            for note in accepted.notes:
                _log.info(
                    "settings.note", file=name, tenant=accepted.tenant, setting=note.at, note=note.problem
                )
            return _Seen(stamp, digest, accepted)
        except RulesInvalid as error:
            self._shout(name, digest, error.faults)
            return _Seen(stamp, digest, None)

    def _shout(self, name: str, digest: str, faults: Sequence[Fault]) -> None:
        if (name, digest) in self._shouted:
            return
        self._shouted.add((name, digest))
        _log.error(
            "settings.invalid",
            file=name,
            faults=[f"{fault.at or 'file'}: {fault.problem}" for fault in faults],
            then="the last accepted revision stays in force",
        )


def message(accepted: Accepted, sequence: int, at: dt.datetime) -> Outgoing:
    """The event of one accepted revision; its id is that of the revision, whoever publishes it."""
    envelope = Envelope(
        id=derived_id("settings", accepted.tenant, str(sequence), accepted.hash),
        source=SOURCE,
        type=SETTINGS_CHANGED,
        subject=accepted.tenant,
        time=at,
        tenant=accepted.tenant,
    )
    data = SettingsChanged(sequence=sequence, hash=accepted.hash, text=accepted.text)
    return Outgoing(CONTROL, accepted.tenant.encode(), encode(data), headers_of(envelope))
