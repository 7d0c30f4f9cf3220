"""Commands as the mapper makes them, for one quoting tool of one tenant; every field can be overridden."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from schemas.commands import (
    TYPE_OF_KIND,
    AttachFile,
    Basis,
    Command,
    Field,
    FileSource,
    MainContact,
    Match,
    Named,
    OpportunityLine,
    QuoteLine,
    SiteAddress,
    Totals,
    UpsertClient,
    UpsertItem,
    UpsertOpportunity,
    UpsertQuote,
    UpsertSite,
    UpsertUser,
)
from schemas.envelope import Envelope
from schemas.identity import id_of, state_hash
from schemas.registry import encode
from schemas.targets import Kind, Target
from services.halo_writer.work import Work

TENANT = "acme"
INSTANCE = "acme.halopsa.example"
C = TypeVar("C", bound=Command)


def basis(event_id: str = "event-1", cause: str = "") -> Basis:
    return Basis(
        event_id=event_id,
        event_type="quote.published.v1",
        origin="hub.quotes.v1",
        subject="q-1",
        rule_sequence=1,
        rule_hash="rules",
        cause=cause,
    )


def sealed(command: C) -> C:
    """The command with the hash of its own state."""
    return replace(command, state_hash=state_hash(command))


def changed(command: C, **fields: Any) -> C:
    """The command with other fields, and the hash that belongs to them."""
    return sealed(replace(command, **fields))


def envelope_of(command: Command) -> Envelope:
    target = command.target
    return Envelope(
        id=id_of(command),
        source="/hub/mapper",
        type=TYPE_OF_KIND[target.kind],
        subject=target.id,
        time=dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC),
        tenant=target.tenant,
        correlationid="event-1",
        causationid="event-1",
    )


def work_of(command: Command) -> Work:
    return Work(command=command, envelope=envelope_of(command), value=encode(command))


def once(value: Any) -> Any:
    """A field that is given at creation only; None is a field that the event lacks."""
    return UNSET if value is None else Field(value=value, write="on_create")


def always(value: Any) -> Any:
    return UNSET if value is None else Field(value=value)


def by(**rules: str | int | None) -> tuple[Match, ...]:
    """`by(halo_id=12, our_key=None, name="Smith")`, in that order."""
    return tuple(Match(by=name, value=value) for name, value in rules.items())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tool:
    """A quoting tool; `instance` is the Halo that its tenant writes to."""

    instance: str = INSTANCE
    tenant: str = TENANT
    source: str = "quoter"

    def target(self, kind: Kind, source_id: str) -> Target:
        return Target(tenant=self.tenant, instance=self.instance, source=self.source, kind=kind, id=source_id)

    def client(
        self,
        org: str = "org-1",
        name: str = "Brackenridge Foods",
        *,
        match: Sequence[Match] | None = None,
        site_name: str | None = None,
        address: SiteAddress | None = None,
        contact: MainContact | None = None,
        **fields: Any,
    ) -> UpsertClient:
        """The customer of a quote: created or adopted, never updated."""
        return sealed(
            UpsertClient(
                target=self.target("client", org),
                basis=basis(),
                ensure=True,
                match=tuple(match) if match is not None else by(our_key=None, name=name),
                name=Field(value=name, write="on_create"),
                site_name=once(site_name),
                site_address=once(address),
                main_contact=once(contact),
                **fields,
            )
        )

    def site(
        self,
        org: str = "org-1",
        name: str | None = None,
        address: SiteAddress | None = None,
        **fields: Any,
    ) -> UpsertSite:
        """The site of a quote: the one that it names, or the client's main one."""
        match = by(name=name) if name else by(parent_main=None)
        values: dict[str, Any] = {
            "ensure": True,
            "client": Field(value=self.target("client", org), write="on_create"),
            "name": once(name),
            "address": once(address),
        }
        return sealed(
            UpsertSite(
                target=self.target("site", f"{org}/{name or 'main'}"),
                basis=basis(),
                match=match,
                **(values | fields),
            )
        )

    def user(
        self,
        person: str = "person-1",
        name: str = "Nina Park",
        *,
        org: str = "org-1",
        email: str | None = "nina@brackenridge.example",
        match: Sequence[Match] | None = None,
        site: str | None = None,
        **fields: Any,
    ) -> UpsertUser:
        """The person that the quote was prepared for."""
        found = by(our_key=None, email=email) if email else by(our_key=None)
        return sealed(
            UpsertUser(
                target=self.target("user", person),
                basis=basis(),
                ensure=True,
                match=tuple(match) if match is not None else found,
                client=once(self.target("client", org)),
                site=once(self.target("site", f"{org}/{site or 'main'}")),
                name=once(name),
                email=once(email),
                **fields,
            )
        )

    def attachment(
        self,
        content: bytes = b"%PDF-1.7 New office",
        quote: str = "q-1",
        *,
        name: str = "New office.pdf",
        url: str = "https://files.quoter.example/q-1.pdf",
        media_type: str = "application/pdf",
        origin: str | None = "quote PDF",
        sha256: str | None = None,
        size: int | None = None,
    ) -> AttachFile:
        """A file of a quote's opportunity, by default as it lies at its address."""
        digest = sha256 or hashlib.sha256(content).hexdigest()
        owner = self.target("opportunity", quote)
        source = FileSource(url=url, sha256=digest, size=size or len(content), media_type=media_type)
        return sealed(
            AttachFile(
                target=replace(owner, kind="attachment", scope=f"opportunity:{digest}"),
                basis=basis(),
                ensure=True,
                opportunity=Field(value=owner),
                name=Field(value=name),
                origin=always(origin),
                file=Field(value=source),
            )
        )

    def item(
        self,
        code: str | None = "NEW-1",
        name: str = "Rack Shelf",
        *,
        match: Sequence[Match] | None = None,
        group: Named | None = None,
        price: str = "40",
        cost: str | None = "25",
        recurring: bool = False,
        period: str | None = None,
        id: str | None = None,  # noqa: A002 - the target's own word
        **fields: Any,
    ) -> UpsertItem:
        """The product of a line."""
        found = (*(by(sku=code) if code else ()), *by(name=name))
        return sealed(
            UpsertItem(
                target=self.target("item", id or code or name),
                basis=basis(),
                ensure=True,
                match=tuple(match) if match is not None else found,
                name=once(name),
                group=once(group or Named(lookup="asset_group", name="Hardware")),
                price=once(Decimal(price)),
                cost=once(None if cost is None else Decimal(cost)),
                recurring=once(recurring),
                billing_period=once(None if period is None else Named(lookup="billing_period", name=period)),
                **fields,
            )
        )

    def opportunity(
        self,
        quote: str = "q-1",
        *,
        seq: tuple[int, ...] = (1, 1),
        org: str = "org-1",
        title: str = "New office",
        person: str | None = None,
        agent: Named | None = None,
        write: Literal["always", "on_create"] = "always",
        **fields: Any,
    ) -> UpsertOpportunity:
        """The opportunity that a quote lives under."""
        user = UNSET if person is None else Field(value=self.target("user", person), write=write)
        return sealed(
            UpsertOpportunity(
                target=self.target("opportunity", quote),
                basis=basis(),
                seq=seq,
                client=Field(value=self.target("client", org), write=write),
                site=Field(value=self.target("site", f"{org}/main"), write=write),
                user=user,
                title=once(title),
                ticket_type=once(Named(lookup="ticket_type", name="Opportunity")),
                agent=always(agent),
                **fields,
            )
        )

    def product(self, line_id: str = "l1", item: str = "FW-100", **fields: Any) -> OpportunityLine:
        """One product on an opportunity; `item` is the id of the product's target."""
        values: dict[str, Any] = {
            "name": "Firewall Appliance",
            "part_number": item,
            "quantity": Decimal(1),
            "price": Decimal(899),
        }
        return OpportunityLine(id=line_id, item=self.target("item", item), **(values | fields))

    def line(self, line_id: str = "l1", item: str | None = "FW-100", **fields: Any) -> QuoteLine:
        """One line; `item` is the id of the product's target, None where Halo's own is named."""
        values: dict[str, Any] = {
            "name": "Firewall Appliance",
            "quantity": Decimal(1),
            "base_price": Decimal(899),
            "price": Decimal(899),
            "discount_percent": Decimal(0),
            "product_code": item,
        }
        sold = None if item is None else self.target("item", item)
        return QuoteLine(id=line_id, item=sold, **(values | fields))

    def quote(
        self,
        quote: str = "q-1",
        *,
        seq: tuple[int, ...] = (1, 1),
        org: str = "org-1",
        lines: Sequence[QuoteLine] | None = None,
        status: str | None = "Sent",
        title: str = "New office",
        person: str | None = None,
        agent: Named | None = None,
        net: str | None = None,
        tax: str | None = None,
        opportunity: str | None = None,
        **fields: Any,
    ) -> UpsertQuote:
        """The quote: head, status and lines."""
        totals = None if net is None else Totals(net=Decimal(net), tax=None if tax is None else Decimal(tax))
        named = None if status is None else Named(lookup="quote_status", name=status, missing="leave")
        sold = (self.line(),) if lines is None else tuple(lines)
        return sealed(
            UpsertQuote(
                target=self.target("quote", quote),
                basis=basis(),
                seq=seq,
                opportunity=always(self.target("opportunity", opportunity or quote)),
                client=always(self.target("client", org)),
                site=always(self.target("site", f"{org}/main")),
                user=always(None if person is None else self.target("user", person)),
                title=always(title),
                agent=always(agent),
                status=always(named),
                lines=always(sold),
                totals=always(totals),
                **fields,
            )
        )

    def whole_quote(
        self,
        quote: str = "q-1",
        *,
        seq: tuple[int, ...] = (1, 1),
        org: str = "org-1",
        org_name: str = "Brackenridge Foods",
        person: str | None = None,
        person_name: str = "Nina Park",
        items: Sequence[UpsertItem] | None = None,
        client: UpsertClient | None = None,
        site: UpsertSite | None = None,
        user: UpsertUser | None = None,
        agent: Named | None = None,
        **quote_fields: Any,
    ) -> list[Command]:
        """All commands of one published quote, in the mapper's order."""
        sold = [self.item("FW-100", "Firewall Appliance")] if items is None else items
        found: list[Command] = [client or self.client(org, org_name), site or self.site(org)]
        if person is not None:
            found.append(user or self.user(person, person_name, org=org))
        return [
            *found,
            *sold,
            self.opportunity(quote, seq=seq, org=org, person=person, agent=agent),
            self.quote(quote, seq=seq, org=org, person=person, agent=agent, **quote_fields),
        ]


def of_kind(commands: Sequence[Command], kind: Kind) -> Command:
    """The one command of a kind."""
    (found,) = [command for command in commands if command.target.kind == kind]
    return found
