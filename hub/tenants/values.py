"""The kinds of values in a tenant file: what each takes, and what its JSON Schema for editors says of it.

A fault's text tells what to write instead, and never repeats what may be a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictStr,
    StringConstraints,
    WithJsonSchema,
)

from hub.tenants.names import folded

T = TypeVar("T")
_SPAN = re.compile(r"^(\d{1,9})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00-\x20][^\x00-\x1f]*)$")
_HOST = re.compile(r"[\w.:-]+")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ADDRESS_FIELDS = ("street", "apartment", "city", "county", "postcode", "region", "country")
_CUSTOM = re.compile(r"^custom\.\S")
MAX_BULK = 100


def _span(value: Any) -> int:
    match = _SPAN.match(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("a span is a number and a unit: 300s, 60m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]


def _reference(value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        raise ValueError("a secret is given by reference, env:NAME or file:/path, never as its value")
    return value


def _address(value: str) -> str:
    text = value.strip()
    parts = split_address(text)
    if not _HOST.fullmatch(parts.hostname or "") or any(character.isspace() for character in text):
        raise ValueError("is no web address; give one like https://acme.halopsa.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must be https: anything else would send the secret unencrypted")
    if parts.username is not None:
        raise ValueError("carries a user name; give the bare address")
    return text


def _sign_in(value: str) -> str:
    """A pasted sign-in page: its query may hold a session, and what is accepted here goes on the log."""
    return re.split("[?#]", _address(value), maxsplit=1)[0]


def _server(value: str) -> str:
    text = _address(value)
    if "?" in text or "#" in text:
        raise ValueError("carries a query or fragment; give the bare address")
    return text


def unique_names(value: dict[str, T]) -> dict[str, T]:
    """A table in which no name stands twice in other spelling. Raises ValueError."""
    seen: dict[str, str] = {}
    for key in value:
        other = seen.setdefault(folded(key), key)
        if other != key:
            raise ValueError(f"{other!r} and {key!r} are the same name: case and spaces don't count")
    return value


def _halo_name(value: Any) -> str | int:
    if isinstance(value, str) and 0 < len(value.strip()) <= 255:
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("must be a name as Halo shows it, or the number of its Halo id")


def _scopes(value: Any) -> str | list[str]:
    if value == "auto":
        return "auto"
    if isinstance(value, list) and value and all(isinstance(scope, str) and scope for scope in value):
        return value
    raise ValueError("must be auto, or a list such as [all:standard]")


def _bulk(value: Any) -> Literal["auto", "off"] | int:
    if value in ("auto", "off"):
        return value  # type: ignore[no-any-return]
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_BULK:
        return value
    raise ValueError(f"must be auto, off, or how many records one request may carry: 1 to {MAX_BULK}")


def _source_field(value: str) -> str:
    if value not in _ADDRESS_FIELDS and not _CUSTOM.match(value):
        raise ValueError(f"is no address field; there are {', '.join(_ADDRESS_FIELDS)} and custom.<name>")
    return value


_Words = Annotated[str, WithJsonSchema({"type": "string", "pattern": r"\S"})]
_Number = Annotated[int, Field(gt=0)]
_SpanText = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": r"^(?=.*[1-9])\d{1,9}[smhd]$", "examples": ["300s", "5m"]}),
]
_ScopeList = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
HaloName: TypeAlias = Annotated[
    str | int, PlainValidator(_halo_name, json_schema_input_type=_Words | _Number)
]
Span: TypeAlias = Annotated[
    int,
    BeforeValidator(_span, json_schema_input_type=_SpanText),
    PlainSerializer(lambda seconds: f"{seconds}s"),
]
Scopes: TypeAlias = Annotated[
    str | list[str], PlainValidator(_scopes, json_schema_input_type=Literal["auto"] | _ScopeList)
]
Bulk: TypeAlias = Annotated[
    Literal["auto", "off"] | int,
    PlainValidator(
        _bulk, json_schema_input_type=Literal["auto", "off"] | Annotated[int, Field(ge=1, le=MAX_BULK)]
    ),
]
Secret: TypeAlias = Annotated[
    StrictStr,
    AfterValidator(_reference),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _REFERENCE.pattern,
            "examples": ["env:ACME_HALO_SECRET", "file:/run/secrets/acme"],
        }
    ),
]
SignInPage: TypeAlias = Annotated[StrictStr, AfterValidator(_sign_in)]
Server: TypeAlias = Annotated[StrictStr, AfterValidator(_server)]
SourceField: TypeAlias = Annotated[
    StrictStr,
    AfterValidator(_source_field),
    WithJsonSchema(
        {"anyOf": [{"enum": list(_ADDRESS_FIELDS)}, {"type": "string", "pattern": _CUSTOM.pattern}]}
    ),
]
Text: TypeAlias = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=1)]
Table: TypeAlias = Annotated[dict[StrictStr, HaloName], AfterValidator(unique_names)]
TableWithNone: TypeAlias = Annotated[dict[StrictStr, HaloName | None], AfterValidator(unique_names)]


class Section(BaseModel):
    """A frozen part of the file that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, use_attribute_docstrings=True
    )


OnRejected: TypeAlias = Annotated[
    Literal["supersede", "block"],
    Field(
        description="Whether a newer revision of such a record may pass one that Halo has rejected (`supersede`), "
        "or waits until that is redriven (`block`)."
    ),
]


def split_address(address: str) -> SplitResult:
    """The parts of an address; one without a scheme is `https`. Raises ValueError."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address.lstrip('/')}")
        _ = parts.port
    except ValueError:
        raise ValueError("is no web address; give one like https://acme.halopsa.com") from None
    return parts
