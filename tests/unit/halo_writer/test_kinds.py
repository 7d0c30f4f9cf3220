"""The walk from a command's fields to Halo's: what is sent when, and what is not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from schemas.commands import Command, Field, MainContact, Named, Notice, SiteAddress
from schemas.identity import group_hashes
from schemas.targets import Kind, TargetState, our_key
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import (
    Refused,
    Resolved,
    Row,
    SoldItem,
    element_to_create,
    element_to_update,
    holding,
    references,
    to_halo,
    with_unowned,
)
from services.halo_writer.names import Found, Unknown, resolve
from tests.unit.halo_writer.build import Tool, always, by, changed, once
from tests.unit.halo_writer.won_build import sales_order, won

TOOL = Tool()
IDS = {"client": 12, "site": 22, "user": 33, "item": 57, "opportunity": 1001, "quote": 2001}
CLIENT = always(TOOL.target("client", "org-1"))


def known(command: Command, *, recurring: bool | None = None, **names: int | None) -> Resolved:
    found = list(references(command))
    return Resolved(
        targets={r: IDS[r.kind] for r in found if not isinstance(r, Named)},
        names={r: names.get(r.lookup, 5) for r in found if isinstance(r, Named)},
        sold={} if recurring is None else {IDS["item"]: SoldItem(recurring=recurring)},
    )


def create(command: Command, **kwargs: Any) -> Row:
    spec = SPECS[command.target.kind]
    return element_to_create(spec, command, known(command, **kwargs), TargetState(target=command.target))


def update(command: Command, *groups: str, row: TargetState | None = None, **kwargs: Any) -> Row:
    spec = SPECS[command.target.kind]
    state = row or TargetState(target=command.target)
    return element_to_update(
        spec, command, known(command, **kwargs), state, 7, groups or group_hashes(command)
    )


def test_a_creating_request_carries_our_key_and_an_updating_one_does_not() -> None:
    quote = TOOL.quote()
    key = our_key(quote.target)
    assert create(quote)["new_external_link"] == {"third_party_id": key, "third_party_desc": "halo-hub"}
    assert create(quote)["third_party_number"] == key
    assert not {"new_external_link", "third_party_number"} & update(quote).keys()


def test_our_key_follows_from_the_target_alone() -> None:
    assert our_key(TOOL.quote(seq=(1, 1)).target) == our_key(TOOL.quote(seq=(9, 9), title="Other").target)
    others = {
        our_key(TOOL.target("quote", "q-2")),
        our_key(TOOL.target("opportunity", "q-1")),
        our_key(Tool(tenant="other").target("quote", "q-1")),
        our_key(TOOL.target("quote", "q-1"), "l1"),
    }
    assert len(others | {our_key(TOOL.target("quote", "q-1"))}) == 5
    assert all(len(key) <= 32 for key in others)


@pytest.mark.parametrize(
    ("field", "created", "updated"),
    [
        (Field(value="x"), "x", "x"),
        (Field(value=""), "", ""),
        (Field(value="x", write="on_create"), "x", None),
        (Field(value="x", write="if_present"), "x", "x"),
        (Field(value="", write="if_present"), None, None),
        (UNSET, None, None),
    ],
)
def test_a_field_is_sent_as_the_rules_own_it(field: Any, created: str | None, updated: str | None) -> None:
    quote = changed(TOOL.quote(), note=field)
    assert create(quote).get("note") == created
    assert update(quote).get("note") == updated


def test_an_update_carries_the_fields_of_its_groups_alone() -> None:
    quote = TOOL.quote(note=always("N"))
    assert update(quote, "status") == {"id": 7, "status": 5}
    row = TargetState(target=quote.target, children={"said": 0})
    assert update(quote, "lines", row=row).keys() == {"id", "lines"}
    assert not {"lines", "status"} & update(quote, "head").keys()


def test_an_update_of_what_only_creation_may_write_is_the_bare_id() -> None:
    assert update(TOOL.client(contact=MainContact(name="N")), "head") == {"id": 7}
    assert update(TOOL.quote(status="X"), "status", quote_status=None) == {"id": 7}, "left alone"


def test_what_halo_takes_in_the_creating_request_only_is_never_in_an_update() -> None:
    client = TOOL.client(
        site_name="S", address=SiteAddress(line1="1"), contact=MainContact(name="N"), phone=always("1")
    )
    full = changed(
        client,
        ensure=False,
        seq=(1, 1),
        **{
            name: msgspec.structs.replace(getattr(client, name), write="always")
            for name in ("name", "site_name", "site_address", "main_contact")
        },
    )
    assert update(full) == {"id": 7, "name": "Brackenridge Foods"}
    assert {name for name in create(full) if name.startswith("newclient_")} == {
        "newclient_phonenumber",
        "newclient_sitename",
        "newclient_delivery_address",
        "newclient_contactname",
    }


def test_an_empty_address_line_clears_and_an_absent_one_is_not_sent() -> None:
    address = SiteAddress(line1="1 High St", line2="", postcode="")
    site = TOOL.site(name="S", address=address)
    assert create(site)["delivery_address"] == {"line1": "1 High St", "line2": "", "postcode": ""}
    bare = TOOL.site(name="S", address=SiteAddress(country="GB"))
    assert "delivery_address" not in create(bare)
    assert create(bare)["country_code"] == "GB"


def test_what_halo_holds_beside_the_owned_lines_of_an_address_goes_with_an_update() -> None:
    held = {"id": 3, "line1": "old", "line2": "old", "line4": "kept", "site_name": "x"}
    element = {"id": 7, "delivery_address": {"line1": "new", "line2": ""}}
    sent = with_unowned(SPECS["site"], element, {"delivery_address": held})
    assert sent["delivery_address"] == {"id": 3, "line1": "new", "line2": "", "line4": "kept"}
    assert with_unowned(SPECS["site"], {"id": 7}, {"delivery_address": held}) == {"id": 7}
    assert with_unowned(SPECS["site"], element, {}) == element


def test_a_known_line_keeps_its_id_and_a_new_one_carries_our_line_key() -> None:
    quote = TOOL.quote(lines=[TOOL.line("l1"), TOOL.line("l2")])
    row = TargetState(target=quote.target, children={"line:l2": 900, "line:gone": 901})
    first, second = update(quote, "lines", row=row)["lines"]
    assert first["new_external_link"]["third_party_id"] == our_key(quote.target, "l1")
    assert "id" not in first
    assert second["id"] == 900
    assert "new_external_link" not in second
    assert [first["sort_seq"], second["sort_seq"]] == [1, 2]


def test_lines_of_an_answer_are_remembered_by_their_source_ids() -> None:
    quote = TOOL.quote(lines=[TOOL.line("l1"), TOOL.line("l2")])
    row = TargetState(target=quote.target, children={"line:l1": 1})
    children = SPECS["quote"].children
    answer = {"lines": [{"id": 5, "productcode": "FW-100"}, {"id": 6, "productcode": "FW-100"}]}
    assert children(quote, answer, row) == {"line:l1": 5, "line:l2": 6}
    assert children(quote, {}, row) == {"line:l1": 1}, "an answer without lines says nothing of them"


def test_a_line_that_an_earlier_release_wrote_keeps_all_but_a_tax_that_nobody_gives() -> None:
    quote = TOOL.quote(lines=[TOOL.line("l1")])
    (line,) = update(quote, "lines", row=TargetState(target=quote.target, children={"line:l1": 900}))["lines"]
    assert (line["id"], line["ignoretaxcalc"]) == (900, False)
    assert not {"costprice", "description", "supplier_id"} & line.keys()


def test_what_a_line_sold_and_said_is_known_from_the_write_and_from_the_record() -> None:
    quote = TOOL.quote(lines=[TOOL.line("l1", cost=Decimal(3), supplier=None)])
    spec, key = SPECS["quote"], our_key(quote.target, "l1")
    bare = TargetState(target=quote.target)
    sent = create(quote)
    row = holding(spec, quote, sent, {"lines": [{"id": 5, **sent["lines"][0]}]}, bare)
    assert row.children == {
        "line:l1": 5,
        f"item:{key}": sent["lines"][0]["item_id"],
        f"said:{key}": 0b10010,
        "said": 0,
    }
    silent = TOOL.quote(lines=[TOOL.line("l1", product_code=None)])
    (line,) = update(silent, "lines", row=row)["lines"]
    assert (line["id"], line["costprice"], line["productcode"]) == (5, 0, "")
    assert not {"ignoretaxcalc", "description"} & line.keys()
    # A person put another item there: what it sells now is another line.
    row = msgspec.structs.replace(
        row, children=spec.children(quote, {"lines": [{"id": 5, "item_id": 4711}]}, row)
    )
    (line,) = update(silent, "lines", row=row)["lines"]
    assert "id" not in line


@pytest.mark.parametrize(("halo_says", "refused"), [(False, True), (True, False), (None, False)])
def test_a_recurring_line_is_refused_only_when_its_item_is_known_not_to_recur(
    halo_says: bool | None, refused: bool
) -> None:
    quote = TOOL.quote(lines=[TOOL.line("l1", recurring=True)])
    if not refused:
        assert create(quote, recurring=halo_says)["lines"][0]["item_recurring"] is True
        return
    with pytest.raises(Refused, match="l1"):
        create(quote, recurring=halo_says)


def test_a_pushed_tax_switches_halos_calculation_off_also_when_it_is_nothing() -> None:
    quote = TOOL.quote(lines=[TOOL.line(tax=Decimal(0)), TOOL.line("l2")])
    taxed, untaxed = create(quote)["lines"]
    assert (taxed["tax"], taxed["ignoretaxcalc"]) == (0, True)
    assert not {"tax", "ignoretaxcalc"} & untaxed.keys()


@pytest.mark.parametrize(
    ("record", "codes"),
    [
        ({"revenue": 100, "tax_total": 20}, []),
        ({"revenue": Decimal("100.004"), "tax_total": 20}, []),
        ({"revenue": Decimal("100.005"), "tax_total": 20}, ["totals.net"]),
        ({"revenue": 100, "tax_total": 0}, ["totals.tax"]),
        ({}, []),
    ],
)
def test_totals_that_differ_by_a_cent_are_told(record: Row, codes: list[str]) -> None:
    notices = SPECS["quote"].check(TOOL.quote(net="100", tax="20"), record, created=True)
    assert [notice.code for notice in notices] == codes
    assert SPECS["quote"].check(TOOL.quote(), record, created=True) == ()


def test_a_recurring_item_keeps_its_price_in_halos_recurring_fields_too() -> None:
    item = TOOL.item(price="4", cost=None, recurring=True, period="Monthly")
    made = create(item)
    assert (made["baseprice"], made["recurringprice"], made["item_default_billing_period"]) == (4, 4, 5)
    assert "recurringcost" not in made
    assert "recurringprice" not in create(TOOL.item())


def test_natural_keys_are_what_the_tenant_matches_by() -> None:
    assert SPECS["client"].natural_keys(TOOL.client(name=" Smith ")) == ("name:smith",)
    assert SPECS["client"].natural_keys(TOOL.client(match=by(our_key=None))) == ()
    user = TOOL.user(email="A@x.example ")
    (key,) = SPECS["user"].natural_keys(user)
    assert key.endswith(":a@x.example")
    assert TOOL.target("client", "org-1").key in key
    assert SPECS["user"].natural_keys(TOOL.user(match=by(our_key=None))) == ()
    assert SPECS["item"].natural_keys(TOOL.item("A b", "N")) == ("sku:A b", "name:N")
    assert SPECS["item"].natural_keys(TOOL.item(None, "N", match=by(halo_id=4))) == ()
    assert SPECS["site"].natural_keys(TOOL.site()) == ()
    assert SPECS["opportunity"].natural_keys(TOOL.opportunity()) == ()


def test_a_search_for_our_key_is_narrowed_to_where_the_record_must_be() -> None:
    commands = (TOOL.user(), TOOL.item(name="N"), TOOL.opportunity(), TOOL.quote(), TOOL.client())
    scopes = {
        command.target.kind: SPECS[command.target.kind].key_scope(command, known(command))
        for command in commands
    }
    assert scopes == {
        "user": {"client_id": 12},
        "item": {"search": "N", "includeinactive": True},
        "opportunity": {"client_id": 12},
        "quote": {"ticket_id": 1001},
        "client": None,
    }


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (dt.date(2026, 3, 2), "2026-03-02T00:00:00"),
        ("x", "x"),
        (True, True),
        (3, 3),
        (Decimal("1.50"), Decimal("1.50")),
    ],
)
def test_values_travel_as_halo_takes_them(value: Any, sent: Any) -> None:
    assert to_halo(value, Resolved()) == sent


def test_a_value_without_a_form_in_halo_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError):
        to_halo(1.5, Resolved())


def test_every_field_of_every_kind_reaches_halo_or_is_read_by_the_writer() -> None:
    for spec in SPECS.values():
        fields = set(SAMPLES[spec.kind].state_fields())
        assert fields - spec.fills.keys() <= {"totals", "origin", "file"}, spec.kind
        assert spec.fills.keys() <= fields, spec.kind


SAMPLES: dict[Kind, Command] = {
    "client": TOOL.client(),
    "site": TOOL.site(),
    "user": TOOL.user(),
    "item": TOOL.item(),
    "opportunity": TOOL.opportunity(),
    "quote": TOOL.quote(),
    "attachment": TOOL.attachment(),
    "won": won(TOOL),
    "sales_order": sales_order(TOOL),
}


class Catalogued(msgspec.Struct, frozen=True):
    halo_id: int


NAMED = Named(lookup="asset_group", name="Hardwear", setting="items.asset_group")


def test_of_several_rows_of_one_name_the_lowest_id_is_taken_and_told() -> None:
    found = resolve(NAMED, [Catalogued(9), Catalogued(4)], (), ())
    assert isinstance(found, Found)
    assert found.halo_id == 4
    assert found.notice is not None
    assert found.notice.code == "asset_group.doubled"
    assert "4, 9" in found.notice.message


def test_a_name_that_halo_lacks_takes_the_fallback_then_is_left_or_rejected() -> None:
    spare = msgspec.structs.replace(NAMED, fallback="Hardware")
    assert resolve(spare, (), [Catalogued(3)], ()) == Found(3, fell_back=True)
    unknown = resolve(NAMED, (), (), ["hardware", "software"])
    assert isinstance(unknown, Unknown)
    assert "'Hardwear'" in unknown.message
    assert "hardware, software" in unknown.message
    assert "items.asset_group" in unknown.fix
    left = resolve(msgspec.structs.replace(spare, missing="leave"), (), (), ())
    assert isinstance(left, Found)
    assert left.halo_id is None
    assert isinstance(left.notice, Notice)
    assert "'Hardware'" in left.notice.message, "the fallback that Halo lacks as well is named"


def test_references_are_found_wherever_they_hide() -> None:
    region = Named(lookup="region", name="Kent")
    site = TOOL.site(name="S", address=SiteAddress(line1="1", region=region))
    assert list(references(site)) == [TOOL.target("client", "org-1"), region]
    quote = TOOL.quote(lines=[TOOL.line("l1", "A"), TOOL.line("l2", "B")])
    kinds = [r.id for r in references(quote) if not isinstance(r, Named) and r.kind == "item"]
    assert kinds == ["A", "B"]
    assert CLIENT.value in list(references(TOOL.user(phone=once("1"))))
