"""The `items` section: part numbers, accounts, and what of it is refused or without effect."""

from typing import Any

import pytest
import yaml

from hub.tenants.load import RulesInvalid, accept, from_text
from hub.tenants.model import RuleSet

HALO = {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:S"}


def file_with(items: dict[str, Any], **more: Any) -> bytes:
    content = {"tenant": "acme", "halo": HALO, "items": {"asset_group": "Hardware"} | items} | more
    return yaml.safe_dump(content, sort_keys=False).encode()


def rules(items: dict[str, Any], **more: Any) -> RuleSet:
    return from_text(accept(file_with(items, **more)).text)


def faults(items: dict[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(RulesInvalid) as caught:
        accept(file_with(items, **more))
    return {fault.at: fault.problem for fault in caught.value.faults}


def notes(number: dict[str, Any], **more: Any) -> dict[str, str]:
    return {note.at: note.problem for note in accept(file_with({"part_number": number}, **more)).notes}


WHOLE: dict[str, Any] = {
    "push": True,
    "types": {"product": "Hardware", "labor": "Service"},
    "shipping": "Freight",
    "name_from": "name",
    "sku_from": "manufacturer_part_number",
    "part_number": {
        "from": "custom_text_03",
        "if_missing": "item_type",
        "by_item_type": {"Labor": "LAB-{name}", "default": "GEN-{vendor}-{vendor_part_number}"},
        "fallback": "LINE-{source_line_id}",
    },
    "accounts": {"Hardware": {"income": "4000", "expense": "5000"}},
}


def test_every_key_survives_the_log() -> None:
    made = rules(WHOLE)
    again = from_text(accept(file_with(WHOLE)).text)
    assert again == made
    assert made.items.part_number.from_ == "custom_text_03"
    assert made.items.part_number.fallback == "LINE-{source_line_id}"
    codes = made.items.accounts_of(" hardware ")
    assert codes is not None
    assert (codes.income, codes.expense) == ("4000", "5000")


def test_without_settings_the_number_is_the_manufacturers_and_nothing_is_pushed() -> None:
    items = rules({}).items
    assert (items.push, items.sku_from, items.shipping) == (False, None, None)
    number = items.part_number
    assert (number.from_, number.if_missing, number.fallback) == (
        "manufacturer_part_number",
        "none",
        "{name}",
    )


def test_one_producer_may_differ() -> None:
    of_source = rules(
        {"part_number": {"from": "vendor_part_number"}},
        sources={"quoter": {"items": {"part_number": {"fallback": "Q-{name}"}, "push": True}}},
    ).for_source("quoter")
    number = of_source.items.part_number
    assert (number.from_, number.fallback, of_source.items.push) == ("vendor_part_number", "Q-{name}", True)


@pytest.mark.feature("item.number", part="mapper")
@pytest.mark.parametrize("field", ["name", "vendor_part_number", "custom.text03", "custom_text_03"])
def test_any_field_of_a_product_may_be_the_number_custom_ones_too(field: str) -> None:
    assert rules({"part_number": {"from": field}}).items.part_number.from_ == field


@pytest.mark.feature("item.number", part="mapper")
def test_a_field_that_no_product_has_is_refused_with_the_near_ones() -> None:
    found = faults({"part_number": {"from": "vendor_part_nummer"}})
    assert "vendor_part_number" in found["items.part_number.from"]
    assert "vendor_part_nummer" in found["items.part_number.from"]
    assert "custom.<name>" in faults({"part_number": {"from": "colour"}})["items.part_number.from"]


@pytest.mark.feature("item.number.macro", part="mapper")
@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("NW-{vendor_part_nummer}", "vendor_part_number"),
        ("NW-{now}", "{now} is no placeholder"),
        ("NW-{counter}", "{counter} is no placeholder"),
        ("NW-{}", "{} is no placeholder"),
        ("NW-{name", "brace"),
        ("NW-name}", "brace"),
        ("NW-{{name}}", "brace"),
        ("x" * 256, "255"),
    ],
)
def test_a_template_with_a_placeholder_that_there_is_not_is_refused(template: str, told: str) -> None:
    """No clock and no counter among them: a number is a function of the event alone."""
    number = {"from": "custom.x", "if_missing": "macro", "macro": template}
    assert told in faults({"part_number": number})["items.part_number.macro"]
    assert told in faults({"part_number": {"fallback": template}})["items.part_number.fallback"]
    by_type = {"from": "custom.x", "if_missing": "item_type", "by_item_type": {"Labor": template}}
    assert told in faults({"part_number": by_type})["items.part_number.by_item_type.Labor"]


@pytest.mark.feature("item.number.macro", part="mapper")
@pytest.mark.feature("item.number.by_type", part="mapper")
@pytest.mark.parametrize(("how", "needs"), [("macro", "macro"), ("item_type", "by_item_type")])
def test_a_way_to_make_numbers_needs_its_template(how: str, needs: str) -> None:
    found = faults({"part_number": {"from": "custom.x", "if_missing": how}})
    assert f"`{needs}`" in found["items.part_number"]


@pytest.mark.feature("item.number.options", part="mapper")
def test_with_the_manufacturers_number_the_ways_to_make_one_are_noted_as_without_effect() -> None:
    number = {"if_missing": "macro", "macro": "{name}", "by_item_type": {"default": "{name}"}}
    found = notes(number)
    assert found.keys() == {f"items.part_number.{name}" for name in number}
    assert "manufacturer_part_number" in found["items.part_number.macro"]
    # Nothing is missing of what has no effect.
    assert notes({"if_missing": "macro"}).keys() == {"items.part_number.if_missing"}
    assert notes({"fallback": "{name}"}) == {}


@pytest.mark.feature("item.number.options", part="mapper")
def test_with_another_field_only_the_template_of_the_way_not_chosen_is_noted() -> None:
    number = {"from": "custom.x", "macro": "{name}", "by_item_type": {"default": "{name}"}}
    assert notes({**number, "if_missing": "macro"}).keys() == {"items.part_number.by_item_type"}
    assert notes({**number, "if_missing": "item_type"}).keys() == {"items.part_number.macro"}
    assert len(notes({**number, "if_missing": "none"})) == 2


@pytest.mark.feature("account.map", part="mapper")
@pytest.mark.parametrize(
    ("accounts", "at"),
    [
        ({"Hardware": {}}, "items.accounts.Hardware"),
        ({"Hardware": {"incme": "4000"}}, "items.accounts.Hardware.incme"),
        ({"Hardware": {"income": ""}}, "items.accounts.Hardware.income"),
        ({"Hardware": {"income": "1"}, " hardware": {"income": "2"}}, "items.accounts"),
    ],
)
def test_accounts_that_say_nothing_or_two_things_are_refused(accounts: dict[str, Any], at: str) -> None:
    assert set(faults({"accounts": accounts})) == {at}


@pytest.mark.feature("item.group.default", part="mapper")
def test_a_default_group_is_mandatory_once_products_are_pushed() -> None:
    content = yaml.safe_dump({"tenant": "acme", "halo": HALO, "items": {"push": True}}).encode()
    with pytest.raises(RulesInvalid) as caught:
        accept(content)
    assert [fault.at for fault in caught.value.faults] == ["items.asset_group"]
    assert "items.push" in caught.value.faults[0].problem
