"""What the writer must know of a kind, and the walk from a command's fields to Halo's.

One module here is one kind: which resource it is, which Halo field each of its fields fills, how our key
travels and is looked for, and what the answer of a write tells. Everything else in the writer is the same for all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, TypeGuard

import msgspec

from halo.resources import Resource
from schemas.commands import Command, Field, FileSource, Named, Notice
from schemas.targets import Kind, Target, TargetState, our_key

Row = dict[str, Any]


class Refused(Exception):
    """The command can't be written as it is; `code` and the message become its rejection."""

    def __init__(self, code: str, message: str, fix: str | None = None) -> None:
        self.code = code
        self.fix = fix
        super().__init__(message)


class ItemForbids(Refused):
    """Refused by what the catalogue knows of an item; Halo may know better by now."""

    def __init__(self, item_id: int, code: str, message: str, fix: str) -> None:
        self.item_id = item_id
        super().__init__(code, message, fix)


class NotYet(Exception):
    """A part of the command isn't here yet: it waits in its row, for `waits_for` if that is given."""

    def __init__(self, reason: str, not_before: float, waits_for: str | None, note: str) -> None:
        self.reason = reason
        self.not_before = not_before
        self.waits_for = waits_for
        super().__init__(note)


class Elsewhere(Protocol):
    """What an element takes from elsewhere than the command and its references."""

    def data_uri(self, name: str, file: FileSource) -> str:
        """A file's bytes, as Halo takes them. Raises NotYet, Refused."""


class SoldItem(msgspec.Struct, frozen=True):
    """What of an item decides how it is sold: whether it recurs, its highest discount, and its group."""

    recurring: bool
    max_discount_percent: Decimal | None = None
    group_id: int | None = None


class Resolved(msgspec.Struct, frozen=True):
    """What a command's references came to: targets and names to Halo ids, and what is known of the items sold.

    A name that Halo lacks and that may be left out is present with None; `fell_back` are those whose fallback was
    taken, `spellings` the names as Halo writes them, `absent` the targets that Halo lacks and that may be left out.
    """

    targets: Mapping[Target, int] = {}
    names: Mapping[Named, int | None] = {}
    spellings: Mapping[Named, str] = {}
    sold: Mapping[int, SoldItem] = {}
    fell_back: frozenset[Named] = frozenset()
    absent: frozenset[Target] = frozenset()

    def target(self, target: Target) -> int:
        return self.targets[target]

    def name(self, named: Named) -> int | None:
        return self.names[named]

    def spelling(self, named: Named) -> str | None:
        """The name as Halo writes it, for the few fields that take a name in place of an id."""
        return self.spellings.get(named)


Fill = str | Callable[[Any, Resolved], Row]
"""The Halo field that a value fills as it is, or a function that makes the Halo fields of it."""


def _no_children(command: Command, record: Mapping[str, Any], row: TargetState) -> dict[str, int]:
    return {}


def _no_check(command: Command, record: Mapping[str, Any], *, created: bool) -> tuple[Notice, ...]:
    return ()


def _nothing_noted(command: Command, element: Row, row: TargetState, *, settled: bool) -> dict[str, int]:
    return {}


class Noted(Protocol):
    """What the next write must know of this one, as entries of the row's children.

    `settled` tells a write that has happened from one that is about to be sent, beside which all that was noted before
    counts too.
    """

    def __call__(
        self, command: Command, element: Row, row: TargetState, *, settled: bool
    ) -> dict[str, int]: ...


class Check(Protocol):
    """What a person should know of Halo's record after a write; `created` says whether that made it."""

    def __call__(
        self, command: Command, record: Mapping[str, Any], *, created: bool
    ) -> tuple[Notice, ...]: ...


def _no_finish(command: Command, element: Row, row: TargetState) -> Row:
    return element


def _not_repeatable(command: Command, row: TargetState, groups: Collection[str]) -> bool:
    return False


