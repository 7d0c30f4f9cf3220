"""The source ids of what a quote embeds: its own id where it has one, else its first match key.

The order is fixed and not the rules': an id that changed with the rules would be another record.
"""

from __future__ import annotations

import hashlib

from hub.tenants.names import folded
from schemas.quotes import Contact, Customer, Product

MAX_ID = 200
_VISIBLE = {control: 0x2400 + control for control in range(0x20)}
"""A name may hold control characters and an id may not: each becomes the character that shows it (U+2400 and on)."""
_DIGEST = 40


def client_id(customer: Customer) -> str:
    if customer.id:
        return customer.id
    if customer.halo_id is not None:
        return f"halo:{customer.halo_id}"
    return bounded(f"name:{folded(customer.name)}")


def site_id(customer: Customer) -> str:
    return bounded(f"{client_id(customer)}/{folded(customer.site) if customer.site else 'main'}")


def user_id(contact: Contact, customer: Customer) -> str:
    """A person of the client: by its own id, by its email, or by its name. Who changes companies is another user."""
    if contact.id:
        return bounded(f"{client_id(customer)}/{contact.id}")
    if contact.halo_id is not None:
        return f"halo:{contact.halo_id}"
    own = f"email:{folded(contact.email)}" if contact.email else f"name:{folded(contact.name)}"
    return bounded(f"{client_id(customer)}/{own}")


def item_id(product: Product) -> str:
    """Part numbers and names of items are exact: case and spaces count."""
    if product.id:
        return product.id
    if product.halo_id is not None:
        return f"halo:{product.halo_id}"
    if product.manufacturer_part_number:
        return bounded(f"sku:{product.manufacturer_part_number}")
    return bounded(f"name:{product.name}")


def bounded(text: str) -> str:
    """The text as an id: control characters made visible; of one too long its beginning and a hash of the whole."""
    text = text.translate(_VISIBLE)
    if len(text) <= MAX_ID:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{text[: MAX_ID - _DIGEST - 1]}#{digest}"
