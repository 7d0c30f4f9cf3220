"""What each entity demands and fills in when it is saved: Halo's business rules, one function per entity.

Texts marked "Halo's" in docs/sandbox.md were seen on real tenants; the others only have the right shape.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sandbox import attachments, lookups, orders, quotation, tickets
from sandbox.errors import broken_reference, missing_column, rule_error
from sandbox.instance import Instance
from sandbox.schema import stamp
from sandbox.state import Values

Element = Mapping[str, Any]
Rule = Callable[[Instance, Values | None, Element], dict[str, Any]]

OBSOLETE = 15
ACTIVE = 14
QUOTE_VALID_DAYS = 30


def stored(element: Element) -> dict[str, Any]:
    """The fields that a row keeps: the create-only ones of a client or site are not."""
    return {
        k: v for k, v in element.items() if not k.startswith(("newclient_", "newsite_", "new_external_link"))
    }


def merged(before: Values | None, element: Element, **defaults: Any) -> dict[str, Any]:
    """`element` over what was there (or over `defaults` on create)."""
    return {**(defaults if before is None else before), **stored(element)}


def client(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(
        before, element, toplevel_id=1, inactive=False, item_tax_code=0, datecreated=instance.now()
    )
    if not values.get("name"):
        raise missing_column("aareadesc", "AREA")
    if before is None and instance.main_contact_compulsory and not element.get("newclient_contactname"):
        raise rule_error("Please populate main contact name")
    return values


def after_client(instance: Instance, client_id: int, element: Element) -> None:
    """A new client's first site, and its first contact when one is named."""
    store = instance.store
    site = {
        "name": element.get("newclient_sitename") or "Main",
        "client_id": float(client_id),
        "phonenumber": element.get("newclient_phonenumber"),
        "timezone": element.get("newclient_timezone"),
        "delivery_address": element.get("newclient_delivery_address"),
        "inactive": False,
        "isinvoicesite": True,
        "datecreated": instance.now(),
    }
    site_id = store.put("Site", site)
    main: dict[str, Any] = {"main_site_id": site_id}
    if element.get("newclient_contactname"):
        name = element["newclient_contactname"]
        first, _, last = name.partition(" ")
        contact = {
            "name": name,
            "firstname": first,
            "surname": last or None,
            "title": element.get("newclient_contacttitle"),
            "emailaddress": element.get("newclient_contactemail"),
            "phonenumber": element.get("newclient_contactphonenumber"),
            "client_id": client_id,
            "site_id": float(site_id),
            "inactive": False,
            "isimportantcontact": True,
        }
        main["main_contact_id"] = store.put("Users", contact)
        store.put("Site", {**site, "id": site_id, "maincontact_id": main["main_contact_id"]})
    store.put("Client", {**(store.values("Client", client_id) or {}), **main})


def site(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element, inactive=False, datecreated=instance.now())
    if not values.get("name"):
        raise missing_column("sdesc", "SITE")
    if not values.get("client_id"):
        raise missing_column("sarea", "SITE")
    if instance.store.values("Client", values["client_id"]) is None:
        raise broken_reference("sarea", "SITE")
    return values


