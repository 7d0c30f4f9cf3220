"""Taking up what a person has answered to the protocol's questions: the answer becomes a thing that is known.

Invariants:
    * an answer never stands for a proof: the record that it names is read like any other that was found, and `new`
      leaves the look-ups before a create as they are;
    * an answer that fits no longer (its record is gone, or is none of those asked about) counts for nothing, and the
      question stays open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from hub.store import decisions, targets
from hub.store.engine import Store
from schemas.answers import NEW, SEVERAL
from schemas.targets import Target
from services.halo_writer.decisions import ByOurKey, Decide, Known, Matched, NoneOfThem


async def with_answer(
    store: Store, target: Target, asked: Decide, known: Known, is_there: Callable[[int], Awaitable[bool]]
) -> Known | None:
    """What is known with the answer to a question about the target; None while there is none that fits.

    `is_there` says whether Halo still has a record: one that was asked about may be gone.
    """
    async with store.read() as conn:
        choice = await decisions.choice(conn, target.tenant, target.key, asked.question)
    if choice is None or (asked.choices and choice not in asked.choices):
        return None
    if asked.question == SEVERAL and choice == NEW:
        return msgspec.structs.replace(known, match=NoneOfThem())
    halo_id = int(choice) if choice.isascii() and choice.isdigit() else None
    if halo_id is None or halo_id in known.gone:
        return None
    if asked.question == SEVERAL:
        if not await is_there(halo_id):
            return None
        async with store.write() as conn:
            owned = await targets.claim(conn, target, halo_id)
        return msgspec.structs.replace(known, match=Matched(halo_id, owned=owned))
    look = known.by_our_key
    assert look is not None, "what can't be proven was looked for"
    return msgspec.structs.replace(known, by_our_key=ByOurKey((halo_id,), proven=False, at=look.at))
