"""Commands about a customer: its client in Halo, its sites and its people."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from schemas.base import Name, OwnData, Text
from schemas.command_parts import Command, Field, Linked, Named
from schemas.targets import Target


class SiteAddress(OwnData, frozen=True, kw_only=True):
    """A Halo site address. A line without a mapped source field is absent; one mapped but empty is "" and clears."""

    line1: Text | UnsetType = UNSET
    """Line 1 of the address."""
    line2: Text | UnsetType = UNSET
    """Line 2 of the address."""
    line3: Text | UnsetType = UNSET
    """Line 3 of the address."""
    line4: Text | UnsetType = UNSET
    """Line 4 of the address."""
    postcode: Text | UnsetType = UNSET
    """Postal code."""
    region: Named | UnsetType = UNSET
    """The region, by name."""
    country: Text | UnsetType = UNSET
    """The country."""


class MainContact(OwnData, frozen=True, kw_only=True):
    """The first contact of a new client, sent in the client's own creating request."""

    name: Name
    """The whole name."""
    email: Text | None = None
    """Email address."""
    phone: Text | None = None
    """Telephone number."""
    title: Text | None = None
    """Job title."""


class UpsertClient(Command, frozen=True, kw_only=True):
    """Create or adopt a Halo client; a new one is created together with its main site and contact."""

    kind = "client"
    groups = {
        "head": ("name", "phone", "website", "site_name", "site_address", "main_contact", "relationship"),
        "links": ("links",),
    }

    name: Field[Name] | UnsetType = UNSET
    """The name of the client."""
    phone: Field[Text] | UnsetType = UNSET
    """Telephone number."""
    website: Field[Text] | UnsetType = UNSET
    """Web address."""
    site_name: Field[Name] | UnsetType = UNSET
    """The name of its first site."""
    site_address: Field[SiteAddress] | UnsetType = UNSET
    """The address of that site."""
    main_contact: Field[MainContact] | UnsetType = UNSET
    """Its first user."""
    relationship: Field[Named] | UnsetType = UNSET
    """What a new one is to the tenant, by the name of Halo's customer relationship."""
    links: Field[tuple[Linked, ...]] | UnsetType = UNSET
    """What `fields` of the tenant's file links."""


class UpsertSite(Command, frozen=True, kw_only=True):
    """Create, adopt or update a site of a client."""

    kind = "site"
    groups = {"head": ("client", "name", "phone", "address")}

    client: Field[Target] | UnsetType = UNSET
    """The Halo client it belongs to."""
    name: Field[Name] | UnsetType = UNSET
    """The name of the site."""
    phone: Field[Text] | UnsetType = UNSET
    """Telephone number."""
    address: Field[SiteAddress] | UnsetType = UNSET
    """Its address."""


class UpsertUser(Command, frozen=True, kw_only=True):
    """Create, adopt or update a Halo user (a customer's contact)."""

    kind = "user"
    groups = {
        "head": ("client", "site", "name", "first_name", "last_name", "email", "phone", "title"),
        "links": ("links",),
    }

    client: Field[Target] | UnsetType = UNSET
    """The Halo client it belongs to."""
    site: Field[Target] | UnsetType = UNSET
    """The site of that client."""
    name: Field[Name] | UnsetType = UNSET
    """The whole name."""
    first_name: Field[Text] | UnsetType = UNSET
    """First name."""
    last_name: Field[Text] | UnsetType = UNSET
    """Last name."""
    email: Field[Text] | UnsetType = UNSET
    """Email address."""
    phone: Field[Text] | UnsetType = UNSET
    """Telephone number."""
    title: Field[Text] | UnsetType = UNSET
    """Job title."""
    links: Field[tuple[Linked, ...]] | UnsetType = UNSET
    """What `fields` of the tenant's file links."""
