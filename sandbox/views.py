"""How stored rows look in answers: names filled in, nested objects only where Halo has them, no nulls."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from sandbox.attachments import CONTENT
from sandbox.instance import Instance
from sandbox.lookups import QUOTE_STATUS, codes
from sandbox.resources import LINE_LINK_TABLE, Resource
from sandbox.state import Values

# field shown -> (field that refers, table, field read there)
NAMES: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "Client": {
        "main_site_name": ("main_site_id", "Site", "name"),
        "main_contact_name": ("main_contact_id", "Users", "name"),
        "main_contact_email": ("main_contact_id", "Users", "emailaddress"),
        "toplevel_name": ("toplevel_id", "TopLevel", "name"),
        "item_tax_code_name": ("item_tax_code", "Tax", "name"),
    },
    "Site": {
        "client_name": ("client_id", "Client", "name"),
        "maincontact_name": ("maincontact_id", "Users", "name"),
    },
    "Users": {"client_name": ("client_id", "Client", "name"), "site_name": ("site_id", "Site", "name")},
    "Item": {
        "assetgroup_name": ("assetgroup_id", "AssetGroup", "name"),
        "supplier_name": ("supplier_id", "Supplier", "name"),
    },
    "Faults": {
        "client_name": ("client_id", "Client", "name"),
        "site_name": ("site_id", "Site", "name"),
        "user_name": ("user_id", "Users", "name"),
        "agent_name": ("agent_id", "Agent", "name"),
        "tickettype_name": ("tickettype_id", "TicketType", "name"),
        "status_name": ("status_id", "Status", "name"),
    },
    "Quotation": {
        "client_name": ("client_id", "Client", "name"),
        "site_name": ("site_id", "Site", "name"),
        "user_name": ("user_id", "Users", "name"),
        "ticket_summary": ("ticket_id", "Faults", "summary"),
        "assigned_agent_name": ("assigned_agent", "Agent", "name"),
        "currency_code_name": ("currency_code", "Currency", "code"),
    },
    "SalesOrder": {
        "client_name": ("client_id", "Client", "name"),
        "site_name": ("site_id", "Site", "name"),
        "user_name": ("user_id", "Users", "name"),
        "assigned_agent_name": ("assigned_agent", "Agent", "name"),
        "currency_code_name": ("currency_code", "Currency", "code"),
    },
    "Address": {"site_name": ("site_id", "Site", "name"), "user_name": ("user_id", "Users", "name")},
}
ADDRESSES = frozenset({"delivery_address", "invoice_address"})
HIDDEN_IN_LISTS: Mapping[str, frozenset[str]] = {
    "Quotation": frozenset({"lines", "revenue", "total", "tax_total", "profit", "margin"}),
    "SalesOrder": frozenset({"lines"}),
    "Site": ADDRESSES,
    "Faults": frozenset({"items_issued"}),
    "TicketType": frozenset({"fields"}),
}
HIDDEN_WITHOUT_DETAILS: Mapping[str, frozenset[str]] = {
    "Quotation": frozenset({"lines"}),
    "SalesOrder": frozenset({"lines"}),
    "Site": ADDRESSES,
    "Faults": frozenset({"items_issued"}),
    "TicketType": frozenset({"fields"}),
}
NOTHING: frozenset[str] = frozenset()
OPPORTUNITY_USE = "opportunity"


def saved(instance: Instance, resource: Resource, values: Values) -> dict[str, Any]:
    """The answer to a POST: the whole row."""
    return shown(instance, resource, values, NOTHING)


def one(instance: Instance, resource: Resource, values: Values, *, details: bool) -> dict[str, Any]:
    """The answer to a GET by id; `details` adds nested objects and external links."""
    if not details:
        return shown(instance, resource, values, HIDDEN_WITHOUT_DETAILS.get(resource.table, NOTHING))
    view = shown(instance, resource, values, NOTHING)
    if resource.link_table is not None:
        view["external_links"] = links(instance, resource.link_table, values["id"])
    if resource.table == "Quotation":
        view["lines"] = linked(instance, view["lines"])
    return view


def listed(
    instance: Instance, resource: Resource, values: Values, query: Mapping[str, str]
) -> dict[str, Any]:
    """One row of a list."""
    hidden = HIDDEN_IN_LISTS.get(resource.table, NOTHING)
    if is_true(query, "includelines"):
        hidden = hidden - {"lines"}
    if is_true(query, "includeaddress"):
        hidden = hidden - ADDRESSES
    return shown(instance, resource, values, hidden)


def shown(instance: Instance, resource: Resource, values: Values, hidden: frozenset[str]) -> dict[str, Any]:
    view = {name: value for name, value in values.items() if value is not None and name not in hidden}
    for name, (reference, table, field) in NAMES.get(resource.table, {}).items():
        found = instance.store.values(table, values.get(reference))
        if found is not None and found.get(field) is not None:
            view[name] = found[field]
    finish = FINISH.get(resource.table)
    if finish is not None:
        finish(instance, view)
    return view


def finish_client(instance: Instance, view: dict[str, Any]) -> None:
    main = instance.store.values("Site", view.get("main_site_id")) or {}
    if main.get("delivery_address"):
        view["main_delivery_address"] = main["delivery_address"]


def finish_ticket(instance: Instance, view: dict[str, Any]) -> None:
    view["is_opportunity"] = is_opportunity(instance, view)


def finish_quote(instance: Instance, view: dict[str, Any]) -> None:
    name = codes(instance.store, QUOTE_STATUS).get(view.get("status", 0))
    if name is not None:
        view["status_name"] = name
    if "lines" in view:
        view["lines"] = [
            {**{name: value for name, value in line.items() if value is not None}, "qhid": view["id"]}
            for line in view["lines"]
        ]


def finish_attachment(_: Instance, view: dict[str, Any]) -> None:
    view.pop(CONTENT, None)


def finish_lookup(_: Instance, view: dict[str, Any]) -> None:
    view["id"] = view.pop("id_in_lookup")


FINISH: Mapping[str, Callable[[Instance, dict[str, Any]], None]] = {
    "Client": finish_client,
    "Faults": finish_ticket,
    "Quotation": finish_quote,
    "Lookup": finish_lookup,
    "Attachment": finish_attachment,
}


def is_opportunity(instance: Instance, ticket: Values) -> bool:
    kind = instance.store.values("TicketType", ticket.get("tickettype_id")) or {}
    return kind.get("use") == OPPORTUNITY_USE


def links(instance: Instance, table_id: int, halo_id: int) -> list[dict[str, Any]]:
    return links_by_record(instance, table_id, {halo_id}).get(halo_id, [])


def links_by_record(instance: Instance, table_id: int, ids: Set[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in instance.store.table("ExternalLink").values():
        link = row.values
        if link["halo_id"] in ids and link["table_id"] == table_id:
            plain = {name: value for name, value in link.items() if value is not None}
            found.setdefault(link["halo_id"], []).append(plain)
    return found


def linked(instance: Instance, lines: Sequence[Values]) -> list[dict[str, Any]]:
    """Quote lines, each with the first link it has as `external_link`."""
    found = links_by_record(instance, LINE_LINK_TABLE, {line["id"] for line in lines})
    return [
        {**line, **({"external_link": found[line["id"]][0]} if line["id"] in found else {})} for line in lines
    ]


def is_true(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() == "true"
