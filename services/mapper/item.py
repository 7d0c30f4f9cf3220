"""The products of a quote's lines as Halo items, one command for each distinct product: created or adopted."""

from __future__ import annotations

from collections.abc import Sequence

from hub.tenants.names import folded
from schemas.commands import Field, Match, Named, UpsertItem
from schemas.quotes import Line, Product
from schemas.targets import Target
from services.mapper.periods import billing_period
from services.mapper.refs import item_id
from services.mapper.scope import NO_BASIS, Scope, given, plain, sealed

_GROUP_SETTING = "items.asset_group"


def item_target(product: Product, scope: Scope) -> Target:
    return scope.target("item", item_id(product))


def ensure_items(lines: Sequence[Line], scope: Scope) -> tuple[UpsertItem, ...]:
    """When lines describe one product differently, the first of them is believed."""
    first: dict[str, Line] = {}
    for line in lines:
        first.setdefault(item_id(line.product), line)
    return tuple(_ensure_item(line, scope) for line in first.values())


def _ensure_item(line: Line, scope: Scope) -> UpsertItem:
    product = line.product
    period = billing_period(line.frequency, scope.rules)
    return sealed(
        UpsertItem(
            target=item_target(product, scope),
            basis=NO_BASIS,
            ensure=True,
            match=_match(product, scope),
            name=Field(value=_name(product, scope)),
            description=given(product.description),
            group=Field(value=_group(product, scope)),
            price=Field(value=plain(line.price)),
            cost=given(None if line.cost is None else plain(line.cost)),
            recurring=Field(value=period is not None),
            billing_period=given(period),
        )
    )


def _match(product: Product, scope: Scope) -> tuple[Match, ...]:
    values: dict[str, str | int | None] = {
        "halo_id": product.halo_id,
        "sku": product.manufacturer_part_number or None,
        "name": product.name,
    }
    return tuple(Match(by=by, value=values[by]) for by in scope.rules.items.match if values[by] is not None)


def _name(product: Product, scope: Scope) -> str:
    if scope.rules.items.name_from == "manufacturer_part_number":
        return product.manufacturer_part_number or product.name
    return product.name


def _group(product: Product, scope: Scope) -> Named:
    """A group that the tenant's Halo has, or a rejection that names the setting: never a blank or a new one."""
    rules = scope.rules.items
    default = rules.asset_group
    assert default is not None, "a tenant file with quotes has a default group"
    own = _mapped_group(product, scope)
    if own is None:
        return Named(lookup="asset_group", name=default, setting=_GROUP_SETTING)
    return Named(lookup="asset_group", name=own, fallback=default, setting=_GROUP_SETTING)


def _mapped_group(product: Product, scope: Scope) -> str | int | None:
    names = [name for name in (product.category, product.item_type) if name]
    for name in names:
        if (mapped := scope.rules.items.group_table.get(folded(name))) is not None:
            return mapped
    return names[0] if names else None
