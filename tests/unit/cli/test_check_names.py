"""Whether Halo has the names of a tenant's rules."""

from __future__ import annotations

import json

import pytest

from cli.check_names import check_names
from hub.tenants.load import accept, from_text
from hub.tenants.model import RuleSet
from schemas.halo_events import ReferenceRow


def rules(**changes: object) -> RuleSet:
    file = {
        "tenant": "acme",
        "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:X"},
        "items": {"asset_group": "Hardware"},
        "opportunities": {"ticket_type": "opportunity "},
        **changes,
    }
    return from_text(accept(json.dumps(file).encode()).text)


GROUPS = (
    ReferenceRow(id=1, name="Hardware"),
    ReferenceRow(id=2, name="Servers", usable=False),
    ReferenceRow(id=3, name="Services"),
)
TYPES = (ReferenceRow(id=6, name="Opportunity"),)
CURRENCIES = (ReferenceRow(id=1, name="Pound Sterling", code="GBP"),)


def verdicts(found: RuleSet, **lists: tuple[ReferenceRow, ...]) -> dict[str, str]:
    read = {"asset_group": GROUPS, "ticket_type": TYPES, "currency": CURRENCIES, **lists}
    return {check.name: check.verdict for check in check_names(found, read)}  # type: ignore[arg-type]


def test_names_compare_without_case_and_spaces_and_currencies_by_code_too() -> None:
    assert set(verdicts(rules(currency="gbp")).values()) == {"ok"}
    assert set(verdicts(rules(currency="pound  STERLING")).values()) == {"ok"}


def test_an_unknown_name_lists_what_was_probably_meant() -> None:
    checks = check_names(
        rules(items={"asset_group": "Hardwear"}), {"asset_group": GROUPS, "ticket_type": TYPES}
    )
    (bad,) = [check for check in checks if check.verdict == "failed"]
    assert bad.name == "items.asset_group"
    assert bad.fix is not None
    assert "'Hardware'" in bad.fix


@pytest.mark.feature("opp.ticket_type.list", part="mapper")
@pytest.mark.parametrize("key", ["ticket_type", "ticket_types"])
def test_a_ticket_type_that_halo_lacks_fails_by_its_key_with_the_nearest(key: str) -> None:
    section = {"ticket_type": "Opportunity"} | (
        {"ticket_type": "Oportunity"} if key == "ticket_type" else {"ticket_types": {"renewal": "Oportunity"}}
    )
    checks = check_names(rules(opportunities=section), {"ticket_type": TYPES})
    (bad,) = [check for check in checks if check.verdict == "failed"]
    assert bad.name.startswith(f"opportunities.{key}")
    assert "'Opportunity'" in (bad.fix or "")


@pytest.mark.feature("agent.map", part="mapper")
def test_an_agent_that_halo_lacks_or_has_switched_off_is_reported_by_its_key() -> None:
    agents = (ReferenceRow(id=2, name="Alex Morgan"), ReferenceRow(id=5, name="Gone", usable=False))
    found = rules(agents={"map": {"alex": "Alex Morgan", "jd": "Jane Doe", "old": "Gone"}})
    told = {check.name: check.verdict for check in check_names(found, {"agent": agents})}
    assert told == {"agents.map.alex": "ok", "agents.map.jd": "failed", "agents.map.old": "failed"}


def test_a_group_that_is_not_for_items_and_an_unknown_id_fail() -> None:
    assert verdicts(rules(items={"asset_group": "Servers"}))["items.asset_group"] == "failed"
    assert verdicts(rules(items={"asset_group": 3}))["items.asset_group"] == "ok"
    assert verdicts(rules(items={"asset_group": 99}))["items.asset_group"] == "failed"


@pytest.mark.feature("item.group.for_items", part="mapper")
def test_every_name_of_the_items_section_is_checked_and_groups_must_be_for_items() -> None:
    items = {
        "asset_group": "Hardware",
        "asset_groups": {"Racks": "Servers"},
        "accounts": {"services": {"income": "1"}, "2": {"income": "2"}, "Drones": {"income": "3"}},
        "types": {"labor": "Service", "product": "Wetware"},
        "shipping": "Freight",
    }
    kinds = (ReferenceRow(id=1, name="Service"),)
    found = verdicts(rules(items=items), item_type=kinds, item=(ReferenceRow(id=58, name="freight"),))
    ours = {
        name.removeprefix("items."): verdict for name, verdict in found.items() if name.startswith("items.")
    }
    assert ours == {
        "asset_group": "ok",
        "asset_groups.Racks": "failed",
        "accounts.services": "ok",
        "accounts.2": "failed",
        "accounts.Drones": "failed",
        "types.labor": "ok",
        "types.product": "failed",
        "shipping": "ok",
    }
    absent = check_names(rules(items={"asset_group": "Hardware", "shipping": "Freight"}), {"item": ()})
    assert [(check.name, check.verdict) for check in absent] == [("items.shipping", "failed")]
    assert "create that product" in (absent[0].fix or "")
