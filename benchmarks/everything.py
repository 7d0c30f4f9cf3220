"""A tenant with everything on but files, and quotes that say all that a quoting tool can say."""

from __future__ import annotations

from typing import Any

from benchmarks import quotes
from benchmarks.quotes import Event
from tests.support.hub import quote_event

TENANT = "everything"
KNOWN_PRODUCTS = (*quotes.KNOWN_PRODUCTS[:4], ("Managed Backup per Device", "BKP-DEV", "12.00"))
"""The last is one that Halo bills by the month."""

RULES = """
clients: {prospect_type: Prospect, lead_ticket_type: Lead, lead_won_status: Closed}
agents:
  owner: sales_rep
  map: {alex: Alex Morgan, priya: Priya Shah}
addresses: {line1: street, line2: apartment, line3: city, line4: county}
items:
  push: true
  asset_group: Hardware
  asset_groups: {Laptops: Hardware, Labour: Services}
  types: {product: Hardware, labour: Service}
  shipping: Freight
  part_number:
    from: custom.our_number
    if_missing: item_type
    by_item_type: {labour: "LAB-{name}", default: "GEN-{manufacturer_part_number}"}
    fallback: "{name}"
  accounts:
    Hardware: {income: "4000", expense: "5000"}
    Services: {income: "4100", expense: "5100"}
billing_periods: {month: Monthly, year: Yearly}
currency: GBP
currencies: {pounds: Pound Sterling}
opportunities:
  ticket_type: Opportunity
  ticket_types: {renewal: Renewal}
  teams: {inside: Sales}
  status: Qualified
  statuses: {won: Won}
  rename: true
  value: profit
  lines: {write: detail, cost: true, bundles: expand}
  won: {when: order, if_none: create, if_exists: convert}
quotes:
  revisions: overwrite
  statuses: {draft: Draft, sent: Sent, approved: Accepted, declined: Rejected, expired: Expired}
  won: [approved]
  taxes: {push: true, skip: [avalara]}
  po_number: custom.customer_po
  sales_order: true
fields:
  clients: {custom.industry: customfields.CFIndustry}
  users: {custom.loyalty: customfields.CFLoyalty}
  opportunities: {custom.campaign: customfields.CFCampaign, expiry_date: targetdate}
  quotes: {custom.margin: customfields.CFMargin}
  lines: {vendor: customfields.CFVendor}
"""

HALO: dict[str, Any] = {
    "Lookup": [
        {"lookupid": 11, "id": 44, "name": "Item type"},
        {"lookupid": 44, "id": 1, "name": "Hardware"},
        {"lookupid": 44, "id": 2, "name": "Service"},
        {"lookupid": 11, "id": 91, "name": "Customer Relationship"},
        {"lookupid": 91, "id": 3, "name": "Customer"},
        {"lookupid": 91, "id": 4, "name": "Prospect"},
    ],
    "TicketType": [{"id": 8, "name": "Renewal", "use": "opportunity", "cancreate": True}],
    "Item": [
        {"id": 480, "name": "Freight", "supplier_part_code": "FREIGHT", "assetgroup_id": 3, "baseprice": 0}
    ],
}
"""What the rules need beside the packaged data of the sandbox, as its fixtures say it."""


def known(quote: str, revision: int = 1, **data: Any) -> Event:
    """A quote for a client, a contact and five products that Halo has."""
    customer = {"id": "org-brightwater", "name": "Brightwater Dental Group", "custom": {"industry": "Health"}}
    contact = {
        "id": "maya",
        "name": "Maya Osei",
        "email": "maya.osei@brightwater.example",
        "custom": {"loyalty": "77"},
    }
    products = [
        {"id": f"p{n}", "name": name, "manufacturer_part_number": number, "custom": {"our_number": number}}
        for n, (name, number, _) in enumerate(KNOWN_PRODUCTS, 1)
    ]
    prices = [price for *_, price in KNOWN_PRODUCTS]
    return _quote(quote, revision, customer, contact, products, prices, **data)


def new(quote: str, revision: int = 1, **data: Any) -> Event:
    """A quote whose company (with a site and a contact) and five products Halo has never seen."""
    customer = {
        "id": f"org-{quote}",
        "name": f"Customer of {quote}",
        "site": "Head Office",
        "phone": "0117 496 0000",
        "website": f"{quote}.example",
        "address": {"street": "1 Quay Street", "city": "Bristol", "postcode": "BS1 4DJ", "region": "Avon"},
        "custom": {"industry": "Health"},
    }
    contact = {"id": f"user-{quote}", "name": "Robin Vale", "email": f"robin@{quote}.example"}
    products = [
        {
            "id": f"{quote}-p{n}",
            "name": f"Product {n} of {quote}",
            "manufacturer_part_number": f"PN-{quote}-{n}",
            "category": "Laptops",
            "item_type": "product",
        }
        for n in range(1, 6)
    ]
    return _quote(quote, revision, customer, contact, products, ["25.00"] * 5, **data)


def status_changed(quote: str, revision: int, status: str) -> Event:
    """A change of the quote's status alone."""
    return quote_event(quote, revision, tenant=TENANT, event_type="quote.status_changed.v1", status=status)


def converted(quote: str, revision: int) -> Event:
    """The quote became an order."""
    event = quote_event(quote, revision, tenant=TENANT)
    return event | {"type": "quote.converted.v1", "data": {"to": "order", "number": f"SO-{quote}"}}


def _quote(
    quote: str,
    revision: int,
    customer: Event,
    contact: Event,
    products: list[Event],
    prices: list[str],
    **data: Any,
) -> Event:
    recurring, cheaper, in_bundle = {"frequency": "month"}, {"discount": {"percent": "10"}}, {"bundle": "l1"}
    more: list[Event] = [{}, in_bundle, cheaper, {"supplier": {"name": "Northgate Distribution"}}, recurring]
    lines = [
        {
            "id": f"l{number}",
            "product": {"vendor": "Northgate", **product},
            "quantity": number,
            "price": price,
            "cost": "20.00",
            "tax": "5.00",
            "description": f"Line {number} of {quote}",
            **extra,
        }
        for number, (product, price, extra) in enumerate(zip(products, prices, more, strict=True), 1)
    ]
    body: dict[str, Any] = {
        "title": f"Workplaces {quote}",
        "number": quote,
        "commercial_revision": 1,
        "customer": customer,
        "contact": contact,
        "lines": lines,
        "status": "sent",
        "currency": "pounds",
        "date": "2026-11-02",
        "expiry_date": "2026-12-02",
        "sold_to": {"street": "18 Harbour Road", "city": "Bristol", "postcode": "BS1 4QD"},
        "ship_to": {"street": "2 Dock Lane", "apartment": "Unit 4", "city": "Bristol", "postcode": "BS1 5AA"},
        "prepared_by": {"username": "alex"},
        "sales_rep": {"username": "priya"},
        "opportunity": {"new": True, "type": "renewal", "team": "inside"},
        "discount": {"amount": "5.00"},
        "shipping": "12.50",
        "note": "Delivery on working days.",
        "description": "Five new workplaces.",
        "custom": {"customer_po": f"PO-{quote}", "margin": "17", "campaign": "Autumn"},
    }
    return quote_event(quote, revision, tenant=TENANT, **(body | data))
