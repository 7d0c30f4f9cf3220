"""Names compare as people read them; the rules know which of Halo's names they mention; secrets come by reference."""

from pathlib import Path

import pytest

from hub.tenants.load import accept, from_text
from hub.tenants.names import HaloName, by_folded_name, folded, halo_names
from hub.tenants.secrets import SecretUnavailable, resolve
from tests.unit.tenants.files import MINIMAL

FULL = MINIMAL.replace(
    "opportunities:",
    """
agents: {default: Sales Desk, map: {jane.doe: Jane Doe, rmiller: 17}}
billing_periods: {one_time: null, month: Monthly}
currency: GBP
currencies: {gbp: Pound Sterling, USD: US Dollar}
opportunities:""",
).replace("ticket_type: Opportunity", "ticket_type: Opportunity\n  status: New")


def test_case_and_spaces_do_not_tell_names_apart() -> None:
    assert folded("  Sales   Desk ") == folded("SALES desk") == "sales desk"
    assert folded("Straße") == folded("STRASSE")
    assert by_folded_name({" A b": 1}) == {"a b": 1}


@pytest.mark.feature("agent.map", part="mapper")
def test_every_halo_name_of_a_file_is_listed_with_its_key() -> None:
    """What a check compares with the catalogue: a mapped agent that Halo doesn't know is reported."""
    found = halo_names(from_text(accept(FULL.encode()).text))
    assert HaloName("agent", "Jane Doe", "agents.map.jane.doe") in found
    assert HaloName("agent", 17, "agents.map.rmiller") in found
    assert HaloName("agent", "Sales Desk", "agents.default") in found
    assert HaloName("asset_group", "Hardware", "items.asset_group") in found
    assert HaloName("ticket_type", "Opportunity", "opportunities.ticket_type") in found
    assert HaloName("status", "New", "opportunities.status") in found
    assert HaloName("quote_status", "Accepted", "quotes.statuses.approved") in found
    assert HaloName("billing_period", "Monthly", "billing_periods.month") in found
    # The tenant's own currency goes through the table, as a document's does.
    assert HaloName("currency", "Pound Sterling", "currency") in found
    assert not any(name.name is None for name in found)


@pytest.mark.feature("org.lead", part="mapper")
def test_what_new_companies_become_is_checked_as_the_other_names_are() -> None:
    text = FULL + "\nclients: {lead_ticket_type: Prospect, prospect_type: Prospects, lead_won_status: Over}"
    found = halo_names(from_text(accept(text.encode()).text))
    assert HaloName("ticket_type", "Prospect", "clients.lead_ticket_type") in found
    assert HaloName("status", "Over", "clients.lead_won_status") in found
    assert HaloName("customer_relationship", "Prospects", "clients.prospect_type") in found


def test_an_override_lists_only_names_of_its_own() -> None:
    text = FULL + "\nsources: {quoter: {quotes: {statuses: {draft: Entwurf}}}}"
    own = [
        name for name in halo_names(from_text(accept(text.encode()).text)) if name.key.startswith("sources.")
    ]
    assert own == [HaloName("quote_status", "Entwurf", "sources.quoter.quotes.statuses.draft")]


def test_a_secret_is_trimmed_wherever_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  s3cret\n")
    assert resolve("env:S", {"S": " s3cret "}) == "s3cret"
    assert resolve(f"file:{path}") == "s3cret"


def test_a_secret_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    assert resolve(f"file:{path}") == "old"
    path.write_text("new")
    assert resolve(f"file:{path}") == "new"


@pytest.mark.parametrize("reference", ["env:NOT_THERE", "env:EMPTY", "file:/not/there", "s3cret-itself"])
def test_a_missing_secret_names_its_reference_and_never_a_value(reference: str) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        resolve(reference, {"EMPTY": "  "})
    assert "s3cret" not in str(caught.value)
    if ":" in reference:
        assert reference in str(caught.value)
