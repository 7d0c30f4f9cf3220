"""The table that drives the resources: path, list shape, filters, search columns, rights, link number.

A query parameter that is not here is ignored without a word, as Halo does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resource:
    """One path under /api.

    list_key None = the list is a bare array. filters: query parameter -> field, equality. many: the same, the
    parameter is a comma list. scopes: names of which one is needed; empty = reading needs any token, writing
    a full one. link_table: the entity's number in ExternalLink rows. by_change: lastupdatefromdate filters.
    """

    name: str
    table: str
    list_key: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    many: Mapping[str, str] = field(default_factory=dict)
    search: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    link_table: int | None = None
    paged: bool = True
    writable: bool = True
    by_change: bool = False
    paged_key: str | None = None


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


TICKET_FILTERS = {
    **same("client_id", "site_id", "user_id", "agent_id", "status_id"),
    "requesttype_id": "tickettype_id",
    "client_ref": "client_reference",
}
TICKET_SEARCH = ("summary", "oppcontactname", "oppcompanyname", "oppemailaddress")

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "Client",
        "Client",
        "clients",
        filters=same("toplevel_id"),
        search=("name",),
        scopes=("customers",),
        link_table=2,
        by_change=True,
    ),
    Resource(
        "Site",
        "Site",
        "sites",
        filters={**same("client_id", "toplevel_id"), "site_id": "id"},
        search=("name",),
        scopes=("customers",),
        link_table=3,
        by_change=True,
    ),
    Resource(
        "Users",
        "Users",
        "users",
        filters=same("client_id", "site_id"),
        search=("name", "emailaddress"),
        scopes=("customers",),
        link_table=4,
        by_change=True,
    ),
    Resource(
        "Item",
        "Item",
        "items",
        filters=same("assetgroup_id", "supplier_id"),
        many={"assetgroups": "assetgroup_id"},
        search=("name", "supplier_part_code"),
        scopes=("items",),
        link_table=8,
    ),
    Resource(
        "Opportunities",
        "Faults",
        "tickets",
        filters=TICKET_FILTERS,
        many={"ticketids": "id", "client_ids": "client_id"},
        search=TICKET_SEARCH,
        scopes=("sales", "crm"),
        link_table=1,
        by_change=True,
    ),
    Resource(
        "Tickets",
        "Faults",
        "tickets",
        filters=TICKET_FILTERS,
        many={"ticketids": "id", "client_ids": "client_id"},
        search=TICKET_SEARCH,
        scopes=("tickets",),
        link_table=1,
        by_change=True,
    ),
    Resource(
        "Quotation",
        "Quotation",
        "quotes",
        filters=same("ticket_id", "client_id", "site_id", "user_id"),
        many={"quote_status": "status"},
        search=("title",),
        scopes=("quotes",),
        link_table=997,
    ),
    Resource(
        "SalesOrder",
        "SalesOrder",
        "salesorders",
        filters=same("ticket_id", "client_id", "site_id", "user_id"),
        search=("title", "po_number"),
        scopes=("sos",),
        link_table=996,
    ),
    Resource(
        "ExternalLink",
        "ExternalLink",
        "links",
        filters=same(
            "third_party_id",
            "halo_id",
            "table_id",
            "module_id",
            "details_id",
            "third_party_secondary_id",
            "third_party_type",
            "third_party_desc",
        ),
        many={"module_list": "module_id"},
        search=("third_party_id", "third_party_desc"),
        scopes=("customers", "items", "quotes", "sales", "sos", "tickets"),
    ),
    Resource(
        "Supplier",
        "Supplier",
        "suppliers",
        filters=same("toplevel_id"),
        search=("name",),
        scopes=("suppliers",),
        link_table=9,
    ),
    Resource(
        "Address",
        "Address",
        filters={**same("site_id", "user_id", "postcode"), "type_id": "type"},
        scopes=("customers",),
        paged=False,
    ),
    Resource(
        "Attachment",
        "Attachment",
        "attachments",
        filters=same("ticket_id", "action_id", "type", "unique_id"),
        scopes=("tickets",),
        paged=False,
    ),
    Resource("AssetGroup", "AssetGroup", paged=False),
    Resource("Agent", "Agent", search=("name", "email"), link_table=1002, paged_key="results"),
    Resource("Status", "Status", paged=False),
    Resource("TicketType", "TicketType", filters=same("group_id"), paged=False),
    Resource("Team", "Team", paged=False),
    Resource("Currency", "Currency", paged=False),
    Resource("Tax", "Tax", paged=False),
    Resource("FieldInfo", "FieldInfo", filters={"typeid": "usage"}, paged=False, writable=False),
    Resource("Lookup", "Lookup", filters=same("lookupid"), paged=False, writable=False),
    Resource("TopLevel", "TopLevel", "tree", search=("name",)),
    Resource("CustomIntegration", "CustomIntegration", paged=False),
)

BY_PATH: Mapping[str, Resource] = {resource.name.lower(): resource for resource in RESOURCES}
LINE_LINK_TABLE = 990
