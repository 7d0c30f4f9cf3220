"""Items (`/Item`). Recurring items keep their price and cost in fields of their own."""

from __future__ import annotations

from typing import Any

from halo.resources import ITEM
from schemas.commands import Command, ItemAccounts, UpsertItem
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable, value_of


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    assert isinstance(command, UpsertItem)
    name = value_of(command.name)
    return None if name is None else {"search": name, "includeinactive": True}


def _natural_keys(command: Command) -> tuple[str, ...]:
    """A new item is kept apart by what the tenant matches items by: its SKU and its exact name."""
    return tuple(f"{match.by}:{match.value}" for match in command.match if match.by in ("sku", "name"))


def _recurring(value: Any, resolved: Resolved) -> Row:
    return {"isrecurringitem": bool(value)}


def _finish(command: Command, element: Row, row: object) -> Row:
    """A recurring item's price and cost are Halo's `recurringprice` and `recurringcost` too."""
    if not element.get("isrecurringitem"):
        return element
    twins = {"baseprice": "recurringprice", "costprice": "recurringcost"}
    return element | {twin: element[name] for name, twin in twins.items() if name in element}


def _stocked(value: Any, resolved: Resolved) -> Row:
    return {"dont_track_stock": not value}


def _accounts(value: ItemAccounts, resolved: Resolved) -> Row:
    """The codes of the group that Halo has; where it has none, nothing: the group's own default stays in force."""
    codes = value.fallback if value.group in resolved.fell_back else value.own
    if codes is None:
        return {}
    found = {"nominalcode": codes.income, "purchasenominalcode": codes.expense}
    return {name: code for name, code in found.items() if code is not None}


def _group(value: Any, resolved: Resolved) -> Row:
    group = resolved.name(value)
    return {} if group is None else {"assetgroup_id": group}


SPEC = KindSpec(
    kind="item",
    resource=ITEM,
    fills={
        "name": "name",
        "description": "description",
        "group": _group,
        "price": "baseprice",
        "cost": "costprice",
        "recurring": _recurring,
        "billing_period": "item_default_billing_period",
        "part_number": "internalreference",
        "sku": "supplier_part_code",
        "type": "type",
        "accounts": _accounts,
        "stocked": _stocked,
    },
    key_field="third_party_id",
    key_scope=_key_scope,
    natural_keys=_natural_keys,
    finish=_finish,
    repeatable=repeatable,
)
