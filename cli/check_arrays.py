"""Proves on a tenant's Halo what becomes of several records in one request, kind by kind.

Two arrays for each kind tell it: a change of the check's own record beside one that Halo must refuse (is the change
kept?), and a change beside a good new record (are both taken, and both told?).
"""

from dataclasses import dataclass
from typing import Any

from halo import HaloClient, Outcome, Reply, as_id
from schemas.control import ArrayProof
from schemas.targets import Kind
from services.halo_writer.kinds import SPECS

Row = dict[str, Any]

NAME_FIELD: dict[Kind, str] = {
    "client": "name",
    "site": "name",
    "user": "name",
    "item": "name",
    "opportunity": "summary",
    "quote": "title",
}
"""Kinds that are not here never share a request: a file is large enough alone."""
GOOD, BAD = "good", "bad"
"""The parts of the check's own key that mark the two records which arrays may make."""


@dataclass(frozen=True)
class Tried:
    """What came of it: the proof, the ids of records that were made, and the parts that Halo may have made untold."""

    proof: ArrayProof
    made: tuple[int, ...] = ()
    unsure: tuple[str, ...] = ()


async def try_arrays(
    client: HaloClient, kind: Kind, halo_id: int, *, name: str, good: Row, bad: Row
) -> Tried:
    """Two arrays around the record `halo_id`, whose name is `name` and will be another. Raises GateClosed.

    `good` is a new record as Halo takes it, `bad` one that Halo must refuse; both carry a mark.
    """
    field, resource = NAME_FIELD[kind], SPECS[kind].resource
    first, second = f"{name} (1)", f"{name} (2)"
    planted = await client.post_many(resource, [{"id": halo_id, field: first}, bad])
    made, unsure = _made(planted[1], BAD) if not _refused(planted[1]) else ((), ())
    if planted[0].status is None or planted[0].outcome is Outcome.THROTTLED:
        return Tried(ArrayProof(kind=kind, ok=False, why=planted[0].text), made, unsure)
    record = await client.get(resource, halo_id, details=False)
    kept_none = _refused(planted[1]) and record.ok and record.body.get(field) == name
    both = await client.post_many(resource, [{"id": halo_id, field: second}, good])
    more, doubtful = _made(both[1], GOOD)
    why = next((_said(reply) for reply in both if not reply.ok), None)
    if why is None and both[0].body.get(field) != second:
        why = "Halo answers an array, but without the change that it carried"
    proof = ArrayProof(kind=kind, ok=why is None, atomic=why is None and kept_none, why=why)
    return Tried(proof, (*made, *more), (*unsure, *doubtful))


def in_words(proof: ArrayProof) -> tuple[str, str]:
    """The verdict and the detail of a check's line."""
    if not proof.ok:
        return "warning", f"not used, each goes by itself: {proof.why}"
    if proof.atomic:
        return (
            "ok",
            "used; with a bad record none of an array is kept, so new records may share a request too",
        )
    return "ok", "used; with a bad record others of an array are kept, so new records go one by one"


def _refused(reply: Reply) -> bool:
    return reply.status is not None and 400 <= reply.status < 500


def _made(reply: Reply, part: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The id of a record that was made, or the part that may have been."""
    halo_id = as_id(reply.body.get("id")) if reply.ok else None
    if halo_id is not None:
        return (halo_id,), ()
    return (), ((part,) if reply.outcome in (Outcome.APPLIED, Outcome.AMBIGUOUS) else ())


def _said(reply: Reply) -> str:
    return (
        reply.text
        if reply.status is None or reply.status < 300
        else f"Halo answered {reply.status}: {reply.text}"
    )
