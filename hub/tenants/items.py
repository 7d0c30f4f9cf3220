"""The `items` section of a tenant file: how a source's products become Halo items."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictStr, model_validator

from hub.tenants.names import by_folded_name, folded
from hub.tenants.part_numbers import product_field, template
from hub.tenants.values import HaloName, OnRejected, Section, Table, Text, unique_names

DEFAULT_FROM = "manufacturer_part_number"
_PART_NUMBER = "items.part_number"

ProductField = Annotated[StrictStr, AfterValidator(product_field)]
Template = Annotated[StrictStr, AfterValidator(template)]


class PartNumber(Section):
    """Where an item's number comes from. Halo keeps it as the item's internal reference."""

    from_: ProductField = Field(default=DEFAULT_FROM, alias="from")
    """Source field that becomes the item's number: a field of the product, or `custom.<name>`."""
    if_missing: Literal["none", "macro", "item_type"] = "none"
    """What makes a number where that field is empty: nothing, `macro`, or the template of the product's item type.

    Without effect while `from` is the manufacturer's part number.
    """
    macro: Template | None = None
    """Template of numbers with `if_missing: macro`, such as `NW-{vendor_part_number}`."""
    by_item_type: Annotated[dict[StrictStr, Template], AfterValidator(unique_names)] = {}
    """Source item type: template, with `if_missing: item_type`; `default` is for all other types."""
    fallback: Template = "{name}"
    """Template of the number of an item that has none so far, since each needs one.

    An empty result rejects the quote.
    """

    @model_validator(mode="after")
    def _complete(self) -> PartNumber:
        if self.generates("macro") and self.macro is None:
            raise ValueError("`if_missing: macro` needs `macro`, the template of the numbers")
        if self.generates("item_type") and not self.by_item_type:
            raise ValueError("`if_missing: item_type` needs `by_item_type`, a template for each type")
        return self

    def generates(self, how: Literal["macro", "item_type"]) -> bool:
        """Whether numbers are made that way: only for a field of which the source may lack a value."""
        return self.from_ != DEFAULT_FROM and self.if_missing == how

    @cached_property
    def type_table(self) -> dict[str, str]:
        return by_folded_name(self.by_item_type)

    def unused(self) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why."""
        said = self.model_fields_set
        if self.from_ == DEFAULT_FROM:
            why = f"has no effect: `{_PART_NUMBER}.from` is {DEFAULT_FROM}, and no number is generated for it"
            yield from (
                (f"{_PART_NUMBER}.{name}", why)
                for name in ("if_missing", "macro", "by_item_type")
                if name in said
            )
            return
        for name, how in (("macro", "macro"), ("by_item_type", "item_type")):
            if name in said and self.if_missing != how:
                why = f"has no effect: `{_PART_NUMBER}.if_missing` is {self.if_missing}, not {how}"
                yield f"{_PART_NUMBER}.{name}", why


class Accounts(Section):
    """The accounts of one Halo asset group; what is left out stays as Halo's own group has it."""

    income: Text | None = None
    """Account code of income."""
    expense: Text | None = None
    """Account code of expense."""

    @model_validator(mode="after")
    def _says_something(self) -> Accounts:
        if self.income is None and self.expense is None:
            raise ValueError("gives no code; write `income`, `expense` or both")
        return self


class Items(Section):
    """Products: which Halo item they are, and how those look that the hub creates."""

    push: StrictBool = False
    """Whether product changes at the source update the Halo item.

    Off: items are only created, when a quote line needs one.
    """
    match: tuple[Literal["halo_id", "sku", "name"], ...] = ("halo_id", "sku", "name")
    """How an existing item is found; the first hit wins."""
    asset_group: HaloName | None = None
    """Halo asset group of items that no entry of `asset_groups` fits, marked "Use for Items".

    Required as soon as the hub may create items.
    """
    asset_groups: Table = {}
    """Source product group, category or item type: Halo asset group. Equal names need no entry."""
    types: Table = {}
    """Source item type: Halo item type. Equal names need no entry."""
    shipping: HaloName | None = None
    """Halo product that carries a quote's shipping charge as a line. Default: the quote's carriage."""
    name_from: Literal["name", "manufacturer_part_number"] = "name"
    """What a new item is named after."""
    sku_from: Literal["manufacturer_part_number"] | None = None
    """What also fills an item's SKU; null leaves the SKU alone."""
    part_number: PartNumber = PartNumber()
    """The item's number."""
    accounts: Annotated[dict[StrictStr, Accounts], AfterValidator(unique_names)] = {}
    """Halo asset group, spelt as in `asset_group` and `asset_groups`: account codes of new items in it.

    Default: the group's own codes in Halo.
    """
    on_rejected_predecessor: OnRejected = "supersede"

    @cached_property
    def group_table(self) -> dict[str, str | int]:
        return by_folded_name(self.asset_groups)

    @cached_property
    def type_table(self) -> dict[str, str | int]:
        return by_folded_name(self.types)

    @cached_property
    def _accounts_table(self) -> dict[str, Accounts]:
        return by_folded_name(self.accounts)

    def accounts_of(self, group: str | int) -> Accounts | None:
        """The codes of a Halo asset group, by its name or id as the file spells it."""
        return self._accounts_table.get(folded(str(group)))

    def unused(self) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why."""
        yield from self.part_number.unused()


def missing_group(content: dict[str, Any]) -> str | None:
    """Why `items.asset_group` is required by a file's content, if it is."""
    items = content.get("items")
    given = isinstance(items, dict) and items.get("asset_group") is not None
    if given:
        return None
    if isinstance(content.get("quotes"), dict):
        return "is required when `quotes` is on: a new item needs a group of Halo's"
    if isinstance(items, dict) and items.get("push") is True:
        return "is required when `items.push` is on: a new item needs a group of Halo's"
    return None
