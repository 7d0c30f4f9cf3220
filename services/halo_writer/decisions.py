"""What the plan is told and what it says: plain values, of which each is a thing found out or a thing to do."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.commands import Notice
from schemas.outcomes import Result

GONE = "halo.gone"
"""The code of a rejection because the record was deleted in Halo; redriving it makes the record anew."""


class ByOurKey(msgspec.Struct, frozen=True):
    """A look-up by our key: the Halo ids that carry it, lowest first, and when it was started (store's clock).

    `proven` says that this look-up was seen to find a just-created record of this kind on this tenant.
    """

    halo_ids: tuple[int, ...]
    proven: bool
    at: float


class Matched(msgspec.Struct, frozen=True):
    """The record that already is this target; `owned` is false when another target owns it."""

    halo_id: int
    owned: bool = True
    notices: tuple[Notice, ...] = ()


class NoMatch(msgspec.Struct, frozen=True):
    """Halo has no such record (its full read is fresh, or it was asked)."""


class Several(msgspec.Struct, frozen=True):
    """More than one record fits and no rule prefers one: a person must choose."""

    halo_ids: tuple[int, ...]
    by: str


class Reserved(msgspec.Struct, frozen=True):
    """Another target with the same natural key is being settled; `target_key` names it."""

    target_key: str


class NoneOfThem(msgspec.Struct, frozen=True):
    """More than one record fits, and a person has said that it is none of them."""


Match = Matched | NoMatch | Several | NoneOfThem | Reserved


PLACE = "opportunity"
"""The field that says under which record another hangs."""


class ReadBack(msgspec.Struct, frozen=True):
    """The record as Halo has it now: gone, or there, and whether it equals the desired state of all groups.

    `astray` says that it hangs under another opportunity: its own may have been deleted, and made anew since.
    """

    halo_id: int
    exists: bool
    equal: bool = False
    astray: bool = False


class Known(msgspec.Struct, frozen=True):
    """What the shell has found out about this command so far; nothing is assumed of what is None.

    `gone` are records that were asked for by id and aren't there: a mark can outlive what it marked.
    """

    by_our_key: ByOurKey | None = None
    match: Match | None = None
    read_back: ReadBack | None = None
    gone: frozenset[int] = frozenset()

    def having_read(self, read: ReadBack) -> Known:
        """The same, and this record as it was read."""
        gone = self.gone if read.exists else self.gone | {read.halo_id}
        return msgspec.structs.replace(self, read_back=read, gone=gone)


class Superseded(msgspec.Struct, frozen=True):
    """A newer state of the target has settled."""


class Repeat(msgspec.Struct, frozen=True):
    """This very command has settled: publish its outcome again."""


class Unchanged(msgspec.Struct, frozen=True):
    """Halo has this state already: no request; the target's seq advances."""


class FindOurKey(msgspec.Struct, frozen=True):
    """Ask Halo which records carry our key."""


class FindMatch(msgspec.Struct, frozen=True):
    """Find the record by the tenant's match order, reserving its natural keys."""


class ReadRecord(msgspec.Struct, frozen=True):
    """Read this record back, to compare it and to learn its lines."""

    halo_id: int


class Forget(msgspec.Struct, frozen=True):
    """The record that the row names was deleted in Halo, and a person has asked for it again: take the row for new."""


class Create(msgspec.Struct, frozen=True):
    """Write an intent, then create the record."""


class Update(msgspec.Struct, frozen=True):
    """Write an intent, then update the record with the fields of these groups.

    `duplicates` are other records that carry our key too: someone must look at them.
    """

    halo_id: int
    groups: tuple[str, ...]
    duplicates: tuple[int, ...] = ()


class Settle(msgspec.Struct, frozen=True):
    """The record is as it should be, without another write."""

    halo_id: int
    result: Result
    duplicates: tuple[int, ...] = ()
    notices: tuple[Notice, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Nothing may be done before `not_before` (store's clock) or before `waits_for` has settled."""

    reason: Literal["ambiguous", "reserved", "instance", "predecessor"]
    not_before: float
    waits_for: str | None = None


class Decide(msgspec.Struct, frozen=True):
    """Only a person can say; the command waits. Without `choices` the answer is the id of a Halo record."""

    question: str
    message: str
    choices: tuple[str, ...] = ()


class Reject(msgspec.Struct, frozen=True):
    """A person must act: the command ends here, as an outcome and a dead letter."""

    code: str
    message: str


Decision = (
    Superseded
    | Repeat
    | Unchanged
    | FindOurKey
    | FindMatch
    | ReadRecord
    | Forget
    | Create
    | Update
    | Settle
    | Wait
    | Decide
    | Reject
)
