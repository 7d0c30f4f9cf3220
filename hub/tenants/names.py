"""How names compare, and which of Halo's names a rule set mentions.

Names compare without regard to case and to spaces at their ends or doubled inside; a currency also by its code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hub.tenants.halo_fields import WRITABLE
from schemas.commands import Lookup

if TYPE_CHECKING:
    from hub.tenants.model import Clients, RuleSet
    from hub.tenants.opportunities import Opportunities

T = TypeVar("T")


def folded(name: str) -> str:
    """The form in which two spellings of one name are equal."""
    return " ".join(name.split()).casefold()


def by_folded_name(table: Mapping[str, T]) -> dict[str, T]:
    """The table with its keys in the form that they compare in."""
    return {folded(key): value for key, value in table.items()}


class HaloName(NamedTuple):
    """A name (or id) that the rules expect in Halo: where it is looked up, and the key of the file that says it."""

    lookup: Lookup
    name: str | int
    key: str


def halo_names(rules: RuleSet) -> list[HaloName]:
    """Every Halo name of the file, overrides of single sources included; once for each key that mentions it."""
    found = list(_of_one(rules, ""))
    for source in rules.sources:
        found += _of_one(rules.for_source(source), f"sources.{source}.")
    seen: set[tuple[Lookup, str | int]] = set()
    kept = []
    for name in found:
        # An override repeats what it inherits; only its own names are news.
        if name.key.startswith("sources.") and (name.lookup, name.name) in seen:
            continue
        seen.add((name.lookup, name.name))
        kept.append(name)
    return kept


def _of_one(rules: RuleSet, prefix: str) -> Iterator[HaloName]:
    if rules.agents.default is not None:
        yield HaloName("agent", rules.agents.default, f"{prefix}agents.default")
    yield from _of_table("agent", rules.agents.map, f"{prefix}agents.map")
    yield from _of_clients(rules.clients, f"{prefix}clients")
    if rules.items.asset_group is not None:
        yield HaloName("asset_group", rules.items.asset_group, f"{prefix}items.asset_group")
    yield from _of_table("asset_group", rules.items.asset_groups, f"{prefix}items.asset_groups")
    yield from _of_table("item_type", rules.items.types, f"{prefix}items.types")
    for group in rules.items.accounts:
        known = int(group) if group.isdecimal() else group
        yield HaloName("asset_group", known, f"{prefix}items.accounts.{group}")
    if rules.items.shipping is not None:
        yield HaloName("item", rules.items.shipping, f"{prefix}items.shipping")
    yield from _of_table("billing_period", rules.billing_periods, f"{prefix}billing_periods")
    if rules.currency is not None:
        name = rules.currency_table.get(folded(str(rules.currency)), rules.currency)
        yield HaloName("currency", name, f"{prefix}currency")
    yield from _of_table("currency", rules.currencies, f"{prefix}currencies")
    if rules.opportunities is not None:
        yield from _of_opportunities(rules.opportunities, f"{prefix}opportunities")
    for kind in WRITABLE:
        for source, link in rules.fields.of(kind).items():
            if link.custom_field is not None:
                yield HaloName("custom_field", link.custom_field, f"{prefix}fields.{kind}.{source}")
    if rules.quotes is not None:
        yield from _of_table("quote_status", rules.quotes.statuses, f"{prefix}quotes.statuses")


def _of_clients(rules: Clients, at: str) -> Iterator[HaloName]:
    if rules.prospect_type is not None:
        yield HaloName("customer_relationship", rules.prospect_type, f"{at}.prospect_type")
    if rules.lead_ticket_type is not None:
        yield HaloName("ticket_type", rules.lead_ticket_type, f"{at}.lead_ticket_type")
    if rules.lead_won_status is not None:
        yield HaloName("status", rules.lead_won_status, f"{at}.lead_won_status")


def _of_opportunities(rules: Opportunities, at: str) -> Iterator[HaloName]:
    yield HaloName("ticket_type", rules.ticket_type, f"{at}.ticket_type")
    yield from _of_table("ticket_type", rules.ticket_types, f"{at}.ticket_types")
    yield from _of_table("team", rules.teams, f"{at}.teams")
    if rules.status is not None:
        yield HaloName("status", rules.status, f"{at}.status")
    yield from _of_table("status", rules.statuses, f"{at}.statuses")
    # A tenant whose quotes are never converted needs no such status.
    if "won" in rules.model_fields_set and rules.won.when != "never" and "won" not in rules.status_table:
        yield HaloName("status", rules.won_status, f"{at}.won.when")


def _of_table(lookup: Lookup, table: Mapping[str, str | int | None], key: str) -> Iterator[HaloName]:
    for source_name, name in table.items():
        if name is not None:
            yield HaloName(lookup, name, f"{key}.{source_name}")
