"""The rules of one tenant: what its YAML file may say, with every default, frozen once it is valid.

`opportunities` and `quotes` are switches: present is on. Values are names as a person sees them in that Halo; an
integer is a Halo id. A table reads `source name: Halo name`, and equal names need no entry. `sources.<name>`
overrides anything but the connection for one producer: tables merge, lists and scalars replace.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictBool, StrictInt, StrictStr, model_validator

from hub.tenants.file_hosts import FileHost
from hub.tenants.items import Items
from hub.tenants.names import by_folded_name, folded
from hub.tenants.opportunities import Opportunities
from hub.tenants.values import (
    Bulk,
    HaloName,
    OnRejected,
    Scopes,
    Secret,
    Section,
    Server,
    SignInPage,
    SourceField,
    Span,
    Table,
    TableWithNone,
    Text,
    split_address,
)

CONNECTION_KEYS = ("tenant", "halo", "sources")
"""What belongs to the tenant as a whole and can't differ for one producer."""
AUTO_BULK = 20
"""How many records one request carries at most where the file leaves it to the hub."""


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
    scopes: Scopes = "auto"
    budget: Budget = Budget()
    bulk: Bulk = "auto"

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
        parts = split_address(server if server is not None else str(self.url))
        port = f":{parts.port}" if parts.port not in (None, 443) else ""
        path = parts.path.rstrip("/").removesuffix("/api") if server is not None else ""
        return f"{parts.hostname}{port}{path}"


_SECTIONS = {
    "client": "clients",
    "site": "clients",
    "user": "users",
    "item": "items",
    "opportunity": "opportunities",
    "quote": "quotes",
    "attachment": "quotes",
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
    pdf: StrictBool = True
    file_hosts: Annotated[tuple[FileHost, ...], Field(max_length=100)] = ()
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