def repeatable(command: Command, row: TargetState, groups: Collection[str]) -> bool:
    """An update of plain fields by id: sent twice it leaves what once would."""
    return True


@dataclass(frozen=True)
class KindSpec:
    """One kind of record.

    `fills` says how each field is written; `on_create` names fields that Halo takes in the creating request only.
    `key_field` is the plain field that carries our key beside the external link, `key_scope` the list filters that
    narrow a search for it. `natural_keys` are what two targets of this kind may not both create. `children` reads
    the ids of parts out of Halo's record, `check` what a person should know of it. `finish` completes an element
    with what it takes from the row (the ids of a quote's lines).
    """

    kind: Kind
    resource: Resource
    fills: Mapping[str, Fill]
    on_create: frozenset[str] = frozenset()
    key_field: str | None = None
    key_scope: Callable[[Command, Resolved], Row | None] = lambda command, resolved: None
    natural_keys: Callable[[Command], tuple[str, ...]] = lambda command: ()
    children: Callable[[Command, Mapping[str, Any], TargetState], dict[str, int]] = _no_children
    noted: Noted = _nothing_noted
    check: Check = _no_check
    finish: Callable[[Command, Row, TargetState], Row] = _no_finish
    parts: Callable[[Command], frozenset[str]] = lambda command: frozenset()
    """Halo fields of the record that `children` needs; an answer without them is read back."""
    repeatable: Callable[[Command, TargetState, Collection[str]], bool] = _not_repeatable
    """Whether an update of these groups, sent again, adds nothing: only then may it share a request with others."""
    prepare: Callable[[Command, Elsewhere], Row] | None = None
    """The fields of a new record that come from elsewhere; asked for before its intent. Raises NotYet, Refused."""
    in_list_only: bool = False
    """A GET by id answers something else than the record, which is in the list that `key_scope` names."""
    step_on: str | None = None
    """The field that refers to the record, of a kind that makes none but writes onto one that another target made."""
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Objects inside the record that Halo takes as a whole, with those of their fields that it would lose."""
    guests: Callable[[Command, Mapping[str, Any]], Mapping[str, list[int]]] = lambda command, record: {}
    """Of the arrays that an update replaces, which lines of a record that a person made are to stay: their ids."""
    hosts: Callable[[Command], frozenset[str]] = lambda command: frozenset()
    """The arrays of which `guests` must be asked, so that the record is read before they are written."""


def element_to_create(spec: KindSpec, command: Command, resolved: Resolved, row: TargetState) -> Row:
    """The one element of the creating POST: every field that is owned, and our key."""
    element = _fill(spec, command, spec.fills, resolved, creating=True)
    element |= marks(spec, command.target)
    return spec.finish(command, element, row)


def element_to_update(
    spec: KindSpec,
    command: Command,
    resolved: Resolved,
    row: TargetState,
    halo_id: int,
    groups: Iterable[str],
) -> Row:
    """The one element of an updating POST: the id and the owned fields of these groups.

    Only `{"id": ...}` comes when nothing of the groups may be written; such an update need not be sent.
    """
    names = [name for group in groups for name in command.groups[group] if name not in spec.on_create]
    element = {"id": halo_id, **_fill(spec, command, names, resolved, creating=False)}
    return spec.finish(command, element, row)


def _ids(lines: Iterable[Mapping[str, Any]]) -> set[Any]:
    return {line.get("id") for line in lines}


def lost_lines(spec: KindSpec, command: Command, element: Row, record: Mapping[str, Any]) -> bool:
    """Whether an element names lines that the record no longer has: a person deleted them in Halo."""
    return any(
        _ids(element[name]) - _ids(record.get(name) or ()) - {None}
        for name in spec.parts(command) & element.keys()
    )


def with_others(spec: KindSpec, command: Command, element: Row, record: Mapping[str, Any]) -> Row:
    """The element with what Halo holds of its nested objects, and with the lines that others put into its arrays.

    Those go by their ids alone, so that they stay as they are.
    """
    staying = spec.guests(command, record)
    kept = {
        name: [*element[name], *({"id": line_id} for line_id in ids if line_id not in _ids(element[name]))]
        for name, ids in staying.items()
        if name in element
    }
    return with_unowned(spec, element, record) | kept


def with_unowned(spec: KindSpec, element: Row, record: Mapping[str, Any]) -> Row:
    """The element with what Halo holds of its nested objects and the rules don't own."""
    kept = {
        name: {field: held for field in fields if (held := (record.get(name) or {}).get(field)) is not None}
        for name, fields in spec.nested.items()
        if name in element
    }
    return element | {name: held | element[name] for name, held in kept.items()}


