"""The page on Halo's settings says what the check says: each setting by its name there, with its page in Halo.

What it advises to keep a Halo tidy are settings that there are, and that do what it says of them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from cli.check_settings import SWITCHES, judge_fields
from hub.tenants.model import RuleSet
from schemas.commands import Field, Match
from services.mapper.quote import NothingToWrite
from tests.docs.guides import DOCS, ROOT
from tests.unit.mapper.build import (
    ALL,
    BASIS,
    Mapped,
    envelope,
    folded,
    line,
    map_quote,
    mapped,
    quote,
    rules,
)

PAGE = (ROOT / "docs" / "halo-settings.md").read_text()
ROWS = {row.split(" | ")[0].strip("| "): row for row in PAGE.splitlines() if row.startswith("| ")}
TIDY = PAGE.partition("## Keeping Halo tidy")[2]
REPLACES = PAGE.partition("## This guide replaces older ones")[2].partition("\n## ")[0]


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


@pytest.mark.feature("docs.tuning", part="docs")
def test_every_setting_of_halo_on_the_page_is_one_that_the_check_looks_at() -> None:
    table = PAGE.partition("## What Halo would refuse")[2].partition("\n## ")[0]
    told = {row.split(" | ")[0].strip("| ") for row in table.splitlines() if row.startswith("| ")}
    judged = {finding.name for finding in judge_fields("*type*", {"fields": []})}
    assert told - {"what the check calls it"} == {name for _, name, _, _ in SWITCHES} | judged


def advised(key: str) -> RuleSet:
    """The rules of a tenant that does as the page says of a key, and as little else as can be."""
    (value,) = re.findall(rf"^\| `{re.escape(key)}: ([^`]+)` \|", TIDY, re.MULTILINE)
    section, name = key.split(".")
    sections: dict[str, Any] = {section: {name: yaml.safe_load(value)}}
    return rules("quoter", **sections)


def commands(*titles: str, with_rules: RuleSet) -> list[Mapped]:
    """What the revisions of an unsold quote lead to, one after another."""
    revisions = [(envelope(place), quote(title=title)) for place, title in enumerate(titles, start=1)]
    return [mapped(folded(*revisions[: place + 1]), with_rules) for place in range(len(titles))]


@pytest.mark.feature("docs.tuning", part="docs")
def test_only_won_quotes_as_advised_leaves_nothing_of_an_unsold_one_in_halo() -> None:
    record = folded((envelope(1), quote(status="sent")))
    made = map_quote(record, advised("quotes.push"), BASIS, ALL)
    assert isinstance(made, NothingToWrite)
    assert made.why == "not_won"


@pytest.mark.feature("docs.tuning", part="docs")
def test_overwriting_as_advised_makes_one_quote_of_all_revisions() -> None:
    first, second = commands("First", "Second", with_rules=advised("quotes.revisions"))
    assert first.quote.target == second.quote.target
    assert second.quote.title == Field(value="Second")
    each, other = commands("First", "Second", with_rules=rules(quotes={"revisions": "new"}))
    assert each.quote.target != other.quote.target, "what the advice spares"


@pytest.mark.feature("docs.tuning", part="docs")
def test_leads_as_advised_keep_companies_that_bought_nothing_out_of_the_clients() -> None:
    unsold = mapped(quote(), advised("clients.lead_ticket_type"))
    assert unsold.client.adopt_only
    assert [command.kind for command in unsold.commands if command.target.scope == "lead"] == ["opportunity"]
    assert not mapped(quote()).client.adopt_only


@pytest.mark.feature("docs.tuning", part="docs")
def test_who_was_picked_from_halo_is_that_very_record_before_any_name_is_looked_at() -> None:
    assert "`customer.halo_id` and `contact.halo_id`" in TIDY
    picked = quote(
        customer={"name": "Any", "halo_id": 12}, contact={"name": "Any", "halo_id": 33}, lines=[line()]
    )
    made = mapped(picked)
    assert made.client.match[0] == Match(by="halo_id", value=12)
    assert made.user.match[0] == Match(by="halo_id", value=33)


@pytest.mark.feature("docs.only_this", part="docs")
def test_the_page_says_that_it_replaces_other_guides_and_what_of_theirs_is_to_go() -> None:
    text = " ".join(REPLACES.split())
    assert "out of date: follow this one alone" in text
    for left_behind in ("own connection to Halo", "Halo's own integration with that tool", "every webhook"):
        assert left_behind in text


@pytest.mark.feature("docs.only_this", part="docs")
@pytest.mark.parametrize("guide", ["quoting.md", "operating.md"])
def test_whoever_sets_something_up_is_told_so_where_they_begin(guide: str) -> None:
    assert "(halo-settings.md#this-guide-replaces-older-ones)" in (DOCS / guide).read_text()


@pytest.mark.feature("docs.only_this", part="docs")
def test_no_page_sends_a_reader_to_another_guide_or_to_settings_that_this_one_lacks() -> None:
    pages = [*DOCS.glob("*.md"), ROOT / "README.md"]
    hosts = {host for page in pages for host in re.findall(r"\]\(https?://([^/)]+)", page.read_text())}
    assert {host for host in hosts if re.search(r"halo|quot|salesbuildr", host)} <= {"halopsa.com"}
    for page in pages:
        told = set(re.findall(r"Configuration > [A-Z][\w &]+(?: > [A-Z][\w &]+)*", page.read_text()))
        assert {path for path in told if path not in PAGE} == set(), page.name
