"""Products of lines as Halo items: matched in the tenant's order, created once, in a group that Halo has."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from schemas.commands import AccountCodes, Field, ItemAccounts, Match, Named
from tests.unit.mapper.build import line, mapped, quote, rules

LAPTOP = {
    "name": "Laptop 14 ",
    "id": "prod-1",
    "halo_id": 900,
    "manufacturer_part_number": "LT-14",
    "description": "14 inch",
}


def lines(*products: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [line(number, product=product, **fields) for number, product in enumerate(products, start=1)]


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in LAPTOP.items() if name not in names}


@pytest.mark.feature("quote.lines.match", part="mapper")
@pytest.mark.parametrize(
    ("product", "source_id", "match"),
    [
        (LAPTOP, "prod-1", [("halo_id", 900), ("sku", "LT-14"), ("name", "Laptop 14 ")]),
        (without("id"), "halo:900", [("halo_id", 900), ("sku", "LT-14"), ("name", "Laptop 14 ")]),
        (without("id", "halo_id"), "sku:LT-14", [("sku", "LT-14"), ("name", "Laptop 14 ")]),
        ({"name": "Laptop 14 "}, "name:Laptop 14 ", [("name", "Laptop 14 ")]),
    ],
)
def test_an_item_is_matched_by_id_then_part_number_then_exact_name(
    product: dict[str, Any], source_id: str, match: list[tuple[Any, Any]]
) -> None:
    """An id that is gone in Halo falls to the next step, since all steps are there; case and spaces are kept."""
    (item,) = mapped(quote(lines=lines(product))).items
    assert item.target.id == source_id
    assert item.match == tuple(Match(by=by, value=value) for by, value in match)


@pytest.mark.feature("quote.lines.match", part="mapper")
def test_the_tenant_says_in_which_order() -> None:
    (item,) = mapped(quote(lines=lines(LAPTOP)), rules(items={"match": ["name", "sku"]})).items
    assert [match.by for match in item.match] == ["name", "sku"]


@pytest.mark.feature("quote.lines.match", part="mapper")
def test_exact_means_exact() -> None:
    made = mapped(quote(lines=lines({"name": "laptop"}, {"name": "Laptop"}, {"name": "Laptop "})))
    assert len(made.items) == 3


@pytest.mark.feature("item.create", part="mapper")
def test_an_item_that_is_new_comes_with_all_it_needs() -> None:
    fields = {"price": "999.90", "cost": "700.10", "frequency": "month"}
    with_rules = rules(billing_periods={"month": "Monthly"})
    (item,) = mapped(quote(lines=lines(LAPTOP, **fields)), with_rules).items
    assert item.ensure
    assert item.name == Field(value="Laptop 14 ")
    assert item.description == Field(value="14 inch")
    assert item.price == Field(value=Decimal("999.9"))
    assert item.cost == Field(value=Decimal("700.1"))
    assert item.recurring == Field(value=True)
    assert item.billing_period == Field(
        value=Named(lookup="billing_period", name="Monthly", setting="billing_periods")
    )
    (plain,) = mapped(quote(lines=lines({"name": "x"}))).items
    assert plain.recurring == Field(value=False)
    assert (plain.billing_period, plain.cost, plain.description) == (UNSET, UNSET, UNSET)


@pytest.mark.feature("item.create", part="mapper")
def test_one_product_on_two_lines_or_two_quotes_is_one_item() -> None:
    made = mapped(quote(lines=lines(LAPTOP, {**LAPTOP, "name": "Other words"}, {"name": "Mouse"})))
    assert [item.target.id for item in made.items] == ["prod-1", "name:Mouse"]
    # The first description is believed, and both lines refer to it.
    assert made.items[0].name == Field(value="Laptop 14 ")
    assert [one.item.id for one in made.lines] == ["prod-1", "prod-1", "name:Mouse"]
    other = mapped(quote(title="Other", lines=lines(LAPTOP)))
    assert other.items[0] == made.items[0]


@pytest.mark.feature("item.kinds", part="mapper")
def test_one_time_and_recurring_products_arrive_both_with_period_and_price() -> None:
    """On their lines and as the items that they need."""
    content = [
        line(1, price="949.90", frequency="once"),
        line(2, price="32", frequency="every month"),
        line(3, price="300", frequency="Yearly"),
        line(4, price="5"),
    ]
    made = mapped(quote(lines=content), rules(billing_periods={"once": None, "every month": "Monthly"}))
    kinds = [(False, None, "949.9"), (True, "Monthly", "32"), (True, "Yearly", "300"), (False, None, "5")]
    assert [
        (one.recurring, one.billing_period and one.billing_period.name, str(one.price)) for one in made.lines
    ] == kinds
    assert [
        (
            item.recurring.value,
            None if item.billing_period is UNSET else item.billing_period.value.name,
            str(item.price.value),
        )
        for item in made.items
    ] == kinds


@pytest.mark.feature("item.kinds", part="mapper")
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_product_that_is_sold_once_and_by_the_month_is_a_recurring_item(order: tuple[int, ...]) -> None:
    """Halo lets a line recur only where its item does; which line comes first must not decide that."""
    sold = [
        line(1, product=LAPTOP, price="80"),
        line(2, product={**LAPTOP, "description": "by the month"}, price="9", frequency="Monthly"),
        line(3, product={"name": "Mouse"}),
    ]
    made = mapped(quote(lines=[sold[place] for place in order]))
    laptop = next(item for item in made.items if item.target.id == "prod-1")
    assert laptop.recurring == Field(value=True)
    assert laptop.price == Field(value=Decimal(9))
    assert laptop.description == Field(value="by the month")
    assert {one.id: one.recurring for one in made.lines} == {"1": False, "2": True, "3": False}
    assert [item.target.id for item in made.items] == list(
        dict.fromkeys(one.item.id for one in made.lines if one.item is not None)
    )


@pytest.mark.feature("quote.lines.create", part="mapper")
def test_items_come_before_the_quote_that_needs_them() -> None:
    made = mapped(quote(contact={"name": "Jo"}, lines=lines(LAPTOP, {"name": "Mouse"})))
    assert made.kinds == ["client", "site", "user", "item", "item", "opportunity", "quote"]
    assert [one.item for one in made.lines] == [item.target for item in made.items]


@pytest.mark.feature("item.name", part="mapper")
@pytest.mark.parametrize(
    ("name_from", "product", "name"),
    [
        ("name", LAPTOP, "Laptop 14 "),
        ("manufacturer_part_number", LAPTOP, "LT-14"),
        ("manufacturer_part_number", {"name": "Mouse"}, "Mouse"),
        ("manufacturer_part_number", {"name": "Mouse", "manufacturer_part_number": ""}, "Mouse"),
    ],
)
def test_a_new_item_is_named_as_the_tenant_says(name_from: str, product: dict[str, Any], name: str) -> None:
    (item,) = mapped(quote(lines=lines(product)), rules(items={"name_from": name_from})).items
    assert item.name == Field(value=name)


GROUPS = {"Laptops": "Notebooks", "Labor": "Professional Services", "m365": 77}


@pytest.mark.feature("item.group.map", part="mapper")
@pytest.mark.parametrize(
    ("product", "group", "mapped_by_the_file"),
    [
        ({"category": "laptops "}, "Notebooks", True),
        ({"category": "M365"}, 77, True),
        ({"item_type": "Labor"}, "Professional Services", True),
        ({"category": "Laptops", "item_type": "Labor"}, "Notebooks", True),
        ({"category": "Elsewhere", "item_type": "Labor"}, "Professional Services", True),
        ({"group": "m365", "category": "Laptops"}, 77, True),
        ({"group": "Elsewhere", "category": "Laptops"}, "Notebooks", True),
        ({"group": "Own", "category": "Hubs"}, "Own", False),
        ({"category": "Hubs", "item_type": "Product"}, "Hubs", False),
        ({"item_type": "Product"}, "Product", False),
    ],
)
def test_the_group_follows_product_group_category_or_item_type_beside_the_default(
    product: dict[str, Any], group: str | int, mapped_by_the_file: bool
) -> None:
    with_rules = rules(items={"asset_groups": GROUPS})
    (item,) = mapped(quote(lines=lines({"name": "x"} | product)), with_rules).items
    assert item.group is not UNSET
    assert item.group.value == Named(
        lookup="asset_group",
        name=group,
        fallback="Hardware",
        setting="items.asset_groups" if mapped_by_the_file else "items.asset_group",
        chosen=mapped_by_the_file,
    )


@pytest.mark.feature("item.group.default", part="mapper")
@pytest.mark.feature("item.group.never_create", part="mapper")
@pytest.mark.parametrize("product", [{}, {"category": ""}])
def test_without_a_mapping_the_default_group_is_asked_for_and_never_a_blank_one(
    product: dict[str, Any],
) -> None:
    (item,) = mapped(quote(lines=lines({"name": "x"} | product))).items
    assert item.group is not UNSET
    # `reject`: when Halo has no such group the command ends, and nothing creates one.
    assert item.group.value == Named(
        lookup="asset_group", name="Hardware", missing="reject", setting="items.asset_group", chosen=True
    )


TYPES = {"product": "Hardware", "Labor": "Service"}


@pytest.mark.feature("item.type", part="mapper")
@pytest.mark.parametrize(
    ("item_type", "named"),
    [
        (
            " PRODUCT",
            Named(lookup="item_type", name="Hardware", missing="leave", setting="items.types", chosen=True),
        ),
        (
            "labor",
            Named(lookup="item_type", name="Service", missing="leave", setting="items.types", chosen=True),
        ),
        # Equal names need no entry, and a word of the source alone is no reason to warn.
        ("Software", Named(lookup="item_type", name="Software", missing="ignore")),
    ],
)
def test_the_sources_item_type_becomes_halos(item_type: str, named: Named) -> None:
    product = {"name": "x", "item_type": item_type}
    (item,) = mapped(quote(lines=lines(product)), rules(items={"types": TYPES})).items
    assert item.type == Field(value=named)


@pytest.mark.feature("item.type", part="mapper")
def test_without_an_item_type_halos_own_stands() -> None:
    (item,) = mapped(quote(lines=lines({"name": "x", "item_type": ""})), rules(items={"types": TYPES})).items
    assert item.type is UNSET


@pytest.mark.feature("item.sku", part="mapper")
@pytest.mark.parametrize(
    ("sku_from", "product", "sku"),
    [
        ("manufacturer_part_number", LAPTOP, "LT-14"),
        ("manufacturer_part_number", {"name": "x", "manufacturer_part_number": ""}, None),
        ("manufacturer_part_number", {"name": "x"}, None),
        (None, LAPTOP, None),
    ],
)
def test_the_sku_is_the_manufacturers_number_if_the_tenant_says_so_and_never_emptied(
    sku_from: str | None, product: dict[str, Any], sku: str | None
) -> None:
    (item,) = mapped(quote(lines=lines(product)), rules(items={"sku_from": sku_from})).items
    assert item.sku == (UNSET if sku is None else Field(value=sku))


ACCOUNTS = {
    "Hardware": {"income": "4000", "expense": "5000"},
    "notebooks": {"income": "4100"},
    "77": {"expense": "9"},
}


@pytest.mark.feature("account.map", part="mapper")
@pytest.mark.parametrize(
    ("product", "own", "fallback"),
    [
        ({}, AccountCodes(income="4000", expense="5000"), None),
        ({"category": "Laptops"}, AccountCodes(income="4100"), AccountCodes(income="4000", expense="5000")),
        ({"category": "M365"}, AccountCodes(expense="9"), AccountCodes(income="4000", expense="5000")),
        # The group of that name may not exist in Halo: then the item gets the default group, and its codes.
        ({"category": "Hubs"}, None, AccountCodes(income="4000", expense="5000")),
    ],
)
def test_a_new_item_carries_the_codes_of_the_group_that_it_gets(
    product: dict[str, Any], own: AccountCodes | None, fallback: AccountCodes | None
) -> None:
    with_rules = rules(items={"asset_groups": GROUPS, "accounts": ACCOUNTS})
    (item,) = mapped(quote(lines=lines({"name": "x"} | product)), with_rules).items
    assert item.group is not UNSET
    assert item.accounts == Field(value=ItemAccounts(group=item.group.value, own=own, fallback=fallback))


@pytest.mark.feature("account.map", part="mapper")
@pytest.mark.parametrize("accounts", [{}, {"Elsewhere": {"income": "1"}}])
def test_groups_without_codes_leave_halos_own(accounts: dict[str, Any]) -> None:
    (item,) = mapped(quote(lines=lines(LAPTOP)), rules(items={"accounts": accounts})).items
    assert item.accounts is UNSET


@pytest.mark.feature("extra.labor", part="mapper")
@pytest.mark.parametrize(
    ("item_type", "stocked"), [("Labor", False), ("labour ", False), ("Product", None), (None, None)]
)
def test_labour_becomes_an_item_with_its_cost_that_is_never_in_stock(
    item_type: str | None, stocked: bool | None
) -> None:
    product = {"name": "Installation hour"} | ({"item_type": item_type} if item_type else {})
    (item,) = mapped(quote(lines=lines(product, cost="38"))).items
    assert item.cost == Field(value=Decimal(38))
    assert item.stocked == (UNSET if stocked is None else Field(value=stocked))
