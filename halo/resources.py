"""Halo's resources as data: where they live, how lists are wrapped, how outside ids are tied to them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One Halo resource.

    `list_key` names the array in a list's wrapper, None where Halo answers a bare array. `link_table` is the
    `table_id` of its rows in `/ExternalLink`, None where unknown. `paged` tells whether lists take
    `pageinate`. `scope` is the right's name after `read:` and `edit:`, None where no narrow scope is known.
    """

    name: str
    list_key: str | None = None
    link_table: int | None = None
    paged: bool = False
    scope: str | None = None

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def read_scope(self) -> str | None:
        return None if self.scope is None else f"read:{self.scope}"

    @property
    def edit_scope(self) -> str | None:
        """The right to write, which includes the right to read."""
        return None if self.scope is None else f"edit:{self.scope}"


CLIENT = Resource("Client", "clients", 2, paged=True, scope="customers")
SITE = Resource("Site", "sites", 3, paged=True, scope="customers")
USERS = Resource("Users", "users", 4, paged=True, scope="customers")
ITEM = Resource("Item", "items", 8, paged=True, scope="items")
OPPORTUNITIES = Resource("Opportunities", "tickets", 1, paged=True, scope="tickets")
QUOTATION = Resource("Quotation", "quotes", 997, paged=True, scope="quotes")
SALES_ORDER = Resource("SalesOrder", "salesorders", 996, paged=True, scope="sos")
INVOICE = Resource("Invoice", "invoices", 995, paged=True, scope="invoices")
INVOICE_PAYMENT = Resource("InvoicePayment", "payments", paged=True, scope="invoices")
CLIENT_CONTRACT = Resource("ClientContract", "contracts", 6, paged=True, scope="contracts")
SOFTWARE_LICENCE = Resource("SoftwareLicence", "licences", paged=True, scope="softwarelicensing")
EXTERNAL_LINK = Resource("ExternalLink", "links", paged=True)
ATTACHMENT = Resource("Attachment", "attachments", scope="tickets")
AGENT = Resource("Agent", link_table=1002)
TEAM = Resource("Team")
STATUS = Resource("Status")
TICKET_TYPE = Resource("TicketType")
ASSET_GROUP = Resource("AssetGroup")
CURRENCY = Resource("Currency")
TAX = Resource("Tax")
LOOKUP = Resource("Lookup")
FIELD_INFO = Resource("FieldInfo")
CONTROL = Resource("Control")

RESOURCES: tuple[Resource, ...] = (
    CLIENT,
    SITE,
    USERS,
    ITEM,
    OPPORTUNITIES,
    QUOTATION,
    SALES_ORDER,
    INVOICE,
    INVOICE_PAYMENT,
    CLIENT_CONTRACT,
    SOFTWARE_LICENCE,
    EXTERNAL_LINK,
    ATTACHMENT,
    AGENT,
    TEAM,
    STATUS,
    TICKET_TYPE,
    ASSET_GROUP,
    CURRENCY,
    TAX,
    LOOKUP,
    FIELD_INFO,
    CONTROL,
)
