"""What the writer sends has only fields that Halo's API has, with the types that it has there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo import wire
from hub.tenants.halo_fields import OWNED, WRITABLE, LinkedKind
from sandbox.schema import Schema
from schemas.commands import (
    AccountCodes,
    Command,
    Field,
    FileSource,
    GroupIncome,
    ItemAccounts,
    Linked,
    MainContact,
    Named,
    SiteAddress,
)
from schemas.identity import group_hashes
from schemas.targets import KINDS, LEAD, Kind, TargetState
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import (
    Resolved,
    Row,
    SoldItem,
    element_to_create,
    element_to_update,
    references,
    with_unowned,
)
from tests.contract.halo_fields import (
    ADDRESS,
    OPPORTUNITY_PRODUCT,
    ORDER_LINE,
    QUOTATION_LINE,
    RESOURCES,
    Fields,
    faults,
)
from tests.unit.halo_writer.build import Tool, always, changed, once
from tests.unit.halo_writer.won_build import sales_order, won

TOOL = Tool()


def links(kind: LinkedKind) -> tuple[Linked, ...]:
    """A value for each field of Halo that a tenant's file may link to, and for a custom field."""
    values = {"text": "x", "number": "12.5", "date": "2026-04-01"}
    own = [Linked(field=name, value=values[held], type=held) for name, held in WRITABLE[kind].items()]
    return (*own, Linked(custom_field=Named(lookup="custom_field", name="CFOne", missing="leave"), value="x"))


MADE = tuple(kind for kind in KINDS if SPECS[kind].step_on is None)
"""The kinds that are records of their own."""
REGION = Named(lookup="region", name="Kent", missing="leave")
GROUP = Named(lookup="asset_group", name="Hardware")
MONTHLY = Named(lookup="billing_period", name="Monthly")
AGENT = Named(lookup="agent", name="Alex", missing="leave")
SPELLED_OUT = SiteAddress(
    line1="1", line2="2", line3="3", line4="4", postcode="P", region=REGION, country="GB"
)
ON_A_QUOTE = SiteAddress(line1="1", line2="2", line3="3", line4="4", postcode="P")
CONTACT = MainContact(name="Nina Park", email="n@x.example", phone="1", title="COO")


def everything() -> dict[Kind, Command]:
    """A command of each kind that owns every field that its kind has."""
    line = TOOL.line(
        cost=Decimal("1.10"),
        tax=Decimal("0.20"),
        description="D",
        recurring=True,
        billing_period=MONTHLY,
        supplier=Named(lookup="supplier", name="Northgate"),
        links=links("lines"),
    )
    return {
        "client": TOOL.client(
            site_name="Dock",
            address=SPELLED_OUT,
            contact=CONTACT,
            relationship=once(Named(lookup="customer_relationship", name="Prospect", missing="leave")),
            phone=always("1"),
            website=always("w"),
            links=always(links("clients")),
        ),
        "site": TOOL.site(name="Dock", address=SPELLED_OUT, phone=always("1")),
        "user": TOOL.user(
            first_name=always("N"),
            last_name=always("P"),
            phone=always("1"),
            title=always("COO"),
            links=always(links("users")),
        ),
        "item": TOOL.item(
            recurring=True,
            period="Monthly",
            description=always("D"),
            part_number=always("SH-1U"),
            sku=always("SH-1U"),
            type=always(Named(lookup="item_type", name="Hardware")),
            accounts=always(ItemAccounts(group=GROUP, own=AccountCodes(income="4000", expense="5000"))),
            stocked=always(False),
        ),
        "opportunity": TOOL.opportunity(
            links=always(links("opportunities")),
            person="p-1",
            agent=AGENT,
            status=always(Named(lookup="status", name="Qualified")),
            value=always(Decimal("12.5")),
            team=always(Named(lookup="team", name="Sales")),
            note=always("N"),
            lines=always((TOOL.product(cost=Decimal("1.10"), tax=Decimal("0.20")),)),
            po_number=always("PO-1"),
            lead=always(msgspec.structs.replace(TOOL.target("opportunity", "org-1"), scope=LEAD)),
            company=always("Brackenridge Foods"),
            contact_name=always("Nina Park"),
            contact_email=always("n@x.example"),
        ),
        "quote": TOOL.quote(
            links=always(links("quotes")),
            sold_to=always(ON_A_QUOTE),
            ship_to=always(ON_A_QUOTE),
            person="p-1",
            agent=AGENT,
            lines=[line],
            date=always(dt.date(2026, 3, 2)),
            expiry_date=always(dt.date(2026, 4, 1)),
            currency=always(Named(lookup="currency", name="GBP")),
            note=always("N"),
            description=always("D"),
            po_number=always("PO-1"),
            first_status=once(Named(lookup="quote_status", name="New", missing="ignore")),
            net="1",
            tax="2",
            carriage=always(Decimal("12.5")),
        ),
        "attachment": TOOL.attachment(),
        "won": won(TOOL, po_number="PO-1"),
        "sales_order": sales_order(
            TOOL,
            person="p-1",
            agent=AGENT,
            lines=[line],
            accounts=[GroupIncome(group=GROUP, account="4000")],
            currency=always(Named(lookup="currency", name="GBP")),
            po_number=always("PO-1"),
        ),
    }


