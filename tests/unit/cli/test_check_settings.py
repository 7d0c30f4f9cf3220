"""Halo's settings that stand in the way are found, judged, and told with their page; what can't be read is unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.check_settings import judge_fields, judge_switches, linked_fields, revises_anew
from hub.tenants.load import from_text
from schemas.control import Check

ALL_OFF = {
    "clientMainContactCompulsary": False,
    "checkreassignappclashes": False,
    "create_so_on_quote_approved": False,
    "createnewitemsfromquotes": False,
    "oppvalue_from_quote": False,
}


def switches(control: dict[str, Any]) -> dict[str, Check]:
    return {check.name: check for check in judge_switches(control)}


def fields(*entries: dict[str, Any], **ticket_type: Any) -> dict[str, Check]:
    found = judge_fields("Opportunity", {"fields": list(entries)} | ticket_type)
    return {check.name.removesuffix(" of Opportunity"): check for check in found}


def entry(label: str, technew: int, name: str | None = None, **info: Any) -> dict[str, Any]:
    return {
        "fieldname": label,
        "technew": technew,
        "fieldinfo": {"name": name or label, "label": label} | info,
    }


def test_settings_that_are_off_are_fine() -> None:
    assert {check.verdict for check in switches(ALL_OFF).values()} == {"ok"}


@pytest.mark.parametrize(
    ("key", "name", "page"),
    [
        ("clientMainContactCompulsary", "main contact", "Configuration > Users > General Settings"),
        ("checkreassignappclashes", "appointment check", "Configuration > Tickets > General Settings"),
        ("create_so_on_quote_approved", "sales orders of approved quotes", "Configuration > Quotations"),
        ("createnewitemsfromquotes", "items made from quotes", "Configuration > Quotations"),
        ("oppvalue_from_quote", "opportunity value from quotes", "Configuration > Quotations"),
    ],
)
def test_a_setting_that_is_on_is_a_warning_with_its_page(key: str, name: str, page: str) -> None:
    found = switches(ALL_OFF | {key: True})
    assert [check.name for check in found.values() if check.verdict == "warning"] == [name]
    assert page in (found[name].fix or "")


@pytest.mark.feature("quote.revision.new", part="mapper")
@pytest.mark.parametrize(
    ("quotes", "override", "warned"),
    [("new", "", True), ("overwrite", "new", True), ("overwrite", "", False)],
)
def test_an_order_for_each_approved_quote_is_told_where_a_quote_is_several(
    quotes: str, override: str, warned: bool
) -> None:
    file = {
        "tenant": "acme",
        "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:X"},
        "items": {"asset_group": "Hardware"},
        "opportunities": {"ticket_type": "Opportunity"},
        "quotes": {"revisions": quotes},
        "sources": {"quoter": {"quotes": {"revisions": override}}} if override else {},
    }
    several = revises_anew(from_text(json.dumps(file)))
    checks = judge_switches(ALL_OFF | {"create_so_on_quote_approved": True}, several)
    (check,) = [one for one in checks if one.verdict == "warning"]
    assert ("quotes.revisions: new" in check.detail, "another quotes.revisions" in (check.fix or "")) == (
        warned,
        warned,
    )


def test_a_setting_that_halo_does_not_tell_is_unknown() -> None:
    assert {check.verdict for check in switches({}).values()} == {"unknown"}


def test_a_required_target_date_blocks_and_names_its_page() -> None:
    found = fields(entry("Target Date", 2, "targetdate"))
    assert (found["target date"].verdict, found["fields"].verdict) == ("failed", "ok")
    assert "Opportunity > Field List > Target Date" in (found["target date"].fix or "")
    assert fields(entry("Target Date", 1, "targetdate"))["target date"].verdict == "ok"


def test_mandatory_fields_that_a_quote_lacks_block_and_are_named() -> None:
    found = fields(
        entry("Summary", 2, "summary"),
        entry("Budget Holder", 2, "CFBudget"),
        entry("Region", 0, mandatory=True),
        entry("Details", 1, "details"),
    )["fields"]
    assert found.verdict == "failed"
    assert "without Budget Holder, Region" in found.detail
    assert "Field List" in (found.fix or "")


@pytest.mark.feature("field.links.write", part="mapper")
def test_mandatory_fields_that_are_linked_are_a_warning_since_a_source_may_not_say_them() -> None:
    entries = [
        entry("Target Date", 2, "targetdate"),
        entry("Budget Holder", 2, "CFBudget"),
        entry("Region", 2),
    ]
    file = {
        "tenant": "acme",
        "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:X"},
        "opportunities": {"ticket_type": "Opportunity"},
        "fields": {"opportunities": {"expiry_date": "targetdate"}},
        "sources": {"quoter": {"fields": {"opportunities": {"custom.holder": "customfields.cfBudget"}}}},
    }
    links = linked_fields(from_text(json.dumps(file)))
    date, budget = judge_fields("Opportunity", {"fields": entries[:2]}, links)
    assert (date.verdict, budget.verdict) == ("warning", "warning")
    assert "expiry_date" in date.detail
    assert "custom.holder" in budget.detail
    *_, left = judge_fields("Opportunity", {"fields": entries}, links)
    assert left.verdict == "failed"
    assert "without Region" in left.detail


def test_only_what_every_quote_brings_may_be_mandatory() -> None:
    assert fields(entry("Summary", 2, "summary"), hasmandatorytechfields=True)["fields"].verdict == "ok"


def test_a_field_list_that_does_not_show_what_is_mandatory_is_unknown() -> None:
    assert fields(entry("Region", 7), hasmandatorytechfields=True)["fields"].verdict == "unknown"
    told = {check.verdict for check in judge_fields("Opportunity", {"name": "Opportunity"})}
    assert told == {"unknown"}
