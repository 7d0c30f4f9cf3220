"""The `fields` section of a tenant file: a source's fields linked to Halo's, beyond those that the rules know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, StrictStr
from pydantic_core import CoreSchema, core_schema

from hub.tenants.halo_fields import CUSTOM, OWNED, WRITABLE, FieldType, LinkedKind
from hub.tenants.source_paths import is_custom, paths
from hub.tenants.values import Section, unique_names

_SPOKEN: Mapping[LinkedKind, str] = {
    "clients": "client",
    "users": "user",
    "opportunities": "opportunity",
    "quotes": "quote",
    "lines": "quote line",
}

_MOST_NEAR = 3


class Link(Section):
    """A field of Halo, and which way its value goes."""

    halo: StrictStr
    """The field of Halo, or `customfields.<name>`."""
    direction: Literal["both", "to_halo", "from_halo"] = "both"
    """Which way values go; with `from_halo` the hub never writes the field."""

    @property
    def writes(self) -> bool:
        return self.direction != "from_halo"

    @property
    def custom_field(self) -> str | None:
        """The name of the custom field, if it is one."""
        return self.halo.removeprefix(CUSTOM) if self.halo.startswith(CUSTOM) else None


def field_type(kind: LinkedKind, link: Link) -> FieldType:
    """What Halo keeps in the field; a custom field takes any text."""
    return WRITABLE[kind].get(link.halo, "text")


@dataclass(frozen=True)
class _Source:
    """A path of the source's record."""

    kind: LinkedKind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": "string",
            "anyOf": [{"enum": list(paths(self.kind))}, {"pattern": r"(^|\.)custom\.."}],
        }

    def _checked(self, path: str) -> str:
        known = paths(self.kind)
        if path in known or is_custom(self.kind, path):
            return path
        whose = _SPOKEN[self.kind]
        near = _near(path, known)
        raise ValueError(
            f"is no field that a source says of a {whose}; {near or _listed(_plain(known))}"
            "; a field of the producer's own is custom.<name>"
        )


@dataclass(frozen=True)
class _Target:
    """A link whose field is one that Halo has, and that nothing else writes."""

    kind: LinkedKind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        own, custom = list(WRITABLE[self.kind]), {"type": "string", "pattern": r"^customfields\.\S"}
        return {"anyOf": [{"enum": own}, custom, handler(schema)]}

    def _checked(self, link: Link) -> Link:
        name, writable, owned = link.halo, WRITABLE[self.kind], OWNED[self.kind]
        if link.custom_field is not None:
            if not link.custom_field.strip():
                raise ValueError("names no custom field; write customfields.<its name in Halo>")
            return link
        if name in owned and link.writes:
            raise ValueError(f"Halo's {name} is filled from {owned[name]} already; link another field")
        if name not in writable and name not in owned:
            near = _near(name, writable) or _listed(writable)
            raise ValueError(
                f"{name} is no field of a Halo {_SPOKEN[self.kind]} that can be linked; {near}"
                "; a custom field is customfields.<name>"
            )
        return link


def _near(name: str, known: Iterable[str]) -> str:
    last = [path for path in known if path.rpartition(".")[2] == name.rpartition(".")[2]]
    near = last[:_MOST_NEAR] or difflib.get_close_matches(name, list(known), n=_MOST_NEAR, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _plain(known: Iterable[str]) -> list[str]:
    """Those of the record itself; its parts have too many to be read."""
    return [path for path in known if "." not in path]


def _listed(known: Iterable[str]) -> str:
    return f"there are {', '.join(known)}"


def _spelt_out(value: Any) -> Any:
    """A field alone is a link both ways."""
    return {"halo": value} if isinstance(value, str) else value


def _one_writer(links: dict[str, Link]) -> dict[str, Link]:
    """A table in which no two sources fill one field of Halo. Raises ValueError."""
    taken: dict[str, str] = {}
    for source, link in links.items():
        first = taken.setdefault(link.halo.casefold(), source) if link.writes else source
        if first != source:
            raise ValueError(f"{first!r} and {source!r} both fill Halo's {link.halo!r}; link one of them")
    return links


_Spelt: TypeAlias = Annotated[Link, BeforeValidator(_spelt_out)]
_Whole = AfterValidator(_one_writer)
_Unique = AfterValidator(unique_names)


class Fields(Section):
    """Fields of the source that Halo keeps elsewhere than the rules know, each linked to a field of Halo.

    A path of the source's record, or `custom.<name>`, to a field of Halo or to `customfields.<name>`; with a direction,
    `{halo: <field>, direction: to_halo}`.
    """

    clients: Annotated[
        dict[Annotated[StrictStr, _Source("clients")], Annotated[_Spelt, _Target("clients")]], _Unique, _Whole
    ] = {}
    """Fields of a quote's customer, written when the hub creates the Halo client."""
    users: Annotated[
        dict[Annotated[StrictStr, _Source("users")], Annotated[_Spelt, _Target("users")]], _Unique, _Whole
    ] = {}
    """Fields of a quote's contact, written when the hub creates the Halo user by itself, not with its client."""
    opportunities: Annotated[
        dict[Annotated[StrictStr, _Source("opportunities")], Annotated[_Spelt, _Target("opportunities")]],
        _Unique,
        _Whole,
    ] = {}
    """Fields of an opportunity; for one that a quote makes, those of the quote."""
    quotes: Annotated[
        dict[Annotated[StrictStr, _Source("quotes")], Annotated[_Spelt, _Target("quotes")]], _Unique, _Whole
    ] = {}
    """Fields of a quote."""
    lines: Annotated[
        dict[Annotated[StrictStr, _Source("lines")], Annotated[_Spelt, _Target("lines")]], _Unique, _Whole
    ] = {}
    """Fields of a quote's line or of its product."""

    def of(self, kind: LinkedKind) -> dict[str, Link]:
        """The links of one section."""
        links: dict[str, Link] = getattr(self, kind)
        return links
