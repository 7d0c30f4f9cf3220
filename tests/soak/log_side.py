"""The one thing that a soak asks the hub itself: which records it suspects of being doubled."""

from __future__ import annotations

import asyncio

from hub.bus.reader import read_range
from schemas.envelope import from_headers
from schemas.outcomes import DuplicateSuspected
from schemas.registry import decode
from schemas.topics import OUTCOMES
from tests.soak.verdict import Suspicion

_SUSPECTED = "duplicate.suspected.v1"


def suspicions(bootstrap: str) -> list[Suspicion]:
    """Every `duplicate.suspected` on the log."""
    return asyncio.run(_suspicions(bootstrap))


async def _suspicions(bootstrap: str) -> list[Suspicion]:
    found = []
    async for record in read_range(bootstrap, OUTCOMES):
        envelope = from_headers(record.headers)
        if envelope.type != _SUSPECTED:
            continue
        told = decode(envelope.type, record.value or b"")
        assert isinstance(told, DuplicateSuspected)
        found.append(Suspicion(told.target.tenant, told.target.kind, told.halo_ids))
    return found
