"""Quote events as a quoting tool publishes them, on the sandbox's packaged customers and products."""

from __future__ import annotations

from typing import Any

from tests.support.hub import quote_event

Event = dict[str, Any]

KNOWN_CUSTOMER: Event = {"id": "org-brightwater", "name": "Brightwater Dental Group"}
KNOWN_CONTACT: Event = {"id": "maya", "name": "Maya Osei", "email": "maya.osei@brightwater.example"}
KNOWN_PRODUCTS = (
    ("14-inch Business Laptop", "LT-14-G5", "949.00"),
    ("USB-C Docking Station", "DK-USBC-2", "159.00"),
    ("27-inch Monitor", "MN-27-QHD", "249.00"),
    ("Keyboard and Mouse Set", "KM-SET", "35.00"),
    ("Installation Day", "SV-INST", "720.00"),
)
STATUSES = ("approved", "sent", "declined", "expired")


def known(quote: str, revision: int = 1, *, tenant: str = "acme", **data: Any) -> Event:
    """A quote for a client, a contact and five products that Halo has."""
    body = {
        "title": f"Workplaces {quote}",
        "customer": KNOWN_CUSTOMER,
        "contact": KNOWN_CONTACT,
        "lines": [_line(number, *product) for number, product in enumerate(KNOWN_PRODUCTS, 1)],
        "status": "sent",
    }
    return quote_event(quote, revision, tenant=tenant, **(body | data))


def new(quote: str, revision: int = 1, *, tenant: str = "acme") -> Event:
    """A quote whose client (with a site and a contact) and five products Halo has never seen."""
    return known(
        quote,
        revision,
        tenant=tenant,
        customer={
            "id": f"org-{quote}",
            "name": f"Customer of {quote}",
            "site": "Head Office",
            "address": {"street": "1 Quay Street", "city": "Bristol", "postcode": "BS1 4DJ"},
        },
        contact={"id": f"user-{quote}", "name": "Robin Vale", "email": f"robin@{quote}.example"},
        lines=[_line(n, f"Product {n} of {quote}", f"PN-{quote}-{n}", "25.00") for n in range(1, 6)],
    )


def status_changed(quote: str, revision: int, *, tenant: str = "acme") -> Event:
    """A change of the quote's status alone."""
    event_type = "quote.status_changed.v1"
    status = STATUSES[revision % len(STATUSES)]
    return quote_event(quote, revision, tenant=tenant, event_type=event_type, status=status)


def _line(number: int, name: str, part_number: str, price: str) -> Event:
    product = {"name": name, "manufacturer_part_number": part_number}
    return {"id": f"l{number}", "product": product, "quantity": number, "price": price}