def sending(spec: KindSpec, command: Command, element: Row, row: TargetState) -> TargetState:
    """The row with what an element is about to say: it may have been said, however the request ends."""
    noted = spec.noted(command, element, row, settled=False)
    return msgspec.structs.replace(row, children={**row.children, **noted})


def holding(
    spec: KindSpec, command: Command, element: Row, record: Mapping[str, Any], row: TargetState
) -> TargetState:
    """The row where Halo holds what the element says, as its record shows."""
    children = spec.children(command, record, row)
    return msgspec.structs.replace(
        row, children={**children, **spec.noted(command, element, row, settled=True)}
    )


def marks(spec: KindSpec, target: Target) -> Row:
    """Our key in the creating request: an external link where it can be found, a plain field where there is one."""
    key = our_key(target)
    found: Row = {}
    if spec.resource.link_table is not None:
        found["new_external_link"] = {"third_party_id": key, "third_party_desc": "halo-hub"}
    if spec.key_field is not None:
        found[spec.key_field] = key
    return found


def carries(spec: KindSpec, record: Mapping[str, Any], key: str) -> bool:
    """Whether a record has this key in its plain field, alone or as a word of a text."""
    return spec.key_field is not None and key in str(record.get(spec.key_field) or "").split()


def references(value: Any) -> Iterator[Target | Named]:
    """Every target and name that a command's fields refer to."""
    match value:
        case Command():
            for name in value.state_fields():
                yield from references(getattr(value, name))
        case Target() | Named():
            yield value
        case msgspec.Struct():
            for name in value.__struct_fields__:
                yield from references(getattr(value, name))
        case tuple() | list():
            for item in value:
                yield from references(item)


def value_of(field: Any) -> Any:
    """The value of a field, or None when the rules don't own it."""
    return field.value if isinstance(field, Field) else None


def _fill(
    spec: KindSpec, command: Command, names: Iterable[str], resolved: Resolved, *, creating: bool
) -> Row:
    element: Row = {}
    for name in names:
        field = getattr(command, name)
        if not written(field, creating=creating) or _is_absent(field.value, resolved):
            continue
        fill = spec.fills.get(name)
        if callable(fill):
            element |= fill(field.value, resolved)
        elif fill is not None:
            plain = to_halo(field.value, resolved)
            if plain is not None:
                element[fill] = plain
    return element


def _is_absent(value: Any, resolved: Resolved) -> bool:
    return isinstance(value, Target) and value in resolved.absent


def written(field: Any, *, creating: bool) -> TypeGuard[Field[Any]]:
    """Whether a field of a command goes into a request that creates its record, or updates it."""
    if not isinstance(field, Field):
        return False
    match field.write:
        case "always":
            return True
        case "on_create":
            return creating
        case "if_present":
            return field.value not in (None, "")


def to_halo(value: Any, resolved: Resolved) -> Any:
    """A value as Halo takes it: ids for references, dates at midnight without a zone. None is never sent."""
    match value:
        case Target():
            return resolved.target(value)
        case Named():
            return resolved.name(value)
        case dt.date():
            return f"{value.isoformat()}T00:00:00"
        case str() | bool() | int() | Decimal():
            return value
    raise TypeError(f"no Halo form for {type(value).__name__}")
