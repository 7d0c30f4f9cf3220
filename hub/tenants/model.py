"""The rules of one tenant: what its YAML file may say, with every default, frozen once it is valid.

`opportunities` and `quotes` are switches: present is on. Values are names as a person sees them in that Halo; an
integer is a Halo id. A table reads `source name: Halo name`, and equal names need no entry. `sources.<name>`
overrides anything but the connection for one producer: tables merge, lists and scalars replace.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from hub.tenants.names import by_folded_name, folded

_SPAN = re.compile(r"^(\d{1,9})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:/\S.*)$")
_HOST = re.compile(r"[\w.:-]+")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ADDRESS_FIELDS = ("street", "apartment", "city", "county", "postcode", "region", "country")
CONNECTION_KEYS = ("tenant", "halo", "sources")
"""What belongs to the tenant as a whole and can't differ for one producer."""
MAX_BULK = 100
AUTO_BULK = 20
"""How many records one request carries at most where the file leaves it to the hub."""


def _span(value: Any) -> int:
    match = _SPAN.match(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("a span is a number and a unit: 300s, 60m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]


def _reference(value: str) -> str:
    if not _REFERENCE.match(value):
        raise ValueError("a secret is given by reference, env:NAME or file:/path, never as its value")
    return value


def _address(value: str) -> str:
    text = value.strip()
    parts = _split(text)
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


def _table(value: dict[str, Any]) -> dict[str, Any]:
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
    if value not in _ADDRESS_FIELDS and not value.startswith("custom."):
        raise ValueError(f"is no address field; there are {', '.join(_ADDRESS_FIELDS)} and custom.<name>")
    return value


HaloName: TypeAlias = Annotated[str | int, PlainValidator(_halo_name)]
Span: TypeAlias = Annotated[int, BeforeValidator(_span), PlainSerializer(lambda seconds: f"{seconds}s")]
Secret: TypeAlias = Annotated[StrictStr, AfterValidator(_reference)]
SignInPage: TypeAlias = Annotated[StrictStr, AfterValidator(_sign_in)]
Server: TypeAlias = Annotated[StrictStr, AfterValidator(_server)]
SourceField: TypeAlias = Annotated[StrictStr, AfterValidator(_source_field)]
Text: TypeAlias = Annotated[StrictStr, StringConstraints(strip_whitespace=True, min_length=1)]
Table: TypeAlias = Annotated[dict[StrictStr, HaloName], AfterValidator(_table)]
TableWithNone: TypeAlias = Annotated[dict[StrictStr, HaloName | None], AfterValidator(_table)]


class Section(BaseModel):
    """A frozen part of the file that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(Section):
    requests: Annotated[StrictInt, Field(ge=1, le=100_000)] = 300
    window: Span = 300


class Halo(Section):
    """How to reach this tenant's Halo. Both servers follow from `url` unless they are given."""

    url: SignInPage | None = None
    resource_server: Server | None = None
    authorization_server: Server | None = None
    tenant: Text | None = None
    client_id: Text
    client_secret: Secret
    scopes: Annotated[str | list[str], PlainValidator(_scopes)] = "auto"
    budget: Budget = Budget()
    bulk: Annotated[Literal["auto", "off"] | int, PlainValidator(_bulk)] = "auto"

    @model_validator(mode="after")
    def _located(self) -> Halo:
        if self.url is None and (self.resource_server is None or self.authorization_server is None):
            raise ValueError("needs `url`, or both `resource_server` and `authorization_server`")
        return self

    @property
    def most_together(self) -> int:
        """How many records one request may carry, where this Halo was seen to take several; 1 is never."""
        match self.bulk:
            case "auto":
                return AUTO_BULK
            case "off":
                return 1
            case most:
                return most

    @cached_property
    def instance(self) -> str:
        """What tells this Halo from others: the resource server's host, with a port and path that aren't the usual."""
        server = self.resource_server
        parts = _split(server if server is not None else str(self.url))
        port = f":{parts.port}" if parts.port not in (None, 443) else ""
        path = parts.path.rstrip("/").removesuffix("/api") if server is not None else ""
        return f"{parts.hostname}{port}{path}"


OnRejected: TypeAlias = Literal["supersede", "block"]
"""Whether a newer revision of a record may pass one that Halo has rejected, or waits until that is redriven."""
_SECTIONS = {
    "client": "clients",
    "site": "clients",
    "user": "users",
    "item": "items",
    "opportunity": "opportunities",
    "quote": "quotes",
}


class Clients(Section):
    match: tuple[Literal["halo_id", "external_id", "name"], ...] = ("halo_id", "external_id", "name")
    on_rejected_predecessor: OnRejected = "supersede"


class Users(Section):
    match: tuple[Literal["halo_id", "external_id", "email"], ...] = ("halo_id", "external_id", "email")
    on_rejected_predecessor: OnRejected = "supersede"


class Agents(Section):
    owner: Literal["logged_in_user", "sales_rep"] = "logged_in_user"
    default: HaloName | None = None
    map: Table = {}

    @cached_property
    def table(self) -> dict[str, str | int]:
        return by_folded_name(self.map)


class Addresses(Section):
    """Which source address field fills each line of a Halo site address; null leaves the line alone."""

    line1: SourceField | None = "street"
    line2: SourceField | None = "apartment"
    line3: SourceField | None = "city"
    line4: SourceField | None = None


class Items(Section):
    match: tuple[Literal["halo_id", "sku", "name"], ...] = ("halo_id", "sku", "name")
    asset_group: HaloName | None = None
    asset_groups: Table = {}
    name_from: Literal["name", "manufacturer_part_number"] = "name"
    on_rejected_predecessor: OnRejected = "supersede"

    @cached_property
    def group_table(self) -> dict[str, str | int]:
        return by_folded_name(self.asset_groups)


class Opportunities(Section):
    ticket_type: HaloName
    status: HaloName | None = None
    on_rejected_predecessor: OnRejected = "supersede"


class Taxes(Section):
    push: StrictBool = True
    skip: tuple[StrictStr, ...] = ("avalara",)

    @cached_property
    def skipped(self) -> frozenset[str]:
        return frozenset(folded(calculator) for calculator in self.skip)


class Quotes(Section):
    revisions: Literal["overwrite"] = "overwrite"
    statuses: Table = {}
    taxes: Taxes = Taxes()
    on_rejected_predecessor: OnRejected = "supersede"

    @cached_property
    def status_table(self) -> dict[str, str | int]:
        return by_folded_name(self.statuses)


class RuleSet(Section):
    """A whole tenant file. `for_source` gives the rules as they hold for one producer."""

    tenant: Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    halo: Halo
    clients: Clients = Clients()
    users: Users = Users()
    agents: Agents = Agents()
    addresses: Addresses = Addresses()
    items: Items = Items()
    billing_periods: TableWithNone = {}
    currency: HaloName | None = None
    currencies: Table = {}
    opportunities: Opportunities | None = None
    quotes: Quotes | None = None
    sources: dict[StrictStr, dict[str, Any]] = {}

    _effective: dict[str, RuleSet] = PrivateAttr(default_factory=dict)

    @cached_property
    def billing_period_table(self) -> dict[str, str | int | None]:
        return by_folded_name(self.billing_periods)

    @cached_property
    def currency_table(self) -> dict[str, str | int]:
        return by_folded_name(self.currencies)

    @property
    def instance(self) -> str:
        """The Halo instance that this tenant's targets belong to."""
        return self.halo.instance

    def blocks(self, source: str, kind: str) -> bool:
        """Whether a newer revision of this producer's records of a kind waits for a rejected one."""
        section = getattr(self.for_source(source), _SECTIONS[kind])
        return section is not None and section.on_rejected_predecessor == "block"

    def for_source(self, name: str) -> RuleSet:
        """The rules with the overrides of one producer; the same object each time."""
        override = self.sources.get(name)
        if not override:
            return self
        found = self._effective.get(name)
        if found is None:
            base = self.model_dump(mode="json", exclude_unset=True, exclude={"sources"})
            found = self._effective[name] = RuleSet.model_validate(overlaid(base, override))
        return found


def overlaid(base: Any, override: Any) -> Any:
    """`override` laid over `base`: tables merge (names compare folded), lists and scalars replace."""
    if not isinstance(base, dict) or not isinstance(override, dict):
        return override
    spelt = {folded(key): key for key in base}
    result = dict(base)
    for key, value in override.items():
        own = spelt.get(folded(key), key)
        result[own] = overlaid(result.get(own), value)
    return result


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address if "://" in address else f"https://{address.lstrip('/')}")
        _ = parts.port
    except ValueError:
        raise ValueError("is no web address; give one like https://acme.halopsa.com") from None
    return parts
