"""From the names that people see in Halo to ids. Pure: the catalogue's rows come in as arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from schemas.commands import Named, Notice

_UNUSABLE = {"asset_group": 'is not marked "Use for Items"'}
_UNUSABLE_FIX = {"asset_group": 'mark the group "Use for Items" in Halo and read it again'}


class CatalogueRow(Protocol):
    """What is used of a row of the catalogue."""

    @property
    def halo_id(self) -> int: ...


class Found(msgspec.Struct, frozen=True):
    """The id of a name, or None when the field is to be left alone; with what a person should know.

    `spelling` is the name as Halo writes it.
    """

    halo_id: int | None
    notice: Notice | None = None
    fell_back: bool = False
    spelling: str | None = None


class Unknown(msgspec.Struct, frozen=True):
    """No such name in Halo, and the rules don't let the field go."""

    message: str
    fix: str


def folded(name: str) -> str:
    """Names compare without regard to case and outer spaces."""
    return name.strip().casefold()


def resolve(
    named: Named,
    rows: Sequence[CatalogueRow],
    fallback_rows: Sequence[CatalogueRow],
    near: Sequence[str],
    *,
    unusable: bool = False,
) -> Found | Unknown:
    """What `named` comes to, given the catalogue's rows of that name and of its fallback.

    Of several rows with one name the lowest id is taken, with a notice. `unusable` says that Halo has the name, but
    doesn't offer it for this: what the tenant file itself chose so is refused, not replaced.
    """
    if len(rows) > 1 and named.lookup == "custom_field":
        # Each sort of record may have one of that name.
        return Found(None, spelling=str(named.name))
    if rows:
        return Found(min(row.halo_id for row in rows), _doubled(named, rows))
    said = _absent(named, unusable)
    if unusable and named.chosen:
        where = f"change `{named.setting}` in the tenant file, or " if named.setting else ""
        return Unknown(said, f"{where}{_UNUSABLE_FIX.get(named.lookup, 'switch it on in Halo')}")
    if fallback_rows:
        told = f"{said}; {named.fallback!r} was taken"
        notice = Notice(code=f"{named.lookup}.fallback", message=told) if named.chosen else None
        return Found(min(row.halo_id for row in fallback_rows), notice, fell_back=True)
    hint = f"; near: {', '.join(near)}" if near else ""
    if named.fallback is not None:
        said += f", and no {named.fallback!r}"
    if named.missing == "ignore":
        return Found(None)
    if named.missing == "leave":
        return Found(None, Notice(code=f"{named.lookup}.unknown", message=f"{said}; left alone{hint}"))
    where = f"set `{named.setting}` in the tenant file, or " if named.setting else ""
    return Unknown(f"{said}{hint}", f"{where}create the {_spoken(named)} in Halo and read it again")


def _absent(named: Named, unusable: bool) -> str:
    if not unusable:
        return f"Halo has no {_spoken(named)} {named.name!r}"
    return f"Halo's {_spoken(named)} {named.name!r} {_UNUSABLE.get(named.lookup, 'is switched off')}"


def _doubled(named: Named, rows: Sequence[CatalogueRow]) -> Notice | None:
    if len(rows) == 1:
        return None
    ids = ", ".join(str(halo_id) for halo_id in sorted(row.halo_id for row in rows))
    return Notice(
        code=f"{named.lookup}.doubled",
        message=f"Halo has {len(rows)} of the {_spoken(named)} {named.name!r} ({ids}); the first was taken",
    )


def _spoken(named: Named) -> str:
    return named.lookup.replace("_", " ")
