"""Which records of Halo carry our key: the look-up whose silence, where it is proven, means that there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from halo import as_id
from halo.resources import EXTERNAL_LINK
from hub.store import proofs
from schemas.commands import Command
from schemas.control import LookupBy
from schemas.targets import Target, our_key
from services.halo_writer.decisions import ByOurKey
from services.halo_writer.kinds.base import KindSpec, Resolved, carries
from services.halo_writer.look_up import LookUp, id_in

_WAYS: Mapping[LookupBy, Callable[[KindSpec], bool]] = {
    "external_link": lambda spec: spec.resource.link_table is not None,
    "field": lambda spec: spec.key_field is not None,
}
"""The ways to look for our key, and which kinds have them."""


async def by_our_key(
    look: LookUp, spec: KindSpec, command: Command, resolved: Resolved, now: float
) -> ByOurKey:
    """Which records of the kind carry our key. Raises LookupFailed.

    Uses what was proven on this tenant; when nothing was, tries all ways, and says that absence isn't proven.
    """
    if spec.step_on is not None:
        # It has made no record that could be missed.
        return ByOurKey((), proven=True, at=now)
    target = command.target
    async with look.store.read() as conn:
        proven = (await proofs.load(conn, target.tenant, target.instance)).get(spec.kind, [])
    able = [by for by, of_ours in _WAYS.items() if of_ours(spec)]
    # A proof of what this kind can't be looked up by would make an absence of it.
    ways = [proof.by for proof in proven if proof.ok and proof.by in able]
    found: set[int] = set()
    for way in ways[:1] or able:
        if way == "external_link":
            found |= await _by_link(look, spec, target)
        else:
            found |= await _by_field(look, spec, command, resolved)
    return ByOurKey(tuple(sorted(found)), proven=bool(ways), at=now)


async def _by_link(look: LookUp, spec: KindSpec, target: Target) -> set[int]:
    key, table = our_key(target), spec.resource.link_table
    rows = await look.rows(EXTERNAL_LINK, third_party_id=key, table_id=table)
    found = {
        as_id(row.get("halo_id"))
        for row in rows
        if row.get("third_party_id") == key and as_id(row.get("table_id")) == table
    }
    return {halo_id for halo_id in found if halo_id is not None}


async def _by_field(look: LookUp, spec: KindSpec, command: Command, resolved: Resolved) -> set[int]:
    filters = spec.key_scope(command, resolved)
    if spec.key_field is None or filters is None:
        return set()
    key = our_key(command.target)
    rows = await look.rows(spec.resource, **filters)
    return {id_in(row) for row in rows if carries(spec, row, key)}
