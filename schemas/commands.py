"""Commands, from the mapper to the writer: each brings one target to a desired state.

A field that is absent (`UNSET`) is not the rules' to write and is never sent. References stay symbolic: another
target (`Target`) or a Halo name with the lookup it belongs to (`Named`); only the writer turns them into ids.
"""

from __future__ import annotations

from schemas.base import HaloId
from schemas.command_parts import (
    Basis,
    Command,
    Field,
    Linked,
    Lookup,
    Match,
    MatchBy,
    Missing,
    Named,
    Notice,
    Write,
)
from schemas.customer_commands import MainContact, SiteAddress, UpsertClient, UpsertSite, UpsertUser
from schemas.file_commands import AttachFile, FileSource
from schemas.sales_commands import (
    AccountCodes,
    ItemAccounts,
    OpportunityLine,
    QuoteLine,
    Totals,
    UpsertItem,
    UpsertOpportunity,
    UpsertQuote,
)
from schemas.targets import Kind
from schemas.won_commands import CompleteOpportunity, CreateSalesOrder, GroupIncome, OrderLines

COMMANDS: dict[str, type[Command]] = {
    "upsert_client.v1": UpsertClient,
    "upsert_site.v1": UpsertSite,
    "upsert_user.v1": UpsertUser,
    "upsert_item.v1": UpsertItem,
    "upsert_opportunity.v1": UpsertOpportunity,
    "upsert_quote.v1": UpsertQuote,
    "attach_file.v1": AttachFile,
    "complete_opportunity.v1": CompleteOpportunity,
    "create_sales_order.v1": CreateSalesOrder,
}

TYPE_OF_KIND: dict[Kind, str] = {command.kind: name for name, command in COMMANDS.items()}

__all__ = [
    "COMMANDS",
    "TYPE_OF_KIND",
    "AccountCodes",
    "AttachFile",
    "Basis",
    "Command",
    "CompleteOpportunity",
    "CreateSalesOrder",
    "Field",
    "FileSource",
    "GroupIncome",
    "HaloId",
    "ItemAccounts",
    "Linked",
    "Lookup",
    "MainContact",
    "Match",
    "MatchBy",
    "Missing",
    "Named",
    "Notice",
    "OpportunityLine",
    "OrderLines",
    "QuoteLine",
    "SiteAddress",
    "Totals",
    "UpsertClient",
    "UpsertItem",
    "UpsertOpportunity",
    "UpsertQuote",
    "UpsertSite",
    "UpsertUser",
    "Write",
]
