"""The fields of a source's records by their paths, as a tenant's file names them: `phone`, `address.city`. Pure.

A producer's own fields are `custom.<name>` wherever its record has such; any name is a name there.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from hub.tenants.halo_fields import LinkedKind
from schemas.files import FileRef
from schemas.opportunities import Opportunity
from schemas.quotes import Contact, Customer, Line, ProductData, Quote

SOURCES: Mapping[LinkedKind, tuple[type[msgspec.Struct], ...]] = {
    "clients": (Customer,),
    "users": (Contact,),
    "opportunities": (Opportunity, Quote),
    "quotes": (Quote,),
    "lines": (Line, ProductData),
}
"""Whose fields a section's links read; where several have a field, the first that has a value."""
UNLINKED = frozenset(
    {
        "status",
        "lines",
        "taxes",
        "discount",
        "shipping",
        "value",
        "profit",
        "files",
        "pdf",
        "opportunity",
        "product",
    }
)
"""What has a meaning of its own in the rules, or is no single value."""
_CUSTOM = "custom"


def paths(kind: LinkedKind) -> tuple[str, ...]:
    """Every path of a section's sources but those of a producer's own fields, in the order of their Structs."""
    return tuple(path for path in _all(kind) if not path.endswith(_CUSTOM))


def is_custom(kind: LinkedKind, path: str) -> bool:
    """Whether a path names a producer's own field: `custom.<name>`, or that of a part, `contact.custom.<name>`."""
    tables = (f"{path}." for path in _all(kind) if path.endswith(_CUSTOM))
    return any(path.startswith(table) and len(path) > len(table) for table in tables)


def value_at(source: object, path: str) -> Any:
    """The value at a path; None where the record has none, or no such field."""
    found: Any = source
    rest = path
    while rest and found is not None:
        name, _, rest = rest.partition(".")
        if name == _CUSTOM:
            return getattr(found, _CUSTOM, {}).get(rest)
        found = getattr(found, name, None)
    return found


@functools.cache
def _all(kind: LinkedKind) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for source in SOURCES[kind] for path in _paths(source)))


def _paths(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    hints = get_type_hints(struct)
    for field in msgspec.structs.fields(struct):
        if not prefix and field.name in UNLINKED:
            continue
        kinds = _alternatives(hints[field.name])
        below = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
        if below and below[0] is not FileRef:
            yield from _paths(below[0], f"{prefix}{field.name}.")
        elif not below:
            yield f"{prefix}{field.name}"


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)
