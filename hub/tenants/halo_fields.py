"""The fields of Halo that a tenant's file may link to, by section; the names are those of Halo's API. Pure data.

`WRITABLE` are plain fields that nothing else in the hub writes, `OWNED` those that the rules write already, with what
fills them: a field has one owner. Custom fields are named `customfields.<name>` and are known to each Halo alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

LinkedKind = Literal["clients", "users", "opportunities", "quotes", "lines"]
FieldType = Literal["text", "number", "date"]

CUSTOM = "customfields."

WRITABLE: Mapping[LinkedKind, Mapping[str, FieldType]] = {
    "clients": {
        "accountsid": "text",
        "accountsemailaddress": "text",
        "accountsccemailaddress": "text",
        "notes": "text",
        "ref": "text",
        "tax_number": "text",
    },
    "users": {
        "email2": "text",
        "email3": "text",
        "mobilenumber": "text",
        "notes": "text",
        "other1": "text",
        "other2": "text",
        "other3": "text",
        "other4": "text",
        "other5": "text",
    },
    "opportunities": {
        "client_reference": "text",
        "deadlinedate": "date",
        "oppaddr1": "text",
        "oppaddr2": "text",
        "oppaddr3": "text",
        "oppaddr4": "text",
        "oppconversionprobability": "number",
        "oppcountry": "text",
        "opppostcode": "text",
        "oppreason": "text",
        "opptel": "text",
        "oppvalue_annual": "number",
        "oppvalue_monthly": "number",
        "oppvalue_oneoff": "number",
        "targetdate": "date",
    },
    "quotes": {
        "auth_by": "text",
        "billingcontactemailaddress": "text",
        "billingcontactname": "text",
        "billingcontactphonenumber": "text",
        "po_ref": "text",
        "risk": "text",
    },
    "lines": {"note": "text"},
}

OWNED: Mapping[LinkedKind, Mapping[str, str]] = {
    "clients": {
        "name": "the customer's name",
        "website": "the customer's website",
    },
    "users": {
        "client_id": "the customer",
        "site_id": "the customer's site",
        "name": "the contact's name",
        "firstname": "the contact's first name",
        "surname": "the contact's last name",
        "emailaddress": "the contact's email address",
        "phonenumber": "the contact's telephone number",
        "title": "the contact's job title",
        "third_party_id": "the hub's own key",
    },
    "opportunities": {
        "client_id": "the customer",
        "site_id": "the customer's site",
        "user_id": "the contact",
        "summary": "the title, as `opportunities.rename` says",
        "tickettype_id": "`opportunities.ticket_type`",
        "status_id": "`opportunities.statuses`",
        "agent_id": "`agents`",
        "team": "`opportunities.teams`",
        "details": "the opportunity's note",
        "oppvalue": "`opportunities.value`",
        "oppcompanyname": "the company of a lead (`clients.lead_ticket_type`)",
        "oppcontactname": "the contact of a lead (`clients.lead_ticket_type`)",
        "oppemailaddress": "the contact of a lead (`clients.lead_ticket_type`)",
        "parent_id": "the lead (`clients.lead_ticket_type`)",
        "items_issued": "`opportunities.lines`",
        "purchaseordernumber": "`quotes.po_number`",
        "third_party_id_string": "the hub's own key",
    },
    "quotes": {
        "ticket_id": "the opportunity",
        "client_id": "the customer",
        "site_id": "the customer's site",
        "user_id": "the contact",
        "title": "the quote's title",
        "date": "the quote's date",
        "expiry_date": "the quote's last day",
        "status": "`quotes.statuses`",
        "agent_id": "`agents`",
        "assigned_agent": "`agents`",
        "currency_code": "`currencies`",
        "note": "the quote's note",
        "scope": "the quote's description",
        "ponumber": "`quotes.po_number`",
        "lines": "the quote's lines",
        "carriage_price": "the quote's shipping charge",
        "address": "the quote's sold-to address",
        "delivery_address": "the quote's ship-to address",
        "third_party_number": "the hub's own key",
    },
    "lines": {
        "sort_seq": "the order of the lines",
        "item_id": "the line's product",
        "name": "the product's name",
        "productcode": "`items.part_number`",
        "description": "the line's description",
        "quantity": "the line's quantity",
        "baseprice": "the line's price",
        "price": "the line's price",
        "discount_perc": "the line's discount",
        "costprice": "the line's cost",
        "tax": "the line's tax",
        "ignoretaxcalc": "the line's tax",
        "item_recurring": "`billing_periods`",
        "billingperiod": "`billing_periods`",
        "supplier_id": "the line's supplier",
    },
}
