"""Quotes, events and rules for tests of the mapping, with only what a test is about spelt out."""

import datetime as dt
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import yaml

from hub.store.records import Record
from hub.tenants.load import accept, from_text
from hub.tenants.model import RuleSet
from schemas.commands import (
    Basis,
    Command,
    UpsertClient,
    UpsertItem,
    UpsertOpportunity,
    UpsertQuote,
    UpsertSite,
    UpsertUser,
)
from schemas.envelope import Envelope
from schemas.quotes import Quote
from services.mapper.parts import GroupName, SourceDocument
from services.mapper.quote import Mapped as Made
from services.mapper.quote import NothingToWrite, Waiting, commands, desired
from services.mapper.record import fold, versions_of

C = TypeVar("C", bound=Command)
START = dt.datetime(2025, 3, 1, 9, 0, tzinfo=dt.UTC)
BASIS = Basis(
    event_id="e-1",
    event_type="quote.published.v1",
    origin="hub.quotes.v1",
    subject="Q-1",
    rule_sequence=7,
    rule_hash="h",
)
ALL: frozenset[GroupName] = frozenset({"head", "lines", "status"})


def rules(source: str = "quoter", **sections: Any) -> RuleSet:
    """The rules of the quoting tool's minimal file, as they hold for one producer, with sections merged in."""
    content: dict[str, Any] = {
        "tenant": "acme",
        "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:S"},
        "items": {"asset_group": "Hardware"},
        "opportunities": {"ticket_type": "Opportunity"},
        "quotes": {},
    }
    for name, section in sections.items():
        content[name] = {**content.get(name, {}), **section} if isinstance(section, dict) else section
    return from_text(accept(yaml.safe_dump(content, sort_keys=False).encode()).text).for_source(source)


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    product = {"name": f"Product {number}"} | changes.pop("product", {})
    return {"id": str(number), "product": product, "quantity": "1", "price": "100"} | changes


def quote(**changes: Any) -> Quote:
    content = {"title": "Laptops", "customer": {"name": "Contoso Ltd", "id": "c-1"}, "lines": [line()]}
    return msgspec.convert(content | changes, Quote, strict=False)


def envelope(
    number: int,
    event_type: str = "quote.published.v1",
    *,
    revision: int | None = -1,
    subject: str = "Q-1",
    event_id: str | None = None,
    **attributes: Any,
) -> Envelope:
    """The event number `number` of its entity; its revision too, unless told otherwise."""
    return Envelope(
        id=event_id or f"e-{number}",
        source="/quoter",
        type=event_type,
        subject=subject,
        time=START + dt.timedelta(seconds=number),
        tenant="acme",
        revision=number if revision == -1 else revision,
        **attributes,
    )


def status(number: int, **attributes: Any) -> Envelope:
    return envelope(number, "quote.status_changed.v1", **attributes)


def folded(*events: tuple[Envelope, SourceDocument]) -> Record:
    record: Record | None = None
    for about, data in events:
        record = fold(record, about, data).record
    assert record is not None
    return record


class Mapped:
    """The commands of one quote, by kind."""

    def __init__(self, commands: tuple[Command, ...]) -> None:
        self.commands = commands

    def _only(self, kind: type[C]) -> C:
        found = [command for command in self.commands if isinstance(command, kind)]
        assert len(found) == 1, [command.kind for command in self.commands]
        return found[0]

    @property
    def client(self) -> UpsertClient:
        return self._only(UpsertClient)

    @property
    def site(self) -> UpsertSite:
        return self._only(UpsertSite)

    @property
    def user(self) -> UpsertUser:
        return self._only(UpsertUser)

    @property
    def items(self) -> list[UpsertItem]:
        return [command for command in self.commands if isinstance(command, UpsertItem)]

    @property
    def opportunity(self) -> UpsertOpportunity:
        return self._only(UpsertOpportunity)

    @property
    def quote(self) -> UpsertQuote:
        return self._only(UpsertQuote)

    @property
    def lines(self) -> Any:
        return self.quote.lines.value

    @property
    def kinds(self) -> list[str]:
        return [command.kind for command in self.commands]


def map_quote(
    record: Record, rules: RuleSet, basis: Basis, touched: frozenset[GroupName]
) -> Made | NothingToWrite | Waiting:
    """Both steps of the mapping, as the mapper takes them of an event that carries the groups `touched`."""
    state = desired(record, rules)
    return state if isinstance(state, Waiting) else commands(state, record, rules, basis, touched)


def mapped(
    data: Quote | Record, with_rules: RuleSet | None = None, touched: frozenset[GroupName] = ALL
) -> Mapped:
    """What a quote (or a record) maps to. Raises MappingRejected."""
    record = data if isinstance(data, Record) else folded((envelope(1), data))
    basis = msgspec.structs.replace(BASIS, record_versions=versions_of(record))
    made = map_quote(record, with_rules or rules(), basis, touched)
    assert isinstance(made, Made)
    return Mapped(made.commands)


def cents(amount: Decimal) -> int:
    return int(amount * 100)
