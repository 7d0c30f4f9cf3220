"""The page on Halo's settings says what the check says: each setting by its name there, with its page in Halo."""

from __future__ import annotations

import pytest

from cli.check_settings import SWITCHES, judge_fields
from tests.docs.guides import ROOT

PAGE = (ROOT / "docs" / "halo-settings.md").read_text()
ROWS = {row.split(" | ")[0].strip("| "): row for row in PAGE.splitlines() if row.startswith("| ")}


def page_of(fix: str) -> str:
    """The page in Halo with which a fix begins."""
    return fix.partition(":")[0]


@pytest.mark.feature("gotcha.quotation_settings", part="docs")
@pytest.mark.parametrize(("name", "fix"), [(name, fix) for _, name, _, fix in SWITCHES])
def test_each_setting_of_the_check_has_a_row_with_its_page(name: str, fix: str) -> None:
    assert page_of(fix) in ROWS[name]
    for quoted in fix.split('"')[1::2]:
        assert quoted in ROWS[name], "Halo's own words for the setting"


@pytest.mark.feature("gotcha.target_date", part="docs")
def test_the_target_date_and_the_field_list_have_rows_with_their_pages() -> None:
    date = {"technew": 2, "fieldinfo": {"name": "targetdate", "label": "Target Date"}}
    other = {"technew": 2, "fieldinfo": {"name": "CFBudget", "label": "Budget"}}
    target_date, fields = judge_fields("*type*", {"fields": [date, other]})
    assert page_of(fields.fix or "") in ROWS[fields.name]
    assert "Target Date" in ROWS[target_date.name]
    assert "Visible - Not Required" in ROWS[target_date.name]
    assert "Visible - Required" in (target_date.fix or "")
