"""A tenant's Halo in a file: the lists whose names its rules may mention, to check and try rules without any network.

No record of a customer is in it; agents are, by name, and the products that the rules name.
"""

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cli import context
from cli.check_names import find_all
from cli.errors import BadInput
from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from schemas.commands import Command, Lookup, Named
from schemas.control import Check, Verdict
from schemas.halo_events import ReferenceRow
from services.halo_writer.names import Unknown, resolve

_MOST_NEAR = 3
_USABLE_ALONE = ("asset_group", "agent")
"""Where Halo lists what can't be used: a group that is not for items, an agent who is switched off."""


_WITHOUT_LIST: dict[str, Verdict] = {"ignore": "ok", "leave": "unknown", "reject": "failed"}


class SavedCatalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Halo held when it was saved. A list that could not be read is not there."""

    format: Literal["halo-hub catalogue 1"] = "halo-hub catalogue 1"
    tenant: str
    instance: str
    saved_at: dt.datetime
    lists: dict[Lookup, tuple[ReferenceRow, ...]]


class _Id(NamedTuple):
    halo_id: int


def load(path: Path, rules: RuleSet) -> SavedCatalogue:
    """The saved catalogue of these rules' Halo. Raises BadInput."""
    try:
        saved = msgspec.json.decode(context.read_file(path), type=SavedCatalogue)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no catalogue that `hub tenant catalogue --save` wrote: {error}") from None
    if saved.instance != rules.instance:
        raise BadInput(
            f"{path} is of the Halo at {saved.instance}, the tenant file of that at {rules.instance}: "
            "save the catalogue of this one"
        )
    return saved


def save(saved: SavedCatalogue, path: Path) -> None:
    """Writes it in a form that a comparison of two versions can be read. Raises BadInput."""
    try:
        path.write_bytes(
            msgspec.json.format(msgspec.json.encode(saved, order="deterministic"), indent=1) + b"\n"
        )
    except OSError as error:
        raise BadInput(f"{path} can't be written: {error.strerror}") from None


def check_commands(
    commands: Sequence[Command], lists: Mapping[Lookup, Sequence[ReferenceRow]]
) -> list[Check]:
    """A line for each Halo name that commands mention: what the writer would make of it."""
    named = dict.fromkeys(name for command in commands for name in _named(command))
    return [_check(name, lists) for name in named]


def _check(named: Named, lists: Mapping[Lookup, Sequence[ReferenceRow]]) -> Check:
    what = f"{named.lookup.replace('_', ' ')} {named.name!r}"
    at = named.setting or named.lookup
    rows = lists.get(named.lookup)
    if rows is None:
        detail = f"{what}: the saved catalogue has no such list"
        return Check(name=at, verdict=_WITHOUT_LIST[named.missing], detail=detail, fix="save it again")
    own = _rows(named, named.name, rows)
    fallback = [] if named.fallback is None else _rows(named, named.fallback, rows)
    unusable = not own and bool(find_all(rows, named.name, by_code=named.lookup == "currency"))
    found = resolve(named, own, fallback, _near(named, rows), unusable=unusable)
    if isinstance(found, Unknown):
        return Check(name=at, verdict="failed", detail=found.message, fix=found.fix)
    if found.notice is not None:
        return Check(name=at, verdict="warning", detail=found.notice.message)
    if found.halo_id is None and found.spelling is not None:
        return Check(name=at, verdict="ok", detail=f"Halo has several of the {what}; a record takes its own")
    if found.halo_id is None:
        return Check(name=at, verdict="ok", detail=f"Halo has no {what}; it is left out")
    if not own:
        return Check(
            name=at, verdict="ok", detail=f"Halo has no {what}; {named.fallback!r} is Halo's {found.halo_id}"
        )
    return Check(name=at, verdict="ok", detail=f"{what} is Halo's {found.halo_id}")


def _rows(named: Named, name: str | int, rows: Sequence[ReferenceRow]) -> list[_Id]:
    found = find_all(rows, name, by_code=named.lookup == "currency")
    return [_Id(row.id) for row in found if row.usable or named.lookup not in _USABLE_ALONE]


def _near(named: Named, rows: Sequence[ReferenceRow]) -> list[str]:
    names = {folded(row.name): row.name for row in rows if row.usable}
    close = difflib.get_close_matches(folded(str(named.name)), names, n=_MOST_NEAR)
    return [names[match] for match in close]


def _named(value: Any) -> Iterator[Named]:
    """Every name of Halo's in a command, however deep."""
    if isinstance(value, Named):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _named(item)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _named(getattr(value, field))
