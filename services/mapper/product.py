"""A source's product as the Halo item that it is, kept up to date where the tenant's rules push products."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from hub.store.records import Record
from hub.tenants.model import RuleSet
from schemas.commands import Basis, Command
from services.mapper.item import pushed_item
from services.mapper.parts import PRODUCT_DECODER
from services.mapper.record import seq_of
from services.mapper.scope import scope_of


def map_product(
    record: Record, rules: RuleSet, basis: Basis
) -> tuple[Command, ...] | Literal["switched_off"]:
    """The command that brings the item to the product's state."""
    if not rules.items.push:
        return "switched_off"
    product = PRODUCT_DECODER.decode(record.groups["head"].data)
    item = pushed_item(record.id, product, scope_of(record, rules))
    return (replace(item, basis=basis, seq=seq_of(record, basis.rule_sequence)),)
