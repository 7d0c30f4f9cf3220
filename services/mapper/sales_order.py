"""The Halo sales order of a won quote: one for the source quote, whatever becomes of it later."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from hub.tenants.items import Items
from schemas.commands import (
    CreateSalesOrder,
    Field,
    GroupIncome,
    Match,
    Named,
    Notice,
    OrderLines,
    QuoteLine,
    UpsertQuote,
)
from schemas.targets import Target
from services.mapper.scope import NO_BASIS, Scope, sealed

SCOPE = "order"
T = TypeVar("T")


def order_target(quote_id: str, scope: Scope) -> Target:
    return scope.target("sales_order", quote_id, SCOPE)


def sales_order_of(quote_id: str, quote: UpsertQuote, scope: Scope) -> CreateSalesOrder:
    """Made of the quote as it is mapped now. An ensure: an order that exists is never touched."""
    # What is linked to the quote's lines is no field of an order's.
    lines = () if isinstance(quote.lines, UnsetType) else tuple(map(_unlinked, quote.lines.value))
    return sealed(
        CreateSalesOrder(
            target=order_target(quote_id, scope),
            basis=NO_BASIS,
            ensure=True,
            match=(Match(by="quotation"),),
            notices=_delivery_left_out(quote),
            opportunity=_always(quote.opportunity),
            quote=Field(value=quote.target),
            client=_always(quote.client),
            site=_always(quote.site),
            user=_always(quote.user),
            title=_always(quote.title),
            agent=_always(quote.agent),
            currency=_always(quote.currency),
            po_number=_always(quote.po_number),
            lines=Field(value=OrderLines(lines=lines, accounts=_accounts(scope.rules.items))),
        )
    )


def _delivery_left_out(quote: UpsertQuote) -> tuple[Notice, ...]:
    """Halo's orders have no documented field for a charge that is no line: who invoices from the order must hear."""
    if isinstance(quote.carriage, UnsetType) or not quote.carriage.value:
        return ()
    message = (
        f"the charge of {quote.carriage.value} for delivery is not on the sales order; "
        "with `items.shipping` it is a line of quote and order"
    )
    return (Notice(code="delivery.left_out", message=message),)


def _unlinked(line: QuoteLine) -> QuoteLine:
    return replace(line, links=())


def _accounts(rules: Items) -> tuple[GroupIncome, ...]:
    """The income accounts of all groups: which of them an item is in only Halo knows."""
    return tuple(
        GroupIncome(
            group=Named(lookup="asset_group", name=group, missing="ignore"),
            account=accounts.income,
        )
        for group, accounts in rules.accounts.items()
        if accounts.income is not None
    )


def _always(field: Field[T] | UnsetType) -> Field[T] | UnsetType:
    """The quote's own value, whatever a later revision of the quote may write of it."""
    return UNSET if isinstance(field, UnsetType) else Field(value=field.value)
