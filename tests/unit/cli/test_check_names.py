"""Whether Halo has the names of a tenant's rules."""

from __future__ import annotations

import json

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


def test_a_group_that_is_not_for_items_and_an_unknown_id_fail() -> None:
    assert verdicts(rules(items={"asset_group": "Servers"}))["items.asset_group"] == "failed"
    assert verdicts(rules(items={"asset_group": 3}))["items.asset_group"] == "ok"
    assert verdicts(rules(items={"asset_group": 99}))["items.asset_group"] == "failed"
