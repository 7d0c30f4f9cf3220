"""Links between a source's fields and Halo's: what a tenant file may say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import yaml

from cli.check_names import check_names
from hub.tenants.halo_fields import OWNED, WRITABLE, LinkedKind
from hub.tenants.links import Link
from hub.tenants.load import RulesInvalid, accept, from_text
from hub.tenants.model import RuleSet
from hub.tenants.names import halo_names
from hub.tenants.source_paths import paths, value_at
from schemas.halo_events import ReferenceRow
from schemas.quotes import Contact, Customer
from services.mapper.parts import QuoteHead

KINDS: tuple[LinkedKind, ...] = ("clients", "users", "opportunities", "quotes", "lines")
FILE: Mapping[str, Any] = {
    "tenant": "acme",
    "halo": {"url": "https://acme.halopsa.com", "client_id": "x", "client_secret": "env:S"},
    "items": {"asset_group": "Hardware"},
    "opportunities": {"ticket_type": "Opportunity"},
    "quotes": {},
}


def accepted(fields: Mapping[str, Any], **more: Any) -> RuleSet:
    text = yaml.safe_dump({**FILE, "fields": fields, **more}, sort_keys=False)
    return from_text(accept(text.encode()).text)


def refused(fields: Mapping[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(RulesInvalid) as caught:
        accepted(fields, **more)
    return {fault.at: fault.problem for fault in caught.value.faults}


@pytest.mark.feature("field.links", part="mapper")
@pytest.mark.parametrize("kind", KINDS)
def test_any_custom_field_of_the_source_is_linked_to_any_field_of_halo_and_any_custom_field(
    kind: LinkedKind,
) -> None:
    links = {f"custom.f{number}": name for number, name in enumerate(WRITABLE[kind])}
    links["custom.other"] = "customfields.CFOther"
    rules = accepted({kind: links})
    found = rules.fields.of(kind)
    assert {source: link.halo for source, link in found.items()} == links
    assert all(link.direction == "both" and link.writes for link in found.values())


@pytest.mark.feature("field.links", part="mapper")
def test_a_link_may_go_one_way() -> None:
    rules = accepted(
        {
            "quotes": {
                "custom.a": {"halo": "customfields.CFA", "direction": "to_halo"},
                "custom.b": {"halo": "customfields.CFB", "direction": "from_halo"},
            }
        }
    )
    assert {source: link.writes for source, link in rules.fields.quotes.items()} == {
        "custom.a": True,
        "custom.b": False,
    }


@pytest.mark.feature("field.links.write", part="mapper")
def test_an_unknown_field_of_halo_is_refused_at_load_with_what_is_near() -> None:
    (at, problem), *others = refused({"opportunities": {"expected_close": "targetdat"}}).items()
    assert at == "fields.opportunities.expected_close"
    assert not others
    assert "targetdat is no field of a Halo opportunity" in problem
    assert "did you mean targetdate" in problem
    assert "customfields.<name>" in problem


@pytest.mark.feature("field.links.write", part="mapper")
def test_a_custom_field_without_a_name_is_refused() -> None:
    assert "names no custom field" in refused({"lines": {"vendor": "customfields."}})["fields.lines.vendor"]


@pytest.mark.feature("field.links", part="mapper")
@pytest.mark.parametrize(
    ("kind", "path", "meant"),
    [
        ("users", "emial", "did you mean email"),
        ("clients", "city", "did you mean address.city"),
        ("clients", "industry", "custom.<name>"),
        ("quotes", "status", "custom.<name>"),
        ("quotes", "custom.", "custom.<name>"),
        ("quotes", "contact.custom.", "custom.<name>"),
        ("lines", "product.name", "did you mean supplier.name or name"),
    ],
)
def test_an_unknown_field_of_the_source_is_refused_with_what_is_near(
    kind: LinkedKind, path: str, meant: str
) -> None:
    assert meant in refused({kind: {path: "customfields.CFX"}})[f"fields.{kind}.{path}"]


@pytest.mark.feature("field.links", part="mapper")
@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_the_rules_write_is_refused_by_name_with_what_fills_it(kind: LinkedKind) -> None:
    for name, owner in OWNED[kind].items():
        problem = refused({kind: {"custom.x": name}})[f"fields.{kind}.custom.x"]
        assert f"Halo's {name} is filled from {owner} already" in problem
        read_only = {"halo": name, "direction": "from_halo"}
        assert not accepted({kind: {"custom.x": read_only}}).fields.of(kind)["custom.x"].writes


@pytest.mark.feature("field.links", part="mapper")
def test_two_fields_of_the_source_are_not_written_to_one_of_halo() -> None:
    links = {"custom.a": "customfields.CFRisk", "custom.b": "customfields.cfrisk"}
    assert "'custom.a' and 'custom.b' both fill" in refused({"quotes": links})["fields.quotes"]
    one_way = {**links, "custom.b": {"halo": "customfields.cfrisk", "direction": "from_halo"}}
    assert len(accepted({"quotes": one_way}).fields.quotes) == 2


@pytest.mark.feature("field.links", part="mapper")
def test_a_link_says_nothing_else() -> None:
    wrong = {"halo": "risk", "direction": "sideways", "via": "x"}
    found = refused({"quotes": {"custom.a": wrong, "custom.b": {"direction": "both"}, "custom.c": 5}})
    assert set(found) == {
        "fields.quotes.custom.a.direction",
        "fields.quotes.custom.a.via",
        "fields.quotes.custom.b.halo",
        "fields.quotes.custom.c",
    }
    assert "direction, halo" in found["fields.quotes.custom.a.via"]


@pytest.mark.feature("field.links", part="mapper")
def test_one_producer_has_links_of_its_own_beside_the_tenants() -> None:
    rules = accepted(
        {"quotes": {"custom.a": "risk"}},
        sources={"quoter": {"fields": {"quotes": {"custom.b": "auth_by", "custom.a": "po_ref"}}}},
    )
    of_quoter = rules.for_source("quoter").fields.quotes
    assert {source: link.halo for source, link in of_quoter.items()} == {
        "custom.a": "po_ref",
        "custom.b": "auth_by",
    }
    assert rules.for_source("other").fields.quotes == {"custom.a": Link(halo="risk")}
    at = "sources.quoter.fields.quotes.custom.b"
    wrong = {"quoter": {"fields": {"quotes": {"custom.b": "risc"}}}}
    assert "did you mean risk" in refused({}, sources=wrong)[at]


@pytest.mark.feature("field.links.write", part="mapper")
def test_custom_fields_are_among_the_names_that_are_checked_against_halo() -> None:
    rules = accepted(
        {"clients": {"custom.industry": "customfields.CFIndustry"}, "lines": {"vendor": "note"}},
        sources={"quoter": {"fields": {"users": {"custom.x": "customfields.CFX"}}}},
    )
    found = [(name.name, name.key) for name in halo_names(rules) if name.lookup == "custom_field"]
    assert found == [
        ("CFIndustry", "fields.clients.custom.industry"),
        ("CFX", "sources.quoter.fields.users.custom.x"),
    ]


@pytest.mark.feature("field.links.write", part="mapper")
def test_a_custom_field_that_halo_lacks_fails_the_check_with_the_nearest() -> None:
    rules = accepted(
        {"clients": {"custom.a": "customfields.CFIndustri", "custom.b": "customfields.cfregion"}}
    )
    lists = {"custom_field": (ReferenceRow(id=1, name="CFIndustry"), ReferenceRow(id=2, name="CFRegion"))}
    found = {check.name: check for check in check_names(rules, lists)}  # type: ignore[arg-type]
    wrong, right = found["fields.clients.custom.a"], found["fields.clients.custom.b"]
    assert (wrong.verdict, right.verdict) == ("failed", "ok")
    assert "'CFIndustri'" in wrong.detail
    assert wrong.fix is not None
    assert "'CFIndustry'" in wrong.fix


def test_links_of_what_is_switched_off_are_noted() -> None:
    off = {name: section for name, section in FILE.items() if name not in ("quotes", "opportunities")}
    fields = {kind: {"custom.a": "customfields.CFA"} for kind in KINDS}
    noted = accept(yaml.safe_dump({**off, "fields": fields}).encode()).notes
    assert {note.at for note in noted} == {"fields.opportunities", "fields.quotes", "fields.lines"}
    assert accept(yaml.safe_dump({**FILE, "fields": fields}).encode()).notes == ()


def test_each_path_of_a_quote_leads_somewhere_in_what_is_kept_of_it() -> None:
    """A quote is kept without what has groups of its own; no path may lead there."""
    for path in paths("quotes"):
        assert path.partition(".")[0] in QuoteHead.__struct_fields__


def test_a_value_is_found_by_its_path() -> None:
    customer = msgspec.convert(
        {"name": "Acme", "address": {"city": "Bath", "custom": {"unit": "4"}}, "custom": {"a.b": "x"}},
        Customer,
    )
    assert value_at(customer, "address.city") == "Bath"
    assert value_at(customer, "address.custom.unit") == "4"
    assert value_at(customer, "custom.a.b") == "x"
    assert value_at(customer, "custom.c") is None
    assert value_at(customer, "phone") is None
    assert value_at(Contact(name="N"), "address.city") is None
