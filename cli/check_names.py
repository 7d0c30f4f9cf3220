"""Whether Halo knows every name that a tenant's rules mention, and what was probably meant. Pure."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from hub.tenants.model import RuleSet
from hub.tenants.names import HaloName, folded, halo_names
from schemas.commands import Lookup
from schemas.control import Check
from schemas.halo_events import ReferenceRow

_MOST_NEAR = 3
_UNUSABLE = {
    "asset_group": 'is there but not marked "Use for Items"; mark it in Halo or name another group',
    "agent": "is switched off in Halo; name another agent",
}


def lookups_of(rules: RuleSet) -> list[Lookup]:
    """The reference lists that have to be read to check these rules."""
    return sorted({name.lookup for name in halo_names(rules)})


def check_names(rules: RuleSet, lists: Mapping[Lookup, Sequence[ReferenceRow]]) -> list[Check]:
    """One line for each name of a list that could be read."""
    return [_check(name, lists[name.lookup]) for name in halo_names(rules) if name.lookup in lists]


def find(rows: Iterable[ReferenceRow], name: str | int, *, by_code: bool = False) -> ReferenceRow | None:
    """The row of this name (or Halo id, or for a currency its code); a usable one first."""
    return min(find_all(rows, name, by_code=by_code), key=lambda row: not row.usable, default=None)


def find_all(rows: Iterable[ReferenceRow], name: str | int, *, by_code: bool = False) -> list[ReferenceRow]:
    """Every row of this name, or Halo id, or for a currency its code."""
    if isinstance(name, int):
        return [row for row in rows if row.id == name]
    wanted = folded(name)
    return [
        row
        for row in rows
        if folded(row.name) == wanted or (by_code and row.code is not None and folded(row.code) == wanted)
    ]


def _check(name: HaloName, rows: Sequence[ReferenceRow]) -> Check:
    what = f"{name.lookup.replace('_', ' ')} {name.name!r}"
    row = find(rows, name.name, by_code=name.lookup == "currency")
    if row is None:
        return Check(name=name.key, verdict="failed", detail=f"Halo has no {what}", fix=_near(name, rows))
    if not row.usable:
        return Check(
            name=name.key, verdict="failed", detail=f"{what}: {_UNUSABLE.get(name.lookup, 'is off')}"
        )
    return Check(name=name.key, verdict="ok", detail=f"{what} is Halo's {row.id}")


def _near(name: HaloName, rows: Sequence[ReferenceRow]) -> str:
    if name.lookup == "item" and not rows:
        return "create that product in Halo, or name one that is there"
    names = {folded(row.name): row.name for row in rows if row.usable}
    close = difflib.get_close_matches(folded(str(name.name)), names, n=_MOST_NEAR)
    if close:
        return f"did you mean {' or '.join(repr(names[match]) for match in close)}?"
    return f"Halo has: {', '.join(sorted(names.values())[:10])}" if names else "Halo has none of these at all"
