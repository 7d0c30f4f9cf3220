"""Every tenant's rules as the log has them: services follow `settings.changed`, never a file of their own.

Invariants:
    * a tenant's sequence only rises: of two events with one sequence the first on the log counts, for every reader;
    * a revision that this release can't read (a newer one wrote it) leaves the tenant without rules: its work waits;
    * a tenant at rest costs its text and no more: only rules that were asked for lately are kept in their parsed form;
    * a tenant has rules of its own alone: what is keyed, or written, for another tenant is none of its.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
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
from schemas.topics import CONTROL, is_keyed_by

SETTINGS_CHANGED = "settings.changed.v1"
MAX_PARSED_BYTES = 2 * 1024 * 1024
_log = structlog.get_logger(__name__)


class Rules(NamedTuple):
    """One accepted revision of a tenant's rules."""

    tenant: str
    sequence: int
    hash: str
    rules: RuleSet


class _Revision:
    """A revision at rest."""

    __slots__ = ("hash", "readable", "sequence", "text")

    def __init__(self, changed: SettingsChanged) -> None:
        self.sequence = changed.sequence
        self.hash = changed.hash
        self.text = changed.text.encode()
        self.readable = True


class _Parsed:
    """The rules that were asked for last. Parsed they take some twenty times their text, so the texts are counted."""

    def __init__(self, max_text_bytes: int) -> None:
        self._max_text_bytes = max_text_bytes
        self._text_bytes = 0
        self._kept: OrderedDict[str, tuple[Rules, int]] = OrderedDict()

    def get(self, tenant: str) -> Rules | None:
        found = self._kept.get(tenant)
        if found is None:
            return None
        self._kept.move_to_end(tenant)
        return found[0]

    def put(self, rules: Rules, text_bytes: int) -> None:
        """Keep it, the newest whatever its size, and let go of the ones that nobody asked for the longest."""
        self._kept[rules.tenant] = (rules, text_bytes)
        self._text_bytes += text_bytes
        while self._text_bytes > self._max_text_bytes and len(self._kept) > 1:
            _, (_, freed) = self._kept.popitem(last=False)
            self._text_bytes -= freed

    def forget(self, tenant: str) -> None:
        _, freed = self._kept.pop(tenant, (None, 0))
        self._text_bytes -= freed


class RulesFollower:
    """The present revision of each tenant; a text is parsed when its rules are asked for.

    `max_parsed_bytes` bounds the texts whose rules are kept parsed, so that they need not be at the next call.
    """

    def __init__(self, *, max_parsed_bytes: int = MAX_PARSED_BYTES) -> None:
        self._revisions: dict[str, _Revision] = {}
        self._parsed = _Parsed(max_parsed_bytes)
        self._callbacks: list[Callable[[str], None]] = []
        self._caught_up = asyncio.Event()

    def get(self, tenant: str) -> Rules | None:
        """The tenant's rules; None when there are none, or none that this release can read.

        The same object until they change or have not been asked for in a while: compare `sequence`, not identity.
        """
        found = self._parsed.get(tenant)
        if found is not None:
            return found
        revision = self._revisions.get(tenant)
        return None if revision is None or not revision.readable else self._parse(tenant, revision)

    def revision(self, tenant: str) -> tuple[int, str]:
        """The tenant's present sequence and hash; (0, "") before the first. Nothing is parsed for it."""
        revision = self._revisions.get(tenant)
        return (revision.sequence, revision.hash) if revision else (0, "")

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
        if not is_keyed_by(CONTROL, record.key, envelope.tenant):
            _log.error(
                "settings.unreadable",
                offset=record.offset,
                partition=record.partition,
                problem=f"it is for {envelope.tenant}, its key is not",
            )
            return
        present, _ = self.revision(envelope.tenant)
        if changed.sequence <= present:
            return
        self._revisions[envelope.tenant] = _Revision(changed)
        self._parsed.forget(envelope.tenant)
        for callback in self._callbacks:
            callback(envelope.tenant)

    def _parse(self, tenant: str, revision: _Revision) -> Rules | None:
        try:
            rules = from_text(revision.text)
        except RulesInvalid as error:
            revision.readable = False
            _log.error("settings.unreadable", tenant=tenant, sequence=revision.sequence, problem=str(error))
            return None
        if rules.tenant != tenant:
            revision.readable = False
            problem = f"its text is that of tenant {rules.tenant}"
            _log.error("settings.unreadable", tenant=tenant, sequence=revision.sequence, problem=problem)
            return None
        parsed = Rules(tenant, revision.sequence, revision.hash, rules)
        self._parsed.put(parsed, len(revision.text))
        return parsed

    async def _tell_caught_up(self, event: asyncio.Event) -> None:
        await event.wait()
        self._caught_up.set()
