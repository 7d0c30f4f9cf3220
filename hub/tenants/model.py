"""The rules of one tenant: what its YAML file may say, with every default, frozen once it is valid.

`opportunities` and `quotes` are switches: present is on. Values are names as a person sees them in that Halo; an
integer is a Halo id. A table reads `source name: Halo name`, and equal names need no entry. `sources.<name>`
overrides anything but the connection for one producer: tables merge, lists and scalars replace.
The text below a key is what the reference and the JSON Schema for editors say of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, StrictInt, StrictStr, model_validator

from hub.tenants.items import Items
from hub.tenants.links import Fields as LinkedFields
from hub.tenants.names import by_folded_name, folded
from hub.tenants.opportunities import Opportunities
from hub.tenants.quotes import Quotes
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
MAX_SOURCES = 100
"""Each costs a look at the whole file, in every service that asks for the rules."""
AUTO_BULK = 20
"""How many records one request carries at most where the file leaves it to the hub."""


class Budget(Section):
    """How many requests the hub may make of this Halo, in any span of that length."""

    requests: Annotated[StrictInt, Field(ge=1, le=100_000)] = 300
    """The most requests in the window; Halo's own limit is 300 in five minutes."""
    window: Span = 300
    """The length of the window: 300s, 5m."""


class Halo(Section):
    """How to reach this tenant's Halo. Both servers follow from `url` unless they are given."""

    url: SignInPage | None = None
    """The address of its Halo; `https` unless it is this machine. Needed unless both servers are given."""
    resource_server: Server | None = None
    """The API server, where Halo names another than `<url>/api`."""
    authorization_server: Server | None = None
    """The sign-in server, where Halo names another than `<url>/auth`."""
    tenant: Text | None = None
    """Sent with the sign-in, where one Halo is hosted for many."""
    client_id: Text
    """The id of the application in Halo."""
    client_secret: Secret
    """Its secret, by reference: `env:NAME` or `file:/path`, never the value."""
    scopes: Scopes = "auto"
    """What the sign-in asks for; `auto` is what quoting needs."""
    budget: Budget = Budget()
    """The requests that the hub may make of this Halo."""
    bulk: Bulk = "auto"
    """How many updates may share one request, where `hub tenant check --write-proof` has seen this Halo take several.

    `auto` is at most 20, a number at most that many, `off` never.
    """

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
    "won": "opportunities",
    "sales_order": "quotes",
}


class Clients(Section):
    """How customers are matched with Halo clients."""

    match: tuple[Literal["halo_id", "external_id", "name"], ...] = ("halo_id", "external_id", "name")
    """How a client that Halo already has is found, in this order."""
    prospect_type: HaloName | None = None
    """Halo customer relationship of companies that are first met on a quote; given when they are made, never later.

    With `lead_ticket_type` it has no effect: a client is made there when it has bought.
    """
    lead_ticket_type: HaloName | None = None
    """Ticket type of leads. With it a company that Halo doesn't have becomes a lead, and a client when a quote is won.

    Without it the client is made with the first quote.
    """
    lead_won_status: HaloName | None = None
    """Halo status of a lead whose company has become a client. Without it the lead keeps its status.

    Either way it is moved to that client. Halo documents no status that ends a lead, so there is none by default.
    """
    on_rejected_predecessor: OnRejected = "supersede"

    def unused(self) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why."""
        if self.prospect_type is not None and self.lead_ticket_type is not None:
            yield (
                "clients.prospect_type",
                "has no effect: with `clients.lead_ticket_type` a client is made when it has bought",
            )
        if self.lead_won_status is not None and self.lead_ticket_type is None:
            yield (
                "clients.lead_won_status",
                "has no effect: without `clients.lead_ticket_type` there are no leads",
            )


class Users(Section):
    """How contacts are matched with Halo users."""

    match: tuple[Literal["halo_id", "external_id", "email"], ...] = ("halo_id", "external_id", "email")
    """How a user that Halo already has is found, in this order."""
    on_rejected_predecessor: OnRejected = "supersede"


class Agents(Section):
    """Who owns opportunities and quotes in Halo."""

    owner: Literal["logged_in_user", "sales_rep"] = "logged_in_user"
    """Whose quote it is in Halo: who prepared it, or the customer's sales representative."""
    default: HaloName | None = None
    """The Halo agent of people that have none; without it such a quote has no owner."""
    map: Table = {}
    """Source user name to Halo agent; equal names need no entry."""

    @cached_property
    def table(self) -> dict[str, str | int]:
        return by_folded_name(self.map)


class Addresses(Section):
    """Which source address field fills each line of a Halo site address; null leaves the line alone."""

    line1: SourceField | None = "street"
    """The source field of the first line; `custom.<name>` for a field of the producer's own."""
    line2: SourceField | None = "apartment"
    """That of the second line."""
    line3: SourceField | None = "city"
    """That of the third line."""
    line4: SourceField | None = None
    """That of the fourth line."""


class RuleSet(Section):
    """A whole tenant file. `for_source` gives the rules as they hold for one producer."""

    tenant: Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    """The tenant's name: what events carry."""
    halo: Halo
    """How to reach this tenant's Halo."""
    clients: Clients = Clients()
    """How customers are matched with Halo clients."""
    users: Users = Users()
    """How contacts are matched with Halo users."""
    agents: Agents = Agents()
    """Who owns opportunities and quotes in Halo."""
    addresses: Addresses = Addresses()
    """Which source address field fills each line of a Halo site address."""
    items: Items = Items()
    """Which Halo items the products of a quote become."""
    billing_periods: TableWithNone = {}
    """Source frequency to Halo billing period; `null` is one-time."""
    currency: HaloName | None = None
    """The Halo currency of quotes that name none; without it Halo's own."""
    currencies: Table = {}
    """Source currency code to Halo currency; ISO codes need no entry."""
    opportunities: Opportunities | None = None
    """Opportunities: on when the section is there."""
    quotes: Quotes | None = None
    """Quotes: on when the section is there."""
    fields: LinkedFields = LinkedFields()
    """Fields of the source that Halo keeps elsewhere than the rules know, each linked to a field of Halo."""
    sources: Annotated[dict[StrictStr, dict[str, Any]], Field(max_length=MAX_SOURCES)] = {}
    """By producer: the same keys but for `tenant` and `halo`, laid over the file for this producer's events.

    Tables merge, anything else replaces.
    """

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
            found = self._effective[name] = RuleSet.model_validate(overlaid(base, own_part(override)))
        return found


def own_part(override: dict[str, Any]) -> dict[str, Any]:
    """What of one producer's overrides may differ: no connection, however its key is spelt."""
    return {key: value for key, value in override.items() if folded(key) not in CONNECTION_KEYS}


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
