"""Every tenant's rules as the log has them: services follow `settings.changed`, never a file of their own.

Invariants:
    * a tenant's sequence only rises: of two events with one sequence the first on the log counts, for every reader;
    * a revision that this release can't read (a newer one wrote it) leaves the tenant without rules: its work waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import structlog

from hub.bus.reader import follow
from hub.bus.records import Record
from hub.tenants.load import RulesInvalid, from_text
from hub.tenants.model import RuleSet
from schemas.control import SettingsChanged
from schemas.envelope import EnvelopeInvalid, from_headers
from schemas.registry import decode
from schemas.topics import CONTROL

SETTINGS_CHANGED = "settings.changed.v1"
_log = structlog.get_logger(__name__)


class Rules(NamedTuple):
    """One accepted revision of a tenant's rules."""

    tenant: str
    sequence: int
    hash: str
    rules: RuleSet


class _Revision:
    __slots__ = ("changed", "parsed", "readable")

    def __init__(self, changed: SettingsChanged) -> None:
        self.changed = changed
        self.parsed: Rules | None = None
        self.readable = True


class RulesFollower:
    """The present revision of each tenant; a text is parsed when it is first asked for."""

    def __init__(self) -> None:
        self._revisions: dict[str, _Revision] = {}
        self._callbacks: list[Callable[[str], None]] = []
        self._caught_up = asyncio.Event()

    def get(self, tenant: str) -> Rules | None:
        """The tenant's rules; None when there are none, or none that this release can read."""
        revision = self._revisions.get(tenant)
        if revision is None:
            return None
        if revision.parsed is None and revision.readable:
            self._parse(tenant, revision)
        return revision.parsed

    def revision(self, tenant: str) -> tuple[int, str]:
        """The tenant's present sequence and hash; (0, "") before the first."""
        revision = self._revisions.get(tenant)
        return (revision.changed.sequence, revision.changed.hash) if revision else (0, "")

    def tenants(self) -> list[str]:
        return list(self._revisions)

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with the tenant's name at each new revision, after `get` gives it."""
        self._callbacks.append(callback)

    async def caught_up(self) -> None:
        """Return when all that was on the log at the start is known."""
        await self._caught_up.wait()

    async def run(self, bootstrap_servers: str, security: Any = None) -> None:
        """Follow the log for ever. Raises what the bus raises: without its rules a service must not go on."""
        async with follow(bootstrap_servers, CONTROL, security=security) as feed:
            telling = asyncio.create_task(self._tell_caught_up(feed.caught_up))
            try:
                async for record in feed:
                    self.apply(record)
            finally:
                telling.cancel()

    def apply(self, record: Record) -> None:
        """Take in one record of the control topic; what is no `settings.changed` is passed over."""
        try:
            envelope = from_headers(record.headers)
            if envelope.type != SETTINGS_CHANGED:
                return
            changed: SettingsChanged = decode(envelope.type, record.value or b"")
        except (EnvelopeInvalid, msgspec.DecodeError) as error:
            _log.error(
                "settings.unreadable", offset=record.offset, partition=record.partition, problem=str(error)
            )
            return
        present, _ = self.revision(envelope.tenant)
        if changed.sequence <= present:
            return
        self._revisions[envelope.tenant] = _Revision(changed)
        for callback in self._callbacks:
            callback(envelope.tenant)

    def _parse(self, tenant: str, revision: _Revision) -> None:
        changed = revision.changed
        try:
            rules = from_text(changed.text)
        except RulesInvalid as error:
            revision.readable = False
            _log.error("settings.unreadable", tenant=tenant, sequence=changed.sequence, problem=str(error))
            return
        revision.parsed = Rules(tenant, changed.sequence, changed.hash, rules)

    async def _tell_caught_up(self, event: asyncio.Event) -> None:
        await event.wait()
        self._caught_up.set()
