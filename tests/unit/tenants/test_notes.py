"""Settings that are given and have no effect are told as notes; the file is accepted all the same."""

from typing import Any

import pytest
import yaml

from hub.tenants.load import RulesInvalid, accept

BASE: dict[str, Any] = {
    "tenant": "acme",
    "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:S"},
    "items": {"asset_group": "Hardware"},
    "quotes": {},
}
OPPORTUNITIES = {"opportunities": {"ticket_type": "Opportunity"}}
NUMBER = {"summary_part_number": "QUOTE-TOTAL"}


def file_with(lines: dict[str, Any], **more: Any) -> bytes:
    opportunities = {"ticket_type": "Opportunity", "lines": lines}
    return yaml.safe_dump(BASE | {"opportunities": opportunities} | more).encode()


def notes_on(lines: dict[str, Any], **more: Any) -> list[str]:
    return [note.at for note in accept(file_with(lines, **more)).notes]


@pytest.mark.feature("opp.settings.conditional", part="mapper")
@pytest.mark.parametrize(
    ("lines", "unused"),
    [
        ({}, []),
        ({"write": "none"}, []),
        ({"cost": False, "bundles": "summary"} | NUMBER, ["summary_part_number", "bundles", "cost"]),
        ({"write": "detail", "cost": False, "bundles": "summary"}, []),
        ({"write": "detail"} | NUMBER, ["summary_part_number"]),
        ({"write": "summary", "cost": False} | NUMBER, []),
        ({"write": "summary", "bundles": "summary"} | NUMBER, ["bundles"]),
    ],
)
def test_line_settings_without_effect_in_the_chosen_mode_are_noted(
    lines: dict[str, Any], unused: list[str]
) -> None:
    assert notes_on(lines) == [f"opportunities.lines.{name}" for name in unused]


@pytest.mark.feature("opp.settings.conditional", part="mapper")
def test_a_note_says_why_and_the_file_is_accepted() -> None:
    accepted = accept(file_with(NUMBER))
    (note,) = accepted.notes
    assert "opportunities.lines.write" in note.problem
    assert "none" in note.problem
    assert accepted.tenant == "acme"


@pytest.mark.feature("opp.settings.conditional", part="mapper")
def test_what_one_producer_makes_use_of_is_not_noted_and_what_it_sets_in_vain_is() -> None:
    used = {"quotewerks": {"opportunities": {"lines": {"write": "summary"}}}}
    assert notes_on(NUMBER, sources=used) == []
    vain = {"quoter": {"opportunities": {"lines": {"cost": False}}}}
    assert notes_on({}, sources=vain) == ["sources.quoter.opportunities.lines.cost"]


@pytest.mark.feature("opp.settings.conditional", part="mapper")
def test_what_one_producers_mode_has_no_use_for_is_not_noted_where_others_do() -> None:
    spared = {"shop": {"quotes": None}, "other": {"opportunities": {"lines": {"write": "none"}}}}
    assert notes_on({"write": "detail", "cost": False}, sources=spared) == []


QUOTES_OFF = {"quotes": None, "clients": {"lead_ticket_type": "Lead"}}


@pytest.mark.feature("opp.settings.conditional", part="mapper")
@pytest.mark.parametrize(
    ("content", "unused"),
    [
        ({"quotes": {"taxes": {"push": False, "skip": ["vertex"]}}}, ["quotes.taxes.skip"]),
        ({"quotes": {"taxes": {"push": False}}}, []),
        ({"quotes": {"taxes": {"skip": ["vertex"]}}}, []),
        ({"quotes": {"pdf": True}}, ["quotes.pdf"]),
        ({"quotes": {"pdf": False}}, []),
        ({"quotes": {"pdf": True, "file_hosts": ["files.quoter.example"]}}, []),
        ({"clients": {"prospect_type": "Prospect", "lead_ticket_type": "Lead"}}, ["clients.prospect_type"]),
        ({"clients": {"prospect_type": "Prospect"}}, []),
        ({"clients": {"lead_ticket_type": "Lead"}}, []),
        (QUOTES_OFF, ["clients.lead_ticket_type"]),
        (
            QUOTES_OFF
            | {"opportunities": {"ticket_type": "Opportunity", "rename": True, "lines": {}, "won": {}}},
            ["clients.lead_ticket_type", "opportunities.rename", "opportunities.lines", "opportunities.won"],
        ),
    ],
)
def test_settings_without_effect_beside_others_are_noted(content: dict[str, Any], unused: list[str]) -> None:
    source = {
        name: section for name, section in (BASE | OPPORTUNITIES | content).items() if section is not None
    }
    assert [note.at for note in accept(yaml.safe_dump(source).encode()).notes] == unused


@pytest.mark.feature("opp.lines.summary.part", part="mapper")
def test_a_summary_without_its_part_number_is_refused() -> None:
    with pytest.raises(RulesInvalid) as caught:
        accept(file_with({"write": "summary"}))
    assert [fault.at for fault in caught.value.faults] == ["opportunities.lines"]
    assert "summary_part_number" in str(caught.value)


@pytest.mark.feature("won.opp.missing", part="mapper")
@pytest.mark.parametrize(
    ("won", "push", "unused"),
    [
        ({"when": "order", "if_exists": "ask"}, "published", []),
        ({"if_none": "create"}, "published", ["if_none"]),
        ({"if_none": "create"}, "won", []),
        ({"when": "never", "if_none": "ask", "if_exists": "convert"}, "won", ["if_none", "if_exists"]),
    ],
)
def test_settings_of_winning_without_effect_are_noted(
    won: dict[str, Any], push: str, unused: list[str]
) -> None:
    content = BASE | {"opportunities": {"ticket_type": "Opportunity", "won": won}, "quotes": {"push": push}}
    notes = [note.at for note in accept(yaml.safe_dump(content).encode()).notes]
    assert notes == [f"opportunities.won.{name}" for name in unused]


@pytest.mark.parametrize(
    ("value", "fine"),
    [("po_number", True), ("custom.customer_po", True), ("custom.", False), ("customer_po", False)],
)
def test_the_field_of_the_po_number_is_one_of_a_quotes(value: str, fine: bool) -> None:
    content = BASE | {"opportunities": {"ticket_type": "Opportunity"}, "quotes": {"po_number": value}}
    source = yaml.safe_dump(content).encode()
    if fine:
        accept(source)
        return
    with pytest.raises(RulesInvalid) as caught:
        accept(source)
    (fault,) = caught.value.faults
    assert fault.at == "quotes.po_number"
    assert "custom.<name>" in fault.problem


def test_overrides_of_a_producer_that_there_can_not_be_are_noted() -> None:
    """Its events say `source: /quoter`, and so does many a file."""
    names = ["quoter", "a/b:c.d", "/quoter", "", " quoter", "my tool"]
    noted = notes_on({}, sources={name: {"agents": {"owner": "sales_rep"}} for name in names})
    assert sorted(noted) == sorted(f"sources.{name}" for name in names[2:])


def test_a_status_of_leads_where_there_are_none_is_noted() -> None:
    assert notes_on({}, clients={"lead_won_status": "Closed"}) == ["clients.lead_won_status"]
    assert notes_on({}, clients={"lead_won_status": "Closed", "lead_ticket_type": "Lead"}) == []
