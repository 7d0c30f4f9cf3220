"""A source's products as Halo items: those of a quote's lines are created or adopted, one by itself is kept up to date.

One command for each distinct product of a quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from hub.tenants.items import Accounts
from hub.tenants.names import folded
from schemas.commands import AccountCodes, Field, ItemAccounts, Match, Named, UpsertItem
from schemas.products import SourceProduct
from schemas.quotes import Line, Product, ProductData
from schemas.targets import Target
from services.mapper.part_numbers import number_of, own_number
from services.mapper.periods import billing_period
from services.mapper.refs import item_id
from services.mapper.scope import NO_BASIS, Scope, given, plain, sealed

_GROUP_SETTING = "items.asset_group"
_GROUPS_SETTING = "items.asset_groups"
_LABOUR = frozenset({"labor", "labour"})
"""Source item types of work: it is sold at a cost and never in stock."""


class Terms(msgspec.Struct, frozen=True):
    """What a product costs and how often: as a line sells it, or as the producer's catalogue has it."""

    price: Decimal | None
    cost: Decimal | None
    frequency: str | None
    line_id: str = ""


def item_target(product: Product, scope: Scope) -> Target:
    return scope.target("item", item_id(product))


def ensure_items(lines: Sequence[Line], scope: Scope) -> tuple[UpsertItem, ...]:
    """When lines describe one product differently, the first of them is believed.

    The first that recurs, if one does, since Halo lets a line recur only where its item does.
    """
    believed: dict[str, Line] = {}
    for line in sorted(lines, key=lambda line: billing_period(line.frequency, scope.rules) is None):
        believed.setdefault(item_id(line.product), line)
    order = dict.fromkeys(item_id(line.product) for line in lines)
    return tuple(_ensure_item(believed[name], scope) for name in order)


def _ensure_item(line: Line, scope: Scope) -> UpsertItem:
    terms = Terms(line.price, line.cost, line.frequency, line.id)
    item = upsert_item(item_target(line.product, scope), line.product, terms, scope)
    return sealed(msgspec.structs.replace(item, ensure=True))


def pushed_item(product_id: str, product: SourceProduct, scope: Scope) -> UpsertItem:
    """The item as its producer's catalogue has the product; not ordered.

    What the source doesn't say is given to a new item only, and so are its place among Halo's groups and what follows
    from that: a person may have moved the item, numbered it or made it recur.
    """
    terms = Terms(product.price, product.cost, product.frequency)
    item = upsert_item(scope.target("item", product_id), product, terms, scope)
    late = ["group", "accounts", "stocked"]
    if not product.frequency:
        late.append("recurring")
    if not own_number(product, scope.rules.items.part_number):
        late.append("part_number")
    once = {
        name: msgspec.structs.replace(value, write="on_create")
        for name in late
        if isinstance(value := getattr(item, name), Field)
    }
    return sealed(msgspec.structs.replace(item, **once))


def upsert_item(target: Target, product: ProductData, terms: Terms, scope: Scope) -> UpsertItem:
    """The item that a product is to be; neither sealed nor ordered."""
    rules = scope.rules.items
    period = billing_period(terms.frequency, scope.rules)
    group = _group(product, scope)
    return UpsertItem(
        target=target,
        basis=NO_BASIS,
        match=_match(product, scope),
        name=Field(value=_name(product, scope)),
        description=given(product.description),
        group=Field(value=group),
        price=given(None if terms.price is None else plain(terms.price)),
        cost=given(None if terms.cost is None else plain(terms.cost)),
        recurring=Field(value=period is not None),
        billing_period=given(period),
        part_number=given(number_of(product, rules.part_number, terms.line_id)),
        sku=given(_sku(product, scope)),
        type=given(_type(product, scope)),
        accounts=given(_accounts(group, scope)),
        stocked=given(False if folded(product.item_type or "") in _LABOUR else None),
    )


def _match(product: ProductData, scope: Scope) -> tuple[Match, ...]:
    values: dict[str, str | int | None] = {
        "halo_id": product.halo_id,
        "sku": product.manufacturer_part_number or None,
        "name": product.name,
    }
    return tuple(Match(by=by, value=values[by]) for by in scope.rules.items.match if values[by] is not None)


def _name(product: ProductData, scope: Scope) -> str:
    if scope.rules.items.name_from == "manufacturer_part_number":
        return product.manufacturer_part_number or product.name
    return product.name


def _sku(product: ProductData, scope: Scope) -> str | None:
    """The SKU is written only where the tenant says so, and never emptied."""
    return None if scope.rules.items.sku_from is None else product.manufacturer_part_number or None


def _type(product: ProductData, scope: Scope) -> Named | None:
    """Halo's word for the source's item type; a source's own word that Halo lacks is no reason to warn."""
    if not product.item_type:
        return None
    mapped = scope.rules.items.type_table.get(folded(product.item_type))
    if mapped is None:
        return Named(lookup="item_type", name=product.item_type, missing="ignore")
    return Named(lookup="item_type", name=mapped, missing="leave", setting="items.types", chosen=True)


def _group(product: ProductData, scope: Scope) -> Named:
    """A group that the tenant's Halo has, or a rejection that names the setting: never a blank or a new one."""
    rules = scope.rules.items
    default = rules.asset_group
    assert default is not None, "a tenant file that makes items has a default group"
    names = [name for name in (product.group, product.category, product.item_type) if name]
    for name in names:
        mapped = rules.group_table.get(folded(name))
        if mapped is not None:
            return Named(
                lookup="asset_group", name=mapped, fallback=default, setting=_GROUPS_SETTING, chosen=True
            )
    if names:
        return Named(lookup="asset_group", name=names[0], fallback=default, setting=_GROUP_SETTING)
    return Named(lookup="asset_group", name=default, setting=_GROUP_SETTING, chosen=True)


def _accounts(group: Named, scope: Scope) -> ItemAccounts | None:
    """The codes of the group and of its fallback; only Halo knows which of the two the item gets."""
    rules = scope.rules.items
    own = _codes(rules.accounts_of(group.name))
    fallback = None if group.fallback is None else _codes(rules.accounts_of(group.fallback))
    return None if own is None and fallback is None else ItemAccounts(group=group, own=own, fallback=fallback)


def _codes(accounts: Accounts | None) -> AccountCodes | None:
    return None if accounts is None else AccountCodes(income=accounts.income, expense=accounts.expense)