class Files:
    """Every file is there."""

    def data_uri(self, name: str, file: FileSource) -> str:
        return f"data:{file.media_type};base64,aGVsbG8="


def resolved(command: Command) -> Resolved:
    """Every reference has an id of its own."""
    found = list(dict.fromkeys(references(command)))
    ids = {reference: place + 10 for place, reference in enumerate(found)}
    return Resolved(
        targets={r: n for r, n in ids.items() if not isinstance(r, Named)},
        names={r: n for r, n in ids.items() if isinstance(r, Named)},
        spellings={r: str(r.name) for r in ids if isinstance(r, Named)},
        sold={n: SoldItem(recurring=True, group_id=ids.get(GROUP)) for n in ids.values()},
    )


def row_of(command: Command) -> TargetState:
    return TargetState(target=command.target)


def created(command: Command) -> Row:
    spec = SPECS[command.target.kind]
    element = element_to_create(spec, command, resolved(command), row_of(command))
    return element if spec.prepare is None else element | spec.prepare(command, Files())


def updated(command: Command, row: TargetState | None = None) -> Row:
    spec = SPECS[command.target.kind]
    groups = group_hashes(command)
    return element_to_update(spec, command, resolved(command), row or row_of(command), 7, groups)


def all_always(command: Command) -> Command:
    """The same command, with every field owned for good."""
    fields = {
        name: msgspec.structs.replace(value, write="always")
        for name in command.state_fields()
        if isinstance(value := getattr(command, name), Field)
    }
    return changed(command, ensure=False, seq=(1, 1), **fields)


def as_halo_reads_it(element: Row) -> Row:
    """Over the wire and back: what arrives has JSON's types."""
    decoded: Row = wire.decode(wire.encode(element))
    return decoded


@pytest.mark.parametrize("kind", MADE)
def test_what_creates_a_record_fits_halos_api(kind: Kind) -> None:
    element = as_halo_reads_it(created(everything()[kind]))
    assert faults(SPECS[kind].resource.name, element) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_updates_a_record_fits_halos_api_and_names_the_record_by_its_id(kind: Kind) -> None:
    element = as_halo_reads_it(updated(all_always(everything()[kind])))
    assert element["id"] == 7
    assert len(element) > 1
    assert faults(SPECS[kind].resource.name, element) == []


@pytest.mark.parametrize("kind", MADE)
def test_the_table_holds_what_is_sent_and_nothing_else(kind: Kind) -> None:
    name = SPECS[kind].resource.name
    sent = created(everything()[kind]).keys() | {"id"}
    assert sent == RESOURCES[name].keys()


def test_the_tables_of_lines_and_addresses_hold_what_is_sent_and_nothing_else() -> None:
    quote = everything()["quote"]
    (new,) = created(quote)["lines"]
    row = msgspec.structs.replace(row_of(quote), children={"line:l1": 5})
    (known,) = updated(quote, row)["lines"]
    assert new.keys() | known.keys() == QUOTATION_LINE.keys()
    opportunity = everything()["opportunity"]
    (new,) = created(opportunity)["items_issued"]
    row = msgspec.structs.replace(row_of(opportunity), children={"line:l1": 5})
    (known,) = updated(opportunity, row)["items_issued"]
    assert new.keys() | known.keys() == OPPORTUNITY_PRODUCT.keys()
    (ordered,) = created(everything()["sales_order"])["lines"]
    assert ordered.keys() == ORDER_LINE.keys()
    site = all_always(everything()["site"])
    kept = with_unowned(SPECS["site"], updated(site), {"delivery_address": {"id": 3, "site_name": "x"}})
    assert kept["delivery_address"].keys() == ADDRESS.keys()


