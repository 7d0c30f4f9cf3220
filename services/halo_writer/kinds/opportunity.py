"""Opportunities (`/Opportunities`): tickets of an opportunity type, which quotes hang under; with their products.

Halo's description has no outside id for a ticket's product (`items_issued`), so that our line key travels in `note2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halo.resources import OPPORTUNITIES
from schemas.commands import Command, Named, OpportunityLine, UpsertOpportunity
from schemas.targets import LEAD, OUR_MARK
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, value_of
from services.halo_writer.kinds.line_array import LineArray
from services.halo_writer.kinds.links import linked_fields
from services.halo_writer.kinds.unsaid import Unsaid
from services.halo_writer.names import folded

_PRODUCTS = "items_issued"
_KEY_FIELD = "note2"


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    """By the name of its company, where that may have been no client when it was made; else within its client."""
    assert isinstance(command, UpsertOpportunity)
    client, company = value_of(command.client), value_of(command.company)
    if company is not None:
        return {"search": company}
    return None if client is None else {"client_id": resolved.target(client)}


def _natural_keys(command: Command) -> tuple[str, ...]:
    """Of one company there is one lead, whoever quotes it; opportunities may be as many as there are quotes."""
    assert isinstance(command, UpsertOpportunity)
    company = value_of(command.company)
    return (f"name:{folded(company)}",) if company and command.target.scope == LEAD else ()


def _team(value: Named, resolved: Resolved) -> Row:
    """A ticket has its team by name. One that Halo lacks is left out; its notice says so."""
    name = resolved.spelling(value)
    return {} if name is None else {"team": name}


def _products(value: tuple[OpportunityLine, ...], resolved: Resolved) -> Row:
    return {_PRODUCTS: [_product(line, resolved) for line in value]}


def _product(line: OpportunityLine, resolved: Resolved) -> Row:
    element: Row = {
        "item_id": _item_id(line, resolved),
        "name": line.name,
        "supplier_part_code": line.part_number,
        "quantity": line.quantity,
        "price": line.price,
        "costprice": line.cost,
        "tax": line.tax,
    }
    return {name: value for name, value in element.items() if value is not None}


def _item_id(line: OpportunityLine, resolved: Resolved) -> int | None:
    if line.item is not None:
        return resolved.target(line.item)
    assert line.halo_item is not None, "a product is of one kind or the other"
    return resolved.name(line.halo_item)


def _mark(key: str) -> Row:
    return {_KEY_FIELD: key}


def _keys(line: Mapping[str, Any]) -> tuple[str, ...]:
    key = line.get(_KEY_FIELD)
    return (str(key),) if key else ()


def _number(line: OpportunityLine) -> str:
    return line.part_number


def _parts(command: Command) -> frozenset[str]:
    assert isinstance(command, UpsertOpportunity)
    return frozenset({_PRODUCTS}) if value_of(command.lines) else frozenset()


def _is_ours(line: Mapping[str, Any]) -> bool:
    return any(key.startswith(OUR_MARK) for key in _keys(line))


def _hosts(command: Command) -> frozenset[str]:
    """An opportunity that a person picked may have had products before."""
    return frozenset({_PRODUCTS}) if command.match else frozenset()


def _guests(command: Command, record: Mapping[str, Any]) -> Mapping[str, list[int]]:
    if not command.match:
        return {}
    lines = record.get(_PRODUCTS) or ()
    return {_PRODUCTS: [int(line["id"]) for line in lines if line.get("id") and not _is_ours(line)]}


LINES = LineArray(_PRODUCTS, "supplier_part_code", _number, _mark, Unsaid({"costprice": 0, "tax": 0}), _keys)

SPEC = KindSpec(
    kind="opportunity",
    resource=OPPORTUNITIES,
    fills={
        "client": "client_id",
        "site": "site_id",
        "user": "user_id",
        "title": "summary",
        "ticket_type": "tickettype_id",
        "team": _team,
        "agent": "agent_id",
        "note": "details",
        "lead": "parent_id",
        "company": "oppcompanyname",
        "contact_name": "oppcontactname",
        "contact_email": "oppemailaddress",
        "status": "status_id",
        "value": "oppvalue",
        "lines": _products,
        "po_number": "purchaseordernumber",
        "links": linked_fields,
    },
    key_field="third_party_id_string",
    key_scope=_key_scope,
    natural_keys=_natural_keys,
    children=LINES.children,
    noted=LINES.noted,
    finish=LINES.finish,
    parts=_parts,
    repeatable=LINES.repeatable,
    guests=_guests,
    hosts=_hosts,
)
