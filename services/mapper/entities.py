"""What maps each kind of source entity that needs no other: not quotes, whose mapping is kept, nor their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from hub.store.records import Record
from hub.tenants.model import RuleSet
from schemas.commands import Basis, Command
from services.mapper.opportunity import map_opportunity
from services.mapper.product import map_product

MapEntity = Callable[[Record, RuleSet, Basis], tuple[Command, ...] | Literal["switched_off"]]
"""Pure: (folded record, rules of its producer, basis) to commands."""

ENTITIES: Mapping[str, MapEntity] = {
    "opportunity": map_opportunity,
    "product": map_product,
}
