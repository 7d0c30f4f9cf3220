"""The number of an item: from the field that the tenant chose, made where it is empty, never missing."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from schemas.commands import Field
from services.mapper.scope import MappingRejected
from tests.unit.mapper.build import START, envelope, folded, line, mapped, quote, rules

NUMBERED = {
    "name": "Rack shelf",
    "manufacturer": "Acorn",
    "manufacturer_part_number": "MPN-1",
    "vendor": "Northgate",
    "vendor_part_number": "V-9",
    "item_type": "Product",
    "custom": {"text03": "C-3", "custom_text_03": "CT-3"},
}


def number(product: dict[str, Any], part_number: dict[str, Any] | None = None, **more: Any) -> str:
    made = mapped(
        quote(lines=[line(7, product=product)]), rules(items={"part_number": part_number or {}} | more)
    )
    (item,) = made.items
    assert item.part_number is not UNSET
    return item.part_number.value


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in NUMBERED.items() if name not in names}


@pytest.mark.feature("item.number", part="mapper")
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, "MPN-1"),
        ("manufacturer_part_number", "MPN-1"),
        ("vendor_part_number", "V-9"),
        ("name", "Rack shelf"),
        ("custom.text03", "C-3"),
        ("custom_text_03", "CT-3"),
    ],
)
def test_the_number_is_the_field_that_the_tenant_chose(field: str | None, expected: str) -> None:
    assert number(NUMBERED, {} if field is None else {"from": field}) == expected


@pytest.mark.feature("item.number", part="mapper")
def test_the_line_shows_the_same_number_and_a_made_up_one_is_the_items_alone() -> None:
    with_rules = rules(items={"part_number": {"from": "custom.text03"}})
    made = mapped(quote(lines=[line(1, product=NUMBERED), line(2, product={"name": "Mouse"})]), with_rules)
    assert [one.product_code for one in made.lines] == ["C-3", None]
    assert [item.part_number for item in made.items] == [Field(value="C-3"), Field(value="Mouse")]


@pytest.mark.feature("item.number.none", part="mapper")
def test_without_generation_an_empty_field_makes_no_number_of_its_own() -> None:
    rule = {"from": "custom.x", "if_missing": "none", "fallback": "F-{name}"}
    assert number(NUMBERED, rule | {"macro": "M-{name}"}) == "F-Rack shelf"
    made = mapped(quote(lines=[line(product=NUMBERED)]), rules(items={"part_number": rule}))
    assert made.lines[0].product_code is None


MACRO = {"from": "custom.x", "if_missing": "macro", "macro": "NW-{vendor_part_number}"}


@pytest.mark.feature("item.number.macro", part="mapper")
def test_a_missing_number_is_made_from_the_template() -> None:
    assert number(NUMBERED, MACRO) == "NW-V-9"
    assert number({**NUMBERED, "custom": {"x": "Own"}}, MACRO) == "Own", "what the source gives stands"
    assert number({**NUMBERED, "custom": {"x": "  "}}, MACRO) == "NW-V-9"
    every = {**MACRO, "macro": "{manufacturer}/{vendor}/{item_type}/{custom.text03}/{source_line_id}"}
    assert number(NUMBERED, every) == "Acorn/Northgate/Product/C-3/7"


@pytest.mark.feature("item.number.macro", part="mapper")
def test_half_a_number_is_none_since_many_products_would_share_it() -> None:
    assert number(without("vendor_part_number"), MACRO) == "Rack shelf"


PRODUCTS = st.fixed_dictionaries(
    {"name": st.text(min_size=1, max_size=20), "vendor_part_number": st.text(max_size=20)}
)


@pytest.mark.feature("item.number.macro", part="mapper")
@given(product=PRODUCTS)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_replay_makes_the_same_number(product: dict[str, str]) -> None:
    """Another event id, another time, another price: the number is a function of the product and its line alone."""
    with_rules = rules(items={"part_number": {**MACRO, "fallback": "F-{source_line_id}"}})
    once = mapped(quote(lines=[line(product=product)]), with_rules).items[0]
    later = replace(envelope(9, event_id="redriven"), time=START + dt.timedelta(days=400))
    record = folded((later, quote(lines=[line(product=product, price="3")])))
    assert mapped(record, with_rules).items[0].part_number == once.part_number


BY_TYPE = {
    "from": "custom.x",
    "if_missing": "item_type",
    "by_item_type": {"Labor": "LAB-{name}", "default": "GEN-{vendor}-{vendor_part_number}"},
}


@pytest.mark.feature("item.number.by_type", part="mapper")
@pytest.mark.parametrize(
    ("item_type", "expected"),
    [
        (" labor", "LAB-Rack shelf"),
        ("Product", "GEN-Northgate-V-9"),
        ("", "GEN-Northgate-V-9"),
        (None, "GEN-Northgate-V-9"),
    ],
)
def test_each_item_type_has_its_template_and_the_others_the_default(
    item_type: str | None, expected: str
) -> None:
    assert (
        number(without("item_type") | ({} if item_type is None else {"item_type": item_type}), BY_TYPE)
        == expected
    )


@pytest.mark.feature("item.number.by_type", part="mapper")
def test_without_a_default_other_types_have_no_template() -> None:
    only_labour = {**BY_TYPE, "by_item_type": {"Labor": "LAB-{name}"}}
    assert number(NUMBERED, only_labour) == "Rack shelf"


@pytest.mark.feature("item.number.options", part="mapper")
def test_with_the_manufacturers_number_no_generation_takes_effect() -> None:
    rule = {"if_missing": "macro", "macro": "NW-{vendor_part_number}"}
    assert number(without("manufacturer_part_number"), rule) == "Rack shelf"
    assert (
        number(without("manufacturer_part_number"), rule | {"from": "manufacturer_part_number"})
        == "Rack shelf"
    )


@pytest.mark.feature("item.number.required", part="mapper")
@pytest.mark.parametrize(
    ("fallback", "expected"), [("{name}", "Mouse"), ("LINE-{source_line_id}", "LINE-7"), ("MISC", "MISC")]
)
def test_an_item_without_a_number_takes_the_fallback(fallback: str, expected: str) -> None:
    assert number({"name": "Mouse"}, {"fallback": fallback}) == expected


@pytest.mark.feature("item.number.required", part="mapper")
@pytest.mark.parametrize("fallback", ["", "{manufacturer}", "   "])
def test_a_quote_with_an_item_without_any_number_is_rejected_whole_and_names_the_lines(fallback: str) -> None:
    content = [
        line(1, product=NUMBERED),
        line(2, product={"name": "Mouse"}),
        line(3, product={"name": "Hub"}),
    ]
    with_rules = rules(items={"part_number": {"fallback": fallback}})
    with pytest.raises(MappingRejected) as caught:
        mapped(quote(lines=content), with_rules)
    assert [fault.at for fault in caught.value.faults] == ["lines[1].product", "lines[2].product"]
    assert "'2' ('Mouse')" in caught.value.faults[0].problem
    assert "items.part_number.fallback" in caught.value.faults[0].problem
    # A later change of the status alone doesn't bring half of it to Halo.
    with pytest.raises(MappingRejected):
        mapped(folded((envelope(1), quote(lines=content))), with_rules, frozenset({"status"}))


@pytest.mark.feature("item.number.required", part="mapper")
def test_a_number_that_is_too_long_to_keep_is_none() -> None:
    with pytest.raises(MappingRejected):
        number({"name": "x" * 255}, {"fallback": "L-{name}"})
