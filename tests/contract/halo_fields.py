"""The fields of Halo's REST API that the writer sends, with their JSON types, by resource.

Types are those of Halo's own API description: `int` is a whole number, `num` any number, `time` an ISO date and time
without a zone. A name that is not here was not found there, and Halo ignores what it doesn't know: silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Fields = Mapping[str, str]

EXTERNAL_LINK: Fields = {"third_party_id": "str", "third_party_desc": "str"}
ADDRESS: Fields = {
    "id": "int",
    "line1": "str",
    "line2": "str",
    "line3": "str",
    "line4": "str",
    "postcode": "str",
}
QUOTATION_LINE: Fields = {
    "id": "int",
    "sort_seq": "int",
    "item_id": "int",
    "name": "str",
    "productcode": "str",
    "description": "str",
    "quantity": "num",
    "baseprice": "num",
    "price": "num",
    "discount_perc": "num",
    "costprice": "num",
    "tax": "num",
    "ignoretaxcalc": "bool",
    "item_recurring": "bool",
    "billingperiod": "int",
    "supplier_id": "int",
    "new_external_link": "link",
    "note": "str",
    "customfields": "custom",
}
OPPORTUNITY_PRODUCT: Fields = {
    "id": "int",
    "item_id": "int",
    "name": "str",
    "supplier_part_code": "str",
    "quantity": "num",
    "price": "num",
    "costprice": "num",
    "tax": "num",
    "note2": "str",
}
ORDER_LINE: Fields = {
    "sort_seq": "int",
    "item_id": "int",
    "name": "str",
    "productcode": "str",
    "quantity": "num",
    "baseprice": "num",
    "price": "num",
    "discount_perc": "num",
    "costprice": "num",
    "item_recurring": "bool",
    "billingperiod": "int",
    "supplier_id": "int",
    "nominalcode": "str",
}
CUSTOM_FIELD: Fields = {"id": "int", "name": "str", "value": "str"}
"""Halo types the value as anything; the hub sends text."""
RESOURCES: Mapping[str, Fields] = {
    "Attachment": {
        "id": "int",
        "ticket_id": "int",
        "filename": "str",
        "data_base64": "str",
        "isimage": "bool",
        "note": "str",
        "showforusers": "bool",
    },
    "Client": {
        "id": "int",
        "name": "str",
        "customer_relationship": "pairs",
        "website": "str",
        "newclient_sitename": "str",
        "newclient_phonenumber": "str",
        "newclient_delivery_address": "address",
        "newclient_countrycode": "str",
        "newclient_regioncode": "int",
        "newclient_contactname": "str",
        "newclient_contactemail": "str",
        "newclient_contacttitle": "str",
        # Only in the description of 2026; older instances leave the phone out.
        "newclient_contactphonenumber": "str",
        "new_external_link": "link",
        "accountsid": "str",
        "accountsemailaddress": "str",
        "accountsccemailaddress": "str",
        "notes": "str",
        "ref": "str",
        "tax_number": "str",
        "customfields": "custom",
    },
    "Site": {
        "id": "int",
        "client_id": "num",
        "name": "str",
        "phonenumber": "str",
        "delivery_address": "address",
        "country_code": "str",
        "region_code": "int",
        "new_external_link": "link",
    },
    "Users": {
        "id": "int",
        "client_id": "int",
        "site_id": "num",
        "name": "str",
        "firstname": "str",
        "surname": "str",
        "emailaddress": "str",
        "phonenumber": "str",
        "title": "str",
        "third_party_id": "str",
        "new_external_link": "link",
        "email2": "str",
        "email3": "str",
        "mobilenumber": "str",
        "notes": "str",
        "other1": "str",
        "other2": "str",
        "other3": "str",
        "other4": "str",
        "other5": "str",
        "customfields": "custom",
    },
    "Item": {
        "id": "int",
        "name": "str",
        "description": "str",
        "assetgroup_id": "int",
        "baseprice": "num",
        "costprice": "num",
        "recurringprice": "num",
        "recurringcost": "num",
        "isrecurringitem": "bool",
        "item_default_billing_period": "int",
        "supplier_part_code": "str",
        "internalreference": "str",
        "type": "int",
        "nominalcode": "str",
        "purchasenominalcode": "str",
        "dont_track_stock": "bool",
        "third_party_id": "str",
        "new_external_link": "link",
    },
    "Opportunities": {
        "id": "int",
        "client_id": "int",
        "site_id": "int",
        "user_id": "int",
        "summary": "str",
        "tickettype_id": "int",
        "status_id": "int",
        "agent_id": "int",
        "team": "str",
        "details": "str",
        "oppvalue": "num",
        "parent_id": "int",
        "items_issued": "products",
        "purchaseordernumber": "str",
        "third_party_id_string": "str",
        "new_external_link": "link",
        "client_reference": "str",
        "deadlinedate": "time",
        "oppaddr1": "str",
        "oppaddr2": "str",
        "oppaddr3": "str",
        "oppaddr4": "str",
        "oppcompanyname": "str",
        "oppcontactname": "str",
        "oppconversionprobability": "num",
        "oppcountry": "str",
        "oppemailaddress": "str",
        "opppostcode": "str",
        "oppreason": "str",
        "opptel": "str",
        "oppvalue_annual": "num",
        "oppvalue_monthly": "num",
        "oppvalue_oneoff": "num",
        "targetdate": "time",
        "customfields": "custom",
    },
    "SalesOrder": {
        "id": "int",
        "ticket_id": "int",
        "quotation_id": "int",
        "client_id": "int",
        "site_id": "int",
        "user_id": "int",
        "title": "str",
        "assigned_agent": "int",
        "currency_code": "int",
        "po_number": "str",
        "lines": "order_lines",
        "new_external_link": "link",
    },
    "Quotation": {
        "id": "int",
        "ticket_id": "int",
        "client_id": "int",
        "site_id": "int",
        "user_id": "int",
        "title": "str",
        "date": "time",
        "expiry_date": "time",
        "status": "int",
        "agent_id": "int",
        "assigned_agent": "int",
        "currency_code": "int",
        "note": "str",
        "scope": "str",
        "ponumber": "str",
        "lines": "lines",
        "carriage_price": "num",
        "third_party_number": "str",
        "new_external_link": "link",
        "address": "address",
        "delivery_address": "address",
        "auth_by": "str",
        "billingcontactemailaddress": "str",
        "billingcontactname": "str",
        "billingcontactphonenumber": "str",
        "po_ref": "str",
        "risk": "str",
        "customfields": "custom",
    },
}
ARRAYS: Mapping[str, Fields] = {
    "custom": CUSTOM_FIELD,
    "lines": QUOTATION_LINE,
    "pairs": {"id": "str"},
    "products": OPPORTUNITY_PRODUCT,
    "order_lines": ORDER_LINE,
}
NESTED: Mapping[str, Fields] = {"link": EXTERNAL_LINK, "address": ADDRESS}
_TIME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$")


def faults(resource: str, element: Mapping[str, Any]) -> list[str]:
    """Everything in an element that Halo's API description doesn't have, or has as another type."""
    return list(_faults(RESOURCES[resource], element, resource))


def _faults(fields: Fields, element: Mapping[str, Any], at: str) -> Iterator[str]:
    for name, value in element.items():
        where = f"{at}.{name}"
        kind = fields.get(name)
        if kind is None:
            yield f"{where} is no field of Halo's"
        elif kind in ARRAYS:
            for place, line in enumerate(value):
                yield from _faults(ARRAYS[kind], line, f"{where}[{place}]")
        elif kind in NESTED:
            yield from _faults(NESTED[kind], value, where)
        elif not _fits(kind, value):
            yield f"{where} is {value!r}, not {kind}"


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "num":
            return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        case "time":
            return isinstance(value, str) and _TIME.match(value) is not None
        case _:
            return isinstance(value, str)
