"""The commands of a won quote, as the mapper makes them; every field can be overridden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from schemas.commands import (
    CompleteOpportunity,
    CreateSalesOrder,
    Field,
    GroupIncome,
    Named,
    OrderLines,
    QuoteLine,
)
from tests.unit.halo_writer.build import Tool, always, basis, by, sealed


def sales_order(
    tool: Tool,
    quote: str = "q-1",
    *,
    org: str = "org-1",
    lines: Sequence[QuoteLine] | None = None,
    accounts: Sequence[GroupIncome] = (),
    title: str = "New office",
    person: str | None = None,
    agent: Named | None = None,
    opportunity: str | None = None,
    quote_scope: str = "",
    **fields: Any,
) -> CreateSalesOrder:
    """The order of a won quote: created or adopted, never updated."""
    sold = (tool.line(),) if lines is None else tuple(lines)
    return sealed(
        CreateSalesOrder(
            target=replace(tool.target("sales_order", quote), scope="order"),
            basis=basis(),
            ensure=True,
            match=by(quotation=None),
            opportunity=always(tool.target("opportunity", opportunity or quote)),
            quote=always(replace(tool.target("quote", quote), scope=quote_scope)),
            client=always(tool.target("client", org)),
            site=always(tool.target("site", f"{org}/main")),
            user=always(None if person is None else tool.target("user", person)),
            title=always(title),
            agent=always(agent),
            lines=always(OrderLines(lines=sold, accounts=tuple(accounts))),
            **fields,
        )
    )


def won(
    tool: Tool,
    quote: str = "q-1",
    *,
    seq: tuple[int, ...] = (2, 1),
    opportunity: str | None = None,
    status: str | None = "Won",
    po_number: str | None = None,
) -> CompleteOpportunity:
    """The step that completes the quote's opportunity."""
    place = opportunity or quote
    named = None if status is None else Named(lookup="status", name=status, missing="leave")
    return sealed(
        CompleteOpportunity(
            target=replace(tool.target("won", quote), scope=f"{place}:"),
            basis=basis(),
            seq=seq,
            opportunity=Field(value=tool.target("opportunity", place)),
            status=always(named),
            po_number=UNSET if po_number is None else Field(value=po_number),
        )
    )