def user(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    """A contact belongs to a site, and through it to the site's client, whatever client was sent."""
    values = merged(before, element, inactive=False, datecreated=instance.now())
    if not values.get("site_id") and values.get("client_id"):
        owner = instance.store.values("Client", values["client_id"]) or {}
        values["site_id"] = float(owner.get("main_site_id") or 0)
    if not values.get("site_id"):
        raise missing_column("usite", "USERS")
    home = instance.store.values("Site", values["site_id"])
    if home is None:
        raise broken_reference("usite", "USERS")
    values["client_id"] = int(home["client_id"])
    if not values.get("name"):
        values["name"] = " ".join(filter(None, (values.get("firstname"), values.get("surname"))))
    if not values["name"]:
        raise missing_column("uusername", "USERS")
    return values


def item(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element, status=ACTIVE, isrecurringitem=False, datecreated=instance.now())
    if not values.get("name"):
        raise missing_column("idesc", "ITEM")
    if not values.get("assetgroup_id"):
        raise missing_column("iassetgroup", "ITEM")
    if instance.store.values("AssetGroup", values["assetgroup_id"]) is None:
        raise broken_reference("iassetgroup", "ITEM")
    values["lastmodified"] = instance.now()
    return values


def ticket(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    """A row of the table that tickets and opportunities share; the ticket type alone tells them apart."""
    store, now = instance.store, instance.now()
    values = merged(
        before,
        {name: value for name, value in element.items() if name != tickets.PRODUCTS},
        dateoccurred=now,
        tickettype_id=min(store.table("TicketType"), default=0),
        status_id=min(store.table("Status"), default=0),
    )
    if not values.get("summary"):
        raise rule_error("Please enter a Summary")
    if "tickettype_id" in element and store.values("TicketType", element["tickettype_id"]) is None:
        raise rule_error("The Ticket Type is not valid")
    if before is None:
        tickets.check_new(instance, element, store.values("TicketType", values["tickettype_id"]) or {})
        place_ticket(instance, values)
    for name, table in (("client_id", "Client"), ("site_id", "Site"), ("user_id", "Users")):
        if values.get(name) and store.values(table, values[name]) is None:
            raise broken_reference(name, "FAULTS")
    values["last_update"] = now
    sent = element.get(tickets.PRODUCTS)
    return values if sent is None else tickets.with_products(instance, values, sent)


def place_ticket(instance: Instance, values: dict[str, Any]) -> None:
    """Fills client and site from the user or site that was given."""
    store = instance.store
    contact = store.values("Users", values.get("user_id")) or {}
    values.setdefault("site_id", int(contact.get("site_id") or 0) or None)
    place = store.values("Site", values["site_id"]) or {}
    values.setdefault(
        "client_id", int(place.get("client_id") or 0) or min(store.table("Client"), default=None)
    )


def quote(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    store, now = instance.store, instance.clock.now()
    values = merged(
        before,
        {k: v for k, v in element.items() if k != "lines"},
        lines=(),
        status=min(lookups.codes(store, lookups.QUOTE_STATUS), default=None),
        date=stamp(now),
        expiry_date=stamp(now + timedelta(days=QUOTE_VALID_DAYS)),
    )
    parent = store.values("Faults", values.get("ticket_id"))
    if parent is None:
        raise rule_error("A Quotation needs an existing Ticket or Opportunity")
    values.setdefault("client_id", parent.get("client_id"))
    if "lines" in element:
        values["lines"] = quotation.merged_lines(
            values["lines"], element["lines"], lambda: store.new_id("QuotationDetail")
        )
        quotation.check_recurring(values["lines"], lambda item_id: store.values("Item", item_id))
        quotation.check_discounts(values["lines"], lambda item_id: store.values("Item", item_id))
    values["last_update_time"] = stamp(now)
    values["change_seq"] = values.get("change_seq", 0) + 1
    return quotation.settled(values, taxing(instance, values))


def taxing(instance: Instance, values: Values) -> quotation.Taxing:
    buyer = instance.store.values("Client", values.get("client_id")) or {}
    own = buyer.get("item_tax_code") or 0

    def percent_of(code: int) -> float | None:
        return (instance.store.values("Tax", code) or {}).get("value")

    return quotation.Taxing(
        has_site=bool(values.get("site_id")),
        default_code=own if own > 0 else instance.config.default_tax_id,
        percent_of=percent_of,
    )


def supplier(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element, inactive=False, datecreated=instance.now())
    if not values.get("name"):
        raise missing_column("cdesc", "COMPANY")
    values["last_modified"] = instance.now()
    return values


def address(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element, date_active=instance.now())
    if not values.get("line1"):
        raise missing_column("asline1", "ADDRESSSTORE")
    if instance.store.values("Site", values.get("site_id")) is None and not values.get("user_id"):
        raise missing_column("assite", "ADDRESSSTORE")
    return values


def external_link(instance: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element, date_created=instance.now(), primary=False)
    for name in ("table_id", "halo_id"):
        if values.get(name) is None:
            raise missing_column(name, "EXTERNALLINK")
    values["date_updated"] = instance.now()
    return values


def named(_: Instance, before: Values | None, element: Element) -> dict[str, Any]:
    values = merged(before, element)
    if not values.get("name"):
        raise rule_error("Name must not be blank")
    return values


RULES: Mapping[str, Rule] = {
    "Client": client,
    "Site": site,
    "Users": user,
    "Item": item,
    "Faults": ticket,
    "Quotation": quote,
    "SalesOrder": orders.sales_order,
    "Supplier": supplier,
    "Address": address,
    "Attachment": attachments.saved,
    "ExternalLink": external_link,
}


def prepared(instance: Instance, table: str, before: Values | None, element: Element) -> dict[str, Any]:
    """The row that saving `element` over `before` makes, or RefusalError."""
    return RULES.get(table, named)(instance, before, element)