@pytest.mark.parametrize(
    ("section", "entity"),
    [
        ("clients", "Client"),
        ("users", "Users"),
        ("opportunities", "Faults"),
        ("quotes", "Quotation"),
        ("lines", "QuotationDetail"),
    ],
)
def test_each_field_that_may_be_linked_is_in_halos_description_with_its_type(
    section: LinkedKind, entity: str
) -> None:
    described = Schema.load().fields(entity)
    types = {"text": "str", "number": "num", "date": "date"}
    assert {name: described.get(name) for name in WRITABLE[section]} == {
        name: types[held] for name, held in WRITABLE[section].items()
    }
    assert described["customfields"] == "list"


@pytest.mark.feature("field.links", part="mapper")
@pytest.mark.parametrize(
    ("section", "sent"),
    [
        ("users", RESOURCES["Users"]),
        ("opportunities", RESOURCES["Opportunities"]),
        ("quotes", RESOURCES["Quotation"]),
        ("lines", QUOTATION_LINE),
    ],
)
def test_each_field_that_is_sent_is_the_rules_own_or_may_be_linked_and_never_both(
    section: LinkedKind, sent: Fields
) -> None:
    assert not OWNED[section].keys() & WRITABLE[section].keys()
    hidden = {"id", "new_external_link", "customfields"}
    assert OWNED[section].keys() | WRITABLE[section].keys() == sent.keys() - hidden


@pytest.mark.parametrize(
    ("resource", "element", "at"),
    [
        ("Client", {"nmae": "x"}, "Client.nmae"),
        ("Client", {"name": 5}, "Client.name"),
        ("Quotation", {"status": "2"}, "Quotation.status"),
        ("Quotation", {"status": True}, "Quotation.status"),
        ("Quotation", {"ticket_id": 2.0}, "Quotation.ticket_id"),
        ("Quotation", {"date": "2026-03-02"}, "Quotation.date"),
        ("Quotation", {"date": "2026-03-02T00:00:00Z"}, "Quotation.date"),
        ("Quotation", {"lines": [{"quantity": 1}, {"quantity": "1"}]}, "Quotation.lines[1].quantity"),
        ("Quotation", {"lines": [{"qty": 1}]}, "Quotation.lines[0].qty"),
        ("Site", {"delivery_address": {"line5": "x"}}, "Site.delivery_address.line5"),
        ("Item", {"isrecurringitem": 1}, "Item.isrecurringitem"),
        ("Item", {"new_external_link": {"third_party_id": 1}}, "Item.new_external_link.third_party_id"),
    ],
)
def test_a_field_that_halo_lacks_or_types_otherwise_is_found(resource: str, element: Row, at: str) -> None:
    (fault,) = faults(resource, element)
    assert fault.startswith(at)


AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=4, allow_nan=False)
TEXTS = st.text(min_size=1, max_size=40)


@given(
    lines=st.lists(st.tuples(TEXTS, AMOUNTS, AMOUNTS, st.none() | AMOUNTS, st.booleans()), max_size=6),
    title=TEXTS,
    status=st.none() | TEXTS,
    known=st.integers(0, 6),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_quote_fits_halos_api(
    lines: Sequence[tuple[str, Decimal, Decimal, Decimal | None, bool]],
    title: str,
    status: str | None,
    known: int,
) -> None:
    sold = [
        TOOL.line(f"l{place}", name=name, quantity=quantity, price=price, tax=tax, recurring=recurring)
        for place, (name, quantity, price, tax, recurring) in enumerate(lines)
    ]
    quote = TOOL.quote(title=title, status=status, lines=sold)
    row = msgspec.structs.replace(
        row_of(quote), children={f"line:l{place}": 100 + place for place in range(known)}
    )
    for element in (created(quote), updated(quote, row)):
        read: dict[str, Any] = as_halo_reads_it(element)
        assert faults("Quotation", read) == []
        assert [line["name"] for line in read["lines"]] == [line.name for line in sold]
        assert [line["price"] for line in read["lines"]] == [line.price for line in sold]
