"""What one producer's overrides may change, and what is refused of them."""

from typing import Any

import pytest

from hub.tenants import load
from hub.tenants.model import MAX_SOURCES
from schemas.envelope import Fault
from tests.unit.tenants.files import MINIMAL, faults, rules

OVERRIDES = """
sources:
  quoter:
    agents: {owner: sales_rep}
    items: {match: [name], asset_groups: {LAPTOPS: Notebooks}}
    quotes: {statuses: {Draft: Entwurf, ready: Ready}}
  shop:
    quotes: null
"""


@pytest.mark.feature("hub.no_code", part="mapper")
def test_a_source_overrides_the_rest_stays() -> None:
    made = rules(
        MINIMAL.replace(
            "asset_group: Hardware", "asset_group: Hardware\n  asset_groups: {laptops: PCs, m365: Cloud}"
        )
        + OVERRIDES
    )
    quoter = made.for_source("quoter")
    assert quoter.agents.owner == "sales_rep"
    assert quoter.items.match == ("name",)
    assert quoter.items.group_table == {"laptops": "Notebooks", "m365": "Cloud"}
    assert quoter.items.asset_group == "Hardware"
    assert quoter.quotes is not None
    assert quoter.quotes.status_table["draft"] == "Entwurf"
    assert quoter.quotes.status_table["ready"] == "Ready"
    assert quoter.quotes.status_table["sent"] == "Sent"
    assert made.for_source("shop").quotes is None
    assert made.for_source("anyone else") is made
    assert made.for_source("quoter") is quoter
    assert made.agents.owner == "logged_in_user"


@pytest.mark.parametrize("key", ["halo", "Halo", "' HALO '", "Tenant", "TENANT", "sources"])
def test_no_spelling_makes_a_connection_of_one_producers(key: str) -> None:
    found = faults(f"{MINIMAL}\nsources: {{quoter: {{{key}: {{url: https://elsewhere.example}}}}}}")
    (problem,) = found.values()
    assert "can't differ for one producer" in problem
    kept = rules(MINIMAL).model_copy(update={"sources": {"quoter": {key.strip("' "): "other"}}})
    assert kept.for_source("quoter").halo == kept.halo
    assert kept.for_source("quoter").tenant == kept.tenant


def test_names_of_an_override_that_are_one_name_are_refused() -> None:
    """Laid over a table that has the name already the last would win without a word."""
    assert set(faults(f"{MINIMAL}\nsources: {{q: {{quotes: {{statuses: {{draft: A, ' Draft': B}}}}}}}}")) == {
        "sources.q.quotes.statuses. Draft"
    }
    assert set(faults(f"{MINIMAL}\nsources: {{q: {{quotes: {{push: won}}, Quotes: {{pdf: false}}}}}}")) == {
        "sources.q.Quotes"
    }


def test_the_faults_of_an_override_name_its_source_and_the_files_own_faults_come_once() -> None:
    text = MINIMAL.replace("ticket_type: Opportunity", "ticket_type: true")
    found = faults(
        text
        + """
sources:
  quoter: {items: {matsch: [name]}, halo: {url: x.example}, quotes: {taxes: {push: 1}}}
  shop: 5
"""
    )
    assert set(found) == {
        "opportunities.ticket_type",
        "sources.quoter.items.matsch",
        "sources.quoter.halo",
        "sources.quoter.quotes.taxes.push",
        "sources.shop",
    }


def test_a_source_that_switches_quotes_on_needs_what_quotes_need() -> None:
    text = MINIMAL[: MINIMAL.index("items:")] + "sources: {quoter: {quotes: {}}}"
    assert set(faults(text)) == {"sources.quoter.items.asset_group", "sources.quoter.opportunities"}


def test_so_many_producers_differ_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is checked against the whole file, by whoever asks for the tenant's rules, while other tenants wait."""
    looks: list[str] = []
    of_source = load._of_source

    def counted(name: str, *rest: Any) -> list[Fault]:
        looks.append(name)
        return of_source(name, *rest)

    monkeypatch.setattr(load, "_of_source", counted)
    names = [f"  s{number}: {{}}\n" for number in range(MAX_SOURCES + 1)]
    assert len(rules(f"{MINIMAL}\nsources:\n{''.join(names[:-1])}").sources) == MAX_SOURCES
    looks.clear()
    assert "more than 100 entries" in faults(f"{MINIMAL}\nsources:\n{''.join(names)}")["sources"]
    assert len(looks) == MAX_SOURCES
