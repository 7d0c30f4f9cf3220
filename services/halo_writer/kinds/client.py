"""Clients (`/Client`). A new one is created together with its main site and main contact, in one request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halo.resources import CLIENT
from halo.wire import as_id
from schemas.commands import Command, MainContact, Named
from schemas.targets import TargetState
from services.halo_writer.kinds import site
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable
from services.halo_writer.kinds.links import linked_fields
from services.halo_writer.names import folded


def _site_address(value: Any, resolved: Resolved) -> Row:
    lines = site.address_lines(value)
    places = site.country_and_region(value, resolved)
    renamed = {"country_code": "newclient_countrycode", "region_code": "newclient_regioncode"}
    element: Row = {renamed[name]: place for name, place in places.items()}
    if lines:
        element["newclient_delivery_address"] = lines
    return element


def _main_contact(value: MainContact, resolved: Resolved) -> Row:
    fields = {
        "newclient_contactname": value.name,
        "newclient_contactemail": value.email,
        "newclient_contacttitle": value.title,
        "newclient_contactphonenumber": value.phone,
    }
    return {name: text for name, text in fields.items() if text}


def _relationship(value: Named, resolved: Resolved) -> Row:
    """A list of pairs in Halo, whose ids are texts."""
    relationship = resolved.name(value)
    return {} if relationship is None else {"customer_relationship": [{"id": str(relationship)}]}


def _children(command: Command, record: Mapping[str, Any], row: TargetState) -> dict[str, int]:
    found = {"site": as_id(record.get("main_site_id")), "user": as_id(record.get("main_contact_id"))}
    return {name: halo_id for name, halo_id in found.items() if halo_id is not None}


def _natural_keys(command: Command) -> tuple[str, ...]:
    """Customers of one name are one client only where the tenant matches clients by name."""
    return tuple(f"name:{folded(str(match.value))}" for match in command.match if match.by == "name")


SPEC = KindSpec(
    kind="client",
    resource=CLIENT,
    fills={
        "name": "name",
        "phone": "newclient_phonenumber",
        "website": "website",
        "site_name": "newclient_sitename",
        "site_address": _site_address,
        "main_contact": _main_contact,
        "relationship": _relationship,
        "links": linked_fields,
    },
    on_create=frozenset({"phone", "site_name", "site_address", "main_contact", "relationship"}),
    natural_keys=_natural_keys,
    children=_children,
    parts=lambda command: frozenset({"main_site_id"}),
    repeatable=repeatable,
)
